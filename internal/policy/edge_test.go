package policy

import (
	"net/netip"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// TestEachRuleLetsGo: the last moment, or the last number, at which a rule
// that withheld before does not any more.
func TestEachRuleLetsGo(t *testing.T) {
	for name, change := range map[string]func(*Outlook, *ServiceView, *Member){
		"its owner answered long enough ago": func(_ *Outlook, _ *ServiceView, m *Member) { m.Yield = testNow },
		"nobody contended since":             func(_ *Outlook, _ *ServiceView, m *Member) { m.Contended = testNow },
		"the lever failed a while ago":       func(_ *Outlook, _ *ServiceView, m *Member) { m.NotUntil = testNow },
		"the warm-up is just over":           func(o *Outlook, _ *ServiceView, _ *Member) { o.WarmSince = testNow.Add(-time.Minute) },
		"just enough probes":                 func(_ *Outlook, _ *ServiceView, m *Member) { m.Probes = 5 },
		"it was seen once since it fails":    func(_ *Outlook, _ *ServiceView, m *Member) { m.LastAt = m.FailSince },
		"a peer that cannot be probed": func(_ *Outlook, v *ServiceView, _ *Member) {
			v.Members[3].Cause, v.Members[3].LastAt = health.NotProbeable, 0
		},
		"of two, the other was seen two intervals ago": func(_ *Outlook, v *ServiceView, m *Member) {
			v.Members = v.Members[:2]
			v.Members[1].LastAt = testNow.Add(-2 * v.Interval)
			m.FailSince = v.Members[1].LastAt - 1
		},
	} {
		o, v := warm, service(crowd(10, health.Refused)...)
		change(&o, &v, &v.Members[0])
		if d := answer(t, o, v); !d.Admitted {
			t.Errorf("%s: withheld because of %s", name, d.Why)
		}
	}
}

func TestWanted(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*ServiceView, *Member)
		want   Action
	}{
		"failing":                             {func(*ServiceView, *Member) {}, Remove},
		"as often as fall":                    {func(v *ServiceView, m *Member) { m.Fails = v.Fall }, Remove},
		"less often than fall":                {func(v *ServiceView, m *Member) { m.Fails = v.Fall - 1 }, Keep},
		"once, where that is enough":          {func(v *ServiceView, m *Member) { m.Fails, v.Fall = 1, 1 }, Remove},
		"often, and others say it is well":    {func(_ *ServiceView, m *Member) { m.Verdict = health.Healthy }, Keep},
		"a pass, and not yet a new verdict":   {func(_ *ServiceView, m *Member) { m.Last = health.Pass }, Keep},
		"no failure counts any more":          {func(v *ServiceView, m *Member) { m.Fails, v.Fall = 0, 0 }, Keep},
		"gone":                                {func(_ *ServiceView, m *Member) { m.Gone, m.Last = true, health.Pass }, Remove},
		"never passed, within its grace":      {func(v *ServiceView, m *Member) { m.Ever, m.FirstSeen, v.Grace = false, testNow-9, 10 }, Keep},
		"never passed, at the end of it":      {func(v *ServiceView, m *Member) { m.Ever, m.FirstSeen, v.Grace = false, testNow-10, 10 }, Remove},
		"passed before, within its grace":     {func(v *ServiceView, m *Member) { m.FirstSeen, v.Grace = testNow-9, 10 }, Remove},
		"a newcomer, failing twice":           {func(_ *ServiceView, m *Member) { m.Ever, m.New, m.Fails = false, true, 2 }, HoldOut},
		"a newcomer, failing once":            {func(_ *ServiceView, m *Member) { m.Ever, m.New, m.Fails = false, true, 1 }, Keep},
		"a newcomer that passed before":       {func(_ *ServiceView, m *Member) { m.New = true }, Remove},
		"a newcomer, failing out of sight":    {func(_ *ServiceView, m *Member) { m.Ever, m.New, m.Cause = false, true, health.Timeout }, Keep},
		"a newcomer of a service that trusts": {func(v *ServiceView, m *Member) { m.Ever, m.New, v.Config.Admission = false, true, Trust }, Remove},
	} {
		v := service(crowd(3, health.Refused)...)
		c.change(&v, &v.Members[0])
		if got, _ := wanted(situation{v: &v, m: &v.Members[0], now: testNow}); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestStandings: what is remembered of a member that is in, and since when.
func TestStandings(t *testing.T) {
	since := testNow.Add(-7 * time.Second)
	for name, c := range map[string]struct {
		change func(*Outlook, *ServiceView, *Member)
		want   Memo
		wake   health.Instant
	}{
		"well": {func(_ *Outlook, _ *ServiceView, m *Member) { *m = well(*m); m.Memo = Memo{Since: since} },
			Memo{Standing: In, Since: since}, health.Never},
		"well again": {func(_ *Outlook, _ *ServiceView, m *Member) {
			*m = well(*m)
			m.Memo = Memo{Standing: Kept, Reason: Frozen, Since: since}
		},
			Memo{Standing: In, Since: testNow}, health.Never},
		"on probation": {func(_ *Outlook, _ *ServiceView, m *Member) {
			*m = well(*m)
			m.Memo = Memo{Standing: Probation, Reason: Recovered, Since: testNow.Add(-15*time.Second) + 1}
		}, Memo{Standing: Probation, Reason: Recovered, Since: testNow.Add(-15*time.Second) + 1}, testNow + 1},
		"probation is over": {func(_ *Outlook, _ *ServiceView, m *Member) {
			*m = well(*m)
			m.Memo = Memo{Standing: Probation, Reason: Recovered, Since: testNow.Add(-15 * time.Second)}
		}, Memo{Standing: In, Since: testNow}, health.Never},
		"nothing withholds": {func(_ *Outlook, _ *ServiceView, m *Member) {
			m.Memo = Memo{Standing: Leaving, Since: since, Holding: since}
		},
			Memo{Standing: Leaving, Since: since, Holding: since}, health.Never},
		"kept": {func(o *Outlook, _ *ServiceView, m *Member) {
			o.Gates, m.Memo = []Reason{Frozen}, Memo{Standing: Leaving, Since: since, Holding: since}
		}, Memo{Standing: Kept, Reason: Frozen, Since: testNow}, health.Never},
		"still kept, for another reason": {func(_ *Outlook, _ *ServiceView, m *Member) {
			m.Memo, m.Removed = Memo{Standing: Kept, Reason: Frozen, Since: since, Holding: since}, 4
		}, Memo{Standing: Kept, Reason: Flapping, Since: since, Holding: since}, health.Never},
		"the drill runs": {func(_ *Outlook, v *ServiceView, m *Member) {
			v.Quarantine, v.Drill, m.Memo = true, DrillRunning, Memo{Standing: Leaving, Since: since, Holding: testNow.Add(-time.Minute)}
		}, Memo{Standing: Leaving, Reason: DrillPending, Since: since, Holding: testNow.Add(-time.Minute)}, health.Never},
		"warming up": {func(o *Outlook, _ *ServiceView, m *Member) { o.WarmSince, m.Memo = since, Memo{} },
			Memo{Standing: Kept, Reason: WarmUp, Since: testNow}, since.Add(time.Minute)},
		"its owner answered": {func(_ *Outlook, _ *ServiceView, m *Member) { m.Yield, m.Memo = testNow+5, Memo{} },
			Memo{Standing: Kept, Reason: OwnerAnswered, Since: testNow, Holding: testNow}, testNow + 5},
		"contended": {func(_ *Outlook, _ *ServiceView, m *Member) { m.Contended, m.Memo = testNow+5, Memo{} },
			Memo{Standing: Kept, Reason: Contended, Since: testNow, Holding: testNow}, testNow + 5},
		"the lever failed": {func(_ *Outlook, _ *ServiceView, m *Member) { m.NotUntil, m.Memo = testNow+5, Memo{} },
			Memo{Standing: Kept, Reason: CallFailed, Since: testNow, Holding: testNow}, testNow + 5},
	} {
		o, v := warm, service(crowd(10, health.Refused)...)
		c.change(&o, &v, &v.Members[0])
		if p := Propose(o, v, testNow); p.Memos[0] != c.want || p.Wake != c.wake {
			t.Errorf("%s: %+v, wake at %d; want %+v, %d", name, p.Memos[0], p.Wake, c.want, c.wake)
		}
	}
}

func TestDrillIsWithTheFirst(t *testing.T) {
	ms := crowd(10, health.Refused)
	ms[1] = failing(ms[1], health.Refused)
	v := service(ms...)
	v.Quarantine, v.Drill = true, DrillNone
	if p := Propose(warm, v, testNow); p.Drill != 0 {
		t.Errorf("drill with member %d, want 0", p.Drill)
	}
}

// TestStandingsOut: what is remembered of a member that is out, and when it is
// looked at again.
func TestStandingsOut(t *testing.T) {
	since := testNow.Add(-7 * time.Second)
	for name, c := range map[string]struct {
		change func(*ServiceView, *Member)
		want   Memo
		wake   health.Instant
	}{
		"out": {func(_ *ServiceView, m *Member) {
			*m = failing(*m, health.Refused)
			m.Memo = Memo{Standing: Out, Since: since}
		},
			Memo{Standing: Out, Reason: Failing, Since: since}, health.Never},
		"held out": {func(_ *ServiceView, m *Member) { *m = failing(*m, health.Refused); m.HeldOut, m.Memo = true, Memo{} },
			Memo{Standing: Waiting, Reason: Failing, Since: testNow}, health.Never},
		"would be waiting": {func(_ *ServiceView, m *Member) {
			*m = failing(*m, health.Refused)
			m.Ours, m.OutFor, m.Memo = false, NeverReady, Memo{Standing: Waiting, Reason: NeverReady, Since: since, Shadow: true}
		}, Memo{Standing: Waiting, Reason: NeverReady, Since: since, Shadow: true}, health.Never},
		"backed off": {func(_ *ServiceView, m *Member) {
			m.Removed, m.LastRemoved, m.Memo.Since = 2, testNow.Add(-time.Minute), since
		},
			Memo{Standing: Out, Reason: Backoff, Since: since}, testNow.Add(4 * time.Minute)},
		"the lever failed": {func(_ *ServiceView, m *Member) { m.NotUntil, m.Memo.Since = testNow+5, since },
			Memo{Standing: Out, Reason: CallFailed, Since: since}, testNow + 5},
	} {
		v := service(crowd(10, health.NoCause)...)
		v.Members[0] = away(v.Members[0])
		c.change(&v, &v.Members[0])
		if p := Propose(warm, v, testNow); p.Memos[0] != c.want || p.Wake != c.wake {
			t.Errorf("%s: %+v, wake at %d; want %+v, %d", name, p.Memos[0], p.Wake, c.want, c.wake)
		}
	}
}

// TestReturnAtTheEdge: the first moment at which nothing delays a return.
func TestReturnAtTheEdge(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*ServiceView, *Member)
		want   Reason
	}{
		"just enough passes, over just enough time": {func(_ *ServiceView, m *Member) { m.Passes, m.PassSince = 3, m.LastAt.Add(-15*time.Second) }, Recovered},
		"the lever failed a while ago":              {func(_ *ServiceView, m *Member) { m.NotUntil = testNow }, Recovered},
		"the back-off is over":                      {func(_ *ServiceView, m *Member) { m.Removed, m.LastRemoved = 2, testNow.Add(-5*time.Minute) }, Recovered},
		"probes alone restore for a nanosecond":     {func(v *ServiceView, _ *Member) { v.Config.RestoreUnproven = 1 }, RestoreUnproven},
		"probes alone restore up to now": {func(v *ServiceView, m *Member) {
			v.Config.RestoreUnproven, m.OutSince = time.Minute, testNow.Add(-time.Minute)
		}, Recovered},
	} {
		v := service(crowd(10, health.NoCause)...)
		v.Quarantine, v.Members[0] = true, away(v.Members[0])
		c.change(&v, &v.Members[0])
		if d := answer(t, warm, v); d.Action != Bring || d.Why != c.want {
			t.Errorf("%s: %s because of %s, want %s", name, d.Action, d.Why, c.want)
		}
	}
	one := Config{ReturnBackoff: []time.Duration{time.Minute}}
	if got := Backed(&one, 2); got != time.Minute {
		t.Errorf("with one back-off: %s", got)
	}
}

func TestEverythingFails(t *testing.T) {
	all := Counts{N: 1, Ever: 1, Fails: 1, PastLine: true}
	if !everythingFails(warm, all) {
		t.Error("the only one fails")
	}
	if !everythingFails(warm, Counts{N: 1, Fails: 1, PastLine: true}) {
		t.Error("the only one fails, and never passed")
	}
	for name, c := range map[string]Counts{
		"one passes":       {Ever: 1, Fails: 1, Passing: 1, PastLine: true},
		"none fails":       {Ever: 1, PastLine: true},
		"one is not known": {Ever: 1, Fails: 1, Blind: 1, PastLine: true},
		"above the line":   {Ever: 1, Fails: 1},
	} {
		if everythingFails(warm, c) {
			t.Errorf("%s, and yet everything fails", name)
		}
	}
	v := service(failing(away(Member{Target: 1}), health.Refused))
	v.Listed, v.Members[0].Memo.Standing = false, Out
	if ps := Propose(warm, v, testNow).Proposals; len(ps) != 0 {
		t.Errorf("readmitted before the listing: %+v", ps)
	}
}

// TestUnderWayToo: what else a procedure that has begun is cancelled for, and what not.
func TestUnderWayToo(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Outlook, *ServiceView, *Member)
		want   Reason // "" goes on
	}{
		"its path is lost": {func(_ *Outlook, _ *ServiceView, m *Member) {
			m.Last, m.Cause = health.Indeterminate, health.PathUnproven
		}, PathUnproven},
		"its path is lost while pending": {func(_ *Outlook, _ *ServiceView, m *Member) {
			m.Pending, m.Last, m.Cause = true, health.Indeterminate, health.PathUnproven
		}, PathUnproven},
		"it passes, and has stopped":         {func(_ *Outlook, _ *ServiceView, m *Member) { *m = well(*m); m.Gone = true }, ""},
		"a warm-up begins":                   {func(o *Outlook, _ *ServiceView, _ *Member) { o.WarmSince = testNow - 1 }, WarmUp},
		"a warm-up begins, it never passed":  {func(o *Outlook, _ *ServiceView, m *Member) { o.WarmSince, m.HeldOut = testNow-1, true }, ""},
		"past the line, and it never passed": {func(_ *Outlook, v *ServiceView, m *Member) { v.Config.FailOpen, m.HeldOut = 95, true }, FailOpen},
	} {
		o, v := warm, service(crowd(10, health.Refused)...)
		m := &v.Members[0]
		m.Removing, m.Memo = true, Memo{Standing: Out, Reason: Failing, Since: 7}
		c.change(&o, &v, m)
		p := Propose(o, v, testNow)
		if p.Memos[0] != m.Memo {
			t.Errorf("%s: its memo becomes %+v", name, p.Memos[0])
		}
		if got := len(p.Proposals) > 0; got != (c.want != "") || got && (p.Proposals[0].Action != Cancel || p.Proposals[0].Reason != c.want) {
			t.Errorf("%s: %+v, want %q", name, p.Proposals, c.want)
		}
	}
}

// TestMassRuleAtTheEdge: one target more or less, one host, one moment.
func TestMassRuleAtTheEdge(t *testing.T) {
	one := FleetConfig{MassTargets: 1, MassHosts: 1, MassServices: 1, MassPercent: 100, MassLeast: 100, MassWindow: time.Second, Abstain: time.Second}
	old := onsets(1, 1, 1)
	old[0].At = testNow.Add(-time.Second)
	for name, c := range map[string]struct {
		w    World
		f    FleetConfig
		want bool
	}{
		"20 of 20":                          {World{Targets: 20, Onsets: onsets(20, 20, 1)}, testFleet(), true},
		"100 of 499, more than 20 %":        {World{Targets: 499, Onsets: onsets(100, 100, 1)}, testFleet(), true},
		"100 of 500":                        {World{Targets: 500, Onsets: onsets(100, 100, 1)}, testFleet(), false},
		"the only one, just now":            {World{Targets: 9, Onsets: onsets(1, 1, 1)}, one, true},
		"the only one, a window's time ago": {World{Targets: 9, Onsets: old}, one, false},
	} {
		if got := Assess(c.w, c.f, testNow).Doubt == health.DoubtMass; got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	host := func(x Onset) netip.Addr { return x.Host }
	for n, want := range map[int]bool{0: true, 3: true, 4: false} {
		if got := spread(onsets(9, 3, 1), n, host); got != want {
			t.Errorf("9 onsets on 3 hosts are on at least %d: %v", n, got)
		}
	}
	if !spread(nil, 0, host) || spread(nil, 1, host) {
		t.Error("of nothing there is not nothing")
	}
	if !Assess(World{Retiring: true}, testFleet(), testNow).Retiring || Assess(World{}, testFleet(), testNow).Retiring {
		t.Error("the outlook forgets who leaves")
	}
}

// TestShareIsAsked: the last answer of Ask is about the share that may be out.
func TestShareIsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		change           func(*ServiceView)
		applies, forbids bool
	}{
		"one of ten":                      {func(*ServiceView) {}, true, false},
		"four are out on hard evidence":   {func(v *ServiceView) { v.Ghosts, v.Config.MaxOutHard = 4, 36 }, true, false},
		"the fifth does not fit":          {func(v *ServiceView) { v.Ghosts, v.Config.MaxOutHard = 4, 35 }, true, true},
		"it does not fit, but is gone":    {func(v *ServiceView) { v.Config.MaxOutHard, v.Members[0].Gone = 0, true }, false, false},
		"it does not fit, but is out":     {func(v *ServiceView) { v.Ghosts, v.Config.MaxOutHard, v.Members[0].Ours = 5, 20, true }, true, false},
		"soft evidence has a smaller one": {func(v *ServiceView) { v.Ghosts, v.Members[0].Cause = 2, health.BadStatus }, true, true},
		"a newcomer is held out by others": {func(v *ServiceView) {
			v.Members = newcomers(1, 10)
			v.Members[0].Cause = health.BadStatus
			v.Ghosts = 2
		}, true, false},
	} {
		v := service(crowd(10, health.Refused)...)
		c.change(&v)
		all := Ask(warm, v, 0, testNow)
		said := all[len(all)-1]
		if len(all) != len(rules)+1 || said.Rule != 7 || said.Reason != Budget || said.Applies != c.applies || said.Withholds != c.forbids {
			t.Errorf("%s: %+v", name, said)
		}
	}
	v := service(newcomers(1, 10)...)
	for _, s := range Ask(warm, v, 0, testNow) {
		if s.Reason == NeverPassed && s.Applies {
			t.Error("a newcomer is asked whether it passed before")
		}
	}
}

func TestWhatIsOut(t *testing.T) {
	for name, m := range map[string]Member{
		"ours": {Ours: true}, "leaving": {Removing: true}, "foreign": {Foreign: true}, "UNHEALTHY": {Registry: health.Unhealthy},
		"out": {Memo: Memo{Standing: Out}}, "waiting": {Memo: Memo{Standing: Waiting}},
	} {
		if !m.isOut() {
			t.Errorf("%s does not count as out", name)
		}
	}
	if (&Member{Registry: health.Healthy, Returning: true}).isOut() {
		t.Error("one that is in counts as out")
	}
	for a, want := range map[Action]bool{Keep: false, Remove: true, HoldOut: true, Bring: false, Cancel: false} {
		if a.Removes() != want {
			t.Errorf("%s removes: %v", a, !want)
		}
	}
	for _, c := range []struct {
		passing, ever int
		want          bool
	}{{0, 0, true}, {1, 2, false}, {99, 199, true}, {100, 199, false}} {
		if got := pastLine(c.passing, c.ever, 50); got != c.want {
			t.Errorf("%d of %d pass: past the line %v", c.passing, c.ever, got)
		}
	}
}
