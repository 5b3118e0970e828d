package fleetsim

import (
	"net/netip"
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// Places that are no targets, as the far ends of paths.
const (
	toRegistry = "registry"
	toStore    = "store"
)

// end is where a path leads: a subnet, all targets of a zone, the registry,
// the store, or a checker (for votes). The zero end is every target.
type end struct {
	subnet netip.Prefix
	zone   string
	name   string // of a checker, toRegistry or toStore
	votes  bool   // it is the way of votes
}

// fault is what is wrong with one way of a path. Answers take the same way
// back: whoever cannot ask is not answered either, but the other end may still
// reach us.
type fault struct {
	from string // a checker; "" is every one of them
	to   end
	lost float64 // share of what is sent; 1 is a cut
	late time.Duration
}

// network is all that is wrong between checkers and everything else.
type network struct {
	s      *sim
	faults []*fault
}

// spoil adds a fault, for a time or (0) until all is healed.
func (n *network) spoil(f fault, during time.Duration) {
	x := &f
	n.faults = append(n.faults, x)
	if during > 0 {
		n.s.after(during, func() {
			n.faults = slices.DeleteFunc(n.faults, func(y *fault) bool { return y == x })
		})
	}
}

// crossing is what becomes of one message: lost, or late.
func (n *network) crossing(c *checker, meets func(end) bool) (lost bool, late time.Duration) {
	for _, f := range n.faults {
		if f.from != "" && f.from != c.name || !meets(f.to) {
			continue
		}
		late += f.late
		if f.lost >= 1 || f.lost > 0 && c.net.Float64() < f.lost {
			lost = true
		}
	}
	return lost, late
}

// toTarget is the way of a probe.
func (n *network) toTarget(c *checker, at netip.Addr, zone string) (lost bool, late time.Duration) {
	if len(n.faults) == 0 {
		return false, 0
	}
	return n.crossing(c, func(e end) bool {
		switch {
		case e.votes || e.name != "":
			return false
		case e.subnet.IsValid():
			return e.subnet.Contains(at)
		}
		return e.zone == "" || e.zone == zone
	})
}

// toService is the way to the registry or the store.
func (n *network) toService(c *checker, name string) (lost bool, late time.Duration) {
	return n.crossing(c, func(e end) bool { return !e.votes && e.name == name })
}

// toPeer is the way of a vote.
func (n *network) toPeer(c, peer *checker) (lost bool, late time.Duration) {
	return n.crossing(c, func(e end) bool { return e.votes && (e.name == "" || e.name == peer.name) })
}

// isolate cuts a checker off from everything, both ways.
func (n *network) isolate(c *checker, during time.Duration) {
	n.spoil(fault{from: c.name, lost: 1}, during)
	for _, name := range []string{toRegistry, toStore} {
		n.spoil(fault{from: c.name, to: end{name: name}, lost: 1}, during)
	}
	n.spoil(fault{from: c.name, to: end{votes: true}, lost: 1}, during)
	n.spoil(fault{to: end{votes: true, name: c.name}, lost: 1}, during)
}

// reply is what a probe finds at an address.
type reply struct {
	outcome health.Outcome
	cause   health.Cause
	silent  bool // nothing comes back: it ends at the check's timeout
	late    time.Duration
	needs   []health.Dependency // what it says of what it needs
	drains  bool                // it says that it is about to stop
}

var silence = reply{outcome: health.Fail, cause: health.Timeout, silent: true}

// answer is what a probe of at finds now, from where c stands.
func (f *fleet) answer(c *checker, at netip.AddrPort, path string) reply {
	w := f.listens(at)
	zone := ""
	if w != nil {
		zone = w.zone
	}
	lost, late := f.s.network.toTarget(c, at.Addr(), zone)
	if lost || w == nil || f.s.noise != nil && f.s.noise.loses(c, w) {
		return silence
	}
	r := w.answer(f.rng, path)
	r.late = late
	return r
}

// listens is the workload at an address: of several that had it, the latest
// one whose host is there.
func (f *fleet) listens(at netip.AddrPort) *workload {
	var found *workload
	for _, w := range f.byAddr[at] {
		if found == nil || w.mood != vanished {
			found = w
		}
	}
	return found
}
