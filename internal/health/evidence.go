package health

import "net/netip"

// EvidenceKind is what an owner can say of an instance.
type EvidenceKind uint8

const (
	// NoEvidence: the owner says nothing against or for it.
	NoEvidence EvidenceKind = iota
	// OwnerStarting: it is not meant to serve yet.
	OwnerStarting
	// OwnerRunning: it is meant to run, and runs.
	OwnerRunning
	// OwnerDraining: it serves, and is about to stop.
	OwnerDraining
	// OwnerStopping: it was asked to stop.
	OwnerStopping
	// OwnerGone: it has stopped for good, or is as good as that. What may start
	// again as it is (a stopped virtual machine) is stopping, not gone.
	OwnerGone
	// OwnerAlarm: an alarm that the owner keeps of it is up.
	OwnerAlarm
)

func (k EvidenceKind) String() string {
	return [...]string{"none", "starting", "running", "draining", "stopping", "gone", "alarm"}[k]
}

// Worse reports whether k says worse of an instance than l does: of several
// owners the worst word counts. An alarm is less than to be starting, because
// it accuses nobody by itself.
func (k EvidenceKind) Worse(l EvidenceKind) bool { return badness[k] > badness[l] }

var badness = [...]uint8{
	NoEvidence: 0, OwnerRunning: 1, OwnerAlarm: 2, OwnerStarting: 3, OwnerDraining: 4, OwnerStopping: 5, OwnerGone: 6,
}

// Evidence is what an instance's owner (ECS, EC2, an alarm, an operator's
// orchestrator) says of one incarnation. It outranks probes for what has gone
// and nothing else.
type Evidence struct {
	Service  string // service id
	Instance string // instance id
	// Addr is the address that it is about, where the owner knows one: evidence
	// about an address that the instance does not have (any more) says nothing.
	Addr netip.Addr

	Kind       EvidenceKind
	Source     string  // "ecs", "ec2", …: each source is a word of its own
	Version    int64   // of the source; what is older than what is known is dropped
	At         Instant // when the source was asked
	Deployment string  // which of the owner's deployments it belongs to, "" where unknown
}
