package probe

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// A process that stood still says so before it delivers what it then saw, and
// probes each target once, not once for each interval missed.
func TestPauseIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 0, fails)
		for i := range uint32(10) {
			r.engine.Watch(watched(i, "srv", time.Second), health.Instant(1+i*100e6))
		}
		stop := r.run()
		time.Sleep(2950 * ms)
		synctest.Wait()
		seen := len(r.seen)
		r.jump.Store(int64(5 * time.Second))
		time.Sleep(90 * ms)
		stop()
		late := len(r.seen) - seen
		// All ten were missed; the loop woke for the first that was due then.
		if want := fmt.Sprint("paused@", seen); late != 10 || !slices.Contains(r.doubts, want) {
			t.Errorf("%d probes after the pause, want 10; doubts %v, want %s", late, r.doubts, want)
		}
		for _, o := range r.seen[seen:] {
			if o.Outcome == health.Fail && o.Start.Sub(o.Due) > 500*ms {
				t.Errorf("a failure that started %v late counts", o.Start.Sub(o.Due))
			}
		}
	})
}

func TestOwnLatenessIsDoubted(t *testing.T) {
	for late, doubted := range map[time.Duration]bool{600 * ms: true, 400 * ms: false} {
		synctest.Test(t, func(t *testing.T) {
			var r *rig
			r = newRig(t, 0, func(context.Context, *health.Target) health.Observation {
				return health.Observation{Outcome: health.Pass, Start: r.now().Add(late)} // as if no processor had been free
			})
			r.engine.Watch(watched(0, "srv", time.Second), 1)
			stop := r.run()
			time.Sleep(3500 * ms)
			stop()
			if got := len(r.doubts) > 0; got != doubted {
				t.Errorf("%v late: doubts %v, want any: %t", late, r.doubts, doubted)
			}
		})
	}
}

// Waiting for room behind one's own service is no lateness of the checker.
func TestFullRoomIsNoDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4, takes(700*ms, fails))
		for i := range uint32(50) {
			r.engine.Watch(watched(i, "srv", time.Second), 1)
		}
		stop := r.run()
		time.Sleep(5 * time.Second)
		stop()
		if len(r.doubts) > 0 {
			t.Errorf("doubts %v", r.doubts)
		}
	})
}

func TestDoubtsOfProbersAreReportedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *rig
		r = newRig(t, 0, func(context.Context, *health.Target) health.Observation {
			r.engine.loop.senses.raise(health.DoubtDescriptors)
			return health.Observation{Cause: health.LocalFault}
		})
		for i := range uint32(100) {
			r.engine.Watch(watched(i, "srv", time.Second), health.Instant(1+i*10e6))
		}
		stop := r.run()
		time.Sleep(3500 * ms)
		stop()
		if n := len(r.doubts); n != 4 {
			t.Errorf("%d reports in 3.5 s: %v, want 4", n, r.doubts)
		}
		if r.doubts[0] != "descriptors@0" {
			t.Errorf("the first is %s, want it before any observation", r.doubts[0])
		}
	})
}

// Observations wait for company, doubts do not.
func TestDoubtsAreNotHeldBack(t *testing.T) {
	b := newOutbox(func() {})
	b.add(health.Observation{})
	b.pack(1)
	if _, ok := b.take(); ok {
		t.Error("a single observation leaves at once")
	}
	b.doubt(health.DoubtPorts)
	b.pack(2)
	if p, ok := b.take(); !ok || len(p.doubts) != 1 || len(p.observations) != 1 {
		t.Errorf("ready after a doubt: %+v", p)
	}
}
