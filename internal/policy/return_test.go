package policy

import (
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// away is a member that is out because of us and passes again.
func away(m Member) Member {
	m = well(m)
	m.Registry, m.Ours, m.OutFor, m.OutSince = health.Unknown, true, Failing, testNow.Add(-5*time.Minute)
	m.Removed, m.LastRemoved = 1, m.OutSince
	m.Memo = Memo{Standing: Out, Reason: Failing}
	return m
}

// TestReturn: what earns a return, and the little that delays one.
func TestReturn(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Outlook, *ServiceView, *Member)
		reason Reason // "" is no proposal
		why    Reason // "" is admitted
	}{
		"it earned it":       {func(*Outlook, *ServiceView, *Member) {}, Recovered, ""},
		"too few passes":     {func(_ *Outlook, _ *ServiceView, m *Member) { m.Passes = 2 }, "", ""},
		"too soon":           {func(_ *Outlook, _ *ServiceView, m *Member) { m.PassSince = m.LastAt - 1 }, "", ""},
		"its latest is none": {func(_ *Outlook, _ *ServiceView, m *Member) { m.Last = health.Indeterminate }, "", ""},
		"a newcomer's first pass": {func(_ *Outlook, _ *ServiceView, m *Member) {
			m.HeldOut, m.Passes, m.PassSince = true, 1, testNow-1
		}, FirstPass, ""},
		"registered UNHEALTHY, first pass": {func(_ *Outlook, _ *ServiceView, m *Member) {
			m.Ours, m.InitDown, m.Passes, m.Registry = false, true, 1, health.Unhealthy
		}, FirstPass, ""},
		"it is gray still":                 {func(_ *Outlook, _ *ServiceView, m *Member) { m.Gray = true }, "", ""},
		"it drains still":                  {func(_ *Outlook, _ *ServiceView, m *Member) { m.Draining = true }, "", ""},
		"it is slow still":                 {func(_ *Outlook, _ *ServiceView, m *Member) { m.Degraded, m.OutFor = true, Slow }, "", ""},
		"slow, but out for something else": {func(_ *Outlook, _ *ServiceView, m *Member) { m.Degraded = true }, Recovered, ""},
		"in observe, as if": {func(_ *Outlook, v *ServiceView, m *Member) {
			v.Config.Mode, m.Ours, m.Memo.Shadow = ModeObserve, false, true
		}, Recovered, ""},
		"somebody asks for a failing one": {func(_ *Outlook, _ *ServiceView, m *Member) {
			*m = failing(*m, health.Refused)
			m.Asked = true
		}, Operator, ""},
		"mapwarden leaves": {func(o *Outlook, _ *ServiceView, m *Member) {
			*m = failing(*m, health.Refused)
			o.Retiring, o.Gates = true, []Reason{Retiring}
		}, Retiring, ""},
		"its owner says it has stopped": {func(_ *Outlook, _ *ServiceView, m *Member) { m.Gone = true }, "", ""},
		"second removal":                {func(_ *Outlook, _ *ServiceView, m *Member) { m.Removed, m.LastRemoved = 2, testNow.Add(-4*time.Minute) }, Recovered, Backoff},
		"second removal, long ago":      {func(_ *Outlook, _ *ServiceView, m *Member) { m.Removed = 2 }, Recovered, ""},
		"fourth removal": {func(_ *Outlook, _ *ServiceView, m *Member) {
			m.Removed, m.LastRemoved = 4, testNow.Add(-59*time.Minute)
		}, Recovered, Backoff},
		"frozen":   {func(o *Outlook, _ *ServiceView, _ *Member) { o.Gates = []Reason{Frozen} }, Recovered, Frozen},
		"stopping": {func(o *Outlook, _ *ServiceView, _ *Member) { o.Gates = []Reason{Stopping} }, Recovered, Stopping},
		"off":      {func(_ *Outlook, v *ServiceView, _ *Member) { v.Config.Mode = ModeOff }, Recovered, Off},
		"off, but asked for": {func(_ *Outlook, v *ServiceView, m *Member) {
			v.Config.Mode, m.Asked = ModeOff, true
		}, Operator, Off},
		"the lever failed lately": {func(_ *Outlook, _ *ServiceView, m *Member) { m.NotUntil = testNow + 1 }, Recovered, CallFailed},
		"a release runs":          {func(_ *Outlook, _ *ServiceView, m *Member) { m.Busy = true }, Recovered, Busy},
		"no removal gate delays it": {func(o *Outlook, v *ServiceView, _ *Member) {
			o.Gates = []Reason{Unsynced, LostJournal, Thawing, SelfDoubt}
			v.Stale, v.Armed, o.WarmSince = true, false, testNow
		}, Recovered, ""},
		"out for too long to know": {func(_ *Outlook, v *ServiceView, _ *Member) {
			v.Config.RestoreUnproven = time.Minute
		}, Recovered, RestoreUnproven},
		"a newcomer out for too long to know": {func(_ *Outlook, v *ServiceView, m *Member) {
			v.Config.RestoreUnproven, m.HeldOut = time.Minute, true
		}, FirstPass, RestoreUnproven},
		"out for long, but somebody knows": {func(_ *Outlook, v *ServiceView, m *Member) {
			v.Config.RestoreUnproven, m.Asked = time.Minute, true
		}, Operator, ""},
		"never shorter than the back-off": {func(_ *Outlook, v *ServiceView, m *Member) {
			v.Config.RestoreUnproven, m.Removed = time.Minute, 2
		}, Recovered, ""},
	} {
		o, v := warm, service(crowd(10, health.NoCause)...)
		v.Quarantine = true
		v.Members[0] = away(v.Members[0])
		c.change(&o, &v, &v.Members[0])
		p := Propose(o, v, testNow)
		if c.reason == "" {
			if len(p.Proposals) != 0 || !p.Memos[0].Standing.IsOut() {
				t.Errorf("%s: %+v, standing %s", name, p.Proposals, p.Memos[0].Standing)
			}
			continue
		}
		d := answer(t, o, v)
		if d.Action != Bring || d.Reason != c.reason || d.Admitted != (c.why == "") || !d.Admitted && d.Why != c.why {
			t.Errorf("%s: %s for %s, admitted %v, because of %q; want %s, %q", name, d.Action, d.Reason, d.Admitted, d.Why, c.reason, c.why)
		}
		if d.Why == Backoff && p.Wake <= testNow {
			t.Errorf("%s: nobody wakes up when the back-off ends", name)
		}
	}
}

// TestFailOpenAll: everything returns only if each was seen, none passes, every
// one is a Fail, and we do not doubt ourselves (rule 6); and one by one.
func TestFailOpenAll(t *testing.T) {
	all := func() ServiceView {
		v := service(crowd(4, health.Refused)...)
		for i := range v.Members {
			v.Members[i] = failing(v.Members[i], health.Refused)
		}
		v.Members[0], v.Members[1] = failing(away(v.Members[0]), health.Refused), failing(away(v.Members[1]), health.Refused)
		v.Members[0].Memo.Standing, v.Members[1].Memo.Standing = Out, Out
		return v
	}
	_, ds := Admit(Bank{}, Propose(warm, all(), testNow).Proposals, warm, testFleet(), testNow)
	back, waits := 0, 0
	for _, d := range ds {
		switch {
		case d.Action != Bring:
		case d.Admitted && d.Why == FailOpenAll:
			back++
		case d.Why == Velocity:
			waits++
		}
	}
	if back != 1 || waits != 1 {
		t.Errorf("%d return and %d wait their turn, want 1 and 1: %+v", back, waits, ds)
	}
	for name, change := range map[string]func(*Outlook, *ServiceView){
		"one passes":            func(_ *Outlook, v *ServiceView) { v.Members[3] = well(v.Members[3]) },
		"one was not seen yet":  func(_ *Outlook, v *ServiceView) { v.Members[3].LastAt = 0 },
		"one cannot be judged":  func(_ *Outlook, v *ServiceView) { v.Members[3].Last = health.Indeterminate },
		"we doubt ourselves":    func(o *Outlook, _ *ServiceView) { o.Gates = []Reason{SelfDoubt} },
		"we do not know it all": func(o *Outlook, _ *ServiceView) { o.Gates = []Reason{Unsynced} },
		"above the line anyhow": func(_ *Outlook, v *ServiceView) { v.Config.FailOpen = 0 },
	} {
		o, v := warm, all()
		change(&o, &v)
		for _, p := range Propose(o, v, testNow).Proposals {
			if p.Action == Bring {
				t.Errorf("%s: and yet %s is returned", name, p.Reason)
			}
		}
	}
}

// TestUnderWay: what a procedure that has begun is cancelled for.
func TestUnderWay(t *testing.T) {
	removing := func(m *Member) { m.Removing, m.Memo.Standing = true, Out }
	returning := func(m *Member) {
		m.Returning, m.Ours, m.Memo = true, true, Memo{Standing: Out, Reason: Recovered}
	}
	for name, c := range map[string]struct {
		begin  func(*Member)
		change func(*Outlook, *ServiceView, *Member)
		want   Reason // "" goes on
	}{
		"it goes on":                      {removing, func(*Outlook, *ServiceView, *Member) {}, ""},
		"a pass before the call":          {removing, func(_ *Outlook, _ *ServiceView, m *Member) { *m = well(*m) }, PassedInHold},
		"one pass while pending":          {removing, func(_ *Outlook, _ *ServiceView, m *Member) { m.Pending, m.Last = true, health.Pass }, PassedInHold},
		"healthy while pending":           {removing, func(_ *Outlook, _ *ServiceView, m *Member) { m.Pending, m.Verdict = true, health.Healthy }, PassedInHold},
		"a pass of a gray one":            {removing, func(_ *Outlook, _ *ServiceView, m *Member) { m.OutFor, m.Last = Gray, health.Pass }, ""},
		"a gray one is well":              {removing, func(_ *Outlook, _ *ServiceView, m *Member) { *m = well(*m); m.OutFor = Gray }, PassedInHold},
		"a pass of a draining one":        {removing, func(_ *Outlook, _ *ServiceView, m *Member) { *m = leaver(*m); m.OutFor, m.Pending = SaysDraining, true }, ""},
		"a pass of a slow one":            {removing, func(_ *Outlook, _ *ServiceView, m *Member) { *m = slow(*m); m.OutFor = Slow }, ""},
		"it is quick again":               {removing, func(_ *Outlook, _ *ServiceView, m *Member) { *m = well(*m); m.OutFor = Slow }, PassedInHold},
		"it drains no more":               {removing, func(_ *Outlook, _ *ServiceView, m *Member) { *m = well(*m); m.OutFor = SaysDraining }, PassedInHold},
		"doubt":                           {removing, func(o *Outlook, _ *ServiceView, _ *Member) { o.Gates = []Reason{SelfDoubt} }, SelfDoubt},
		"doubt while pending":             {removing, func(o *Outlook, _ *ServiceView, m *Member) { o.Gates, m.Pending = []Reason{SelfDoubt}, true }, SelfDoubt},
		"a freeze":                        {removing, func(o *Outlook, _ *ServiceView, _ *Member) { o.Gates = []Reason{Frozen} }, Frozen},
		"a freeze lets a written stay":    {removing, func(o *Outlook, _ *ServiceView, m *Member) { o.Gates, m.Pending = []Reason{Frozen}, true }, ""},
		"a listing that grew stale":       {removing, func(_ *Outlook, v *ServiceView, _ *Member) { v.Stale = true }, Stale},
		"past the line":                   {removing, func(_ *Outlook, v *ServiceView, _ *Member) { v.Config.FailOpen = 95 }, FailOpen},
		"past the line while pending":     {removing, func(_ *Outlook, v *ServiceView, m *Member) { v.Config.FailOpen, m.Pending = 95, true }, FailOpen},
		"a return that fails again":       {returning, func(*Outlook, *ServiceView, *Member) {}, Failing},
		"a return that an operator wants": {returning, func(_ *Outlook, _ *ServiceView, m *Member) { m.Memo.Reason = Operator }, ""},
		"a return that passes":            {returning, func(_ *Outlook, _ *ServiceView, m *Member) { m.Last = health.Pass }, ""},
	} {
		o, v := warm, service(crowd(10, health.Refused)...)
		c.begin(&v.Members[0])
		c.change(&o, &v, &v.Members[0])
		ps := Propose(o, v, testNow).Proposals
		if c.want == "" {
			if len(ps) != 0 {
				t.Errorf("%s: %+v", name, ps)
			}
			continue
		}
		if len(ps) != 1 || ps[0].Action != Cancel || ps[0].Reason != c.want {
			t.Errorf("%s: %+v, want a cancel for %s", name, ps, c.want)
		}
	}
}

func TestBacked(t *testing.T) {
	c := testConfig()
	for n, want := range []time.Duration{0, 0, 5 * time.Minute, 15 * time.Minute, time.Hour, time.Hour} {
		if got := Backed(&c, n); got != want {
			t.Errorf("after %d removals %s, want %s", n, got, want)
		}
	}
	if got := Backed(&Config{}, 3); got != 0 {
		t.Errorf("without a back-off: %s", got)
	}
}

func TestNextFree(t *testing.T) {
	f, c, o := testFleet(), testConfig(), Outlook{Targets: 10}
	b := Bank{Services: []health.Instant{testNow + 5}, Returns: []health.Instant{testNow + 3}, Global: []health.Instant{testNow - 9, testNow - 8}}
	if got := b.NextFree(Proposal{Action: Bring, Config: &c}, o, f, testNow); got != testNow+3 {
		t.Errorf("a return at %d", got-testNow)
	}
	if got, want := b.NextFree(wants(0, 1, 10, &c), o, f, testNow), (testNow - 9).Add(time.Minute); got != want {
		t.Errorf("a removal at %d, want %d", got-testNow, want-testNow)
	}
	if got := (Bank{}).NextFree(wants(0, 1, 10, &c), o, f, testNow); got != 0 {
		t.Errorf("with a full bank at %d", got)
	}
}
