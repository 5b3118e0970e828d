package policy

import (
	"testing"

	"github.com/mapwarden/mapwarden/internal/health"
)

// TestDependencies: how many others may call the same thing bad until it is not
// the instance any more.
func TestDependencies(t *testing.T) {
	for name, c := range map[string]struct {
		n, bad int // members, and how many others call it bad
		change func(*ServiceView)
		want   extent
	}{
		"nobody else":            {n: 12, bad: 0, want: alone},
		"18 % of the others":     {n: 12, bad: 2, want: alone},
		"20 %":                   {n: 11, bad: 2, want: alone},
		"27 %":                   {n: 12, bad: 3, want: partly},
		"45 %":                   {n: 12, bad: 5, want: partly},
		"50 %":                   {n: 11, bad: 5, want: shared},
		"all":                    {n: 12, bad: 11, want: shared},
		"one other of four":      {n: 4, bad: 1, want: shared},
		"one other of five":      {n: 5, bad: 1, want: partly},
		"in another service":     {n: 12, change: func(v *ServiceView) { v.BadElsewhere = 4 }, want: shared},
		"another thing, there":   {n: 12, change: func(v *ServiceView) { v.BadElsewhere = 2 }, want: alone},
		"shared lately":          {n: 12, change: func(v *ServiceView) { v.SharedLately = 4 }, want: shared},
		"nobody else speaks":     {n: 12, change: func(v *ServiceView) { hush(v.Members[1:]) }, want: partly},
		"it says nothing itself": {n: 12, bad: 11, change: func(v *ServiceView) { hush(v.Members[:1]) }, want: alone},
		"those who say it have gone": {n: 12, bad: 11, change: func(v *ServiceView) {
			for i := range v.Members[1:10] {
				v.Members[1+i].Gone = true
			}
		}, want: shared},
	} {
		v := service(crowd(c.n, health.BadStatus)...)
		for i := range v.Members {
			v.Members[i].Reports = true
			if i <= c.bad {
				v.Members[i].Bad = 4
			}
		}
		if c.change != nil {
			c.change(&v)
		}
		if got, _ := reported(&v).of(&v, &v.Members[0]); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func hush(ms []Member) {
	for i := range ms {
		ms[i].Reports, ms[i].Bad = false, 0
	}
}

// TestHalfOfTheBudget: where it may be a shared failure, half as many go.
func TestHalfOfTheBudget(t *testing.T) {
	v := service(crowd(20, health.BadStatus)...)
	for i := range v.Members {
		v.Members[i].Reports = true
	}
	for i := range 6 {
		v.Members[i].Bad = 1
	}
	for ghosts, want := range map[int]Reason{1: NoReason, 2: Budget, 3: Budget} {
		v.Ghosts = ghosts // of 20 and the ghosts, 10 % are two
		if d := answer(t, warm, v); d.Admitted != (want == NoReason) || !d.Admitted && d.Why != want {
			t.Errorf("%d out: admitted %v, because of %s; want %q", ghosts, d.Admitted, d.Why, want)
		}
	}
	v.Members[0].Bad = 0 // it fails for a reason of its own
	v.Ghosts = 3
	if d := answer(t, warm, v); !d.Admitted {
		t.Errorf("for a reason of its own: withheld by %s", d.Why)
	}
}

// TestLatchEnds: what is left of a shared failure does not keep it up.
func TestLatchEnds(t *testing.T) {
	v := service(crowd(12, health.BadStatus)...)
	for i := range v.Members {
		v.Members[i].Reports = true
	}
	v.Members[0].Bad, v.SharedLately = 1, 1
	p := Propose(warm, v, testNow)
	if p.Shared != 0 || len(p.Proposals) != 1 || p.Proposals[0].Withheld != SharedDependency {
		t.Errorf("shared %b, %+v", p.Shared, p.Proposals)
	}
	v.BadElsewhere = 1
	if p = Propose(warm, v, testNow); p.Shared != 1 {
		t.Errorf("shared %b, want 1", p.Shared)
	}
}
