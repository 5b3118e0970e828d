package lever_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

func scenarioNamed(t *testing.T, name string) scenario {
	t.Helper()
	i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
	if i < 0 {
		t.Fatalf("no scenario %q", name)
	}
	return scenarios[i]
}

// TestRereadDecides: what the registry says right before the write decides
// whether it is made (rule 16).
func TestRereadDecides(t *testing.T) {
	moved := maps.Clone(ours)
	moved["AWS_INSTANCE_IPV4"] = "10.0.0.8"
	otherPort := maps.Clone(ours)
	otherPort["AWS_INSTANCE_PORT"] = "8081"
	recoloured := maps.Clone(ours)
	recoloured["color"] = "green"
	for _, c := range []struct {
		scenario string
		happens  string
		change   func(*world)
		want     lever.End
		phase    lever.Phase // left in the journal; "" is no entry
	}{
		{"quarantine", "its owner took it away", func(w *world) { w.attrs = nil }, lever.Gone, ""},
		{"quarantine", "another address lives there now", func(w *world) { w.attrs = moved }, lever.Yielded, ""},
		{"quarantine", "another port answers there now", func(w *world) { w.attrs = otherPort }, lever.Yielded, ""},
		{"quarantine again", "another address lives there now", func(w *world) { w.attrs = moved }, lever.Yielded, lever.Returned},
		{"restore", "its owner registered it again", func(w *world) { w.attrs = recoloured }, lever.Yielded, ""},
		{"status out", "somebody set it UNHEALTHY", func(w *world) { w.status = health.Unhealthy }, lever.Yielded, ""},
		{"status out", "another address lives there now", func(w *world) { w.attrs = moved }, lever.Yielded, ""},
		{"status out", "another port answers there now", func(w *world) { w.attrs = otherPort }, lever.Yielded, ""},
		{"status out", "its status is unknown", func(w *world) { w.status = health.Unknown }, lever.NotApplied, ""},
		{"status out", "its owner took it away", func(w *world) { w.attrs = nil }, lever.Gone, ""},
		{"status in", "somebody set it HEALTHY", func(w *world) { w.status = health.Healthy }, lever.Applied, ""},
		{"status in", "its status is unknown", func(w *world) { w.status = health.Unknown }, lever.NotApplied, lever.Out},
		{"status in", "its owner took it away", func(w *world) { w.attrs = nil }, lever.Gone, ""},
		{"drill", "its owner took it away", func(w *world) { w.attrs = nil }, lever.Gone, ""},
		{"release of what is out", "its owner registered it again", func(w *world) { w.attrs = recoloured }, lever.Yielded, ""},
		{"release of what is back", "its owner took it away", func(w *world) { w.attrs = nil }, lever.Gone, ""},
		{"release of what is back", "another address lives there now", func(w *world) { w.attrs = moved }, lever.Yielded, ""},
	} {
		w := newWorld()
		wrote := false
		j, err := run(w, scenarioNamed(t, c.scenario), func(n int, call lever.Call) fate {
			if n == 0 {
				c.change(w)
			}
			wrote = wrote || call.Op.Writes()
			return well
		})
		name := c.scenario + ", " + c.happens
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if wrote {
			t.Errorf("%s: and yet it was written", name)
		}
		if j.End != c.want {
			t.Errorf("%s: ended as %s (%s), want %s", name, j.End, j.Note, c.want)
		}
		var phase lever.Phase
		if w.entry != nil {
			phase = w.entry.Phase
		}
		if phase != c.phase {
			t.Errorf("%s: the journal says %q, want %q", name, phase, c.phase)
		}
	}
}

// drive steps a job until the call that want accepts is next.
func drive(t *testing.T, w *world, j lever.Job, c lever.Call, want func(lever.Call) bool) (lever.Job, lever.Call) {
	t.Helper()
	for range maxCalls {
		if want(c) {
			return j, c
		}
		if j.End != lever.Running {
			break
		}
		r, _ := w.do(c, well)
		j, c = lever.Step(j, r, w.now)
	}
	t.Fatalf("the call never came; the job is %s (%s), next %s", j.End, j.Note, c.Op)
	return j, c
}

func op(o lever.Op) func(lever.Call) bool { return func(c lever.Call) bool { return c.Op == o } }

func over(c lever.Call) bool { return c.Op == lever.Nothing }

// statusPending is a world with an UNHEALTHY that is written and waits.
func statusPending(t *testing.T) (*world, lever.Job, lever.Call) {
	t.Helper()
	w := newWorld()
	j, c := lever.Start(lever.ToOut, fresh(lever.CustomStatus), lever.Pace{}, epoch, w.now)
	j, c = drive(t, w, j, c, op(lever.Wait))
	if !j.Pending() {
		t.Fatal("a status that waits for its effect is not pending")
	}
	return w, j, c
}

// TestUndoBeforeEffect: a written UNHEALTHY is taken back while Cloud Map has
// not applied it, and never afterwards (rule 9).
func TestUndoBeforeEffect(t *testing.T) {
	w, j, _ := statusPending(t)
	w.advance(w.now.Add(20 * time.Second))
	j, c, replaced := j.Cancel(policy.PassedInHold, true, w.now)
	if !replaced {
		t.Fatal("20 s after the write it cannot be taken back")
	}
	j, c = drive(t, w, j, c, op(lever.SetStatus))
	if c.Status != health.Healthy {
		t.Errorf("it writes %s", c.Status)
	}
	j, _ = drive(t, w, j, c, over)
	if j.End != lever.Cancelled || j.Why != policy.PassedInHold || w.entry != nil || w.status != health.Healthy {
		t.Errorf("ended as %s (%s), status %s, entry %v", j.End, j.Why, w.status, w.entry)
	}

	w, j, c = statusPending(t)
	w.advance(w.now.Add(26 * time.Second))
	if j, _, replaced = j.Cancel(policy.PassedInHold, true, w.now); replaced {
		t.Error("26 s after the write it is still taken back")
	}
	if j, _ = drive(t, w, j, c, over); j.End != lever.Applied {
		t.Errorf("ended as %s, want applied", j.End)
	}
}

// TestCancelAfterAStaleRead: reads lag behind the effect. The job writes a
// second time; called off in between, it must not forget the first write, which
// is about to show.
func TestCancelAfterAStaleRead(t *testing.T) {
	w, j, c := statusPending(t)
	for i := range w.pending {
		w.pending[i].at = w.pending[i].at.Add(10 * time.Second) // shows later than the registry's pace says
	}
	j, c = drive(t, w, j, c, op(lever.ReadInstance)) // the read-back showed nothing: it starts anew
	j, _, replaced := j.Cancel(policy.PassedInHold, false, w.now)
	if replaced {
		t.Fatal("a call under way was replaced")
	}
	j, c = drive(t, w, j, c, func(c lever.Call) bool { return c.Op == lever.SetStatus || c.Op == lever.CloseEntry })
	if c.Op != lever.SetStatus || c.Status != health.Healthy {
		t.Fatalf("next is %s %s, want the opposite status", c.Op, c.Status)
	}
	if j, _ = drive(t, w, j, c, over); j.End != lever.Cancelled || w.status != health.Healthy || w.entry != nil {
		t.Errorf("ended as %s, status %s, entry %v", j.End, w.status, w.entry)
	}
}

// TestYoungOutIsRaisedInAnyCase: right after our UNHEALTHY took effect, readers
// that lag may still show HEALTHY. The return writes all the same, or the entry
// would be closed over an instance that nobody raises any more.
func TestYoungOutIsRaisedInAnyCase(t *testing.T) {
	w := newWorld()
	e := scenarioNamed(t, "status in").ready(w)
	e.OutSince = epoch + int64(w.now)
	w.status = health.Healthy // as the reader shows it
	j, c := lever.Start(lever.ToIn, e, lever.Pace{}, epoch, w.now)
	_, c = drive(t, w, j, c, func(c lever.Call) bool { return c.Op.Writes() || c.Op == lever.CloseEntry })
	if c.Op != lever.SetStatus || c.Status != health.Healthy {
		t.Errorf("next is %s %s", c.Op, c.Status)
	}
}

// TestEffectCountsFromTheAnswer: a write that the client's own pace held back
// is given its whole delay before it is read back.
func TestEffectCountsFromTheAnswer(t *testing.T) {
	w := newWorld()
	j, c := lever.Start(lever.ToOut, fresh(lever.CustomStatus), lever.Pace{}, epoch, w.now)
	j, c = drive(t, w, j, c, op(lever.SetStatus))
	w.advance(w.now.Add(12 * time.Second))
	r, _ := w.do(c, well)
	answered := w.now
	j, c = lever.Step(j, r, w.now)
	j, c = drive(t, w, j, c, op(lever.Wait))
	if c.At.Sub(answered) < pace.CustomDelay {
		t.Errorf("read back %s after the answer, want %s at least", c.At.Sub(answered), pace.CustomDelay)
	}
	if j, _ = drive(t, w, j, c, over); j.End != lever.Applied {
		t.Errorf("ended as %s", j.End)
	}
}

// TestUndoWithASlowJournal: the status still reads HEALTHY while the UNHEALTHY
// waits; that must not be taken for the undo's success.
func TestUndoWithASlowJournal(t *testing.T) {
	w, j, _ := statusPending(t)
	j, c, _ := j.Cancel(policy.PassedInHold, true, w.now)
	w.advance(w.now.Add(3 * time.Second)) // longer than a read stays fresh
	j, c = drive(t, w, j, c, op(lever.SetStatus))
	if j, _ = drive(t, w, j, c, over); j.End != lever.Cancelled || w.status != health.Healthy {
		t.Errorf("ended as %s with status %s, want cancelled and HEALTHY", j.End, w.status)
	}
}

// TestRefusedUndoLetsTheRemovalStand: what cannot be taken back is journalled
// as out when it takes effect, so that it comes back later.
func TestRefusedUndoLetsTheRemovalStand(t *testing.T) {
	w, j, _ := statusPending(t)
	j, c, _ := j.Cancel(policy.PassedInHold, true, w.now)
	j, c = drive(t, w, j, c, op(lever.SetStatus))
	r, _ := w.do(c, denied)
	j, c = lever.Step(j, r, w.now)
	j, _ = drive(t, w, j, c, over)
	if j.End != lever.Applied || j.Goal != lever.ToOut || w.entry == nil || w.entry.Phase != lever.Out {
		t.Errorf("ended as %s to %s, entry %+v", j.End, j.Goal, w.entry)
	}
}

// TestSlowJournalReadsAgain: a read that grew old while the journal wrote is
// repeated before the call, and the journal is not written a second time.
func TestSlowJournalReadsAgain(t *testing.T) {
	w := newWorld()
	j, c := lever.Start(lever.ToOut, fresh(lever.Quarantine), lever.Pace{}, epoch, w.now)
	j, c = drive(t, w, j, c, op(lever.UpdateEntry))
	w.advance(w.now.Add(3 * time.Second))
	r, _ := w.do(c, well)
	j, c = lever.Step(j, r, w.now)
	if c.Op != lever.ReadInstance {
		t.Fatalf("next is %s, want a second look", c.Op)
	}
	r, _ = w.do(c, well)
	if _, c = lever.Step(j, r, w.now); c.Op != lever.Deregister {
		t.Errorf("next is %s, want the call itself", c.Op)
	}
}

// TestDrillMustSucceed: a drill whose operation failed proves nothing, though
// the record looks as it did.
func TestDrillMustSucceed(t *testing.T) {
	for f, want := range map[fate]lever.End{operationFails: lever.NotApplied, denied: lever.NotApplied, lostBefore: lever.Applied} {
		w := newWorld()
		writes := 0
		j, err := run(w, scenarioNamed(t, "drill"), func(_ int, c lever.Call) fate {
			if c.Op == lever.Register {
				if writes++; writes == 1 {
					return f
				}
			}
			return well
		})
		if err != nil || j.End != want {
			t.Errorf("%s: ended as %s (%s), want %s; %v", f, j.End, j.Note, want, err)
		}
	}
}

// TestDerivedAttributesAreNotSent: Cloud Map derives the address of an EC2
// instance and refuses to be given it; the journal keeps it all the same.
func TestDerivedAttributesAreNotSent(t *testing.T) {
	full := health.AttributesOf(map[string]string{"AWS_EC2_INSTANCE_ID": "i-0abc", "AWS_INSTANCE_IPV4": "10.0.0.7", "color": "blue"})
	e := fresh(lever.Quarantine)
	e.Phase, e.Version, e.Attributes = lever.Out, 3, full
	j, c := lever.Start(lever.ToIn, e, lever.Pace{}, epoch, begin)
	j, c = lever.Step(j, lever.Result{Op: c.Op, Fault: lever.NotFound}, begin)
	if !c.Entry.Attributes.Equal(full) {
		t.Errorf("journals %v", c.Entry.Attributes)
	}
	marked := c.Entry
	marked.Version++
	_, c = lever.Step(j, lever.Result{Op: c.Op, Entry: marked}, begin)
	want := health.AttributesOf(map[string]string{"AWS_EC2_INSTANCE_ID": "i-0abc", "color": "blue"})
	if c.Op != lever.Register || !c.Attributes.Equal(want) {
		t.Errorf("%s %v, want %v", c.Op, c.Attributes, want)
	}
}

// TestLateEffectIsOurs: a deregistration whose answer was lost and that takes
// effect after all is not mistaken for the owner's.
func TestLateEffectIsOurs(t *testing.T) {
	w := newWorld()
	j, c := lever.Start(lever.ToOut, fresh(lever.Quarantine), lever.Pace{}, epoch, w.now)
	j, c = drive(t, w, j, c, op(lever.Deregister))
	r, _ := w.do(c, lostBefore)
	j, c = lever.Step(j, r, w.now)
	settled := w.now.Add(pace.Settle)
	j, c = drive(t, w, j, c, func(c lever.Call) bool { return c.At > settled }) // it tries anew
	for _, cancelled := range []bool{false, true} {                             // also when nobody wants it any more
		w, j, entry := *w, j, *w.entry
		w.entry, w.attrs = &entry, nil
		if cancelled {
			var replaced bool
			if j, _, replaced = j.Cancel(policy.PassedInHold, true, w.now); replaced {
				t.Fatal("what may take effect was dropped")
			}
		}
		if j, _ = drive(t, &w, j, c, over); j.End != lever.Applied || w.entry == nil || w.entry.Phase != lever.Out {
			t.Errorf("cancelled %v: ended as %s (%s), entry %+v", cancelled, j.End, j.Note, w.entry)
		}
	}
}

// TestReleaseIsNotCancelled: the end of the process while a release looks must
// not close the entry of what is out.
func TestReleaseIsNotCancelled(t *testing.T) {
	for _, parked := range []bool{false, true} {
		w := newWorld()
		e := scenarioNamed(t, "release of what is out").ready(w)
		j, c := lever.Release(e, lever.Pace{}, epoch)
		j, _, replaced := j.Cancel(policy.Stopping, parked, w.now)
		if replaced {
			t.Error("a release was replaced")
		}
		if j, _ = drive(t, w, j, c, over); j.End != lever.NotApplied || w.entry == nil {
			t.Errorf("ended as %s, entry %v", j.End, w.entry)
		}
	}
}

// TestResume: what each phase of an entry asks of the next process first.
func TestResume(t *testing.T) {
	for _, c := range []struct {
		kind  lever.Kind
		phase lever.Phase
		op    string // of the operation
		want  lever.Op
		ok    bool
	}{
		{lever.Quarantine, lever.Intended, "", lever.CloseEntry, true},
		{lever.Quarantine, lever.Sending, "", lever.ReadInstance, true},
		{lever.Quarantine, lever.Submitted, "op-1", lever.PollOperation, true},
		{lever.Quarantine, lever.Submitted, "", lever.ReadInstance, true},
		{lever.Quarantine, lever.Out, "", lever.Nothing, false},
		{lever.Quarantine, lever.Returning, "", lever.ReadInstance, true},
		{lever.Quarantine, lever.Accepted, "op-1", lever.PollOperation, true},
		{lever.Quarantine, lever.Returned, "", lever.Nothing, false},
		{lever.CustomStatus, lever.Intended, "", lever.CloseEntry, true},
		{lever.CustomStatus, lever.Sending, "", lever.Wait, true},
		{lever.CustomStatus, lever.Submitted, "", lever.Wait, true},
		{lever.CustomStatus, lever.Out, "", lever.Nothing, false},
		{lever.CustomStatus, lever.Returning, "", lever.Wait, true},
		{lever.Drill, lever.Sending, "", lever.ReadInstance, true},
		{lever.Drill, lever.Submitted, "op-1", lever.PollOperation, true},
		{lever.Quarantine, "a phase of a later version", "", lever.Nothing, false},
	} {
		e := fresh(c.kind)
		e.Phase, e.Version, e.Operation = c.phase, 2, c.op
		_, call, ok := lever.Resume(e, lever.Pace{}, epoch, begin)
		if ok != c.ok || call.Op != c.want {
			t.Errorf("%s %s: first %s, ok %v; want %s, %v", c.kind, c.phase, call.Op, ok, c.want, c.ok)
		}
	}
}

// TestTokensDiffer: each attempt of a restore is a request of its own, and the
// repeat of none before it.
func TestTokensDiffer(t *testing.T) {
	w := newWorld()
	var tokens []string
	_, err := run(w, scenarioNamed(t, "restore"), func(_ int, c lever.Call) fate {
		if c.Op != lever.Register {
			return well
		}
		tokens = append(tokens, c.Token)
		if len(tokens) < 3 {
			return throttled
		}
		return well
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(tokens)
	if len(tokens) != 3 || len(slices.Compact(tokens)) != 3 || tokens[0] == "" {
		t.Errorf("tokens %q, want three different ones", tokens)
	}
}

func TestEntryIsOut(t *testing.T) {
	for phase, want := range map[lever.Phase]bool{
		lever.Intended: false, lever.Sending: true, lever.Submitted: true, lever.Out: true,
		lever.Returning: true, lever.Accepted: true, lever.Returned: false,
	} {
		if got := (lever.Entry{Kind: lever.Quarantine, Phase: phase}).IsOut(); got != want {
			t.Errorf("an entry in phase %s is out: %v", phase, got)
		}
		if (lever.Entry{Kind: lever.Drill, Phase: phase}).IsOut() {
			t.Errorf("a drill in phase %s is out", phase)
		}
	}
}

func TestPaceWithDefaults(t *testing.T) {
	p := lever.Pace{Poll: time.Millisecond}.WithDefaults()
	if p.Poll != time.Millisecond || p.CustomDelay != 30*time.Second || p.Deadline != 2*time.Minute {
		t.Errorf("got %+v", p)
	}
}

func TestWhichCallsWrite(t *testing.T) {
	for op := lever.Nothing; op <= lever.PollOperation; op++ {
		want := op == lever.Register || op == lever.Deregister || op == lever.SetStatus
		if op.Writes() != want {
			t.Errorf("%s writes: %v", op, !want)
		}
	}
}

// TestOverIsOver: an ended job takes no more results.
func TestOverIsOver(t *testing.T) {
	w := newWorld()
	j, err := run(w, scenarioNamed(t, "quarantine"), func(int, lever.Call) fate { return well })
	if err != nil {
		t.Fatal(err)
	}
	before, _ := j.Left()
	j, c := lever.Step(j, lever.Result{}, w.now)
	if after, _ := j.Left(); c.Op != lever.Nothing || after.ID != before.ID || j.End != lever.Applied {
		t.Errorf("one more result: %s, leaves %+v", c.Op, after)
	}
}
