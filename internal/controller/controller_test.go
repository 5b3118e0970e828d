package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// TestTicksComeOnTime: a call that waits for its time is made at that time, to
// the nanosecond of the bubble's clock.
func TestTicksComeOnTime(t *testing.T) {
	play(t, func(r *rig) {
		r.levers.do = func(_ context.Context, c lever.Call) lever.Result {
			return lever.Result{Op: c.Op, OperationStatus: lever.OperationPending}
		}
		r.run(entry(0, lever.Submitted))
		time.Sleep(20 * 370 * time.Millisecond)
		synctest.Wait()
		calls := r.levers.made()
		if len(calls) != 21 {
			t.Fatalf("%d polls in 20 spacings, want 21", len(calls))
		}
		for i, c := range calls {
			want := r.began.Add(time.Duration(i) * 370 * time.Millisecond)
			if c.Op != lever.PollOperation || !c.at.Equal(want) {
				t.Errorf("call %d is %s at %s, want a poll at %s", i, c.Op, c.at.Sub(r.began), want.Sub(r.began))
			}
		}
	})
}

// TestResultsComeBack: many procedures at once, with calls that take all kinds
// of time; each gets the result of its own call and goes on in its own order.
func TestResultsComeBack(t *testing.T) {
	const jobs = 100
	play(t, func(r *rig) {
		var n atomic.Int64
		r.levers.do = func(ctx context.Context, c lever.Call) lever.Result {
			time.Sleep(time.Duration(n.Add(37)%100) * time.Millisecond)
			return obliging(ctx, c)
		}
		var entries []lever.Entry
		for i := range jobs {
			entries = append(entries, entry(i, lever.Submitted))
		}
		r.run(entries...)
		time.Sleep(time.Second)
		synctest.Wait()
		of := map[string][]lever.Op{}
		for _, c := range r.levers.made() {
			of[c.Instance] = append(of[c.Instance], c.Op)
		}
		want := []lever.Op{lever.PollOperation, lever.ReadInstance, lever.UpdateEntry}
		for _, e := range entries {
			if !slices.Equal(of[e.Instance], want) {
				t.Errorf("%s: calls %v, want %v", e.Instance, of[e.Instance], want)
			}
		}
		if r.levers.overlap {
			t.Error("two calls of one procedure ran at once")
		}
		done := 0
		for _, x := range r.records() {
			if x.Kind == warden.ActuationRecord && x.Admitted {
				done++
			}
		}
		if done != jobs {
			t.Errorf("%d procedures were recorded as done, want %d", done, jobs)
		}
		if s := r.ctl.Snapshot(); s.Totals.Quarantined != jobs || s.Totals.Jobs != 0 {
			t.Errorf("the snapshot shows %d quarantined, %d jobs", s.Totals.Quarantined, s.Totals.Jobs)
		}
	})
}

// TestTheRoad: a listing makes the prober watch, and what it delivers shows.
func TestTheRoad(t *testing.T) {
	play(t, func(r *rig) {
		r.run()
		r.ctl.Send(
			warden.ServicesListed{Services: []warden.ServiceFound{{Service: shop}}, Complete: true},
			warden.InstancesListed{Service: shop.ID, Complete: true, Started: r.now(), Instances: []warden.InstanceFound{
				{ID: "web-0", Attributes: entry(0, "").Attributes}, {ID: "web-1", Attributes: entry(1, "").Attributes},
			}},
		)
		synctest.Wait()
		if len(r.prober.watched) != 2 {
			t.Fatalf("%d targets are watched, want 2", len(r.prober.watched))
		}
		var seen []health.Observation
		for _, x := range r.prober.watched {
			seen = append(seen, health.Observation{Target: x.Handle, Outcome: health.Pass, Due: r.now(), Start: r.now(), End: r.now()})
		}
		r.ctl.Send(warden.Observed{Observations: seen})
		time.Sleep(snapshotEvery)
		synctest.Wait()
		if s := r.ctl.Snapshot(); !s.Synced || s.Totals.Passing != 2 {
			t.Errorf("synced %t, %d pass; want true and 2", s.Synced, s.Totals.Passing)
		}
		e, ok, err := r.ctl.Explain(context.Background(), "shop/web", "web-1")
		if err != nil || !ok || e.Passes != 1 {
			t.Errorf("Explain: %v, known %t, %d passes", err, ok, e.Passes)
		}
		if _, ok, err := r.ctl.Explain(context.Background(), "shop/web", "web-9"); ok || err != nil {
			t.Errorf("Explain of a stranger: known %t, %v", ok, err)
		}
	})
}

// TestSendWaits: senders are slowed down while the inbox is full, and nothing
// that they sent is lost.
func TestSendWaits(t *testing.T) {
	const senders = inboxSize + 50
	play(t, func(r *rig) {
		var through atomic.Int32
		for range senders {
			go func() {
				r.ctl.Send(warden.Unfreeze{})
				through.Add(1)
			}()
		}
		synctest.Wait()
		if n := through.Load(); n != inboxSize {
			t.Errorf("%d senders are through before Run, want %d", n, inboxSize)
		}
		r.run()
		if n := through.Load(); n != senders {
			t.Errorf("%d senders are through, want %d", n, senders)
		}
		handled := 0
		for _, x := range r.records() {
			if x.Kind == warden.CommandRecord {
				handled++
			}
		}
		if handled != senders {
			t.Errorf("%d events were handled, want %d", handled, senders)
		}
	})
}

// TestSendGivesUp: no sender hangs on a controller that has ended.
func TestSendGivesUp(t *testing.T) {
	play(t, func(r *rig) {
		release := make(chan struct{})
		var once sync.Once
		r.onTold = func(warden.Record) { once.Do(func() { <-release }) } // the mind is stuck
		r.run()
		var through atomic.Int32
		for range inboxSize + 100 {
			go func() {
				r.ctl.Send(warden.Unfreeze{})
				through.Add(1)
			}()
		}
		synctest.Wait()
		if n := through.Load(); n == inboxSize+100 {
			t.Error("all senders are through, though the mind is stuck")
		}
		r.cancel()
		close(release)
		<-r.stopped
		synctest.Wait()
		if n := through.Load(); n != inboxSize+100 {
			t.Errorf("%d of %d senders are through after the end", n, inboxSize+100)
		}
		for range 2 * inboxSize {
			r.ctl.Send(warden.Tick{})
		}
	})
}

// TestQuestions: they wait for Run, respect their context, and are refused
// after the end.
func TestQuestions(t *testing.T) {
	play(t, func(r *rig) {
		impatient, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := r.ctl.Command(impatient, warden.Unfreeze{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Command before Run: %v, want the context's end", err)
		}
		if _, _, err := r.ctl.Explain(impatient, "shop/web", "web-0"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Explain before Run: %v, want the context's end", err)
		}
		answers := make(chan error, 2)
		go func() { answers <- r.ctl.Command(context.Background(), warden.Freeze{By: "ann"}) }()
		go func() {
			_, ok, err := r.ctl.Explain(context.Background(), "shop/web", "web-0")
			if !ok {
				err = errors.Join(err, errors.New("the instance is not known"))
			}
			answers <- err
		}()
		synctest.Wait()
		if len(answers) != 0 {
			t.Error("a question was answered before Run")
		}
		r.run(entry(0, lever.Out))
		for range 2 {
			if err := <-answers; err != nil {
				t.Errorf("a question from before Run: %v", err)
			}
		}
		if s := r.ctl.Snapshot(); s.Frozen == 0 || s.FrozenBy != "ann" {
			t.Error("the command had no effect")
		}
		if err := r.ctl.Command(context.Background(), warden.Unfreeze{}); err != nil || r.ctl.Snapshot().Frozen != 0 {
			t.Errorf("who commands and looks does not see what they did (%v)", err)
		}
		r.end()
		if err := r.ctl.Command(context.Background(), warden.Unfreeze{}); !errors.Is(err, ErrEnded) {
			t.Errorf("Command after the end: %v, want %v", err, ErrEnded)
		}
		if _, ok, err := r.ctl.Explain(context.Background(), "shop/web", "web-0"); ok || !errors.Is(err, ErrEnded) {
			t.Errorf("Explain after the end: %v, want %v", err, ErrEnded)
		}
	})
}

// TestACallerThatGivesUp: an answer that comes as its caller leaves is
// nobody's; the race detector watches.
func TestACallerThatGivesUp(t *testing.T) {
	play(t, func(r *rig) {
		r.run(entry(0, lever.Out))
		var callers sync.WaitGroup
		for range 500 {
			callers.Go(func() {
				ctx, cancel := context.WithCancel(context.Background())
				go cancel()
				e, ok, err := r.ctl.Explain(ctx, "shop/web", "web-0")
				switch {
				case errors.Is(err, context.Canceled) && (ok || e.Summary != ""):
					t.Errorf("an error comes with an answer: %q", e.Summary)
				case err == nil && (!ok || e.Summary == ""):
					t.Error("neither an error nor an answer")
				case err != nil && !errors.Is(err, context.Canceled):
					t.Error(err)
				}
			})
		}
		callers.Wait()
	})
}

// TestSnapshotKeepsUp: at most four a second, and at most a quarter of a
// second old while things change.
func TestSnapshotKeepsUp(t *testing.T) {
	play(t, func(r *rig) {
		if r.ctl.Snapshot() == nil {
			t.Fatal("there is no snapshot before Run")
		}
		r.run()
		changing, stop := context.WithCancel(context.Background())
		var changes sync.WaitGroup
		changes.Go(func() {
			for n := 1; changing.Err() == nil; n++ {
				r.ctl.Send(warden.Freeze{By: fmt.Sprint(n)})
				time.Sleep(7 * time.Millisecond)
			}
		})
		var drawn []health.Instant
		for range 5000 {
			time.Sleep(time.Millisecond)
			synctest.Wait()
			s := r.ctl.Snapshot()
			if age := r.now().Sub(s.At); age > snapshotEvery {
				t.Errorf("the snapshot is %s old while things change", age)
				break
			}
			if len(drawn) == 0 || s.At != drawn[len(drawn)-1] {
				drawn = append(drawn, s.At)
			}
		}
		stop()
		changes.Wait()
		for i := 4; i < len(drawn); i++ {
			if d := drawn[i].Sub(drawn[i-4]); d < time.Second {
				t.Errorf("five snapshots within %s", d)
			}
		}
		if len(drawn) < 20 {
			t.Errorf("%d snapshots in five busy seconds, want one each quarter", len(drawn))
		}
	})
}

// TestSnapshotOfAQuietFleet: never older than five seconds.
func TestSnapshotOfAQuietFleet(t *testing.T) {
	play(t, func(r *rig) {
		r.run()
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if age := r.now().Sub(r.ctl.Snapshot().At); age > clockEvery {
				t.Errorf("the snapshot is %s old", age)
				break
			}
		}
	})
}

// TestTheLastChangeShows: what the mind did last is in the snapshot that
// readers are left with.
func TestTheLastChangeShows(t *testing.T) {
	play(t, func(r *rig) {
		r.run()
		if err := r.ctl.Command(context.Background(), warden.Freeze{By: "ann"}); err != nil {
			t.Fatal(err)
		}
		r.end()
		if s := r.ctl.Snapshot(); s.FrozenBy != "ann" {
			t.Error("the last snapshot is older than the last command")
		}
	})
}

// TestClock: the mind is told the wall time every five seconds, and so notices
// when the clocks part.
func TestClock(t *testing.T) {
	play(t, func(r *rig) {
		r.run()
		for round := 1; round <= 3; round++ {
			time.Sleep(clockEvery - time.Second)
			r.mu.Lock()
			r.skew += 2 * time.Second
			r.mu.Unlock()
			time.Sleep(time.Second - time.Millisecond)
			synctest.Wait()
			if d := r.ctl.Snapshot().Doubt; d != health.NoDoubt {
				t.Errorf("round %d: %s before the time", round, d)
			}
			time.Sleep(time.Millisecond + snapshotEvery)
			synctest.Wait()
			if d := r.ctl.Snapshot().Doubt; d != health.DoubtClock {
				t.Errorf("round %d: the mind did not notice the step: %s", round, d)
			}
			time.Sleep(clockEvery - snapshotEvery)
		}
	})
}
