package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

func TestEngineNeedsClockAndDelivery(t *testing.T) {
	ok := func([]health.Observation) {}
	now := func() health.Instant { return 1 }
	for _, c := range []Config{{}, {Now: now}, {Deliver: ok}, {Now: now, Deliver: ok, MaxInFlight: -1}} {
		if _, err := NewEngine(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

// Whatever the probes take, each is due on the grid of its target.
func TestEngineKeepsPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 0, func(ctx context.Context, tg *health.Target) health.Observation {
			return takes(time.Duration(rand.Int64N(int64(900*ms))), passes)(ctx, tg)
		})
		const targets, rounds = 40, 30
		for i := range uint32(targets) {
			r.engine.Watch(watched(i, "srv", time.Second), health.Instant(1+i*7e6))
		}
		stop := r.run()
		time.Sleep(rounds * time.Second)
		stop()
		for i := range uint32(targets) {
			got := r.of(health.NewHandle(i, 1))
			if len(got) < rounds-1 {
				t.Fatalf("target %d was probed %d times in %d intervals", i, len(got), rounds)
			}
			for n, o := range got {
				if want := health.Instant(1 + i*7e6).Add(time.Duration(n) * time.Second); o.Due != want || o.Start != o.Due {
					t.Fatalf("target %d, probe %d: due %d, started %d, want %d", i, n, o.Due, o.Start, want)
				}
			}
		}
	})
}

// A probe that outlasts its interval is not joined by a second one, and the
// instants that it covers are passed over.
func TestEngineNeverProbesTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		r := newRig(t, 0, func(ctx context.Context, tg *health.Target) health.Observation {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			return takes(1500*ms, passes)(ctx, tg)
		})
		r.engine.Watch(watched(0, "srv", time.Second), 1)
		stop := r.run()
		time.Sleep(7 * time.Second)
		stop()
		got := dues(r.of(health.NewHandle(0, 1)))
		if want := []time.Duration{0, 2 * time.Second, 4 * time.Second}; !slices.Equal(got, want) || most.Load() != 1 {
			t.Errorf("due at %v, want %v; %d at once", got, want, most.Load())
		}
	})
}

func TestRescheduleMovesOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 0, takes(10*ms, passes))
		h := health.NewHandle(0, 1)
		r.engine.Watch(watched(0, "srv", time.Second), 1)
		stop := r.run()
		time.Sleep(100 * ms)
		r.engine.Reschedule(h, 1+health.Instant(300*ms)) // earlier
		time.Sleep(1300 * ms)                            // 1.4 s
		r.engine.Reschedule(h, 1+health.Instant(2700*ms))
		time.Sleep(2 * time.Second) // 3.4 s
		r.engine.Reschedule(h, 5)   // long past: now
		r.engine.Reschedule(health.NewHandle(0, 2), 5)
		r.engine.Reschedule(health.NewHandle(9, 1), 5)
		time.Sleep(2 * time.Second)
		stop()
		want := []time.Duration{0, 300 * ms, 1000 * ms, 2700 * ms, 3000 * ms, 3400 * ms, 4000 * ms, 5000 * ms}
		if got := dues(r.of(h)); !slices.Equal(got, want) {
			t.Errorf("due at %v, want %v", got, want)
		}
	})
}

func TestFirstDueInThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 0, passes)
		stop := r.run()
		time.Sleep(2500 * ms)
		r.engine.Watch(watched(0, "srv", time.Second), 1) // phase 0, missed three times
		time.Sleep(2 * time.Second)
		stop()
		want := []time.Duration{2500 * ms, 3000 * ms, 4000 * ms}
		if got := dues(r.of(health.NewHandle(0, 1))); !slices.Equal(got, want) {
			t.Errorf("due at %v, want %v: at once, then on the grid, without a burst", got, want)
		}
	})
}

// Answers for targets that have gone, or whose check is another one by now,
// reach nobody.
func TestLateAnswersAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 0, func(ctx context.Context, tg *health.Target) health.Observation {
			return takes(tg.Check.Timeout, func(context.Context, *health.Target) health.Observation {
				return health.Observation{Outcome: health.Pass, Detail: tg.Instance}
			})(ctx, tg)
		})
		old := watched(0, "srv", time.Second)
		old.Instance, old.Check.Timeout = "old", 800*ms
		r.engine.Watch(old, 1)
		stop := r.run()
		time.Sleep(500 * ms)
		r.engine.Unwatch(old.Handle)
		next := watched(0, "srv", time.Second)
		next.Handle, next.Instance, next.Check.Timeout = health.NewHandle(0, 2), "next", 100*ms
		r.engine.Watch(next, r.now())
		r.engine.Unwatch(old.Handle) // of an older generation: nothing
		r.engine.Watch(old, r.now()) // likewise
		time.Sleep(250 * ms)         // 0.75 s: next was probed once

		slow := next // the same handle, another check, due at once
		slow.Instance, slow.Check.Timeout = "other check", 700*ms
		r.engine.Watch(slow, r.now())
		time.Sleep(50 * ms) // 0.8 s: replaced while it runs
		slow.Instance, slow.Check.Timeout = "third check", 10*ms
		r.engine.Watch(slow, r.now())
		time.Sleep(700 * ms) // 1.5 s
		stats := r.engine.Stats()
		stop()
		var got []string
		for _, o := range r.seen {
			got = append(got, fmt.Sprint(o.Target.Generation(), " ", o.Detail))
		}
		if want := []string{"2 next", "2 third check"}; !slices.Equal(got, want) {
			t.Errorf("delivered %q, want %q", got, want)
		}
		if stats.Dropped != 2 || stats.Targets != 1 {
			t.Errorf("stats %+v, want 2 dropped", stats)
		}
	})
}

func TestUnwatchWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, byService("stuck", takes(1500*ms, passes), passes))
		r.engine.Watch(watched(0, "stuck", time.Hour), 1)
		r.engine.Watch(watched(1, "srv", time.Hour), 2)
		r.engine.Watch(watched(2, "srv", time.Hour), 3)
		stop := r.run()
		time.Sleep(time.Second)
		r.engine.Unwatch(health.NewHandle(1, 1))
		time.Sleep(time.Second)
		if s := r.engine.Stats(); s.Waiting != 0 || s.InFlight != 0 || s.Targets != 2 {
			t.Errorf("stats %+v", s)
		}
		stop()
		if len(r.of(health.NewHandle(1, 1))) != 0 || len(r.of(health.NewHandle(2, 1))) != 1 {
			t.Errorf("delivered %+v", r.seen)
		}
	})
}

func TestStatsCountWhatWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 0, byService("bad", fails, passes))
		r.engine.Watch(watched(0, "good", time.Second), 1)
		r.engine.Watch(watched(1, "bad", time.Second), 1)
		stop := r.run()
		time.Sleep(2500 * ms)
		stop()
		s := r.engine.Stats()
		want := map[Result]uint64{{health.Pass, health.NoCause}: 3, {health.Fail, health.Refused}: 3}
		if !maps.Equal(s.Probes, want) || s.Lateness.Counts[0] != 6 || s.Lateness.Sum != 0 || s.Targets != 2 {
			t.Errorf("stats %+v, want %v", s, want)
		}
	})
}

func TestRunEndsWithProbesUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 0, takes(time.Hour, passes))
		for i := range uint32(100) {
			r.engine.Watch(watched(i, fmt.Sprint("srv-", i), time.Second), 1)
		}
		stop := r.run()
		time.Sleep(500 * ms)
		began := time.Now()
		stop()
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v to end", took)
		}
	})
}

// Targets that come and go leave no goroutine and no service behind.
func TestChurnLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 8, takes(ms, passes))
		stop := r.run()
		for n := range uint32(2000) {
			tg := watched(n%50, fmt.Sprint("srv-", n), 20*ms)
			tg.Handle = health.NewHandle(n%50, 1+n/50)
			r.engine.Watch(tg, r.now())
			time.Sleep(ms)
			if n%3 == 0 {
				r.engine.Unwatch(tg.Handle)
			}
		}
		for n := range uint32(50) {
			r.engine.Unwatch(health.NewHandle(n, 40))
		}
		time.Sleep(time.Second)
		stop()
		l := &r.engine.loop
		if l.workers > 8 || len(l.rooms[byWorkers].index) != 0 || len(l.sched.order.heap) != 0 || len(l.sched.slots) != 50 || len(l.rooms[byWorkers].services) > 60 {
			t.Errorf("%d workers, %d services (%d entries), %d in the heap, %d slots", l.workers, len(l.rooms[byWorkers].index), len(l.rooms[byWorkers].services), len(l.sched.order.heap), len(l.sched.slots))
		}
	})
}

// The whole engine on real sockets: pass, status, refusal and silence, each
// where it belongs, and no goroutine more at the end than at the start.
func TestEngineOnRealSockets(t *testing.T) {
	inBoth(t, func(t *testing.T, k kind) {
		good := serveTCP(t, says(okHead+"Content-Length: 2\r\n\r\nok"))
		bad := serveTCP(t, says("HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n"))
		mute := serveTCP(t, func(net.Conn) {})
		kinds := []struct {
			ap      netip.AddrPort
			timeout time.Duration
			want    Result
		}{
			{good, enough, Result{health.Pass, health.NoCause}},
			{bad, enough, Result{health.Fail, health.BadStatus}},
			{closedPort(t), enough, Result{health.Fail, health.Refused}},
			{mute, patience, Result{health.Fail, health.Timeout}},
		}
		const targets = 40
		before := runtime.NumGoroutine()
		complete := make(chan struct{})
		seen := map[health.Handle]int{} // owned by Deliver until complete is closed
		missing := targets
		engine := k.engine(t, Config{
			Options: Options{Policy: loopbackOnly},
			Deliver: func(batch []health.Observation) {
				for _, o := range batch {
					if o.Cause == health.Late || o.Cause == health.Overloaded {
						continue // a busy machine; the next one counts
					}
					if got, want := (Result{o.Outcome, o.Cause}), kinds[o.Target.Index()%len(kinds)].want; got != want {
						t.Errorf("target %d: %v %v (%s), want %v %v", o.Target.Index(), got.Outcome, got.Cause, o.Detail, want.Outcome, want.Cause)
					}
					if seen[o.Target]++; seen[o.Target] == 3 {
						if missing--; missing == 0 {
							close(complete)
						}
					}
				}
			},
		})
		for i := range uint32(targets) {
			kind := kinds[int(i)%len(kinds)]
			tg := *targetAt(kind.ap, health.Probe{Protocol: health.HTTP}, kind.timeout)
			tg.Handle, tg.Check.Interval = health.NewHandle(i, 1), 2*patience
			engine.Watch(tg, health.Instant(1+i*1e6))
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 2*enough, errors.New("not every target was observed three times"))
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- engine.Run(ctx) }()
		select {
		case <-complete:
		case <-ctx.Done():
			t.Fatal(context.Cause(ctx))
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
		if n := engine.loop.workers; n > targets {
			t.Errorf("%d workers for %d targets", n, targets)
		}
		if after := runtime.NumGoroutine(); after > before+targets { // the listeners' own handlers may still be there
			t.Errorf("%d goroutines before, %d after", before, after)
		}
	})
}
