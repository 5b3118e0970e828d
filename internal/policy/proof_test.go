package policy

import (
	"slices"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// TestProof: whether the workload of what would be registered again is still
// the one that was taken out, at the edge of each term.
func TestProof(t *testing.T) {
	sure := proof{at: health.Never}
	asked := func(at health.Instant) proof { return proof{withheld: AskingOwner, at: at} }
	const never, sec = health.Never, time.Second
	for name, c := range map[string]struct {
		now    health.Instant
		change func(*ServiceView, *Member)
		want   proof
	}{
		"a status is raised":        {testNow, func(v *ServiceView, m *Member) { v.Quarantine, m.OutSince = false, 1 }, sure},
		"a status of what has gone": {testNow, func(v *ServiceView, m *Member) { v.Quarantine, m.OutFor = false, OwnerGone }, proof{withheld: RestoreUnproven, at: never}},
		"its owner said so two seconds ago": {testNow, func(_ *ServiceView, m *Member) { m.RunningAt = testNow.Add(-2 * sec) },
			proof{at: never, until: testNow}},
		"its owner said so longer ago":         {testNow, func(_ *ServiceView, m *Member) { m.RunningAt = testNow.Add(-2*sec) - 1 }, sure},
		"its owner said so at the first":       {2, func(_ *ServiceView, m *Member) { m.RunningAt, m.OutSince = 1, 1 }, proof{at: never, until: health.Instant(1).Add(2 * sec)}},
		"its owner never said so, at first":    {2, func(_ *ServiceView, m *Member) { m.OutSince = 1 }, sure},
		"no owner, out for the term":           {testNow, func(_ *ServiceView, m *Member) { m.OutSince = testNow.Add(-10 * time.Minute) }, sure},
		"no owner, out for longer":             {testNow, func(_ *ServiceView, m *Member) { m.OutSince = testNow.Add(-10*time.Minute) - 1 }, proof{withheld: RestoreUnproven, at: never}},
		"no owner, out for longer, no term":    {testNow, func(v *ServiceView, m *Member) { m.OutSince, v.Config.RestoreUnproven = 1, 0 }, sure},
		"no owner, out for the back-off":       {testNow, func(_ *ServiceView, m *Member) { m.OutSince, m.Removed = testNow.Add(-15*time.Minute), 3 }, sure},
		"no owner any more, it has gone":       {testNow, func(_ *ServiceView, m *Member) { m.OutFor = OwnerGone }, proof{withheld: RestoreUnproven, at: never}},
		"no owner any more, it was to stop":    {testNow, func(_ *ServiceView, m *Member) { m.OutFor = Draining }, proof{withheld: RestoreUnproven, at: never}},
		"its owner was never asked":            {testNow, func(v *ServiceView, _ *Member) { v.Owned = true }, proof{withheld: AskingOwner, ask: true, at: testNow.Add(5 * sec)}},
		"its owner is being asked":             {testNow, func(v *ServiceView, m *Member) { v.Owned, m.AskedAt = true, testNow.Add(-5*sec)+1 }, asked(testNow + 1)},
		"its owner did not answer":             {testNow, func(v *ServiceView, m *Member) { v.Owned, m.AskedAt = true, testNow.Add(-5*sec) }, sure},
		"its owner answered, but not that":     {testNow, func(v *ServiceView, m *Member) { v.Owned, m.AskedAt, m.Answered = true, testNow-1, true }, sure},
		"its owner answered, at the first":     {2, func(v *ServiceView, m *Member) { v.Owned, m.AskedAt, m.Answered, m.OutSince = true, 1, true, 1 }, sure},
		"its owner is not asked again so soon": {testNow, func(v *ServiceView, m *Member) { v.Owned, m.AskedAt = true, testNow.Add(-30*sec)+1 }, sure},
		"its owner is asked again": {testNow, func(v *ServiceView, m *Member) { v.Owned, m.AskedAt = true, testNow.Add(-30*sec) },
			proof{withheld: AskingOwner, ask: true, at: testNow.Add(5 * sec)}},
		"silent for the term": {testNow, func(v *ServiceView, m *Member) { v.Owned, m.AskedAt, m.OutSince = true, testNow.Add(-9*sec), 1 },
			proof{withheld: RestoreUnproven, at: testNow.Add(21 * sec)}},
		"silent, and it was to stop": {testNow, func(v *ServiceView, m *Member) { v.Owned, m.AskedAt, m.OutFor = true, testNow.Add(-9*sec), Draining },
			proof{withheld: RestoreUnproven, at: testNow.Add(21 * sec)}},
	} {
		v := service()
		v.Quarantine, v.Config.RestoreUnproven = true, 10*time.Minute
		m := Member{OutFor: Failing, OutSince: testNow.Add(-time.Minute)}
		c.change(&v, &m)
		if got := proven(&v, &m, Backed(&v.Config, m.Removed), c.now); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestResurrected(t *testing.T) {
	for _, c := range []struct {
		m    Member
		now  health.Instant
		want bool
	}{
		{Member{RestoredAt: testNow, Gone: true}, testNow.Add(time.Minute) - 1, true},
		{Member{RestoredAt: testNow, OwnerDraining: true}, testNow.Add(time.Minute) - 1, true},
		{Member{RestoredAt: testNow, Gone: true}, testNow.Add(time.Minute), false},
		{Member{RestoredAt: testNow}, testNow, false},
		{Member{RestoredAt: 1, Gone: true}, 2, true},
		{Member{Gone: true}, 2, false},
	} {
		if got := resurrected(&c.m, c.now); got != c.want {
			t.Errorf("restored at %d, now %d: %v", c.m.RestoredAt, c.now, got)
		}
	}
	for why, want := range map[Reason]bool{OwnerGone: true, Draining: true, UndoResurrection: true, Failing: false, NeverReady: false} {
		if ByOwner(why) != want {
			t.Errorf("%s rests on an owner's word: %v", why, !want)
		}
	}
}

func TestDeploymentPastLine(t *testing.T) {
	pass, fail := Member{Deployment: "a", Ever: true, Last: health.Pass}, Member{Deployment: "a", Ever: true, Last: health.Fail}
	never, gone, other, none := fail, fail, fail, fail
	never.Ever, gone.Gone, other.Deployment, none.Deployment = false, true, "b", ""
	for name, c := range map[string]struct {
		all  []Member
		want bool
	}{
		"the only one fails":           {[]Member{fail}, true},
		"one of two fails":             {[]Member{fail, pass}, false},
		"two of three fail":            {[]Member{fail, pass, fail}, true},
		"one that never passed":        {[]Member{fail, pass, never, never}, false},
		"those that are gone":          {[]Member{fail, pass, gone, gone}, false},
		"those of another deployment":  {[]Member{fail, pass, other, other}, false},
		"nobody ever passed":           {[]Member{never, never}, false},
		"nobody knows its deployment":  {[]Member{none, none}, false},
		"it passes for another, alone": {[]Member{fail, {Deployment: "b", Ever: true, Last: health.Pass}}, true},
	} {
		v := service(c.all...)
		if got := deploymentPastLine(situation{v: &v, m: &v.Members[0]}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestWhatOwnersSay: what is wanted on an owner's word.
func TestWhatOwnersSay(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*ServiceView, *Member)
		want   Action
		why    Reason
	}{
		"gone":                        {func(_ *ServiceView, m *Member) { m.Gone = true }, Remove, OwnerGone},
		"restored, and gone":          {func(_ *ServiceView, m *Member) { m.Gone, m.RestoredAt = true, testNow }, Remove, UndoResurrection},
		"about to stop, and passes":   {func(_ *ServiceView, m *Member) { *m = well(*m); m.OwnerDraining = true }, Remove, Draining},
		"starting, where all is held": {func(_ *ServiceView, m *Member) { m.OwnerStarting, m.Fails = true, 2 }, HoldOut, NeverReady},
		"starting, and one vouches":   {func(_ *ServiceView, m *Member) { m.OwnerStarting, m.Vouched = true, true }, Keep, NoReason},
		"starting, where trusted":     {func(v *ServiceView, m *Member) { m.OwnerStarting, v.Config.Admission = true, Trust }, Keep, NoReason},
	} {
		v := service(crowd(3, health.Refused)...)
		c.change(&v, &v.Members[0])
		if got, why := wanted(situation{v: &v, m: &v.Members[0], now: testNow}); got != c.want || why != c.why {
			t.Errorf("%s: %s because of %q, want %s, %q", name, got, why, c.want, c.why)
		}
	}
}

// TestDrainingGoes where a failing one would be kept.
func TestDrainingGoes(t *testing.T) {
	v := service(crowd(10, health.Refused)...)
	v.Members[0].OwnerDraining, v.Members[0].Removed, v.Members[0].Cause = true, 4, health.BadStatus
	if d := answer(t, warm, v); !d.Admitted || d.Reason != Draining || d.Class != health.Hard {
		t.Errorf("%+v", d)
	}
	for _, s := range Ask(warm, v, 0, testNow) {
		if s.Reason == Flapping && s.Applies {
			t.Error("explained by a rule that was not asked")
		}
	}
	for i := range 4 {
		v.Members[i+1].OwnerDraining = true
	}
	v.Members[5].Gone = true
	c := Count(&v)
	if want := (Counts{N: 10, Out: 5, Draining: 5, Ever: 9, Passing: 8, Fails: 1}); c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
	c.Out++
	if got := [...]int{c.away(Draining), c.away(Failing)}; got != [...]int{1, 6} {
		t.Errorf("%v are away for those that drain and for others, want 1 and 6", got)
	}
}

// TestOwnersWordsUnderWay: what a procedure that has begun is cancelled for
// when its owner speaks.
func TestOwnersWordsUnderWay(t *testing.T) {
	removing := func(why Reason) func(*Outlook, *Member) {
		return func(_ *Outlook, m *Member) { m.Removing, m.OutFor = true, why }
	}
	returning := func(_ *Outlook, m *Member) { *m = well(*m); m.Returning, m.Ours, m.Memo.Reason = true, true, Recovered }
	and := func(fs ...func(*Outlook, *Member)) func(*Outlook, *Member) {
		return func(o *Outlook, m *Member) {
			for _, f := range fs {
				f(o, m)
			}
		}
	}
	frozen := func(o *Outlook, _ *Member) { o.Gates = []Reason{Frozen} }
	runs := func(_ *Outlook, m *Member) { m.RunningAt = 1 }
	drains := func(_ *Outlook, m *Member) { m.OwnerDraining = true }
	goes := func(_ *Outlook, m *Member) { m.Gone = true }
	for name, c := range map[string]struct {
		begin func(*Outlook, *Member)
		want  Reason // "" goes on
	}{
		"it returns, and has stopped":     {and(returning, goes), OwnerGone},
		"it returns, and is to stop":      {and(returning, drains), Draining},
		"gone, and frozen":                {and(removing(OwnerGone), goes, frozen), Frozen},
		"undone, and frozen":              {and(removing(UndoResurrection), frozen), Frozen},
		"gone, and now it runs":           {and(removing(OwnerGone), runs), OwnerRuns},
		"it was to stop, and now it runs": {and(removing(Draining), runs), OwnerRuns},
		"it was to stop, and is silent":   {removing(Draining), ""},
		"failing, and it runs":            {and(removing(Failing), runs), ""},
	} {
		o, v := warm, service(crowd(10, health.Refused)...)
		c.begin(&o, &v.Members[0])
		ps := Propose(o, v, testNow).Proposals
		if got := len(ps) > 0; got != (c.want != "") || got && (ps[0].Action != Cancel || ps[0].Reason != c.want) {
			t.Errorf("%s: %+v, want %q", name, ps, c.want)
		}
	}
}

// TestRestoreAsksTheOwner, and rests on its answer.
func TestRestoreAsksTheOwner(t *testing.T) {
	v := service(crowd(10, health.NoCause)...)
	v.Quarantine, v.Owned, v.Members[0] = true, true, away(v.Members[0])
	p := Propose(warm, v, testNow)
	if !slices.Equal(p.Ask, []int{0}) || p.Wake != testNow.Add(5*time.Second) || p.Proposals[0].Withheld != AskingOwner {
		t.Errorf("asks %v, wakes at %d: %+v", p.Ask, p.Wake, p.Proposals)
	}
	v.Members[0].RunningAt = testNow
	p = Propose(warm, v, testNow)
	if len(p.Ask) != 0 || p.Proposals[0].Withheld != NoReason || p.Proposals[0].ProvenUntil != testNow.Add(2*time.Second) {
		t.Errorf("after its answer: asks %v, %+v", p.Ask, p.Proposals)
	}
	standby := warm
	standby.Gates = []Reason{Standby}
	if p = Propose(standby, v, testNow); p.Proposals[0].Withheld != Standby {
		t.Errorf("without the lease: %+v", p.Proposals)
	}
	v.Members[0].OwnerDraining = true
	if p = Propose(warm, v, testNow); len(p.Proposals) != 0 {
		t.Errorf("about to stop: %+v", p.Proposals)
	}
}
