package health_test

import (
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// TestStepAtTheEdges: what a step keeps, forgets and tells, where little changes.
func TestStepAtTheEdges(t *testing.T) {
	c := health.Check{Interval: time.Second, Fall: 3, Rise: 2}
	see := func(s health.State, at int, o health.Outcome, cause health.Cause) (health.State, health.Transition) {
		start := health.Instant(at) * health.Instant(time.Second)
		return health.Step(s, c, health.Observation{Due: start, Start: start, End: start + 1, Outcome: o, Cause: cause})
	}
	never, _ := see(health.State{}, 1, health.Fail, health.Refused)
	if never.Phase != health.Starting || never.Last != health.Fail {
		t.Errorf("a failure before the first pass: %+v", never)
	}
	s, _ := see(health.State{}, 1, health.Pass, health.NoCause)
	if s.Last != health.Pass {
		t.Errorf("after a pass: %+v", s)
	}
	if s, _ = see(s, 2, health.Fail, health.Refused); s.Last != health.Fail || s.PassSince != 0 || s.Phase != health.Suspect {
		t.Errorf("after a failure: %+v", s)
	}
	s = health.Restart(s)
	if s, told := see(s, 3, health.Fail, health.Refused); told != health.Pending || s.Phase != health.Suspect || s.Fails != 1 {
		t.Errorf("the same failure, which counts anew: %v, %+v", told, s)
	}
	if s = health.Rewarm(s); s.Fails != 0 || s.Probes != 0 {
		t.Errorf("after a new warm-up: %+v", s)
	}
	for i := range 3 {
		s, _ = see(s, 4+i, health.Fail, health.Refused)
	}
	if s = health.Rewarm(s); s.Status != health.Unknown || s.Fails != 0 || s.FailSince != 0 {
		t.Errorf("unhealthy, after a new warm-up: %+v", s)
	}
	if u := health.Unseen(s); u != (health.State{Ever: true, Ready: true, Phase: health.Steady}) {
		t.Errorf("one that passed, unseen: %+v", u)
	}
	if u := health.Unseen(never); u != (health.State{}) {
		t.Errorf("one that never passed, unseen: %+v", u)
	}
}

// TestShortestSpacings: one nanosecond is a spacing, none is none.
func TestShortestSpacings(t *testing.T) {
	o := health.Observation{Due: 100, Start: 200, End: 200}
	open := health.State{Fails: 1}
	for confirm, want := range map[time.Duration]health.Instant{0: 1100, 1: 201, 999: 1199, 1000: 1100, 1001: 1100} {
		if got := health.NextDue(open, health.Check{Interval: 1000, Confirm: confirm, Fall: 3}, o); got != want {
			t.Errorf("confirmed after %d: at %d, want %d", confirm, got, want)
		}
	}
	if got := health.FirstDue(7, 1, 5); got != 7 {
		t.Errorf("every nanosecond: first at %d", got)
	}
	if got := health.FirstDue(7, 0, 5); got != 7 {
		t.Errorf("never: first at %d", got)
	}
}
