package controller

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// hanging never answers; it heeds its context.
func hanging(ctx context.Context, c lever.Call) lever.Result {
	<-ctx.Done()
	return lever.Result{Op: c.Op, Fault: lever.Ambiguous}
}

// TestStopWaitsForCalls: a call under way at the stop ends, and what came of
// it is recorded.
func TestStopWaitsForCalls(t *testing.T) {
	play(t, func(r *rig) {
		r.levers.do = func(ctx context.Context, c lever.Call) lever.Result {
			time.Sleep(2 * time.Second)
			if ctx.Err() != nil {
				t.Error("the call was called off")
			}
			return obliging(ctx, c)
		}
		r.run(entry(0, lever.Intended)) // to be closed, unwritten
		began := time.Now()
		r.end()
		if took := r.endedAt.Sub(began); took != 2*time.Second {
			t.Errorf("the end took %s, the call 2 s", took)
		}
		stored, _ := r.keeper.stored()
		if last := stored[len(stored)-1]; last.Kind != warden.ActuationRecord || last.Instance != "web-0" {
			t.Errorf("the last record is %+v, want the end of the procedure", last)
		}
	})
}

// TestStopGivesUp: calls that hang are called off in time, and it is said.
func TestStopGivesUp(t *testing.T) {
	play(t, func(r *rig) {
		r.levers.do = hanging
		r.run(entry(0, lever.Intended), entry(1, lever.Submitted))
		began := time.Now()
		r.end()
		if took := r.endedAt.Sub(began); took > stopWithin {
			t.Errorf("the end took %s", took)
		}
		said := r.log.with("stopping with calls under way; the next start reads them back")
		if len(said) != 1 || said[0].attrs["calls"] != "2" {
			t.Errorf("the log says %v", said)
		}
	})
}

// TestStopIsSoon: with everything hanging at once, the way out leaves room in
// the 10 s of safety rule 21.
func TestStopIsSoon(t *testing.T) {
	play(t, func(r *rig) {
		r.levers.do = hanging
		r.keeper.hinder = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		r.run(entry(0, lever.Intended))
		time.Sleep(time.Minute)
		began := time.Now()
		r.end()
		if took := r.endedAt.Sub(began); took > 7*time.Second {
			t.Errorf("the end took %s, want at most 7 s", took)
		}
	})
}

// TestStopWithoutCalls: nothing under way, nothing to wait for.
func TestStopWithoutCalls(t *testing.T) {
	play(t, func(r *rig) {
		r.run()
		began := time.Now()
		r.end()
		if !r.endedAt.Equal(began) {
			t.Errorf("the end took %s", r.endedAt.Sub(began))
		}
	})
}

// TestStopWritesNothing: a procedure that stands right before its write when
// the stop comes does not make it, whatever its read says.
func TestStopWritesNothing(t *testing.T) {
	for _, stop := range []bool{false, true} {
		play(t, func(r *rig) {
			reading, answer := make(chan struct{}), make(chan struct{})
			var first sync.Once
			r.levers.do = func(ctx context.Context, c lever.Call) lever.Result {
				if c.Op == lever.ReadInstance {
					first.Do(func() { close(reading); <-answer })
				}
				return obliging(ctx, c)
			}
			out := entry(0, lever.Out)
			out.Operation = ""
			r.run(out)
			r.ctl.Send(warden.RestoreAsked{Service: "shop/web", Instance: "web-0"})
			<-reading
			if stop {
				r.cancel()
				synctest.Wait()
			}
			close(answer)
			if stop {
				<-r.stopped
			}
			synctest.Wait()
			writes := 0
			for _, c := range r.levers.made() {
				if c.Op.Writes() {
					writes++
				}
			}
			if stop != (writes == 0) {
				t.Errorf("stopped %t, and the procedure made %d writes", stop, writes)
			}
		})
	}
}

// TestNoProcedureBegins: what is asked for while the process ends is left to
// the next one.
func TestNoProcedureBegins(t *testing.T) {
	play(t, func(r *rig) {
		out := entry(0, lever.Out)
		r.levers.do = func(ctx context.Context, c lever.Call) lever.Result {
			time.Sleep(time.Second)
			return obliging(ctx, c)
		}
		r.run(out, entry(1, lever.Intended))
		r.cancel()
		synctest.Wait()
		r.ctl.Send(warden.RestoreAsked{All: true})
		<-r.stopped
		for _, c := range r.levers.made() {
			if c.Instance == out.Instance {
				t.Errorf("%s about %s after the stop", c.Op, c.Instance)
			}
		}
	})
}

// TestRunEndsAtOnce: a context that had ended before still ends well.
func TestRunEndsAtOnce(t *testing.T) {
	play(t, func(r *rig) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.runIn(ctx, entry(0, lever.Submitted))
		r.end()
		if stored, _ := r.keeper.stored(); len(stored) == 0 {
			t.Error("the records were lost")
		}
	})
}

// TestRetired: Run ends by itself once everything is returned, and lingers for
// those who want to see it.
func TestRetired(t *testing.T) {
	play(t, func(r *rig) {
		r.run()
		if err := r.ctl.Command(context.Background(), warden.Retire{By: "ann"}); err != nil {
			t.Fatal(err)
		}
		var at time.Time
		for ; !r.ctl.Snapshot().Retired; synctest.Wait() {
			if at = time.Now(); at.Sub(r.began) > time.Minute {
				t.Fatal("it does not retire")
			}
			time.Sleep(time.Millisecond)
		}
		<-r.stopped
		if took := r.endedAt.Sub(at); took < retiredLinger-time.Millisecond || took > retiredLinger+time.Millisecond {
			t.Errorf("Run lingered for %s, want %s", took, retiredLinger)
		}
	})
}
