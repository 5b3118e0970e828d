package policy

import "math/bits"

// What the instances of a service say of the things that they need (science of
// shared failures): where much of a service calls the same thing bad, it is that
// thing and not the instance, and taking instances out mends nothing.
const (
	sharedFrom = 50 // percent of the others that call it bad, too: it is shared
	partlyFrom = 20 // more than this: it may be; half of the budget
	fewMembers = 4  // in a service so small, two that call it bad are enough
)

// extent is how far a failure goes that instances put down to what they need.
type extent uint8

const (
	alone  extent = iota // it is the instance
	partly               // it may be either
	shared               // it is what they need
)

// reports are the sums over what the members of a service say.
type reports struct {
	fresh int // members that said something lately
	bad   [64]int
}

// reported sums up; nil where nobody calls anything bad.
func reported(v *ServiceView) *reports {
	var any uint64
	for i := range v.Members {
		any |= v.Members[i].Bad
	}
	if any == 0 {
		return nil
	}
	r := &reports{}
	for i := range v.Members {
		m := &v.Members[i]
		if m.Gone || !m.Reports {
			continue
		}
		r.fresh++
		for b := m.Bad; b != 0; b &= b - 1 {
			r.bad[bits.TrailingZeros64(b)]++
		}
	}
	return r
}

// of is how far the failure of a member goes, and which of the things that it
// calls bad are shared now. One of them is enough: it may be what fails it.
func (r *reports) of(v *ServiceView, m *Member) (worst extent, which uint64) {
	if r == nil || m.Gone || !m.Reports {
		return alone, 0
	}
	others := r.fresh - 1
	for b := m.Bad; b != 0; b &= b - 1 {
		i := bits.TrailingZeros64(b)
		bad, bit := r.bad[i]-1, uint64(1)<<i
		switch {
		case v.BadElsewhere&bit != 0,
			len(v.Members) <= fewMembers && bad > 0,
			others > 0 && bad*100 >= sharedFrom*others:
			worst = shared
			which |= bit
		case v.SharedLately&bit != 0: // what is left of it does not keep it up
			worst = shared
		case others == 0, bad*100 > partlyFrom*others: // where nobody else speaks nobody knows
			worst = max(worst, partly)
		}
	}
	return worst, which
}
