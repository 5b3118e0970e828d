package health_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
)

func slowCheck() health.Check {
	c := check
	c.Slow = health.Slow{Factor: 5, Floor: 500 * time.Millisecond}
	return c
}

// paced walks over passes that take so many milliseconds each; 0 is a failure
// and -1 an Indeterminate.
func paced(c health.Check, s health.State, took ...int) health.State {
	for i, ms := range took {
		o := at(i, health.Pass, health.NoCause)
		switch ms {
		case 0:
			o = at(i, health.Fail, health.BadStatus)
		case -1:
			o = at(i, health.Indeterminate, health.Late)
			ms = 5000
		}
		o.End = o.Start.Add(time.Duration(ms) * time.Millisecond)
		s, _ = health.Step(s, c, o)
	}
	return s
}

func TestSlow(t *testing.T) {
	for _, c := range []struct {
		name string
		took []int
		want bool
	}{
		{"quick", []int{40, 50, 40, 50, 40, 50}, false},
		{"five times as slow, below the floor", []int{40, 400, 400, 400, 400}, false},
		{"above the floor", []int{40, 600, 600, 600}, false},
		{"four of eight", []int{40, 600, 40, 600, 40, 600, 40, 600}, true},
		{"above the floor, but always so", []int{600, 600, 600, 600, 600, 600}, false},
		{"above the floor, and not five times", []int{300, 1400, 1400, 1400, 1400}, false},
		{"three times as it was is none", []int{40, 600, 600, 600, 40, 40, 40, 40, 40, 600}, false},
		{"two of eight are too many", []int{40, 600, 600, 600, 600, 40, 40, 40, 40, 40, 40}, true},
		{"one of eight is well", []int{40, 600, 600, 600, 600, 40, 40, 40, 40, 40, 40, 40}, false},
		{"failures and what is not known say nothing of it", []int{40, 600, 0, 600, -1, 0, 600, -1, -1, 600}, true},
		{"nor do they clear it", []int{40, 600, 600, 600, 600, 0, 0, 0, -1, -1, -1, 0, 0, 0, 0}, true},
	} {
		if s := paced(slowCheck(), health.State{}, c.took...); s.Degraded != c.want {
			t.Errorf("%s: degraded %v, in about %s, usually %s", c.name, s.Degraded, s.Level(), s.Base())
		}
		off := slowCheck()
		off.Slow.Factor = 0
		if paced(off, health.State{}, c.took...).Degraded {
			t.Errorf("%s: degraded though that is off", c.name)
		}
	}
}

// TestSlownessIsNeverUsual: however long it lasts, it does not move the base,
// and does not change what the target is: healthy.
func TestSlownessIsNeverUsual(t *testing.T) {
	s := paced(slowCheck(), health.State{}, 40, 40, 40)
	for range 1000 {
		s = paced(slowCheck(), s, 900)
	}
	if !s.Degraded || s.Base() != 40*time.Millisecond || s.Level() < 890*time.Millisecond || s.Status != health.Healthy {
		t.Errorf("degraded %v, %s, in about %s, usually %s", s.Degraded, s.Status, s.Level(), s.Base())
	}
}

// TestBaseFollowsTheMedian: within the values that it is fed, and it arrives.
func TestBaseFollowsTheMedian(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, then := rapid.IntRange(1, 60_000).Draw(t, "first"), rapid.IntRange(1, 60_000).Draw(t, "then")
		c := slowCheck()
		c.Slow.Floor = time.Hour // nothing is slow
		s := paced(c, health.State{}, first)
		for range 3000 {
			s = paced(c, s, then)
			if b := s.Base(); b < time.Duration(min(first, then))*time.Millisecond || b > time.Duration(max(first, then))*time.Millisecond {
				t.Fatalf("from %d to %d ms by way of %s", first, then, b)
			}
		}
		if s.Base() != time.Duration(then)*time.Millisecond {
			t.Fatalf("from %d to %d ms it came to %s", first, then, s.Base())
		}
	})
}

// TestSteadyPassIsAFixedPoint: once the window is full, a pass like those before
// it changes nothing but when it was seen and how many there were.
func TestSteadyPassIsAFixedPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := slowCheck()
		c.Gray = health.Gray{Fails: 5, Of: 20}
		ms := rapid.IntRange(1, 400).Draw(t, "ms")
		s := walk(c, word(t, "observations"))
		for range 4000 {
			s = paced(c, s, ms)
		}
		next := paced(c, s, ms)
		next.LastAt, next.Passes, next.Probes = s.LastAt, s.Passes, s.Probes
		if next != s {
			t.Fatalf("%+v became %+v", s, next)
		}
	})
}
