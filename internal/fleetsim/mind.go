package fleetsim

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// Mind is what decides in a checker. A story is about the real one, package
// warden; another may take its place, to be compared with it in the same world.
type Mind interface {
	Handle(now health.Instant, events []warden.Event) []warden.Effect
	Snapshot(now health.Instant) *warden.Snapshot
}

// newMind is the mind of one process.
func (c *checker) newMind() Mind {
	if c.s.story.Mind != nil {
		return c.s.story.Mind(c.name)
	}
	return warden.New()
}

// foreign reports whether another mind is at work. Nobody holds it to what is
// promised of the real one, and each of its processes writes as it likes.
func (s *sim) foreign() bool { return s.story.Mind != nil }

// Sums are what clients made of a whole story.
type Sums struct {
	Removed, False int     // instances that clients ceased to find; of them, those that served well
	Failed         float64 // percent of the requests, the worst service …
	Unwatched      float64 // … and of the same service had nobody touched the registry
	Capacity       float64 // percent: the least share of the well instances that clients found in any service
	Faults         int     // of instances
	Stopped        []time.Duration
	Back           []time.Duration // after the end of a fault, for those that were out
	Out            int             // of those whose fault has ended, still out at the end
}

func (s *sim) sums() Sums {
	sum := Sums{Removed: s.clients.removed, False: s.clients.wrong, Capacity: 100}
	for _, l := range s.clients.services {
		if l.loaded == 0 {
			continue
		}
		if failed := 100 * l.with / l.loaded; failed >= sum.Failed {
			sum.Failed, sum.Unwatched = failed, 100*l.without/l.loaded
		}
		sum.Capacity = min(sum.Capacity, 100*l.capacity)
	}
	for _, e := range s.clients.episodes {
		sum.Faults++
		if e.stopped != 0 && e.stopped != e.at {
			sum.Stopped = append(sum.Stopped, e.stopped-e.at)
		}
		switch {
		case e.cleared == 0 || e.stopped == 0:
		case e.back != 0:
			sum.Back = append(sum.Back, e.back-e.cleared)
		default:
			sum.Out++
		}
	}
	return sum
}
