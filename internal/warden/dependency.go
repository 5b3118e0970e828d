package warden

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// Dependencies of a service are interned: each has a place, and what an
// instance calls bad is a set of places.
const (
	placesMost  = 64
	elsePlace   = placesMost - 1 // all names for which there is no place of their own
	elseName    = "something else"
	sharedLatch = time.Minute // how long a dependency counts as shared after it was that last
)

// needs are what the instances of a service say of what they need.
type needs struct {
	names []string
	place map[string]int             // by name; looked up only
	bad   [placesMost]int            // how many instances call it bad
	until [placesMost]health.Instant // it counts as shared until then; 0: it does not
}

func (n *needs) placeOf(name string) int {
	if at, ok := n.place[name]; ok {
		return at
	}
	if len(n.names) >= elsePlace {
		return elsePlace
	}
	n.place[name] = len(n.names)
	n.names = append(n.names, name)
	return len(n.names) - 1
}

func (n *needs) name(place int) string {
	if place < len(n.names) {
		return n.names[place]
	}
	return elseName
}

// latched is the set of what counts as shared.
func (n *needs) latched() (set uint64) {
	for i, until := range n.until {
		if until != 0 {
			set |= 1 << i
		}
	}
	return set
}

// depends takes what an observation says of the things that its target needs.
// The latest one counts alone: one that could not look says nothing.
func (w *Warden) depends(s *service, i int, o *health.Observation) {
	sl := &w.slots[i]
	sl.lists = len(o.Dependencies) > 0
	var bad uint64
	if sl.lists {
		if s.needs == nil {
			s.needs = &needs{place: make(map[string]int)}
		}
		for _, d := range o.Dependencies {
			if at := s.needs.placeOf(d.Name); d.Critical && d.Outcome == health.Fail {
				bad |= 1 << at
			}
		}
	}
	if bad != sl.bad {
		w.setBad(s, i, bad)
		w.mark(s)
	}
}

// setBad keeps the sums over what instances call bad, and over the services in
// which anybody does.
func (w *Warden) setBad(s *service, i int, bad uint64) {
	sl := &w.slots[i]
	for b := sl.bad ^ bad; b != 0; b &= b - 1 {
		at := bits.TrailingZeros64(b)
		was := s.needs.bad[at]
		if bad&(1<<at) != 0 {
			s.needs.bad[at]++
		} else {
			s.needs.bad[at]--
		}
		switch name := s.needs.name(at); {
		case at == elsePlace: // nobody knows whether it is the same in two services
		case was == 0:
			w.badIn[name]++
		case s.needs.bad[at] == 0 && w.badIn[name] == 1:
			delete(w.badIn, name)
		case s.needs.bad[at] == 0:
			w.badIn[name]--
		}
	}
	sl.bad = bad
}

// badElsewhere is what instances of s call bad and those of another service, too.
func (w *Warden) badElsewhere(s *service) (set uint64) {
	if s.needs == nil {
		return 0
	}
	for at, name := range s.needs.names {
		if s.needs.bad[at] > 0 && w.badIn[name] > 1 {
			set |= 1 << at
		}
	}
	return set
}

// share notes which dependencies are shared now.
func (w *Warden) share(s *service, which uint64) {
	var news []string
	for b := which; b != 0; b &= b - 1 {
		at := bits.TrailingZeros64(b)
		if s.needs.until[at] == 0 {
			news = append(news, fmt.Sprintf("%s (bad for %d of %d)", s.needs.name(at), s.needs.bad[at], len(s.members)))
		}
		s.needs.until[at] = w.now.Add(sharedLatch)
	}
	if len(news) > 0 {
		w.recordService(s, Record{Kind: FleetRecord, Reason: policy.SharedDependency,
			Detail: "what its instances need fails: " + strings.Join(news, ", ") + "; none is taken out for that"})
	}
}

// keepShared ends the time in which a dependency counts as shared: runs and
// holds begin anew.
func (w *Warden) keepShared(s *service) {
	if s.needs == nil {
		return
	}
	var over []string
	for at, until := range s.needs.until {
		if until != 0 && until <= w.now {
			s.needs.until[at] = 0
			over = append(over, s.needs.name(at))
		}
	}
	if len(over) > 0 {
		w.restart(s)
		w.recordService(s, Record{Kind: FleetRecord, Reason: policy.SharedDependency, Admitted: true,
			Detail: strings.Join(over, ", ") + ": no longer a shared failure; failure runs and holds begin anew"})
	}
}

// reportFor is how many intervals a report counts.
const reportFor = 3

// reporting gives a member what it says of the things that it needs. One that
// passes without a word finds them good.
func (w *Warden) reporting(s *service, i int, m *policy.Member) {
	sl := &w.slots[i]
	fresh := m.LastAt != 0 && w.now.Sub(m.LastAt) <= reportFor*s.cfg.Check.Interval
	if m.Reports = fresh && (sl.lists || m.Last == health.Pass); m.Reports {
		m.Bad = sl.bad
	}
}
