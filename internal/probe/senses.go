package probe

import (
	"sync/atomic"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

const (
	// doubtEvery is the shortest time between two reports of one doubt.
	doubtEvery = time.Second

	// lateWindow is the time over which lateness is judged, and lateShare the
	// share of probes in it that may start more than half an interval late:
	// above it their 99th percentile is too late.
	lateWindow = time.Second
	lateShare  = 0.01
)

// senses notice the checker's own trouble (safety rule 2). The engine's loop
// owns them; raise alone may be called by any goroutine.
type senses struct {
	raised [health.DoubtMass + 1]atomic.Bool
	told   [health.DoubtMass + 1]health.Instant

	overslept time.Duration // how long after the wanted instant this turn began

	since  health.Instant // the window of lateness
	starts int
	late   int
}

func (s *senses) raise(d health.Doubt) { s.raised[d].Store(true) }

// woke begins a turn of the loop.
func (s *senses) woke(wanted, now health.Instant) {
	s.overslept = 0
	if wanted != health.Never {
		s.overslept = now.Sub(wanted)
	}
}

// due is told of each target that a turn finds due: if the loop slept through
// a whole interval of one, the process stood still.
func (s *senses) due(interval time.Duration) {
	if s.overslept > interval {
		s.raise(health.DoubtPaused)
	}
}

// started is told how late a probe started by the checker's own doing.
func (s *senses) started(lateness, interval time.Duration) {
	s.starts++
	if float64(lateness) > maxLate*float64(interval) {
		s.late++
	}
}

// report passes raised doubts on, each at most once in doubtEvery.
func (s *senses) report(now health.Instant, to *outbox) {
	if now.Sub(s.since) >= lateWindow {
		if float64(s.late) > lateShare*float64(s.starts) {
			s.raise(health.DoubtLate)
		}
		s.since, s.starts, s.late = now, 0, 0
	}
	for d := range s.raised {
		if s.told[d] != 0 && now.Sub(s.told[d]) < doubtEvery {
			continue
		}
		if s.raised[d].Swap(false) {
			s.told[d] = now
			to.doubt(health.Doubt(d))
		}
	}
}
