package health_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
)

func anyProbe(t *rapid.T, depth int, invert bool) health.Probe {
	p := health.Probe{Invert: invert && rapid.Bool().Draw(t, "invert")}
	if depth == 0 || rapid.Bool().Draw(t, "leaf") {
		return p
	}
	p.Combine = health.Combination(rapid.IntRange(1, 3).Draw(t, "combine"))
	for range rapid.IntRange(1, 3).Draw(t, "parts") {
		p.Of = append(p.Of, anyProbe(t, depth-1, invert))
	}
	p.N = rapid.IntRange(1, len(p.Of)).Draw(t, "n")
	return p
}

var causes = [...][]health.Cause{
	health.Pass:          {health.NoCause},
	health.Fail:          {health.Refused, health.BadStatus, health.Timeout},
	health.Indeterminate: {health.LocalFault, health.Late},
}

func anyParts(t *rapid.T, p *health.Probe) []health.Part {
	parts := make([]health.Part, len(p.Leaves(nil)))
	for i := range parts {
		o := health.Outcome(rapid.IntRange(0, 2).Draw(t, "outcome"))
		parts[i] = health.Part{Outcome: o, Cause: rapid.SampledFrom(causes[o]).Draw(t, "cause")}
	}
	return parts
}

func flip(o health.Outcome) health.Outcome {
	switch o {
	case health.Pass:
		return health.Fail
	case health.Fail:
		return health.Pass
	}
	return o
}

// rank orders outcomes by how good they are.
func rank(o health.Outcome) int {
	return [...]int{health.Fail: 0, health.Indeterminate: 1, health.Pass: 2}[o]
}

// TestDeMorgan: not all is any not, not any is all not, and not at least n of k
// is at least k-n+1 not; in three values.
func TestDeMorgan(t *testing.T) {
	dual := func(p health.Probe) health.Probe {
		q := p
		q.Of = nil
		for _, part := range p.Of {
			part.Invert = !part.Invert
			q.Of = append(q.Of, part)
		}
		switch p.Combine {
		case health.All:
			q.Combine = health.Any
		case health.Any:
			q.Combine = health.All
		case health.AtLeast:
			q.N = len(p.Of) - p.N + 1
		}
		return q
	}
	rapid.Check(t, func(t *rapid.T) {
		p := anyProbe(t, 3, true)
		if p.Combine == health.Single {
			return
		}
		parts := anyParts(t, &p)
		q := dual(p)
		q.Invert = !p.Invert
		if got, want := q.Judge(parts).Outcome, p.Judge(parts).Outcome; got != want {
			t.Fatalf("%s is %s, its dual %s is %s, of %v", p, want, q, got, parts)
		}
		q.Invert = p.Invert
		if got, want := q.Judge(parts).Outcome, flip(p.Judge(parts).Outcome); got != want {
			t.Fatalf("%s flipped is %s, %s is %s, of %v", p, want, q, got, parts)
		}
	})
}

// TestCombinationsAreMonotone: without invert, a part that does better never
// makes the whole worse.
func TestCombinationsAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyProbe(t, 3, false)
		parts := anyParts(t, &p)
		before := p.Judge(parts).Outcome
		i := rapid.IntRange(0, len(parts)-1).Draw(t, "which")
		better := health.Outcome(rapid.IntRange(0, 2).Draw(t, "now"))
		if rank(better) < rank(parts[i].Outcome) {
			return
		}
		parts[i].Outcome = better
		if after := p.Judge(parts).Outcome; rank(after) < rank(before) {
			t.Fatalf("%s: %s, and %s when part %d became %s", p, before, after, i, better)
		}
	})
}

// TestIndeterminateDecidesNothing: a whole that is Pass or Fail stays so,
// whatever becomes of the parts that could not be judged; one that is
// Indeterminate can still become both.
func TestIndeterminateDecidesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyProbe(t, 3, true)
		parts := anyParts(t, &p)
		before := p.Judge(parts)
		seen := map[health.Outcome]bool{}
		var open []int
		for i, part := range parts {
			if part.Outcome == health.Indeterminate {
				open = append(open, i)
			}
		}
		for bits := range 1 << len(open) {
			for k, i := range open {
				parts[i].Outcome = health.Fail
				if bits&(1<<k) != 0 {
					parts[i].Outcome = health.Pass
				}
			}
			seen[p.Judge(parts).Outcome] = true
		}
		if seen[health.Indeterminate] {
			t.Fatalf("%s is indeterminate though all of its parts are known", p)
		}
		if before.Outcome != health.Indeterminate && (len(seen) != 1 || !seen[before.Outcome]) {
			t.Fatalf("%s was %s, and then %v", p, before.Outcome, seen)
		}
		if before.Outcome == health.Indeterminate && before.Cause == health.NoCause {
			t.Fatalf("%s is indeterminate for no cause", p)
		}
	})
}

// TestJudge: outcome and cause of small combinations; which cause speaks.
func TestJudge(t *testing.T) {
	pass, unknown := health.Part{Outcome: health.Pass}, health.Part{Cause: health.Late}
	fail := func(c health.Cause) health.Part { return health.Part{Outcome: health.Fail, Cause: c} }
	of := func(c health.Combination, n, parts int) health.Probe {
		return health.Probe{Combine: c, N: n, Of: make([]health.Probe, parts)}
	}
	not := func(p health.Probe) health.Probe { p.Invert = true; return p }
	for _, c := range []struct {
		probe health.Probe
		parts []health.Part
		want  health.Part
	}{
		{of(health.All, 0, 2), []health.Part{pass, pass}, pass},
		{of(health.All, 0, 2), []health.Part{pass, fail(health.BadStatus)}, fail(health.BadStatus)},
		{of(health.All, 0, 2), []health.Part{unknown, fail(health.BadStatus)}, fail(health.BadStatus)},
		{of(health.All, 0, 2), []health.Part{unknown, pass}, unknown},
		{of(health.All, 0, 3), []health.Part{fail(health.Timeout), fail(health.Refused), fail(health.BadBody)}, fail(health.BadBody)},
		{of(health.All, 0, 2), []health.Part{fail(health.Timeout), fail(health.Refused)}, fail(health.Refused)},
		{of(health.Any, 0, 2), []health.Part{fail(health.Refused), pass}, pass},
		{of(health.Any, 0, 2), []health.Part{fail(health.Refused), fail(health.Timeout)}, fail(health.Timeout)},
		{of(health.Any, 0, 2), []health.Part{fail(health.Refused), fail(health.BadStatus)}, fail(health.BadStatus)},
		{of(health.Any, 0, 2), []health.Part{fail(health.Refused), unknown}, unknown},
		{of(health.AtLeast, 2, 3), []health.Part{pass, fail(health.Reset), pass}, pass},
		{of(health.AtLeast, 2, 3), []health.Part{pass, fail(health.Reset), unknown}, unknown},
		{of(health.AtLeast, 2, 3), []health.Part{fail(health.Reset), fail(health.Timeout), unknown}, fail(health.Timeout)},
		{not(health.Probe{}), []health.Part{pass}, fail(health.Inverted)},
		{not(health.Probe{}), []health.Part{fail(health.Refused)}, pass},
		{not(health.Probe{}), []health.Part{unknown}, unknown},
		{not(of(health.Any, 0, 2)), []health.Part{fail(health.Refused), fail(health.Stranger)}, fail(health.Stranger)},
	} {
		if got := c.probe.Judge(c.parts); got != c.want {
			t.Errorf("%s of %v: %s (%s), want %s (%s)", c.probe, c.parts, got.Outcome, got.Cause, c.want.Outcome, c.want.Cause)
		}
	}
}

func TestProbeInOneLine(t *testing.T) {
	p := health.Probe{Combine: health.AtLeast, N: 1, Port: 80, Of: []health.Probe{
		{Name: "live", Protocol: health.HTTP, Path: "/live"},
		{Invert: true, Combine: health.Any, Of: []health.Probe{{Port: 9}, {Protocol: health.HTTPS}}},
	}}
	const want = "at least 1 of (live: http /live, not any of (tcp :9, https /)) :80"
	if got := p.String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestStartup: a pass of the startup check makes a target ready and nothing
// else; its failures are no window and no failing check.
func TestStartup(t *testing.T) {
	c := grayCheck()
	c.Startup = &health.Probe{}
	obs := letters("fffpffp")
	for i := range 4 {
		obs[i].Startup = true
	}
	s := walk(c, obs[:4])
	if !s.Ready || s.Ever || s.Status != health.Unknown || s.Phase != health.Starting || s.Fails != 0 || s.Window != 0 || s.Last != health.Pass {
		t.Errorf("after the startup check: %+v", s)
	}
	if s = walk(c, obs[:6]); s.Ever || s.Phase != health.Starting || s.Fails != 2 {
		t.Errorf("the check fails still: %+v", s)
	}
	if s = walk(c, obs); !s.Ever || s.Status != health.Healthy || s.Passes != 1 {
		t.Errorf("the check passes: %+v", s)
	}
	if !walk(c, letters("p")).Ready {
		t.Error("who passes its check has started")
	}
}
