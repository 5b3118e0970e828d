package policy

import (
	"slices"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

var warm = Outlook{Targets: 1000, WarmSince: 1}

// crowd is n members that are well; the first of them is failing with cause.
func crowd(n int, cause health.Cause) []Member {
	ms := make([]Member, n)
	for i := range ms {
		ms[i] = well(Member{Target: health.NewHandle(uint32(i), 1), Tie: uint64(i)})
	}
	ms[0] = failing(Member{Target: health.NewHandle(0, 1)}, cause)
	return ms
}

// answer is what becomes of the only proposal about the first member.
func answer(t *testing.T, o Outlook, v ServiceView) Decision {
	t.Helper()
	_, ds := Admit(Bank{}, Propose(o, v, testNow).Proposals, o, testFleet(), testNow)
	ds = slices.DeleteFunc(ds, func(d Decision) bool { return d.Member != 0 })
	if len(ds) != 1 {
		t.Fatalf("%d decisions about the first member, want 1: %+v", len(ds), ds)
	}
	return ds[0]
}

// TestEachRule: one failing member of ten goes, and each rule alone keeps it.
func TestEachRule(t *testing.T) {
	gate := func(r Reason) func(*Outlook, *ServiceView) {
		return func(o *Outlook, _ *ServiceView) { o.Gates = append(o.Gates, r) }
	}
	member := func(f func(*Member)) func(*Outlook, *ServiceView) {
		return func(_ *Outlook, v *ServiceView) { f(&v.Members[0]) }
	}
	view := func(f func(*ServiceView)) func(*Outlook, *ServiceView) {
		return func(_ *Outlook, v *ServiceView) { f(v) }
	}
	zone := func(r Reading) func(*Outlook, *ServiceView) {
		return func(o *Outlook, v *ServiceView) { o.Zones, v.Members[0].Zone = []Reading{0, r}, 1 }
	}
	later := testNow + 1
	cases := []struct {
		want   Reason // "" is admitted
		change func(*Outlook, *ServiceView)
	}{
		{"", view(func(*ServiceView) {})},
		{Unsynced, gate(Unsynced)},
		{Unsynced, view(func(v *ServiceView) { v.Listed = false })},
		{Stale, view(func(v *ServiceView) { v.Stale = true })},
		{Standby, gate(Standby)},
		{NoQuorum, gate(NoQuorum)},
		{LostJournal, gate(LostJournal)},
		{Frozen, gate(Frozen)},
		{Thawing, gate(Thawing)},
		{Stopping, gate(Stopping)},
		{Retiring, gate(Retiring)},
		{Off, view(func(v *ServiceView) { v.Config.Mode = ModeOff })},
		{SelfDoubt, gate(SelfDoubt)},
		{OtherAccount, member(func(m *Member) { m.Other = true })},
		{Route53Check, view(func(v *ServiceView) { v.Blocked = Route53Check })},
		{EvidenceMissing, view(func(v *ServiceView) { v.Blocked = EvidenceMissing })},
		{ForeignOut, member(func(m *Member) { m.Foreign = true })},
		{OwnerAnswered, member(func(m *Member) { m.Yield = later })},
		{Contended, member(func(m *Member) { m.Contended = later })},
		{OwnerWrites, view(func(v *ServiceView) { v.OwnerWrites = true })},
		{Deploying, view(func(v *ServiceView) { v.Deploying = true })},
		{CallFailed, member(func(m *Member) { m.NotUntil = later })},
		{NotProbeable, member(func(m *Member) { m.Last, m.Cause = health.Indeterminate, health.NotProbeable })},
		{NotProbeable, member(func(m *Member) { m.Last, m.Cause = health.Indeterminate, health.AddressRefused })},
		{Isolated, zone(ZoneIsolated)},
		{PathFault, zone(ZonePath)},
		{"", zone(ZoneNormal)},
		{PathUnproven, member(func(m *Member) { m.Last, m.Cause = health.Indeterminate, health.PathUnproven })},
		{CheckUnproven, view(func(v *ServiceView) { v.Armed = false })},
		{NeverPassed, member(func(m *Member) { m.Ever = false })},
		{WarmUp, func(o *Outlook, _ *ServiceView) { o.WarmSince = testNow - 1 }},
		{TargetWarmUp, member(func(m *Member) { m.Probes = 4 })},
		{SharedDependency, view(func(v *ServiceView) {
			for i := range v.Members {
				v.Members[i].Reports = true
			}
			v.Members[0].Bad, v.BadElsewhere = 1, 1
		})},
		{FailOpen, view(func(v *ServiceView) {
			for i := range 6 {
				v.Members[i].Last = health.Fail
			}
		})},
		{AwaitingPeers, view(func(v *ServiceView) { v.Members[3].LastAt = v.Members[0].FailSince })},
		{Flapping, member(func(m *Member) { m.Removed = 4 })},
		{"", member(func(m *Member) { m.Removed = 3 })},
		{Budget, view(func(v *ServiceView) { v.Config.MaxOutHard = 20; v.Ghosts = 2 })},
		{Budget, view(func(v *ServiceView) { v.Members[0].Cause = health.BadStatus; v.Ghosts = 2 })},
		{"", view(func(v *ServiceView) { v.Members[0].Cause = health.BadStatus; v.Ghosts = 1 })},
		{Busy, member(func(m *Member) { m.Busy = true })},
		{Holding, view(func(v *ServiceView) { v.Quarantine, v.Config.Hold = true, 2*time.Minute })},
		{DrillPending, view(func(v *ServiceView) { v.Quarantine, v.Drill = true, DrillRunning })},
		{DrillFailed, view(func(v *ServiceView) { v.Quarantine, v.Drill = true, DrillBad })},
		{"", view(func(v *ServiceView) { v.Quarantine = true })},
	}
	seen := map[Reason]bool{LastHealthy: true} // has a table of its own
	for _, c := range cases {
		o, v := warm, service(crowd(10, health.Refused)...)
		c.change(&o, &v)
		d := answer(t, o, v)
		if d.Admitted != (c.want == "") || !d.Admitted && d.Why != c.want {
			t.Errorf("admitted %v, because of %s; want %q", d.Admitted, d.Why, c.want)
		}
		seen[c.want] = true
	}
	for _, r := range rules {
		if !seen[r.reason] {
			t.Errorf("no case shows rule %d, %s", r.number, r.reason)
		}
	}
}

func TestLastHealthy(t *testing.T) {
	pair := func(change func(v *ServiceView)) ServiceView {
		v := service(crowd(2, health.Refused)...)
		change(&v)
		return v
	}
	for name, c := range map[string]struct {
		v    ServiceView
		want Reason
	}{
		"the only one":                    {service(crowd(1, health.Refused)...), FailOpen},
		"the only one, below no line":     {func() ServiceView { v := service(crowd(1, health.Refused)...); v.Config.FailOpen = 0; return v }(), LastHealthy},
		"one of two, refused":             {pair(func(*ServiceView) {}), ""},
		"one of two, on soft evidence":    {pair(func(v *ServiceView) { v.Members[0].Cause = health.BadStatus }), LastHealthy},
		"one of two, the other just back": {pair(func(v *ServiceView) { v.Members[1].LastTwo = false }), LastHealthy},
		"one of two, the other long unseen": {pair(func(v *ServiceView) {
			v.Members[1].LastAt = testNow.Add(-10*time.Second - 1)
			v.Members[0].FailSince = v.Members[1].LastAt - 1
		}), LastHealthy},
		"one of two, the other is out": {pair(func(v *ServiceView) { v.Members[1].Foreign = true }), LastHealthy},
		"two that pass and have stopped": {pair(func(v *ServiceView) {
			for i := range v.Members {
				v.Members[i] = well(v.Members[i])
				v.Members[i].Gone = true
			}
		}), LastHealthy},
		"three, none of the others passes": {func() ServiceView {
			v := service(crowd(3, health.Refused)...)
			v.Config.FailOpen = 0
			v.Members[1].Last, v.Members[2].Last = health.Fail, health.Indeterminate
			return v
		}(), LastHealthy},
	} {
		if d := answer(t, warm, c.v); d.Admitted != (c.want == "") || !d.Admitted && d.Why != c.want {
			t.Errorf("%s: admitted %v, because of %s; want %q", name, d.Admitted, d.Why, c.want)
		}
	}
	v := service(well(Member{Target: 1, Gone: true}))
	v.Config.GoneLast = true
	if d := answer(t, warm, v); !d.Admitted || d.Reason != OwnerGone {
		t.Errorf("gone_last: %+v", d)
	}
}

// newcomers are n members of which the first so many never passed.
func newcomers(never, n int) []Member {
	ms := crowd(n, health.Refused)
	for i := range never {
		ms[i] = failing(Member{Target: health.NewHandle(uint32(i), 1), Tie: uint64(i)}, health.Refused)
		ms[i].Ever, ms[i].New, ms[i].Fails, ms[i].Probes = false, true, 2, 2
	}
	return ms
}

// TestAdmission: a newcomer is held out after two failures, without warm-up,
// hold, velocity or storm; but within its budget.
func TestAdmission(t *testing.T) {
	o := warm
	o.WarmSince = testNow
	v := service(newcomers(1, 4)...)
	v.Quarantine = true
	_, ds := Admit(Bank{Storm: true, Services: []health.Instant{testNow + 1}},
		Propose(o, v, testNow).Proposals, Outlook{Targets: 10, Failing: 10}, testFleet(), testNow)
	if len(ds) != 1 || !ds[0].Admitted || ds[0].Action != HoldOut || ds[0].Why != NeverReady {
		t.Errorf("a newcomer: %+v", ds)
	}
	for name, change := range map[string]func(*ServiceView){
		"after one failure":     func(v *ServiceView) { v.Members[0].Fails = 1 },
		"on silence":            func(v *ServiceView) { v.Members[0].Cause = health.Timeout },
		"that is trusted":       func(v *ServiceView) { v.Config.Admission, v.Grace = Trust, time.Hour },
		"that was here before":  func(v *ServiceView) { v.Members[0].New = false },
		"that passes elsewhere": func(v *ServiceView) { v.Members[0].Vouched = true },
	} {
		v := service(newcomers(1, 4)...)
		change(&v)
		for _, p := range Propose(warm, v, testNow).Proposals {
			if p.Action == HoldOut {
				t.Errorf("a newcomer %s is held out: %+v", name, p)
			}
		}
	}
	v = service(newcomers(6, 10)...)
	_, ds = Admit(Bank{}, Propose(warm, v, testNow).Proposals, warm, testFleet(), testNow)
	if n := len(removals(ds, 0)); n != 5 {
		t.Errorf("%d of 6 newcomers of 10 are held out at once, want 5", n)
	}
}

// TestHoldIsWhole: a pass, a closed gate and a lifted line begin the hold anew.
func TestHoldIsWhole(t *testing.T) {
	v := service(crowd(10, health.Refused)...)
	v.Quarantine = true
	v.Members[0].Memo = Memo{}
	p := Propose(warm, v, testNow)
	if m := p.Memos[0]; m.Standing != Leaving || m.Holding != testNow || p.Wake != testNow.Add(v.Config.Hold) {
		t.Fatalf("at the verdict: %+v, wake at %d", m, p.Wake)
	}
	v.Members[0].Memo = p.Memos[0]
	end := testNow.Add(v.Config.Hold)
	if p = Propose(warm, v, end-1); p.Proposals[0].Withheld != Holding {
		t.Errorf("just before its end: %q", p.Proposals[0].Withheld)
	}
	if p = Propose(warm, v, end); p.Proposals[0].Withheld != NoReason {
		t.Errorf("at its end: %q", p.Proposals[0].Withheld)
	}
	frozen := warm
	frozen.Gates = []Reason{Frozen}
	if p = Propose(frozen, v, end); p.Memos[0].Holding != 0 {
		t.Error("a closed gate keeps the hold running")
	}
	v.Members[0] = well(v.Members[0])
	if p = Propose(warm, v, end); p.Memos[0].Holding != 0 || len(p.Proposals) != 0 || p.Memos[0].Standing != In {
		t.Errorf("after a pass: %+v, %+v", p.Memos[0], p.Proposals)
	}
}

// TestDrillIsAskedFor once, inside the hold.
func TestDrillIsAskedFor(t *testing.T) {
	v := service(crowd(10, health.Refused)...)
	v.Quarantine, v.Drill = true, DrillNone
	v.Members[0].Memo = Memo{}
	if p := Propose(warm, v, testNow); p.Drill != 0 {
		t.Errorf("drill with member %d, want 0", p.Drill)
	}
	for _, d := range []Drill{DrillRunning, DrillDone, DrillBad} {
		v.Drill = d
		if p := Propose(warm, v, testNow); p.Drill != -1 {
			t.Errorf("drill state %d: one more is asked for", d)
		}
	}
}

func TestAsk(t *testing.T) {
	v := service(crowd(10, health.Refused)...)
	v.Stale, v.Members[0].Removed = true, 4
	var withheld []Reason
	for _, s := range Ask(warm, v, 0, testNow) {
		if s.Withholds && !s.Applies {
			t.Errorf("%s withholds and does not apply", s.Reason)
		}
		if s.Withholds {
			withheld = append(withheld, s.Reason)
		}
		if s.Says == "" || s.Rule < 1 || s.Rule > 23 {
			t.Errorf("%+v", s)
		}
	}
	if want := []Reason{Stale, Flapping}; !slices.Equal(withheld, want) {
		t.Errorf("withheld by %v, want %v", withheld, want)
	}
}

// TestSoftRemovalsAreSlower: on soft evidence a service waits for its own rate,
// too; hard evidence neither waits for it nor spends it.
func TestSoftRemovalsAreSlower(t *testing.T) {
	v := service(crowd(40, health.BadStatus)...)
	v.Config.RemovalsSoft = Rate{1, 5 * time.Minute}
	v.Members[1] = failing(Member{Target: health.NewHandle(1, 1), Tie: 1}, health.Refused)
	v.Members[2] = failing(Member{Target: health.NewHandle(2, 1), Tie: 2}, health.BadBody)
	f := testFleet()
	f.RemovalsGlobal.Least = 100
	b, now, gone := Bank{}, testNow, map[int]health.Instant{}
	for range 80 {
		var ds []Decision
		b, ds = Admit(b, Propose(warm, v, now).Proposals, warm, f, now)
		for _, d := range ds {
			switch {
			case d.Admitted:
				gone[d.Member], v.Members[d.Member].Ours = now, true
			case d.Why == Velocity && b.NextFree(d.Proposal, warm, f, now) <= now:
				t.Fatalf("withheld by velocity, and free at once: %+v", d)
			}
		}
		now = now.Add(5 * time.Second)
		for i := range v.Members {
			v.Members[i].LastAt = now - 1
		}
	}
	if len(gone) != 3 {
		t.Fatalf("removed %v", gone)
	}
	first, second := min(gone[0], gone[2]), max(gone[0], gone[2])
	if apart := second.Sub(first); apart < 5*time.Minute || apart > 6*time.Minute {
		t.Errorf("two on soft evidence are %s apart", apart)
	}
	if late := gone[1].Sub(testNow); late > 15*time.Second {
		t.Errorf("the one on hard evidence waited for %s", late)
	}
}

// TestGrayGoesThoughItPasses: it is soft evidence, its pass calls nothing off,
// and nobody relies on it.
func TestGrayGoesThoughItPasses(t *testing.T) {
	v := service(crowd(10, health.NoCause)...)
	v.Quarantine = true
	v.Members[0] = gray(Member{Target: health.NewHandle(0, 1)})
	if d := answer(t, warm, v); !d.Admitted || d.Reason != Gray || d.Class != health.Soft {
		t.Errorf("a gray member: %s for %s, admitted %v, class %s", d.Action, d.Reason, d.Admitted, d.Class)
	}
	v.Members[0].Fails, v.Members[0].Last, v.Members[0].Cause = 1, health.Fail, health.Refused
	if d := answer(t, warm, v); d.Reason != Gray || d.Class != health.Soft {
		t.Errorf("refused now: %s, class %s", d.Reason, d.Class)
	}
	v.Members[0].Fails = v.Fall
	if d := answer(t, warm, v); d.Reason != Failing || d.Class != health.Hard {
		t.Errorf("refused for good: %s, class %s", d.Reason, d.Class)
	}
	v.Members[0] = gray(Member{Target: health.NewHandle(0, 1)})
	v.Members[0].Verdict = health.Healthy
	if p := Propose(warm, v, testNow); len(p.Proposals) != 0 {
		t.Errorf("our opinion alone: %+v", p.Proposals)
	}
	v.Members[0].Verdict = health.Unhealthy
	for i := range v.Members[1:] {
		v.Members[1+i].LastAt = v.Members[0].Memo.Holding - 1
	}
	if d := answer(t, warm, v); d.Why != AwaitingPeers {
		t.Errorf("peers that were not looked at since the verdict: %q", d.Why)
	}
	for i := range v.Members {
		v.Members[i] = gray(v.Members[i])
	}
	for _, p := range Propose(warm, v, testNow).Proposals {
		if p.Withheld != LastHealthy {
			t.Errorf("all are gray, and one is withheld by %q", p.Withheld)
		}
	}
}

// TestDrainingGoesAtItsWord: without failures, a verdict or a hold, as hard
// evidence; and while it is in, it counts as out for others.
func TestDrainingGoesAtItsWord(t *testing.T) {
	v := service(crowd(10, health.NoCause)...)
	v.Quarantine = true
	v.Members[0] = leaver(v.Members[0])
	v.Members[0].Memo = Memo{}
	if d := answer(t, warm, v); !d.Admitted || d.Reason != SaysDraining || d.Class != health.Hard {
		t.Errorf("%s for %s, admitted %v, class %s", d.Action, d.Reason, d.Admitted, d.Class)
	}
	v.Members[1], v.Members[2] = leaver(v.Members[1]), leaver(v.Members[2])
	if c := Count(&v); c.Out != 3 || c.Draining != 3 {
		t.Errorf("%d out, %d draining", c.Out, c.Draining)
	}
	v.Members[0] = failing(v.Members[0], health.BadStatus)
	v.Members[0].Draining = false
	if d := answer(t, warm, v); d.Why != Budget {
		t.Errorf("soft evidence beside two that drain: %q", d.Why)
	}
	for i := range v.Members {
		v.Members[i] = leaver(v.Members[i])
	}
	for _, p := range Propose(warm, v, testNow).Proposals {
		if p.Withheld != LastHealthy {
			t.Errorf("all drain, and one is withheld by %q", p.Withheld)
		}
	}
	v.Members[0].Ever = false
	if p := Propose(warm, v, testNow).Proposals; len(p) != 9 {
		t.Errorf("%d proposals with one that never passed", len(p))
	}
}
