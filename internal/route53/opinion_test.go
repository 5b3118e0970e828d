package route53

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
)

const (
	pass = health.Pass
	fail = health.Fail
	none = health.Indeterminate
)

// TestOpinion reads: results (. pass, x fail, ? none), and the status after
// each of them (h, u, - unknown).
func TestOpinion(t *testing.T) {
	outcomes := map[rune]health.Outcome{'.': pass, 'x': fail, '?': none}
	letters := map[health.Status]string{health.Unknown: "-", health.Healthy: "h", health.Unhealthy: "u"}
	for _, tt := range []struct {
		name          string
		threshold     int
		results, want string
	}{
		{"one pass is enough for a new one", 3, "..", "hh"},
		{"three failures for a new one", 3, "xxx", "--u"},
		{"a pass in between", 3, "xx.xxx", "--hhhu"},
		{"and three passes to come back", 3, "xxx..xx...", "--uuuuuuuh"},
		{"a failure starts the count anew", 3, "...xx.xxx", "hhhhhhhhu"},
		{"threshold one", 1, "x.x.", "uhuh"},
		{"threshold ten", 10, "xxxxxxxxxx", "---------u"},
		{"no result is none", 2, "?x?x??.?.", "---uuuuuh"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var o opinion
			var got strings.Builder
			for _, r := range tt.results {
				o = o.step(outcomes[r], tt.threshold)
				got.WriteString(letters[o.status])
			}
			if got.String() != tt.want {
				t.Errorf("%s gives %s, want %s", tt.results, got.String(), tt.want)
			}
		})
	}
}

// TestOpinionProperties holds for any results: a status that was taken changes
// only on threshold results in a row that contradict it, always does then, and
// results that are none change nothing.
func TestOpinionProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		threshold := rapid.IntRange(1, 10).Draw(t, "threshold")
		results := rapid.SliceOf(rapid.SampledFrom([]health.Outcome{pass, fail, none})).Draw(t, "results")
		var o opinion
		run, kind := 0, none // the latest results of one kind
		for _, r := range results {
			before := o
			o = o.step(r, threshold)
			if r == none {
				if o != before {
					t.Fatal("no result changed the opinion")
				}
				continue
			}
			if r != kind {
				run, kind = 0, r
			}
			run++
			var want health.Status
			switch {
			case before.status == health.Unknown && r == pass:
				want = health.Healthy
			case run < threshold:
				want = before.status
			case r == pass:
				want = health.Healthy
			default:
				want = health.Unhealthy
			}
			if o.status != want {
				t.Fatalf("%s after %d of %s (threshold %d): %s, want %s", before.status, run, r, threshold, o.status, want)
			}
			if o.run >= threshold {
				t.Fatalf("%d results against the opinion did not turn it", o.run)
			}
		}
	})
}

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		healthy, unhealthy, of int
		want                   health.Status
	}{
		{0, 0, 3, health.Unknown},
		{1, 0, 3, health.Healthy}, // a third is more than 18 %
		{1, 2, 3, health.Healthy},
		{0, 2, 3, health.Unknown}, // the third could save it
		{0, 3, 3, health.Unhealthy},
		{2, 0, 16, health.Unknown},
		{3, 0, 16, health.Healthy}, // 18.75 %
		{3, 13, 16, health.Healthy},
		{2, 14, 16, health.Unhealthy}, // 12.5 %
		{2, 13, 16, health.Unknown},
		{9, 0, 50, health.Unknown}, // 18 % are not more than 18 %
		{9, 41, 50, health.Unhealthy},
		{10, 40, 50, health.Healthy},
	} {
		opinions := make([]opinion, tt.of)
		for i := range opinions {
			switch {
			case i < tt.healthy:
				opinions[i].status = health.Healthy
			case i < tt.healthy+tt.unhealthy:
				opinions[i].status = health.Unhealthy
			}
		}
		if got := verdict(opinions); got != tt.want {
			t.Errorf("%d healthy and %d unhealthy of %d: %s, want %s", tt.healthy, tt.unhealthy, tt.of, got, tt.want)
		}
	}
}
