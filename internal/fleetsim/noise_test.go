package fleetsim

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// BenchmarkNoise measures how many days of one target a second of a processor plays.
func BenchmarkNoise(b *testing.B) {
	days := 0.0
	for seed := range uint64(b.N) {
		r, err := Run(ordinaryDays(b, seed, "custom", "240h", ""))
		if err != nil || len(r.Failures) > 0 {
			b.Fatal(err, r.Failures)
		}
		days += r.Noise.Days
	}
	b.ReportMetric(days/b.Elapsed().Seconds(), "target-days/s")
}

func ordinaryDays(t testing.TB, seed uint64, check, length, how string) Story {
	t.Helper()
	story, err := Parse("ordinary days", fmt.Sprintf(`
config profile=local mode=enforce vantages=3 seed=%d
service shop/web check=%s instances=6 zones=a,b,c
at 2m noise %s
run %s`, seed, check, how, length))
	if err != nil {
		t.Fatal(err)
	}
	story.Settings.Untraced = true
	return story
}

// TestQuietTimeMayBeLeftOut plays the same days with and without leaving quiet
// time out: the same targets are judged, held against and called off at the same
// moments of the day.
func TestQuietTimeMayBeLeftOut(t *testing.T) {
	events := 0
	for seed := range uint64(2) {
		for _, check := range []string{"custom", "none"} {
			// Ten times the usual pauses, but fewer losses: what is compared is to happen often.
			how := "pauses=40 stalls=6 loss=0.02%"
			short, s := played(t, ordinaryDays(t, seed, check, "6h", how))
			long, all := played(t, ordinaryDays(t, seed, check, "6h", how+" quiet=kept"))
			if s.noise.left < time.Hour || all.noise.left != 0 {
				t.Fatalf("seed %d: %s and %s were left out", seed, s.noise.left, all.noise.left)
			}
			if diff := cmp.Diff(long, short); diff != "" {
				t.Errorf("seed %d, check %s: other things happen where quiet time is left out (-kept +left out):\n%s", seed, check, diff)
			}
			events += len(long)
		}
	}
	if events < 40 {
		t.Errorf("only %d things happened: nothing was compared", events)
	}
}

// played is what a story's checkers saw and did, at which second of the day.
func played(t *testing.T, story Story) (lines []string, s *sim) {
	t.Helper()
	s = prepare(story)
	s.play()
	for _, f := range append(s.failures, s.judge.failures...) {
		t.Error(f)
	}
	for _, l := range s.line.lines {
		if l.Who == "sees" || l.Who == "calls" || l.Who == "clients" {
			lines = append(lines, fmt.Sprintf("%s %s %s %s", s.noise.dayOf(l.At).Round(100*time.Millisecond), l.Lanes, l.Who, l.Text))
		}
	}
	return lines, s
}

// TestNoiseIsWhatItSays counts what is drawn against the rates asked for.
func TestNoiseIsWhatItSays(t *testing.T) {
	story := ordinaryDays(t, 3, "custom", "4800h", "")
	story.Length = 4800 * time.Hour
	s := prepare(story)
	n := &noise{s: s, rates: ordinary, sieves: map[lane]*sieve{}}
	n.draw(story.Length)
	var stalls, pauses, bursts, losses int
	for _, u := range n.upsets {
		switch {
		case u.meets != nil && u.meets(s.fleet.workloads[0]) && u.meets(s.fleet.workloads[3]): // both of one zone
			bursts++
		case u.meets != nil && u.meets(s.fleet.workloads[0]):
			pauses++
		case u.meets == nil && u.lasts >= stallLeast+1:
			stalls++
		}
	}
	for _, x := range n.sieves {
		losses += len(x.lost)
	}
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"stalls", stalls, 200 * 3 * 6}, {"pauses of one target", pauses, 200 * 4}, {"bursts to one zone", bursts, 200 * 3},
		{"losses", losses, 200 * 18 * 17280 / 1000},
	} {
		if c.got < c.want*9/10 || c.got > c.want*11/10 {
			t.Errorf("%d %s in 200 days, want about %d", c.got, c.what, c.want)
		}
	}
}
