package probe

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// A failure that had to wait for room for more than half an interval says
// nothing; a pass does, and so does a failure that waited less.
func TestLateFailuresAreWithdrawn(t *testing.T) {
	for _, c := range []struct {
		wait    time.Duration
		probe   probeFunc
		outcome health.Outcome
		cause   health.Cause
	}{
		{600 * ms, fails, health.Indeterminate, health.Late},
		{600 * ms, passes, health.Pass, health.NoCause},
		{400 * ms, fails, health.Fail, health.Refused},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 1, byService("slow", takes(c.wait, passes), c.probe))
			r.engine.Watch(watched(0, "slow", time.Second), 1)
			r.engine.Watch(watched(1, "srv", time.Second), 2)
			stop := r.run()
			time.Sleep(900 * ms)
			stop()
			got := r.of(health.NewHandle(1, 1))
			if len(got) != 1 || got[0].Outcome != c.outcome || got[0].Cause != c.cause || got[0].Start.Sub(got[0].Due) != c.wait-1 {
				t.Errorf("after a wait of %v: %+v, want %v %v", c.wait, got, c.outcome, c.cause)
			}
		})
	}
}

// A probe that runs on long after its timeout was held up by the checker.
func TestOverrunIsNotTheTargetsFailure(t *testing.T) {
	check := health.Check{Interval: time.Second, Timeout: 200 * ms}
	for _, c := range []struct {
		took time.Duration
		want health.Cause
	}{{250 * ms, health.Timeout}, {701 * ms, health.Late}} {
		o := timely(health.Observation{Outcome: health.Fail, Cause: health.Timeout, Due: 1, Start: 1, End: health.Instant(1 + c.took)}, check.Interval, check.Timeout)
		if o.Cause != c.want || (o.Outcome == health.Fail) != (c.want == health.Timeout) {
			t.Errorf("a timeout of %v that took %v is %v %v", check.Timeout, c.took, o.Outcome, o.Cause)
		}
	}
}

// Without room until the next one is due, a probe is reported as not made.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, byService("stuck", takes(time.Hour, passes), passes))
		r.engine.Watch(watched(0, "stuck", time.Hour), 1)
		r.engine.Watch(watched(1, "srv", time.Second), 1+health.Instant(100*ms))
		stop := r.run()
		time.Sleep(3500 * ms)
		if s := r.engine.Stats(); s.Waiting != 1 || s.InFlight != 1 || s.Targets != 2 {
			t.Errorf("stats %+v", s)
		}
		stop()
		got := r.of(health.NewHandle(1, 1))
		if want := []time.Duration{100 * ms, 1100 * ms, 2100 * ms}; !slices.Equal(dues(got), want) {
			t.Errorf("due at %v, want %v", dues(got), want)
		}
		for _, o := range got {
			if o.Outcome != health.Indeterminate || o.Cause != health.Overloaded {
				t.Errorf("got %v %v", o.Outcome, o.Cause)
			}
		}
	})
}

// Services whose targets all hang leave room to the others.
func TestHangingServicesDoNotStarveOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 60, byService("quick", takes(5*ms, passes), takes(time.Hour, passes)))
		for i := range uint32(400) {
			r.engine.Watch(watched(i, fmt.Sprint("stuck-", i%3), time.Second), 1)
		}
		for i := range uint32(20) {
			r.engine.Watch(watched(1000+i, "quick", time.Second), health.Instant(1+i*50e6))
		}
		stop := r.run()
		time.Sleep(10 * time.Second)
		stop()
		for i := range uint32(20) {
			got := r.of(health.NewHandle(1000+i, 1))
			if len(got) != 10 {
				t.Fatalf("target %d was probed %d times in 10 intervals", i, len(got))
			}
			for _, o := range got {
				if o.Outcome != health.Pass || o.Start != o.Due {
					t.Fatalf("%v, due %d, started %d", o.Outcome, o.Due, o.Start)
				}
			}
		}
	})
}

func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2000, passes)
		for i := range uint32(1000) {
			r.engine.Watch(watched(i, fmt.Sprint("srv-", i/4), time.Second), 1+health.Instant(i/2)*health.Instant(ms)) // two a millisecond
		}
		for i := range uint32(1000) {
			r.engine.Watch(watched(1000+i, fmt.Sprint("srv-", i/4), time.Second), 1+health.Instant(700*ms)) // all at once
		}
		stop := r.run()
		time.Sleep(900 * ms)
		stop()
		if len(r.seen) != 2000 {
			t.Fatalf("%d observations, want 2000", len(r.seen))
		}
		for i, o := range r.seen {
			if wait := r.arrived[i].Sub(o.End); wait > batchAge {
				t.Fatalf("observation %d waited %v", i, wait)
			}
		}
		for _, b := range r.batches {
			if len(b) == 0 || len(b) > batchSize {
				t.Fatalf("a batch of %d", len(b))
			}
		}
		if n := len(r.batches); n > 70 {
			t.Errorf("%d batches for 500 ms and a burst, want about 60", n)
		}
	})
}

// While nobody takes observations away no further probes are made, memory
// stays bounded, and everything goes on afterwards.
func TestBlockedDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var probes atomic.Int64
		r := newRig(t, 64, func(context.Context, *health.Target) health.Observation {
			probes.Add(1)
			return health.Observation{Outcome: health.Pass}
		})
		release := make(chan struct{})
		deliver := r.engine.cfg.Deliver
		r.engine.cfg.Deliver = func(b []health.Observation) { <-release; deliver(b) }
		for i := range uint32(100) {
			r.engine.Watch(watched(i, fmt.Sprint("srv-", i), 100*ms), health.Instant(1+i*1e6))
		}
		stop := r.run()
		time.Sleep(time.Minute)
		synctest.Wait()
		made := probes.Load()
		if most := int64((maxParcels + 3) * batchSize); made > most {
			t.Errorf("%d probes were made for nobody, want at most %d", made, most)
		}
		if s := r.engine.Stats(); s.Dropped == 0 || r.engine.loop.outbox.waiting() > maxParcels+2 {
			t.Errorf("%d parcels wait, %d observations dropped", r.engine.loop.outbox.waiting(), s.Dropped)
		}
		close(release)
		time.Sleep(time.Second)
		before := probes.Load()
		time.Sleep(time.Second)
		if n := probes.Load() - before; n < 990 {
			t.Errorf("%d probes in the second after the next, want 10 of each target", n)
		}
		stop()
	})
}

// The consumer of observations may call back.
func TestOrdersFromDeliver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 0, fails)
		deliver := r.engine.cfg.Deliver
		r.engine.cfg.Deliver = func(b []health.Observation) {
			deliver(b)
			for _, o := range b {
				r.engine.Reschedule(o.Target, o.Start.Add(200*ms))
			}
		}
		r.engine.Watch(watched(0, "srv", time.Second), 1)
		stop := r.run()
		time.Sleep(990 * ms)
		stop()
		want := []time.Duration{0, 200 * ms, 400 * ms, 600 * ms, 800 * ms}
		if got := dues(r.seen); !slices.Equal(got, want) {
			t.Errorf("due at %v, want %v", got, want)
		}
	})
}
