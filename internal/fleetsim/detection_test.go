package fleetsim

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestDetection holds three vantages to how soon their quorum sees a fault: the
// moment at which the one that leads considers the removal, before any hold.
// The moment of the fault is drawn anew for each seed. Messages between the
// vantages take 20 ms and some milliseconds of jitter.
func TestDetection(t *testing.T) {
	for _, c := range []struct {
		fault    string
		p50, p99 time.Duration
	}{
		{"crash", 9 * time.Second, 11 * time.Second},
		{"hang", 13 * time.Second, 13 * time.Second},
		{"vanish", 13 * time.Second, 13 * time.Second},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			var took []time.Duration
			for seed := range uint64(fromEnvironment(t, "MAPWARDEN_STORY_SEEDS", 200)) {
				took = append(took, detection(t, c.fault, seed))
			}
			slices.Sort(took)
			p50, p99 := quantile(took, 50), quantile(took, 99)
			t.Logf("%s, %d runs: p50 %s, p99 %s, most %s", c.fault, len(took), short(p50), short(p99), short(took[len(took)-1]))
			if p50 > c.p50 || p99 > c.p99 {
				t.Errorf("%s is detected within %s (p50) and %s (p99), want %s and %s", c.fault, p50, p99, c.p50, c.p99)
			}
		})
	}
}

// quantile is the smallest value that so many percent of them do not exceed.
func quantile(sorted []time.Duration, percent int) time.Duration {
	return sorted[(len(sorted)*percent+99)/100-1]
}

func detection(t *testing.T, fault string, seed uint64) time.Duration {
	t.Helper()
	at := 70*time.Second + time.Duration(seed*7919%5000)*time.Millisecond // any moment of an interval
	story, err := Parse("detection", fmt.Sprintf(`
config mode=enforce vantages=3 vote_delay=20ms seed=%d
service shop/web check=custom instances=12 zones=a,b,c
at %s %s web-%d
run %s`, seed, at, fault, 1+seed%12, at+30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	story.Settings.Untraced = true
	s := prepare(story)
	s.play()
	for _, f := range append(s.failures, s.judge.failures...) {
		t.Errorf("seed %d: %s", seed, f)
	}
	e := s.clients.episodes[0]
	if e.detected == 0 {
		t.Fatalf("seed %d: %s of %s at %s was not detected", seed, fault, e.id, at)
	}
	return e.detected - e.at
}
