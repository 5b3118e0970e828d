package lever_test

import (
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// TestARemovalStandsThatCannotBeTakenBack: the journal refuses to note that a
// pending removal is taken back, so it takes effect as it was meant to, when it
// was meant to; and where it has none, its entry is closed.
func TestARemovalStandsThatCannotBeTakenBack(t *testing.T) {
	for _, fault := range []lever.Fault{lever.Failed, lever.Conflict} {
		e := fresh(lever.CustomStatus)
		e.Phase, e.Version = lever.Submitted, 3
		j, c, ok := lever.Resume(e, lever.Pace{}, epoch, begin)
		if !ok || c.Op != lever.Wait {
			t.Fatalf("resumed with %s", c.Op)
		}
		at := begin.Add(time.Second)
		j, c, replaced := j.Cancel(policy.PassedInHold, true, at)
		if !replaced || c.Op != lever.UpdateEntry || c.Entry.Phase != lever.Returning {
			t.Fatalf("taken back by %s of %s", c.Op, c.Entry.Phase)
		}
		j, c = lever.Step(j, lever.Result{Op: c.Op, Fault: fault}, at)
		if c.Op != lever.Wait || c.At != begin.Add(35*time.Second) || !j.Pending() || j.Why != "" {
			t.Errorf("%s: %s at %s, because of %q", fault, c.Op, c.At.Sub(begin), j.Why)
		}
		j, c = lever.Step(j, lever.Result{Op: c.Op}, c.At)
		if c.Op != lever.ReadStatus {
			t.Fatalf("then %s", c.Op)
		}
		_, c = lever.Step(j, lever.Result{Op: c.Op, Found: true, Status: health.Healthy}, begin.Add(36*time.Second))
		if c.Op != lever.CloseEntry {
			t.Errorf("%s: without effect, and then %s", fault, c.Op)
		}
	}
}

// TestARemovalStandsWhenItWasMeantTo: the call that takes it back fails, later
// than the removal was answered.
func TestARemovalStandsWhenItWasMeantTo(t *testing.T) {
	e := fresh(lever.CustomStatus)
	e.Phase, e.Version = lever.Submitted, 3
	j, _, _ := lever.Resume(e, lever.Pace{}, epoch, begin)
	at := begin.Add(time.Second)
	j, c, _ := j.Cancel(policy.PassedInHold, true, at)
	j, c = lever.Step(j, lever.Result{Op: c.Op, Entry: c.Entry}, at)
	if c.Op != lever.SetStatus || c.Status != health.Healthy {
		t.Fatalf("taken back by %s %s", c.Op, c.Status)
	}
	j, c = lever.Step(j, lever.Result{Op: c.Op, Fault: lever.Failed}, at.Add(time.Second))
	if c.Op != lever.Wait || c.At != begin.Add(35*time.Second) || j.Note != "call: failed" {
		t.Errorf("%s at %s, %q", c.Op, c.At.Sub(begin), j.Note)
	}
}

// TestCancelOfAYoungProcess: nothing was written yet, however little time has
// passed since the clock began.
func TestCancelOfAYoungProcess(t *testing.T) {
	now := health.Instant(time.Second)
	j, c := lever.Start(lever.ToOut, fresh(lever.CustomStatus), lever.Pace{}, epoch, now)
	stored := c.Entry
	stored.Version = 1
	j, c = lever.Step(j, lever.Result{Op: c.Op, Entry: stored}, now)
	j, c = lever.Step(j, lever.Result{Op: c.Op, Fault: lever.Throttled}, now)
	if c.At <= now {
		t.Fatalf("%s again at once", c.Op)
	}
	if j, c, replaced := j.Cancel(policy.PassedInHold, true, now); !replaced || c.Op != lever.CloseEntry || j.Sent() {
		t.Errorf("called off by %s", c.Op)
	}
}

// TestFirstRaiseThatWasOnlyIntended leaves nothing: nothing of ours was in effect before.
func TestFirstRaiseThatWasOnlyIntended(t *testing.T) {
	e := fresh(lever.CustomStatus)
	e.Phase, e.Version, e.Reason = lever.Intended, 1, policy.FirstPass
	j, c, ok := lever.Resume(e, lever.Pace{}, epoch, begin)
	if !ok || c.Op != lever.CloseEntry || j.Goal != lever.ToIn {
		t.Errorf("%s, on its way %s", c.Op, j.Goal)
	}
}

// TestRestoreThatShowsLate: its answer was lost and nothing showed for Settle;
// when it shows after all, it is our own doing and nobody else's.
func TestRestoreThatShowsLate(t *testing.T) {
	w := newWorld()
	lost := false
	j, err := run(w, scenarioNamed(t, "restore"), func(_ int, c lever.Call) fate {
		if c.Op == lever.Register && !lost {
			lost = true
			return lostBefore
		}
		if lost && max(w.now, c.At).Sub(begin) > 31*time.Second && w.attrs == nil {
			w.attrs = ours
		}
		return well
	})
	if err != nil || j.End != lever.Applied || w.entry == nil || w.entry.Phase != lever.Returned {
		t.Errorf("ended as %s: %v", j.End, err)
	}
}

// TestTakenBackAndOverruled: the opposite was accepted twice and does not show;
// somebody else's word stands, and ours is not said again.
func TestTakenBackAndOverruled(t *testing.T) {
	for _, answer := range []fate{well, lostBefore} {
		w := newWorld()
		waits, raised := 0, 0
		j, err := run(w, scenarioNamed(t, "status out"), func(_ int, c lever.Call) fate {
			switch {
			case c.Op == lever.Wait:
				if waits++; waits == 1 {
					return cancelledAtCall
				}
			case c.Op == lever.SetStatus && c.Status == health.Healthy:
				raised++
				return answer
			case c.Op == lever.ReadStatus && raised > 0:
				w.status = health.Unhealthy
			}
			return well
		})
		if err != nil || j.End == lever.Applied || raised != 2 || j.Goal != lever.ToIn {
			t.Errorf("%s: raised %d times, ended as %s on its way %s: %v", answer, raised, j.End, j.Goal, err)
		}
	}
}
