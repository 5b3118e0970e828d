package warden_test

import (
	"slices"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

func TestSteadyFailureIsRemoved(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 4, "web")
	m.probe(12)
	m.probe(3, "web-0")
	m.mustRemove(0, "after 3 failures")
	m.probe(1, "web-0")
	m.mustRemove(1, "after 4 failures")
}

// TestWarmUpEndsWithNewRuns: what failed all through the warm-up needs Fall new
// failures when it ends, not the ones from before (rule 6).
func TestWarmUpEndsWithNewRuns(t *testing.T) {
	cfg := testConfig()
	cfg.Default.Policy.WarmUp = 10500 * time.Millisecond // between two looks of the housekeeping
	m := started(t, cfg, warden.Loaded{}, warden.CustomHealthCheck, 4, "web")
	m.probe(1)
	m.probe(8, "web-0")
	for range 30 { // over the end of the warm-up, without a probe
		m.pass(100 * time.Millisecond)
		m.mustRemove(0, "when the warm-up ends")
	}
	m.probe(3, "web-0")
	m.mustRemove(0, "after 3 new failures")
	m.probe(1, "web-0")
	m.mustRemove(1, "after 4 new failures")
}

func TestStalenessEndsWithNewRuns(t *testing.T) {
	cfg := testConfig()
	cfg.Fleet.StaleAfter = 20 * time.Second
	m := started(t, cfg, warden.Loaded{}, warden.CustomHealthCheck, 4, "web")
	m.probe(21)
	m.probe(5, "web-0")
	if got := m.withheld("web-0"); !slices.Equal(got, []policy.Reason{policy.Stale}) {
		t.Fatalf("withheld by %v", got)
	}
	m.tell(m.listing("web", instances("web", 4)...))
	m.pass(500 * time.Millisecond)
	m.mustRemove(0, "when a fresh listing comes")
	m.probe(4, "web-0")
	m.mustRemove(1, "after 4 new failures")
}

// TestLineEndsWithNewRuns: nor is anybody removed when a shared failure ends.
func TestLineEndsWithNewRuns(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 4, "web")
	m.probe(12)
	m.probe(8, "web-0", "web-1", "web-2", "web-3")
	for _, still := range [][]string{{"web-0", "web-1", "web-2"}, {"web-0", "web-1"}, {"web-0"}} {
		m.probe(1, still...)
	}
	m.mustRemove(0, "when a shared failure ends one by one")
}

func TestDoubtEndsWithNewRuns(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 4, "web")
	m.probe(12)
	m.tell(warden.Doubted{Doubt: health.DoubtPorts})
	m.probe(7, "web-0") // the doubt lasts 5 s
	m.mustRemove(0, "3 failures after the doubt")
	m.probe(3, "web-0")
	m.mustRemove(1, "4 failures after the doubt")
}

// TestLateAnswersAreDropped: a handle whose slot was given away names nothing.
func TestLateAnswersAreDropped(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 2, "web")
	old := m.seen("web-0", health.Fail, health.Refused)
	moved := instance("web-0", "10.9.9.9")
	m.tell(m.listing("web", moved, instances("web", 2)[1]))
	fresh := m.targets["web-0"]
	if fresh.Handle == old.Target || fresh.Addr != addr("10.9.9.9") {
		t.Fatalf("another incarnation has the handle %d of the one before, at %s", fresh.Handle, fresh.Addr)
	}
	for range 5 {
		m.tell(warden.Observed{Observations: []health.Observation{old, {Target: 1 << 40, Outcome: health.Fail}, {Outcome: health.Fail}}})
	}
	if e, ok := m.w.Explain(m.now, "srv-web", "web-0"); !ok || e.Fails != 0 || e.LastProbe != 0 {
		t.Errorf("a late answer counts: %+v", e)
	}
	m.tell(warden.Called{Job: 99, Result: lever.Result{Op: lever.Deregister}})
}

// TestAFaultyListingMakesNoNewcomers: who was there before comes back with all
// it had earned (rule 1).
func TestAFaultyListingMakesNoNewcomers(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 4, "web")
	m.probe(12, "web-3") // never passes: the check is armed by the other three
	m.tell(m.listing("web", instances("web", 2)...))
	if len(m.targets) != 2 {
		t.Fatalf("%d targets, want 2", len(m.targets))
	}
	m.tell(m.listing("web", instances("web", 4)...))
	m.probe(3, "web-2", "web-3")
	if held := m.decided(policy.HoldOut); len(held) != 0 {
		t.Errorf("held out as newcomers: %+v", held)
	}
	m.tell(m.listing("web", append(instances("web", 4), instance("web-9", "10.119.0.99"))...))
	m.probe(3, "web-9")
	if held := m.decided(policy.HoldOut); len(held) != 1 || held[0].Instance != "web-9" {
		t.Errorf("a true newcomer: %+v", held)
	}
}

// TestADeletedServiceBlocksNobody: an open entry of a service that is gone must
// not keep the others waiting for its listing.
func TestADeletedServiceBlocksNobody(t *testing.T) {
	entry := lever.Entry{ID: "e", Version: 1, Kind: lever.Quarantine, Phase: lever.Out, Service: serviceOf("old"), Instance: "old-1",
		Incarnation: health.Incarnation{Service: "srv-old", Instance: "old-1", Addr: addr("10.1.1.1"), Port: 80}}
	m := started(t, testConfig(), warden.Loaded{Entries: []lever.Entry{entry}}, warden.CustomHealthCheck, 4, "web")
	if !m.w.Snapshot(m.now).Synced {
		t.Error("never synced")
	}
	if m.w.OpenEntries() != 1 {
		t.Errorf("%d open entries, want 1", m.w.OpenEntries())
	}
}

// TestAChangedCheckStartsOver: what passed another check has not passed this
// one (rule 4).
func TestAChangedCheckStartsOver(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 4, "web")
	m.probe(12)
	cfg := m.cfg
	cfg.Default.Check.Probe = health.Probe{Protocol: health.HTTP, Path: "/wrong"}
	m.tell(warden.Configured{Config: cfg})
	m.probe(20, "web-0") // armed by the other three
	m.mustRemove(0, "for a check that it never passed")
	if held := m.decided(policy.HoldOut); len(held) != 0 {
		t.Errorf("held out as a newcomer: %+v", held)
	}
	if got := m.withheld("web-0"); !slices.Contains(got, policy.NeverPassed) {
		t.Errorf("withheld by %v", got)
	}
	m.tell(warden.Configured{Config: m.cfg}) // and back: what was learnt before still holds
	if e, _ := m.w.Explain(m.now, "srv-web", "web-1"); e.EverPassed {
		t.Error("only the check that was passed last is remembered")
	}
}

// TestRemovalsAreForgottenAfterADay: also by a process that lives that long.
func TestRemovalsAreForgottenAfterADay(t *testing.T) {
	day := int64(24 * time.Hour)
	lately := warden.Memory{Removals: []warden.Removal{{Service: "srv-web", Instance: "web-0",
		Walls: []int64{wall - day/2, wall - day/2, wall - day/2, wall - day/2}}}}
	m := started(t, testConfig(), warden.Loaded{Memory: lately}, warden.CustomHealthCheck, 4, "web")
	m.probe(12)
	m.probe(5, "web-0")
	if got := m.withheld("web-0"); !slices.Equal(got, []policy.Reason{policy.Flapping}) {
		t.Fatalf("withheld by %v", got)
	}
	m.mustRemove(0, "after four removals in a day")
	m.now = m.now.Add(13 * time.Hour)
	m.cfg.Fleet.StaleAfter = 24 * time.Hour
	m.tell(warden.Configured{Config: m.cfg})
	m.probe(12)
	m.probe(5, "web-0")
	m.mustRemove(1, "when the day is over")
}

// TestAClockSetBackHoldsNobody: a removal that the wall clock puts ahead
// happened just now at the latest.
func TestAClockSetBackHoldsNobody(t *testing.T) {
	hour := int64(time.Hour)
	entry := lever.Entry{ID: "e", Version: 1, Kind: lever.CustomStatus, Phase: lever.Out, Service: serviceOf("web"), Instance: "web-0",
		Incarnation: health.Incarnation{Service: "srv-web", Instance: "web-0", Addr: addr("10.119.0.1"), Port: 80}, OutSince: wall + hour}
	ahead := warden.Memory{Removals: []warden.Removal{{Service: "srv-web", Instance: "web-0", Walls: []int64{wall + hour, wall + hour}}}}
	m := started(t, testConfig(), warden.Loaded{Entries: []lever.Entry{entry}, Memory: ahead}, warden.CustomHealthCheck, 4, "web")
	m.probe(10)
	if got := m.withheld("web-0"); !slices.Contains(got, policy.Backoff) {
		t.Fatalf("withheld by %v, want the back-off", got)
	}
	m.probe(60)
	if back := m.decided(policy.Bring); len(back) != 1 {
		t.Errorf("%d returns a minute later, want 1", len(back))
	}
}

// TestAFreezeThatRanOutInBetween: no process was there to see it, and yet the
// fleet has to be healthy first (rule 21).
func TestAFreezeThatRanOutInBetween(t *testing.T) {
	past := warden.Memory{Freeze: &warden.FreezeUntil{Until: wall - 1, By: "somebody"}}
	m := started(t, testConfig(), warden.Loaded{Memory: past}, warden.CustomHealthCheck, 4, "web")
	m.probe(12)
	m.probe(6, "web-0")
	if got := m.withheld("web-0"); !slices.Equal(got, []policy.Reason{policy.Thawing}) {
		t.Errorf("withheld by %v", got)
	}
	m.probe(65)
	m.probe(5, "web-0")
	m.mustRemove(1, "when the fleet was healthy for long enough")
}

// TestOneJobForEachInstance: no call goes out for an instance while another
// one of it is under way.
func TestOneJobForEachInstance(t *testing.T) {
	cfg := testConfig()
	m := started(t, cfg, warden.Loaded{}, warden.NoHealthCheck, 4, "web")
	m.probe(12)
	m.answer = false
	m.probe(20, "web-0")
	if len(m.calls) != 1 || m.calls[0].Op != lever.PutEntry || m.calls[0].Entry.Kind != lever.Drill {
		t.Errorf("calls while the drill's first one is out: %+v", m.calls)
	}
	m.mustRemove(0, "while the drill is not over")
}

// TestStoppingWritesNothing that was not sent yet.
func TestStoppingWritesNothing(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 4, "web")
	m.probe(12)
	m.answer = false
	m.probe(4, "web-0")
	if len(m.pending) != 1 || m.pending[0].Call.Op != lever.PutEntry {
		t.Fatalf("under way: %+v", m.pending)
	}
	m.answer = true
	m.tell(warden.Stopping{})
	m.pass(time.Second)
	if slices.ContainsFunc(m.calls, func(c lever.Call) bool { return c.Op.Writes() }) {
		t.Errorf("calls: %+v", m.calls)
	}
	if !m.w.Idle() || m.w.OpenEntries() != 0 {
		t.Errorf("idle %v with %d open entries", m.w.Idle(), m.w.OpenEntries())
	}
}

// TestPagesAreShared: a snapshot draws only what has changed, and nothing that
// was handed out changes.
func TestPagesAreShared(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 3, "api", "web")
	m.probe(12)
	m.w.Snapshot(m.now)
	a := m.w.Snapshot(m.now)
	m.tell(warden.Observed{Observations: []health.Observation{m.seen("web-0", health.Pass, health.NoCause)}})
	if b := m.w.Snapshot(m.now); b.Services[0] != a.Services[0] || b.Services[1] != a.Services[1] {
		t.Error("a pass like the ones before draws a page anew")
	}
	before := a.Services[1].Instances[0]
	m.tell(warden.Observed{Observations: []health.Observation{m.seen("web-0", health.Fail, health.Refused)}})
	b := m.w.Snapshot(m.now)
	if b.Services[0] != a.Services[0] {
		t.Error("the page of a service that did not change was drawn anew")
	}
	if b.Services[1] == a.Services[1] || b.Services[1].Instances[0].Outcome != health.Fail {
		t.Error("the page of the service that changed is the old one")
	}
	if a.Services[1].Instances[0] != before {
		t.Error("a page changed after it was handed out")
	}
	if a.Totals.Passing != 6 || b.Totals.Passing != 5 || b.Totals.Failing != 1 {
		t.Errorf("passing %d, then %d with %d failing", a.Totals.Passing, b.Totals.Passing, b.Totals.Failing)
	}
}

func TestExplain(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 1, "web")
	m.probe(12)
	m.probe(6, "web-0")
	for _, name := range []string{"srv-web", "test/web"} {
		e, ok := m.w.Explain(m.now, name, "web-0")
		if !ok || e.Fails != 6 || e.Line.Standing != policy.Kept || e.Line.Reason != policy.FailOpen || e.Summary == "" {
			t.Fatalf("%s: %v, %+v", name, ok, e)
		}
		var withheld []policy.Reason
		for _, r := range e.Rules {
			if r.Withholds {
				withheld = append(withheld, r.Reason)
			}
		}
		if want := []policy.Reason{policy.FailOpen, policy.LastHealthy, policy.Budget}; !slices.Equal(withheld, want) {
			t.Errorf("withheld by %v, want %v", withheld, want)
		}
		if len(e.Recent) != 18 || e.Recent[5] != health.Fail || e.Recent[6] != health.Pass {
			t.Errorf("recent: %v", e.Recent)
		}
	}
	for _, c := range [][2]string{{"srv-web", "nobody"}, {"nowhere", "web-0"}} {
		if _, ok := m.w.Explain(m.now, c[0], c[1]); ok {
			t.Errorf("%v is explained", c)
		}
	}
}

// TestSameEventsSameEffects, to the last byte.
func TestSameEventsSameEffects(t *testing.T) {
	story := func() uint64 {
		m := started(t, testConfig(), warden.Loaded{}, warden.NoHealthCheck, 9, "api", "cart", "web")
		m.probe(12)
		m.probe(10, "api-0", "web-3", "web-4")
		m.tell(m.listing("cart", instances("cart", 5)...))
		m.tell(warden.Freeze{By: "somebody"}, warden.Unfreeze{})
		m.probe(10, "web-4")
		m.tell(warden.Retire{})
		m.probe(10)
		if len(m.decided(policy.Remove)) == 0 || len(m.decided(policy.Bring)) == 0 {
			t.Fatal("nothing happens in this story")
		}
		return m.trace
	}
	want := story()
	for range 5 {
		if got := story(); got != want {
			t.Fatalf("trace %x, then %x", want, got)
		}
	}
}

// TestZeroWardenDoesNothing before it is told anything.
func TestZeroWardenDoesNothing(t *testing.T) {
	w := warden.New()
	effects := w.Handle(1, []warden.Event{
		found(warden.CustomHealthCheck, "web"), warden.InstancesListed{Service: "srv-web", Complete: true},
		warden.Observed{Observations: []health.Observation{{Target: 1, Outcome: health.Fail}}},
	})
	for _, e := range effects {
		if _, ok := e.(warden.Wake); !ok {
			t.Errorf("%T %+v", e, e)
		}
	}
}

// TestAClockStepKeepsTheFreeze: its end is stored by the wall clock, and a step
// of that must not move it for the next process.
func TestAClockStepKeepsTheFreeze(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 4, "web")
	m.tell(warden.Freeze{For: time.Hour})
	ends := m.now.Add(time.Hour)
	m.pass(time.Second)
	step := int64(3 * time.Hour)
	m.tell(warden.Clock{Wall: wall + int64(m.now) + step})
	var stored *warden.FreezeUntil
	for _, l := range m.learnt {
		if l.Freeze != nil {
			stored = l.Freeze
		}
	}
	if want := wall + int64(ends) + step; stored == nil || stored.Until > want || stored.Until < want-int64(10*time.Millisecond) {
		t.Errorf("stored %+v, want until %d", stored, want)
	}
}

// TestOffIsNotChecked: in mode off nobody looks, and nothing that was seen
// before is shown as if it were so now, or counted as failing.
func TestOffIsNotChecked(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 3, "api", "web")
	m.probe(12)
	m.probe(1, "web-0")
	off := m.cfg
	off.Services = []warden.ServiceRule{{Match: "test/web", Config: off.Default}}
	off.Services[0].Config.Policy.Mode = policy.ModeOff
	m.tell(warden.Configured{Config: off})
	want := warden.Totals{Targets: 3, Registered: 6, Passing: 3}
	if got := m.w.Snapshot(m.now).Totals; got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
	e, _ := m.w.Explain(m.now, "srv-web", "web-1")
	if e.LastProbe != 0 || len(e.Recent) != 0 || !e.EverPassed || e.Summary != "in; NOT CHECKED: the mode is off" {
		t.Errorf("explained as %q: %+v", e.Summary, e)
	}
	m.tell(warden.Configured{Config: m.cfg})
	want = warden.Totals{Targets: 6, Registered: 6, Passing: 3, Indeterminate: 3}
	if got := m.w.Snapshot(m.now).Totals; got != want {
		t.Errorf("watched again, totals %+v, want %+v", got, want)
	}
}

// TestOffEndsTheStorm: what failed when a service was switched off does not keep
// the storm latched for ever.
func TestOffEndsTheStorm(t *testing.T) {
	cfg := testConfig()
	cfg.Fleet.StormCount, cfg.Fleet.StormPercent = 1, 1
	cfg.Default.Policy.MaxOutHard = 100
	m := started(t, cfg, warden.Loaded{}, warden.CustomHealthCheck, 8, "api", "web")
	m.probe(12)
	m.probe(12, "web-0", "web-1", "web-2")
	if !m.w.Snapshot(m.now).Storm {
		t.Fatal("no storm")
	}
	off := m.cfg
	off.Services = []warden.ServiceRule{{Match: "test/web", Config: off.Default}}
	off.Services[0].Config.Policy.Mode = policy.ModeOff
	m.tell(warden.Configured{Config: off})
	m.probe(3)
	if m.w.Snapshot(m.now).Storm {
		t.Error("the storm is latched by what nobody looks at")
	}
}

// TestAnInstanceOfAnotherAccount in a service of our own is never written (rule 20).
func TestAnInstanceOfAnotherAccount(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 4, "web")
	theirs := instances("web", 4)
	theirs[0].OtherAccount = true
	m.tell(m.listing("web", theirs...))
	m.probe(12)
	m.probe(6, "web-0")
	m.mustRemove(0, "of another account")
	if got := m.withheld("web-0"); !slices.Equal(got, []policy.Reason{policy.OtherAccount}) {
		t.Errorf("withheld by %v", got)
	}
}

// TestBackInScope: whoever came while a service was out of scope is no newcomer,
// also where an open entry kept the service in mind.
func TestBackInScope(t *testing.T) {
	for name, failing := range map[string][]string{"nothing is out": nil, "one is out": {"web-0"}} {
		t.Run(name, func(t *testing.T) {
			m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 4, "api", "web")
			m.probe(12)
			m.probe(6, failing...)
			m.mustRemove(len(failing), "before")
			narrow := m.cfg
			narrow.Scope.Services = []string{"api"}
			m.tell(warden.Configured{Config: narrow})
			m.tell(warden.Configured{Config: m.cfg})
			m.tell(found(warden.CustomHealthCheck, "api", "web"))
			m.tell(m.listing("web", append(instances("web", 4), instance("web-9", "10.119.0.99"))...))
			m.probe(20, append(failing, "web-9")...)
			if held := m.decided(policy.HoldOut); len(held) != 0 {
				t.Errorf("held out as newcomers: %+v", held)
			}
			if got := m.withheld("web-9"); !slices.Contains(got, policy.NeverPassed) {
				t.Errorf("withheld by %v", got)
			}
		})
	}
}
