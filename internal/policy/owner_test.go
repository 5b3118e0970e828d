package policy

import (
	"slices"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// TestOwnersWord: what a word of its owner makes of an instance that passes, and
// of one that fails.
func TestOwnersWord(t *testing.T) {
	say := func(f func(*Member)) func(*ServiceView) { return func(v *ServiceView) { f(&v.Members[0]) } }
	passing := func(change func(*ServiceView)) func(*ServiceView) {
		return func(v *ServiceView) { v.Members[0] = well(v.Members[0]); change(v) }
	}
	gone := say(func(m *Member) { m.Gone = true })
	draining := say(func(m *Member) { m.OwnerDraining = true })
	starting := say(func(m *Member) { m.OwnerStarting = true })
	both := func(fs ...func(*ServiceView)) func(*ServiceView) {
		return func(v *ServiceView) {
			for _, f := range fs {
				f(v)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*ServiceView)
		action Action
		why    Reason // to act, or withheld
		ok     bool
	}{
		"gone, and passes":        {passing(gone), Remove, OwnerGone, true},
		"gone, and fails":         {gone, Remove, OwnerGone, true},
		"gone, in a deploy":       {both(gone, func(v *ServiceView) { v.Deploying = true }), Remove, OwnerGone, true},
		"gone, with all out":      {both(gone, func(v *ServiceView) { v.Ghosts = 30 }), Remove, OwnerGone, true},
		"gone, no drill, no hold": {passing(both(gone, func(v *ServiceView) { v.Quarantine, v.Drill = true, DrillBad })), Remove, OwnerGone, true},
		"gone, never passed":      {both(gone, say(func(m *Member) { m.Ever = false })), Remove, OwnerGone, true},
		"gone, its owner writes":  {both(gone, func(v *ServiceView) { v.OwnerWrites = true }), Remove, OwnerWrites, false},
		"gone, the last": {both(gone, func(v *ServiceView) {
			for i := range v.Members[1:] {
				v.Members[i+1].OwnerDraining = true
			}
		}), Remove, LastHealthy, false},
		"draining":                         {passing(draining), Remove, Draining, true},
		"draining, not probeable":          {passing(both(draining, say(func(m *Member) { m.Last, m.Cause = health.Indeterminate, health.NotProbeable }))), Remove, Draining, true},
		"draining, no hold":                {passing(both(draining, func(v *ServiceView) { v.Quarantine = true })), Remove, Draining, true},
		"draining, no drill yet":           {passing(both(draining, func(v *ServiceView) { v.Quarantine, v.Drill = true, DrillNone })), Remove, DrillPending, false},
		"draining, in a deploy":            {passing(both(draining, func(v *ServiceView) { v.Deploying = true })), Remove, Deploying, false},
		"draining, past the line":          {passing(both(draining, pastTheLine)), Remove, FailOpen, false},
		"draining, half is out":            {passing(both(draining, func(v *ServiceView) { v.Ghosts = 10 })), Remove, Budget, false},
		"draining, others are, too":        {passing(both(draining, func(v *ServiceView) { drainSome(v.Members[1:7]) })), Remove, Draining, true},
		"failing, others drain":            {func(v *ServiceView) { drainSome(v.Members[1:6]) }, Remove, Budget, false},
		"failing, its deployment does":     {oneDeployment, Remove, FailOpen, false},
		"failing, alone in its deployment": {say(func(m *Member) { m.Deployment = "b" }), Remove, FailOpen, false},
		"starting, and fails":              {starting, HoldOut, NeverReady, true},
		"starting, and failed once":        {both(starting, say(func(m *Member) { m.Fails = 1 })), Keep, NoReason, false},
		"starting, and silent":             {both(starting, say(func(m *Member) { m.Cause = health.Timeout })), Keep, NoReason, false},
		"starting, and trusted":            {both(starting, func(v *ServiceView) { v.Config.Admission = Trust }), Keep, NoReason, false},
		"starting, and passes":             {passing(starting), Keep, NoReason, false},
		"restored, and draining":           {passing(both(draining, say(func(m *Member) { m.RestoredAt = testNow - 1 }))), Remove, UndoResurrection, true},
		"restored, and past the line":      {passing(both(draining, pastTheLine, say(func(m *Member) { m.RestoredAt = testNow - 1 }))), Remove, UndoResurrection, true},
		"restored long ago":                {passing(both(draining, say(func(m *Member) { m.RestoredAt = testNow.Add(-time.Minute) }))), Remove, Draining, true},
	} {
		v := service(crowd(10, health.Refused)...)
		c.change(&v)
		_, ds := Admit(Bank{}, Propose(warm, v, testNow).Proposals, warm, testFleet(), testNow)
		ds = slices.DeleteFunc(ds, func(d Decision) bool { return d.Member != 0 })
		if c.action == Keep {
			if len(ds) != 0 {
				t.Errorf("%s: %+v", name, ds)
			}
			continue
		}
		if len(ds) != 1 || ds[0].Action != c.action || ds[0].Admitted != c.ok || ds[0].Why != c.why {
			t.Errorf("%s: %+v, want %s %s", name, ds, c.action, c.why)
		}
	}
}

func pastTheLine(v *ServiceView) {
	for i := range v.Members[:6] {
		v.Members[i+1].Last, v.Members[i+1].LastTwo = health.Fail, false
	}
}

func drainSome(ms []Member) {
	for i := range ms {
		ms[i].OwnerDraining = true
	}
}

func oneDeployment(v *ServiceView) {
	for i := range v.Members[:3] {
		v.Members[i].Deployment = "b"
		v.Members[i].Last = health.Fail
	}
}

// TestProven: on what a quarantined instance that passes again may come back
// (rule 15).
func TestProven(t *testing.T) {
	ago := func(d time.Duration) health.Instant { return testNow.Add(-d) }
	for name, c := range map[string]struct {
		change   func(*ServiceView, *Member)
		withheld Reason
		ask      bool
	}{
		"within the term, no owner":       {func(*ServiceView, *Member) {}, "", false},
		"after the term, no owner":        {func(_ *ServiceView, m *Member) { m.OutSince = ago(11 * time.Minute) }, RestoreUnproven, false},
		"within the term, not asked yet":  {func(v *ServiceView, _ *Member) { v.Owned = true }, AskingOwner, true},
		"asked just now":                  {func(v *ServiceView, m *Member) { v.Owned, m.AskedAt = true, testNow-1 }, AskingOwner, false},
		"asked, and no answer":            {func(v *ServiceView, m *Member) { v.Owned, m.AskedAt = true, ago(5*time.Second) }, "", false},
		"asked, and it says nothing":      {func(v *ServiceView, m *Member) { v.Owned, m.AskedAt, m.Answered = true, testNow-1, true }, "", false},
		"asked long ago":                  {func(v *ServiceView, m *Member) { v.Owned, m.AskedAt, m.Answered = true, ago(30*time.Second), true }, AskingOwner, true},
		"after the term, asked in vain":   {func(v *ServiceView, m *Member) { v.Owned, m.AskedAt, m.OutSince = true, ago(6*time.Second), 1 }, RestoreUnproven, false},
		"after the term, it runs":         {func(v *ServiceView, m *Member) { v.Owned, m.RunningAt, m.OutSince = true, ago(2*time.Second), 1 }, "", false},
		"after the term, it ran":          {func(v *ServiceView, m *Member) { v.Owned, m.RunningAt, m.OutSince = true, ago(2*time.Second)-1, 1 }, AskingOwner, true},
		"it is draining":                  {func(v *ServiceView, m *Member) { v.Owned, m.OwnerDraining = true, true }, "never", false},
		"it has gone":                     {func(_ *ServiceView, m *Member) { m.Gone = true }, "never", false},
		"it has gone, and somebody asked": {func(_ *ServiceView, m *Member) { m.Gone, m.Asked = true, true }, "never", false},
		"it was stopping, and silence":    {func(_ *ServiceView, m *Member) { m.Objected = true }, RestoreUnproven, false},
		"it was stopping, and it is asked": {func(v *ServiceView, m *Member) {
			v.Owned, m.Objected, m.AskedAt, m.Answered = true, true, testNow-1, true
		}, RestoreUnproven, false},
		"a status, it was stopping":    {func(v *ServiceView, m *Member) { v.Quarantine, m.Objected = false, true }, RestoreUnproven, false},
		"taken by its owner's word":    {func(_ *ServiceView, m *Member) { m.OutFor = OwnerGone }, RestoreUnproven, false},
		"taken so, and it runs":        {func(v *ServiceView, m *Member) { v.Owned, m.OutFor, m.RunningAt = true, OwnerGone, testNow }, "", false},
		"a status, taken by that word": {func(v *ServiceView, m *Member) { v.Quarantine, m.OutFor = false, OwnerGone }, RestoreUnproven, false},
		"a status, after the term":     {func(v *ServiceView, m *Member) { v.Quarantine, m.OutSince = false, 1 }, "", false},
		"asked for, after the term":    {func(_ *ServiceView, m *Member) { m.Asked, m.OutSince = true, 1 }, "", false},
	} {
		v := service(crowd(10, health.Refused)...)
		v.Quarantine, v.Config.RestoreUnproven = true, 10*time.Minute
		m := &v.Members[0]
		*m = well(*m)
		m.Memo = Memo{Standing: Out}
		m.Ours, m.OutFor, m.OutSince = true, Failing, ago(time.Minute)
		c.change(&v, m)
		p := Propose(warm, v, testNow)
		switch {
		case c.withheld == "never":
			if len(p.Proposals) != 0 {
				t.Errorf("%s: %+v", name, p.Proposals)
			}
		case len(p.Proposals) != 1 || p.Proposals[0].Action != Bring || p.Proposals[0].Withheld != c.withheld:
			t.Errorf("%s: %+v, want %q", name, p.Proposals, c.withheld)
		case c.ask != (len(p.Ask) == 1):
			t.Errorf("%s: asks %v", name, p.Ask)
		case c.withheld == AskingOwner && p.Wake > testNow.Add(askEvery):
			t.Errorf("%s: wakes at %s only", name, p.Wake.Sub(testNow))
		}
	}
}

// TestWordsCancel: a job under way ends when the word that it rests on changes.
func TestWordsCancel(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Member)
		want   Reason // of the cancellation; "" is none
	}{
		"gone, and passes":           {func(m *Member) { m.Gone, m.OutFor = true, OwnerGone }, ""},
		"gone, and silence":          {func(m *Member) { m.OutFor = OwnerGone }, ""},
		"gone, and it runs":          {func(m *Member) { m.OutFor, m.RunningAt = OwnerGone, testNow }, OwnerRuns},
		"draining, and passes":       {func(m *Member) { m.OwnerDraining, m.OutFor = true, Draining }, ""},
		"draining, and it runs":      {func(m *Member) { m.OutFor, m.RunningAt = Draining, testNow }, OwnerRuns},
		"undoing, and passes":        {func(m *Member) { m.OutFor = UndoResurrection }, ""},
		"undoing, and it runs":       {func(m *Member) { m.OutFor, m.RunningAt = UndoResurrection, testNow }, OwnerRuns},
		"failing, and passes":        {func(m *Member) { m.OutFor = Failing }, PassedInHold},
		"coming back, and gone":      {func(m *Member) { m.Removing, m.Returning, m.Gone = false, true, true }, OwnerGone},
		"coming back, and stopping":  {func(m *Member) { m.Removing, m.Returning, m.OwnerDraining = false, true, true }, Draining},
		"coming back, and it passes": {func(m *Member) { m.Removing, m.Returning = false, true }, ""},
	} {
		v := service(crowd(10, health.Refused)...)
		m := &v.Members[0]
		*m = well(*m)
		m.Removing, m.Memo = true, Memo{Standing: Out}
		c.change(m)
		var got Reason
		for _, p := range Propose(warm, v, testNow).Proposals {
			if p.Member == 0 && p.Action == Cancel {
				got = p.Reason
			}
		}
		if got != c.want {
			t.Errorf("%s: cancelled because of %q, want %q", name, got, c.want)
		}
	}
}
