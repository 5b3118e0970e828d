package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// command puts the nth command to the mind; it makes a record and a lesson.
func (r *rig) command(n int) {
	r.t.Helper()
	if err := r.ctl.Command(context.Background(), warden.Freeze{By: fmt.Sprint(n), Note: "x"}); err != nil {
		r.t.Fatal(err)
	}
}

// details are what the commands' records say, in order.
func details(records []warden.Record) (out []string) {
	for _, x := range records {
		if x.Kind == warden.CommandRecord {
			out = append(out, x.Detail)
		}
	}
	return out
}

func commands(from, to int) (out []string) {
	for n := from; n <= to; n++ {
		out = append(out, fmt.Sprintf("freeze for 1h0m0s by %d: x", n))
	}
	return out
}

// TestRecordsReachEverybody: the log, Recorded and the Keeper get the same
// records in the same order; the Keeper in batches, the last ones on the way out.
func TestRecordsReachEverybody(t *testing.T) {
	play(t, func(r *rig) {
		r.run()
		for n := 1; n <= 100; n++ {
			r.command(n)
			time.Sleep(10 * time.Millisecond)
		}
		r.command(101)
		r.end()
		want := commands(1, 101)
		if got := details(r.records()); !slices.Equal(got, want) {
			t.Errorf("Recorded was told %q", got)
		}
		stored, batches := r.keeper.stored()
		if got := details(stored); !slices.Equal(got, want) {
			t.Errorf("the Keeper got %q", got)
		}
		if most := int(time.Second/flushEvery) + 1; batches > most {
			t.Errorf("the Keeper was given %d batches within a second, want at most %d", batches, most)
		}
		var logged []string
		for _, x := range r.log.with("command") {
			logged = append(logged, x.attrs["detail"])
		}
		if !slices.Equal(logged, want) {
			t.Errorf("the log says %q", logged)
		}
		lessons := r.keeper.lessons
		if len(lessons) == 0 || lessons[len(lessons)-1].Freeze.By != "101" {
			t.Errorf("the last lesson is not the last freeze: %+v", lessons)
		}
	})
}

// TestRecordsDoNotWaitLong: with no more news, what there is is stored soon.
func TestRecordsDoNotWaitLong(t *testing.T) {
	play(t, func(r *rig) {
		r.run()
		r.command(1)
		time.Sleep(flushEvery)
		synctest.Wait()
		if stored, _ := r.keeper.stored(); !slices.Equal(details(stored), commands(1, 1)) {
			t.Errorf("after %s the Keeper has %q", flushEvery, details(stored))
		}
	})
}

// TestAKeeperThatFails: it is said once, and the mind goes on; nothing is lost
// once the Keeper is well, also without further news.
func TestAKeeperThatFails(t *testing.T) {
	play(t, func(r *rig) {
		r.keeper.hinder = func(context.Context) error { return errors.New("no space left") }
		r.run()
		r.command(1)
		r.ctl.keep.learn(warden.Memory{Passed: []warden.Passed{{Instance: "web-0", Probe: 7}}})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for _, msg := range []string{"append history; it is tried again", "store memory; it is tried again"} {
			said := r.log.with(msg)
			if len(said) != 1 || said[0].level != slog.LevelError || said[0].attrs["err"] != "no space left" {
				t.Errorf("%q is said as %v", msg, said)
			}
		}
		r.keeper.mu.Lock()
		r.keeper.hinder = nil
		r.keeper.mu.Unlock()
		time.Sleep(2 * retryEvery)
		synctest.Wait()
		if stored, _ := r.keeper.stored(); !slices.Equal(details(stored), commands(1, 1)) {
			t.Errorf("the Keeper that is well again has %q", details(stored))
		}
		r.command(2)
		r.end()
		if stored, _ := r.keeper.stored(); !slices.Equal(details(stored), commands(1, 2)) {
			t.Errorf("the Keeper has %q", details(stored))
		}
		m := merge(r.keeper.lessons)
		if len(m.Passed) != 1 || m.Passed[0].Probe != 7 || r.keeper.lessons[0].Freeze == nil || r.keeper.lessons[0].Freeze.By != "1" {
			t.Errorf("the Keeper learnt %+v", r.keeper.lessons)
		}
		if said := r.log.with("the store did not take the last records and lessons: they are lost"); len(said) != 0 {
			t.Errorf("a loss is said: %v", said)
		}
	})
}

// TestWhatIsLostAtTheEndIsSaid: a Keeper that never recovers takes the last
// records with it, and the log says how many.
func TestWhatIsLostAtTheEndIsSaid(t *testing.T) {
	play(t, func(r *rig) {
		r.keeper.hinder = func(context.Context) error { return errors.New("no space left") }
		r.run()
		r.command(1)
		r.end()
		said := r.log.with("the store did not take the last records and lessons: they are lost")
		if len(said) != 1 || said[0].attrs["freeze"] != "true" || said[0].attrs["records"] == "0" {
			t.Errorf("it is said as %v", said)
		}
	})
}

// TestAFreezeIsStoredBeforeTheAnswer (rule 21): not a moment after it.
func TestAFreezeIsStoredBeforeTheAnswer(t *testing.T) {
	play(t, func(r *rig) {
		r.keeper.hinder = func(context.Context) error { time.Sleep(keepWithin / 2); return nil }
		r.run()
		r.command(1)
		r.keeper.mu.Lock()
		defer r.keeper.mu.Unlock()
		if l := r.keeper.lessons; len(l) == 0 || l[len(l)-1].Freeze == nil || l[len(l)-1].Freeze.By != "1" {
			t.Errorf("when the command is answered the Keeper has %+v", l)
		}
	})
}

// TestALateFreezeUndoesNothing: a freeze that could not be stored is not stored
// after its own end.
func TestALateFreezeUndoesNothing(t *testing.T) {
	play(t, func(r *rig) {
		r.run()
		time.Sleep(2 * flushEvery)
		synctest.Wait()
		r.keeper.mu.Lock()
		r.keeper.hinder = func(context.Context) error { return errors.New("no space left") }
		r.keeper.mu.Unlock()
		r.command(1)
		r.keeper.mu.Lock()
		r.keeper.hinder = nil
		r.keeper.mu.Unlock()
		if err := r.ctl.Command(context.Background(), warden.Unfreeze{By: "ann"}); err != nil {
			t.Fatal(err)
		}
		r.end()
		var last *warden.FreezeUntil
		for _, l := range r.keeper.lessons {
			if l.Freeze != nil {
				last = l.Freeze
			}
		}
		if last == nil || last.Until != 0 {
			t.Errorf("the next start finds the freeze %+v, which was ended", last)
		}
	})
}

// TestAKeeperThatHangs: the mind answers as ever; of the records the oldest
// are given up, which is said once, and once more with their number when the
// Keeper is back. The latest freeze is never given up.
func TestAKeeperThatHangs(t *testing.T) {
	const over = 50
	play(t, func(r *rig) {
		release := make(chan struct{})
		r.run()
		r.command(0)
		time.Sleep(2 * flushEvery)
		synctest.Wait()
		r.keeper.mu.Lock()
		r.keeper.hinder = func(ctx context.Context) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		r.keeper.mu.Unlock()
		var releases []string // a freeze would wait for the Keeper, each a second
		letGo := func() {
			t.Helper()
			by := fmt.Sprint(len(releases))
			if err := r.ctl.Command(context.Background(), warden.Release{By: by}); err != nil {
				t.Fatal(err)
			}
			releases = append(releases, "storm latch released by "+by)
		}
		letGo()
		time.Sleep(flushEvery)
		synctest.Wait() // the Keeper hangs, with that
		r.command(1)
		for range mostWaiting + over - 1 {
			letGo()
		}
		if said := r.log.with("the history loses records: its store does not keep up"); len(said) != 1 || said[0].level != slog.LevelError {
			t.Errorf("the loss is said %d times, want once", len(said))
		}
		close(release)
		time.Sleep(2 * flushEvery)
		synctest.Wait()
		stored, _ := r.keeper.stored()
		want := append(commands(0, 0), releases[0])
		want = append(want, releases[over:]...)
		if got := details(stored); !slices.Equal(got, want) {
			t.Errorf("the Keeper has %d records, want %d: the first two and the latest", len(got), len(want))
		}
		if said := r.log.with("the history lost records"); len(said) != 1 || said[0].attrs["records"] != fmt.Sprint(over) {
			t.Errorf("the number is said as %v", said)
		}
		if last := r.keeper.lessons[len(r.keeper.lessons)-1]; last.Freeze == nil || last.Freeze.By != "1" {
			t.Errorf("the freeze that is kept is %+v", last.Freeze)
		}
		r.command(-1)
		time.Sleep(flushEvery)
		synctest.Wait()
		if said := r.log.with("the history lost records"); len(said) != 1 {
			t.Errorf("a loss is said again: %v", said)
		}
	})
}

// TestLessonsAreBounded: of those that wait the oldest go, but for a freeze.
func TestLessonsAreBounded(t *testing.T) {
	k := newKeeping(nil, slog.New(&lines{}))
	k.learn(warden.Memory{Freeze: &warden.FreezeUntil{By: "ann"}})
	for n := range 2 * mostWaiting {
		k.learn(warden.Memory{Armed: []warden.Armed{{Service: fmt.Sprint(n)}}})
	}
	if len(k.lessons) != mostWaiting {
		t.Errorf("%d lessons wait, want %d", len(k.lessons), mostWaiting)
	}
	m := merge(k.lessons)
	if k.freeze == nil || k.freeze.By != "ann" {
		t.Errorf("the freeze is forgotten: %+v", k.freeze)
	}
	if first, last := m.Armed[0].Service, m.Armed[len(m.Armed)-1].Service; first != fmt.Sprint(mostWaiting) || last != fmt.Sprint(2*mostWaiting-1) {
		t.Errorf("kept are %s to %s, want the latest", first, last)
	}
}

func TestMerge(t *testing.T) {
	m := merge([]warden.Memory{
		{Passed: []warden.Passed{{Instance: "a", Probe: 1}}},
		{Passed: []warden.Passed{{Instance: "a", Probe: 2}}, Removals: []warden.Removal{{Instance: "a"}}},
		{Armed: []warden.Armed{{Service: "s"}}},
		{Armed: []warden.Armed{{Service: "s", Proven: true}}},
	})
	if len(m.Passed) != 2 || m.Passed[1].Probe != 2 || len(m.Removals) != 1 || len(m.Armed) != 2 || !m.Armed[1].Proven {
		t.Errorf("differences are lost or out of order: %+v", m)
	}
}

// TestMessage: what the log says, word by word. People search for these.
func TestMessage(t *testing.T) {
	decision := func(a policy.Action, l lever.Kind, admitted, shadow bool) warden.Record {
		return warden.Record{Kind: warden.DecisionRecord, Action: a, Lever: l, Admitted: admitted, Shadow: shadow}
	}
	ended := func(a policy.Action, l lever.Kind, admitted bool) warden.Record {
		return warden.Record{Kind: warden.ActuationRecord, Action: a, Lever: l, Admitted: admitted}
	}
	for _, c := range []struct {
		record warden.Record
		want   string
	}{
		{decision(policy.Remove, lever.Quarantine, true, false), "quarantine"},
		{decision(policy.Remove, lever.CustomStatus, true, false), "set UNHEALTHY"},
		{decision(policy.Remove, lever.Quarantine, true, true), "WOULD quarantine"},
		{decision(policy.Remove, lever.CustomStatus, true, true), "WOULD set UNHEALTHY"},
		{decision(policy.Remove, lever.Quarantine, false, false), "WITHHELD quarantine"},
		{decision(policy.Remove, lever.Quarantine, false, true), "WITHHELD quarantine"},
		{decision(policy.HoldOut, lever.Quarantine, true, false), "hold out until its first pass"},
		{decision(policy.HoldOut, lever.CustomStatus, false, false), "WITHHELD hold out until its first pass"},
		{decision(policy.Bring, lever.Quarantine, true, false), "restore"},
		{decision(policy.Bring, lever.CustomStatus, true, false), "set HEALTHY"},
		{decision(policy.Bring, lever.Quarantine, false, false), "WITHHELD restore"},
		{decision(policy.Cancel, lever.CustomStatus, true, false), "cancel"},
		{decision(policy.Keep, lever.None, true, false), "keep"},
		{ended(policy.Remove, lever.Quarantine, true), "done: quarantine"},
		{ended(policy.Remove, lever.CustomStatus, false), "not done: set UNHEALTHY"},
		{ended(policy.Bring, lever.Quarantine, true), "done: restore"},
		{ended(policy.HoldOut, lever.Quarantine, true), "done: hold out until its first pass"},
		{ended(policy.Keep, lever.Drill, true), "done: drill"},
		{ended(policy.Keep, lever.Drill, false), "not done: drill"},
		{ended(policy.Keep, lever.Quarantine, true), "done: release from the journal"},
		{warden.Record{Kind: warden.TransitionRecord, From: health.Healthy, To: health.Unhealthy}, "now " + health.Unhealthy.String()},
		{warden.Record{Kind: warden.CommandRecord}, "command"},
		{warden.Record{Kind: warden.FleetRecord}, "notice"},
	} {
		if got := Message(c.record); got != c.want {
			t.Errorf("%s %d %s, admitted %t, shadow %t: %q, want %q", c.record.Kind, c.record.Action, c.record.Lever, c.record.Admitted, c.record.Shadow, got, c.want)
		}
	}
}

// TestLogRecord: facts are attributes, and a record has only those that it knows.
func TestLogRecord(t *testing.T) {
	for _, c := range []struct {
		record warden.Record
		level  slog.Level
		want   map[string]string
	}{
		{
			warden.Record{
				Kind: warden.DecisionRecord, Action: policy.Remove, Lever: lever.Quarantine, Reason: policy.FailOpen,
				Service: shop, Instance: "web-1", Addr: "10.0.0.2:80", Cause: health.Refused, Fails: 4, Fall: 4,
				Detail: "connection refused", Passing: 2, Ever: 6, Out: 1, N: 6,
			},
			slog.LevelWarn,
			map[string]string{
				"service": "shop/web", "instance": "web-1", "addr": "10.0.0.2:80", "reason": "fail-open", "lever": "quarantine",
				"cause": "refused", "fails": "4/4", "passing": "2/6", "out": "1/6", "detail": "connection refused",
			},
		},
		{
			warden.Record{Kind: warden.DecisionRecord, Action: policy.Remove, Admitted: true, Service: shop},
			slog.LevelInfo,
			map[string]string{"service": "shop/web", "passing": "0/0", "out": "0/0"},
		},
		{warden.Record{Kind: warden.FleetRecord, Detail: "configuration reloaded"}, slog.LevelInfo, map[string]string{"detail": "configuration reloaded"}},
		{warden.Record{Kind: warden.ActuationRecord}, slog.LevelInfo, map[string]string{}},
	} {
		log := &lines{}
		logRecord(slog.New(log), c.record)
		said := log.with(Message(c.record))
		if len(said) != 1 || said[0].level != c.level {
			t.Fatalf("%+v is logged as %v", c.record, said)
		}
		got := said[0].attrs
		for k, v := range c.want {
			if got[k] != v {
				t.Errorf("%s=%q, want %q", k, got[k], v)
			}
			delete(got, k)
		}
		if len(got) > 0 {
			t.Errorf("attributes that nobody asked for: %v", got)
		}
	}
}
