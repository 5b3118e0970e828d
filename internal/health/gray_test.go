package health_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
)

func grayCheck() health.Check {
	c := check
	c.Gray = health.Gray{Fails: 5, Of: 20}
	return c
}

func TestGray(t *testing.T) {
	clean := strings.Repeat("p", 18)
	for _, c := range []struct {
		name, word string
		gray       bool
		status     health.Status
	}{
		{"five in five runs", "pfpfpfpfpf", true, health.Unhealthy},
		{"five in three runs", "pffpffpf", true, health.Unhealthy},
		{"five in two runs", "pfffpff", false, health.Healthy},
		{"five in one run are Fall's business", "pfffff", false, health.Unhealthy},
		{"four", "pfpfpfpf", false, health.Healthy},
		{"five, the first too long ago", "pf" + clean + "fpfpfpf", false, health.Healthy},
		{"Indeterminate parts no run and takes no place", "pf-f-f-f-" + "p" + "f", false, health.Unhealthy},
		{"passes alone do not clear it", "pfpfpfpfpf" + "pppp", true, health.Unhealthy},
		{"one of twenty is too many", "pfpfpfpfpf" + clean, true, health.Unhealthy},
		{"twenty passes are well", "pfpfpfpfpf" + clean + "pp", false, health.Healthy},
	} {
		s := walk(grayCheck(), letters(c.word))
		if s.Gray != c.gray || s.Status != c.status {
			t.Errorf("%s: gray %v, %s; want %v, %s", c.name, s.Gray, s.Status, c.gray, c.status)
		}
		off := grayCheck()
		off.Gray.Fails = 0
		if walk(off, letters(c.word)).Gray {
			t.Errorf("%s: gray though that is off", c.name)
		}
	}
}

// TestGrayRuns: where more runs are asked for, fewer are not enough.
func TestGrayRuns(t *testing.T) {
	c := grayCheck()
	c.Gray.Runs = 4
	if walk(c, letters("pffpffpf")).Gray {
		t.Error("three runs are gray where four are asked for")
	}
	if !walk(c, letters("pffpffpfpf")).Gray {
		t.Error("four runs are not gray")
	}
}

// TestGrayBeginsAnew: what failed before a Restart does not count after it.
func TestGrayBeginsAnew(t *testing.T) {
	c := grayCheck()
	s := health.Restart(walk(c, letters("pfpfpfpfpf")))
	if s.Gray || s.Window != 0 || s.Failures(20) != 0 || s.Status != health.Unknown {
		t.Fatalf("after a Restart: %+v", s)
	}
	for i, o := range letters("pfpfpfpfp") {
		if s, _ = health.Step(s, c, o); s.Gray {
			t.Fatalf("gray again after %d outcomes", i+1)
		}
	}
}

// TestGrayAgainstCounting: the bits say what counting one by one says, and two
// runs, however long, never look gray.
func TestGrayAgainstCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCheck(t)
		var s health.State
		var seen []bool // conclusive: failed
		for i, o := range word(t, "observations") {
			was := s.Gray
			s, _ = health.Step(s, c, o)
			if o.Outcome == health.Indeterminate {
				continue
			}
			seen = append(seen, o.Outcome == health.Fail)
			newest := seen[max(0, len(seen)-c.Gray.Of):]
			fails, runs := 0, 0
			for k, failed := range newest {
				if failed {
					fails++
					if k == 0 || !newest[k-1] {
						runs++
					}
				}
			}
			want := was
			switch {
			case c.Gray.Fails == 0:
				want = false
			case o.Outcome == health.Fail && fails >= c.Gray.Fails && runs >= 3:
				want = true
			case o.Outcome == health.Pass && fails == 0 && len(newest) == c.Gray.Of:
				want = false
			}
			if s.Gray != want || s.Failures(c.Gray.Of) != fails {
				t.Fatalf("after %d: gray %v with %d failures; want %v with %d in %d runs", i+1, s.Gray, s.Failures(c.Gray.Of), want, fails, runs)
			}
			if s.Gray && !was && runs < 3 {
				t.Fatalf("gray from %d runs", runs)
			}
		}
	})
}

// TestGrayNeedsThreeRuns: one pause of a target, or two, probed as often as can
// be, is no gray target.
func TestGrayNeedsThreeRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCheck(t)
		f := func(label string) string { return strings.Repeat("f", rapid.IntRange(0, 20).Draw(t, label)) }
		p := func(label string) string { return strings.Repeat("p", rapid.IntRange(0, 20).Draw(t, label)) }
		all := p("first") + f("a pause") + p("between") + f("another") + p("last")
		for n := range len(all) + 1 {
			if walk(c, letters(all[:n])).Gray {
				t.Fatalf("%s is gray", all[:n])
			}
		}
	})
}
