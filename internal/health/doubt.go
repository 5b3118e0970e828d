package health

// Doubt is a reason for this checker to distrust itself, reported by its edges
// (safety rule 2).
type Doubt uint8

const (
	NoDoubt          Doubt = iota
	DoubtDescriptors       // no file descriptor left
	DoubtPorts             // no local port left
	DoubtSentinel          // no route to the checker's own sentinels
	DoubtLate              // probes start more than half an interval late
	DoubtPaused            // the process stood still for longer than an interval
	DoubtClock             // wall and monotonic clock moved apart by more than 1 s
	DoubtMass              // too many targets began to fail at once
	DoubtPartition         // every zone but our own fails, and no other vantage finds the same
)

func (d Doubt) String() string {
	return [...]string{"none", "descriptors", "ports", "sentinel", "late", "paused", "clock-step", "mass", "partition"}[d]
}
