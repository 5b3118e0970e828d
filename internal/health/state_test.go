package health_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
)

var check = health.Check{
	Interval: 5 * time.Second, Timeout: 2 * time.Second, Confirm: 2 * time.Second, Fall: 4, Rise: 2,
}

// at is an observation of the n-th second.
func at(n int, o health.Outcome, c health.Cause) health.Observation {
	start := health.Instant(time.Duration(n+1) * time.Second)
	return health.Observation{Outcome: o, Cause: c, Due: start, Start: start, End: start.Add(10 * time.Millisecond)}
}

// letters turns a word of outcomes (p, f, -) into observations.
func letters(word string) []health.Observation {
	var out []health.Observation
	for i, l := range word {
		switch l {
		case 'p':
			out = append(out, at(i, health.Pass, health.NoCause))
		case 'f':
			out = append(out, at(i, health.Fail, health.Refused))
		default:
			out = append(out, at(i, health.Indeterminate, health.LocalFault))
		}
	}
	return out
}

func walk(c health.Check, obs []health.Observation) (s health.State) {
	for _, o := range obs {
		s, _ = health.Step(s, c, o)
	}
	return s
}

func TestStep(t *testing.T) {
	for _, c := range []struct {
		word   string
		status health.Status
		phase  health.Phase
		fails  int
		passes int
		moved  health.Transition // of the last observation
	}{
		{"-", health.Unknown, health.Starting, 0, 0, health.Pending},
		{"--", health.Unknown, health.Starting, 0, 0, health.Unchanged},
		{"p", health.Healthy, health.Steady, 0, 1, health.Changed},
		{"pp", health.Healthy, health.Steady, 0, 2, health.Unchanged},
		{"f", health.Unknown, health.Starting, 1, 0, health.Pending},
		{"ffff", health.Unhealthy, health.Starting, 4, 0, health.Changed},
		{"pf", health.Healthy, health.Suspect, 1, 0, health.Pending},
		{"pff", health.Healthy, health.Suspect, 2, 0, health.Unchanged},
		{"pfff", health.Healthy, health.Suspect, 3, 0, health.Unchanged},
		{"pffff", health.Unhealthy, health.Steady, 4, 0, health.Changed},
		{"pff-ff", health.Unhealthy, health.Steady, 4, 0, health.Changed},
		{"pffpff", health.Healthy, health.Suspect, 2, 0, health.Unchanged},
		{"pffffp", health.Unhealthy, health.Steady, 0, 1, health.Pending},
		{"pffffpp", health.Healthy, health.Steady, 0, 2, health.Changed},
		{"pffffp-p", health.Healthy, health.Steady, 0, 2, health.Changed},
		{"pffffpfp", health.Unhealthy, health.Steady, 0, 1, health.Pending},
		{"ffffp", health.Healthy, health.Steady, 0, 1, health.Changed},
	} {
		obs := letters(c.word)
		last := len(obs) - 1
		s, moved := health.Step(walk(check, obs[:last]), check, obs[last])
		if s.Status != c.status || s.Phase != c.phase || int(s.Fails) != c.fails || int(s.Passes) != c.passes || moved != c.moved {
			t.Errorf("%s: %s, %s, %d failures, %d passes, %s; want %s, %s, %d, %d, %s", c.word,
				s.Status, s.Phase, s.Fails, s.Passes, moved, c.status, c.phase, c.fails, c.passes, c.moved)
		}
	}
}

func TestStepKeepsInstants(t *testing.T) {
	s := walk(check, letters("ppfff"))
	obs := letters("ppfff")
	if s.FailSince != obs[2].Start || s.LastAt != obs[4].End || s.Since != obs[0].End {
		t.Errorf("failing since %d, last at %d, healthy since %d", s.FailSince, s.LastAt, s.Since)
	}
	s = walk(check, letters("fpp"))
	if s.PassSince != letters("fpp")[1].Start || s.FailSince != 0 {
		t.Errorf("passing since %d, failing since %d", s.PassSince, s.FailSince)
	}
}

func TestRecent(t *testing.T) {
	want := []health.Outcome{health.Indeterminate, health.Fail, health.Pass}
	if got := walk(check, letters("pf-")).Recent(3); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := walk(check, letters("pf")).Recent(99); len(got) != 2 {
		t.Errorf("%d outcomes of 2 observations", len(got))
	}
	if got := walk(check, letters(strings.Repeat("p", 40))).Recent(99); len(got) != 32 {
		t.Errorf("%d outcomes, want at most 32", len(got))
	}
}

func TestRestartAndRewarm(t *testing.T) {
	s := health.Restart(walk(check, letters("pffff")))
	if s.Fails != 0 || s.FailSince != 0 || s.Status != health.Unknown || !s.Ever || s.Probes != 5 {
		t.Errorf("after a restart: %+v", s)
	}
	if s = health.Restart(walk(check, letters("pff"))); s.Status != health.Healthy || s.Phase != health.Steady {
		t.Errorf("a restart of a suspect: %+v", s)
	}
	if s = health.Rewarm(walk(check, letters("pp"))); s.Probes != 0 || s.Passes != 2 || s.Status != health.Healthy {
		t.Errorf("after a new warm-up: %+v", s)
	}
}

func TestNextDue(t *testing.T) {
	last := func(word string) (health.State, health.Observation) {
		obs := letters(word)
		return walk(check, obs), obs[len(obs)-1]
	}
	for word, want := range map[string]time.Duration{
		"p": 5 * time.Second, "pf": 2 * time.Second, "pfff": 2 * time.Second, "pffff": 5 * time.Second, "f": 2 * time.Second, "-": 5 * time.Second,
	} {
		s, o := last(word)
		if got := health.NextDue(s, check, o).Sub(o.Due); got != want {
			t.Errorf("%s: next after %s, want %s", word, got, want)
		}
	}
	s, o := last("pf")
	o.End = o.Start.Add(3 * time.Second)
	if got := health.NextDue(s, check, o); got != o.End {
		t.Errorf("a slow probe: next at %d, want when it ended, %d", got, o.End)
	}
	slow := check
	slow.Confirm = 0
	if got := health.NextDue(s, slow, at(1, health.Fail, health.Refused)); got != at(1, health.Fail, health.Refused).Due.Add(slow.Interval) {
		t.Errorf("without confirm: next at %d", got)
	}
}

func TestFirstDue(t *testing.T) {
	const now = health.Instant(1000)
	if got := health.FirstDue(now, 0, 77); got != now {
		t.Errorf("without an interval: %d", got)
	}
	for phase := range uint64(1000) {
		if got := health.FirstDue(now, 10, phase*7919); got < now || got >= now+10 {
			t.Fatalf("phase %d: first at %d, outside one interval", phase, got)
		}
	}
}

// TestStateIsSmallAndFlat: a hundred thousand states are one slice that the
// garbage collector does not look into.
func TestStateIsSmallAndFlat(t *testing.T) {
	if n := unsafe.Sizeof(health.State{}); n > 64 {
		t.Errorf("State has %d bytes, more than 64", n)
	}
	for i := range reflect.TypeFor[health.State]().NumField() {
		f := reflect.TypeFor[health.State]().Field(i)
		switch f.Type.Kind() {
		case reflect.Bool, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Int64:
		default:
			t.Errorf("State.%s is a %s", f.Name, f.Type.Kind())
		}
	}
}

// word draws a run of outcomes.
func word(t *rapid.T, label string) []health.Observation {
	return letters(rapid.StringMatching(`[pf-]{0,60}`).Draw(t, label))
}

func anyCheck(t *rapid.T) health.Check {
	return health.Check{
		Interval: time.Duration(rapid.IntRange(1, 60_000).Draw(t, "interval")) * time.Millisecond,
		Confirm:  time.Duration(rapid.IntRange(0, 60_000).Draw(t, "confirm")) * time.Millisecond,
		Fall:     rapid.IntRange(1, 9).Draw(t, "fall"),
		Rise:     rapid.IntRange(1, 9).Draw(t, "rise"),
		Gray:     health.Gray{Fails: rapid.IntRange(0, 9).Draw(t, "gray fails"), Of: rapid.IntRange(5, 32).Draw(t, "of")},
	}
}

func TestIndeterminateNeverCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCheck(t)
		obs := word(t, "observations")
		s := walk(c, obs)
		cause := health.Cause(rapid.IntRange(0, 30).Draw(t, "cause"))
		next, _ := health.Step(s, c, at(len(obs), health.Indeterminate, cause))
		if next.Fails != s.Fails || next.Passes != s.Passes || next.Status != s.Status || next.Phase != s.Phase ||
			next.FailSince != s.FailSince || next.Ever != s.Ever || next.Probes != s.Probes ||
			next.Gray != s.Gray || next.Degraded != s.Degraded || next.Base() != s.Base() || next.Level() != s.Level() || next.Window != s.Window || next.Failures(c.Gray.Of) != s.Failures(c.Gray.Of) {
			t.Fatalf("an Indeterminate made %+v of %+v", next, s)
		}
	})
}

// TestFallAndRise: the status follows exactly the Fall-th consecutive failure
// and the Rise-th consecutive pass, whatever Indeterminate lies between, where
// gray targets are not looked for.
func TestFallAndRise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCheck(t)
		c.Gray.Fails = 0
		status, fails, passes, ever := health.Unknown, 0, 0, false
		var s health.State
		for i, o := range word(t, "observations") {
			switch o.Outcome {
			case health.Pass:
				fails, passes = 0, passes+1
				if passes >= c.Rise || !ever {
					status = health.Healthy
				}
				ever = true
			case health.Fail:
				fails, passes = fails+1, 0
				if fails >= c.Fall {
					status = health.Unhealthy
				}
			}
			before := s.Status
			var moved health.Transition
			s, moved = health.Step(s, c, o)
			if s.Status != status || int(s.Fails) != fails || int(s.Passes) != passes || s.Ever != ever {
				t.Fatalf("after %d: %+v; want %s, %d failures, %d passes", i, s, status, fails, passes)
			}
			if (moved == health.Changed) != (before != status) {
				t.Fatalf("after %d: %s, from %s to %s", i, moved, before, status)
			}
		}
	})
}

func TestNextDueIsNeverBeforeTheEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCheck(t)
		s := walk(c, word(t, "observations"))
		due := health.Instant(rapid.Int64Range(1, 1<<50).Draw(t, "due"))
		o := health.Observation{Due: due}
		o.Start = due.Add(time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "late")))
		o.End = o.Start.Add(time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "took")))
		if got := health.NextDue(s, c, o); got < o.End {
			t.Fatalf("due at %d, before the end at %d", got, o.End)
		}
	})
}

func FuzzStep(f *testing.F) {
	f.Add([]byte("pfffffp"), uint8(4), uint8(2))
	f.Fuzz(func(t *testing.T, outcomes []byte, fall, rise uint8) {
		c := check
		c.Fall, c.Rise = int(fall), int(rise)
		var s health.State
		run := uint16(0)
		for i, b := range outcomes {
			o := at(i, health.Outcome(b%3), health.Cause(b/3))
			s, _ = health.Step(s, c, o)
			switch {
			case o.Outcome == health.Pass:
				run = 0
			case o.Outcome == health.Fail && run < 1<<16-1:
				run++
			}
			if s.Fails != run || s.Fails > 0 && s.Passes > 0 {
				t.Fatalf("after %d: %d failures and %d passes, want a run of %d", i, s.Fails, s.Passes, run)
			}
		}
	})
}

func TestRunsDoNotOverflow(t *testing.T) {
	s := walk(check, letters("p"))
	o := at(2, health.Fail, health.Refused)
	for range 1 << 17 {
		s, _ = health.Step(s, check, o)
	}
	if s.Fails != 1<<16-1 || s.Status != health.Unhealthy {
		t.Errorf("%d failures, %s", s.Fails, s.Status)
	}
}

// TestDraining: the word of a target holds, whatever it answers beside it, until
// it passes without it.
func TestDraining(t *testing.T) {
	for _, c := range []struct {
		word  string // capitals say that it drains
		phase health.Phase
	}{
		{"pP", health.Draining}, {"pF", health.Draining}, {"pPf", health.Draining}, {"pPfffff", health.Draining},
		{"pP-", health.Draining}, {"pPp", health.Steady}, {"pPfp", health.Steady}, {"F", health.Draining}, {"pPpf", health.Suspect},
	} {
		obs := letters(strings.ToLower(c.word))
		for i := range obs {
			obs[i].Draining = c.word[i] < 'a' && c.word[i] != '-'
		}
		s := walk(check, obs)
		if s.Phase != c.phase {
			t.Errorf("%s: %s, want %s", c.word, s.Phase, c.phase)
		}
		if c.word == "pPp" && (s.Passes != 1 || s.PassSince != obs[2].Start) {
			t.Errorf("%s: %d passes without the word", c.word, s.Passes)
		}
		if c.phase == health.Draining && health.Rewarm(s).Phase != health.Draining {
			t.Errorf("%s: a new warm-up forgets its word", c.word)
		}
	}
}
