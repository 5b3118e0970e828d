package policy

import (
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// slow is a member that passes in a second, as it has for two minutes.
func slow(m Member) Member {
	m = well(m)
	m.Degraded, m.Level = true, time.Second
	m.Memo = Memo{Standing: Leaving, Slow: testNow.Add(-2 * time.Minute), Holding: testNow.Add(-time.Minute)}
	return m
}

// TestSlowOnlyAgainstPeers: one slow member of ten goes, and each condition
// alone keeps it.
func TestSlowOnlyAgainstPeers(t *testing.T) {
	each := func(change func(i int, m *Member)) func(*ServiceView) {
		return func(v *ServiceView) {
			for i := range v.Members[1:] {
				change(i+1, &v.Members[i+1])
			}
		}
	}
	first := func(change func(*Member)) func(*ServiceView) {
		return func(v *ServiceView) { change(&v.Members[0]) }
	}
	for name, c := range map[string]struct {
		change func(*ServiceView)
		goes   bool
	}{
		"all others are quick":      {func(*ServiceView) {}, true},
		"it is not degraded":        {first(func(m *Member) { m.Degraded = false }), false},
		"not for a minute yet":      {first(func(m *Member) { m.Memo.Slow = testNow.Add(-59 * time.Second) }), false},
		"it was not seen so before": {first(func(m *Member) { m.Memo.Slow = 0 }), false},
		"it never passed its check": {first(func(m *Member) { m.Ever = false }), false},
		"less than twice as slow":   {each(func(_ int, m *Member) { m.Level = 501 * time.Millisecond }), false},
		"twice as slow":             {each(func(_ int, m *Member) { m.Level = 500 * time.Millisecond }), true},
		"within the spread":         {each(func(i int, m *Member) { m.Level = time.Duration(i%3) * 200 * time.Millisecond }), false},
		"four peers":                {func(v *ServiceView) { v.Members = v.Members[:5] }, false},
		"five peers":                {func(v *ServiceView) { v.Members = v.Members[:6] }, true},
		"peers that fail do not say": {each(func(i int, m *Member) {
			m.Level = time.Duration(1+i/5) * time.Millisecond
			if i > 4 {
				m.Last = health.Fail
			}
		}), false},
		"a tenth is degraded": {each(func(i int, m *Member) { m.Degraded = i == 1 }), true},
		"a third is degraded": {each(func(i int, m *Member) { m.Degraded = i <= 3 }), false},
		"all are slow":        {each(func(_ int, m *Member) { m.Degraded, m.Level = true, time.Second }), false},
	} {
		v := service(crowd(10, health.NoCause)...)
		for i := range v.Members {
			v.Members[i].Level = time.Duration(10+i) * time.Millisecond
		}
		v.Quarantine = true
		v.Members[0] = slow(v.Members[0])
		v.Members[0].Fails = 0
		c.change(&v)
		var went []Decision
		_, ds := Admit(Bank{}, Propose(warm, v, testNow).Proposals, warm, testFleet(), testNow)
		for _, d := range ds {
			if d.Member == 0 && d.Admitted {
				went = append(went, d)
			}
		}
		switch {
		case !c.goes && len(went) != 0:
			t.Errorf("%s: and yet it goes: %+v", name, went)
		case c.goes && (len(went) != 1 || went[0].Reason != Slow || went[0].Class != health.Soft):
			t.Errorf("%s: %+v", name, ds)
		}
	}
}

// TestSlowWaits: it is noted since when a member is degraded, and asked again
// when that was for long enough.
func TestSlowWaits(t *testing.T) {
	v := service(crowd(10, health.NoCause)...)
	for i := range v.Members {
		v.Members[i] = well(v.Members[i])
		v.Members[i].Level = time.Millisecond
	}
	v.Members[3].Degraded, v.Members[3].Level = true, time.Second
	p := Propose(warm, v, testNow)
	if p.Memos[3].Slow != testNow || p.Wake != testNow.Add(time.Minute) || len(p.Proposals) != 0 {
		t.Errorf("noted at %d, asked again at %d: %+v", p.Memos[3].Slow, p.Wake, p.Proposals)
	}
	v.Members[3].Degraded, v.Members[3].Memo = false, p.Memos[3]
	if p = Propose(warm, v, testNow+1); p.Memos[3].Slow != 0 {
		t.Errorf("quick again, and noted at %d", p.Memos[3].Slow)
	}
}
