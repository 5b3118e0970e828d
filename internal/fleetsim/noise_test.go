package fleetsim

import (
	"fmt"
	"testing"
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
