package health_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
)

// TestFewFailuresLeadNowhere: failures in at most two runs within a window, each
// shorter than Fall, change no verdict; and once a window of passes followed, the
// state is again what it was. The simulator leaves such failures out.
func TestFewFailuresLeadNowhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := slowCheck()
		c.Fall = rapid.IntRange(2, 9).Draw(t, "fall")
		c.Gray = health.Gray{Fails: rapid.IntRange(1, 9).Draw(t, "gray fails"), Of: rapid.IntRange(5, health.MaxWindow).Draw(t, "of")}
		s := health.State{}
		at := health.Instant(time.Hour)
		look := func(outcome health.Outcome) health.State {
			at = at.Add(5 * time.Second)
			o := health.Observation{Outcome: outcome, Due: at, Start: at, End: at.Add(3 * time.Millisecond)}
			if outcome == health.Fail {
				o.Cause = health.Timeout
			}
			s, _ = health.Step(s, c, o)
			return s
		}
		for range 2000 {
			look(health.Pass)
		}
		quiet := s
		for range rapid.IntRange(0, 2).Draw(t, "runs") {
			for range rapid.IntRange(1, c.Fall-1).Draw(t, "failures") {
				if look(health.Fail).Status != health.Healthy {
					t.Fatalf("%+v makes of it %s", c.Gray, s.Status)
				}
			}
			for range rapid.IntRange(1, 5).Draw(t, "passes") {
				if look(health.Pass).Status != health.Healthy {
					t.Fatalf("a pass makes of it %s", s.Status)
				}
			}
		}
		for range health.MaxWindow + 1 {
			look(health.Pass)
		}
		if again, was := timeless(s), timeless(quiet); again != was {
			t.Fatalf("%+v became %+v", was, again)
		}
	})
}

// timeless is a state without what only counts, and when.
func timeless(s health.State) health.State {
	s.LastAt, s.PassSince, s.Passes, s.Probes = 0, 0, 0, 0
	return s
}
