package warden_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// says is the word of ECS on an instance of web.
func (m *mind) says(id string, k health.EvidenceKind, change ...func(*health.Evidence)) warden.Evidenced {
	e := health.Evidence{Service: "srv-web", Instance: id, Kind: k, Source: "ecs", Version: 5, At: m.now}
	for _, f := range change {
		f(&e)
	}
	return warden.Evidenced{Evidence: []health.Evidence{e}}
}

// TestWords: which words of owners take an instance out, and which count for
// nothing. All instances pass.
func TestWords(t *testing.T) {
	source := func(s string) func(*health.Evidence) { return func(e *health.Evidence) { e.Source = s } }
	version := func(n int64) func(*health.Evidence) { return func(e *health.Evidence) { e.Version = n } }
	for name, c := range map[string]struct {
		say  func(*mind)
		want int
	}{
		"gone":            {func(m *mind) { m.tell(m.says("web-0", health.OwnerGone)) }, 1},
		"stopping":        {func(m *mind) { m.tell(m.says("web-0", health.OwnerStopping)) }, 1},
		"draining":        {func(m *mind) { m.tell(m.says("web-0", health.OwnerDraining)) }, 1},
		"starting":        {func(m *mind) { m.tell(m.says("web-0", health.OwnerStarting)) }, 0},
		"an alarm":        {func(m *mind) { m.tell(m.says("web-0", health.OwnerAlarm)) }, 0},
		"of nobody known": {func(m *mind) { m.tell(m.says("web-99", health.OwnerGone)) }, 0},
		"of another service": {func(m *mind) {
			m.tell(m.says("web-0", health.OwnerGone, func(e *health.Evidence) { e.Service = "srv-api" }))
		}, 0},
		"about its address": {func(m *mind) {
			m.tell(m.says("web-0", health.OwnerGone, func(e *health.Evidence) { e.Addr = m.targets["web-0"].Addr }))
		}, 1},
		"about another address": {func(m *mind) {
			m.tell(m.says("web-0", health.OwnerGone, func(e *health.Evidence) { e.Addr = addr("10.9.9.9") }))
		}, 0},
		"older than another": {func(m *mind) {
			m.tell(m.says("web-0", health.OwnerRunning), m.says("web-0", health.OwnerGone, version(4)))
		}, 0},
		"older, of another source": {func(m *mind) {
			m.tell(m.says("web-0", health.OwnerRunning), m.says("web-0", health.OwnerGone, version(4), source("ec2")))
		}, 1},
		"the worst of two": {func(m *mind) {
			m.tell(m.says("web-0", health.OwnerGone), m.says("web-0", health.OwnerRunning, version(9), source("ec2")))
		}, 1},
		"asked before": {func(m *mind) {
			at := m.now
			m.tell(m.says("web-0", health.OwnerRunning))
			m.tell(m.says("web-0", health.OwnerGone, func(e *health.Evidence) { e.At = at - 1 }))
		}, 0},
		"from ahead": {func(m *mind) {
			m.tell(m.says("web-0", health.OwnerGone, func(e *health.Evidence) { e.At = m.now + health.Instant(time.Hour) }))
		}, 1},
		"gone long ago": {func(m *mind) {
			m.tell(m.says("web-0", health.OwnerGone, func(e *health.Evidence) { e.At = 1 }))
		}, 1},
		"stopping, long ago": {func(m *mind) {
			m.tell(m.says("web-0", health.OwnerStopping, func(e *health.Evidence) { e.At = 1 }))
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 6, "web")
			m.probe(12)
			c.say(m)
			m.pass(time.Second)
			m.mustRemove(c.want, "after the word")
		})
	}
}

// TestWordsAreRecorded: each change of the word that counts is a record of its
// own, and that an instance runs is news only after something else.
func TestWordsAreRecorded(t *testing.T) {
	cfg := testConfig()
	cfg.Default.Policy.Mode = policy.ModeObserve
	m := started(t, cfg, warden.Loaded{}, warden.CustomHealthCheck, 6, "web")
	m.tell(m.says("web-0", health.OwnerRunning))
	m.tell(m.says("web-0", health.OwnerAlarm))
	m.tell(m.says("web-0", health.OwnerAlarm))
	m.pass(4 * time.Second) // three polls without a word
	m.tell(m.says("web-0", health.OwnerGone))
	var got []string
	for _, r := range m.records {
		if r.Kind == warden.EvidenceRecord {
			got = append(got, r.Instance+" "+r.Source+" "+r.Evidence.String())
		}
	}
	want := []string{"web-0 ecs alarm", "web-0  none", "web-0 ecs gone"}
	if len(got) != len(want) {
		t.Fatalf("recorded %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("recorded %q, want %q", got, want)
		}
	}
}

// TestGoneKeepsNoEntry: ten minutes after the removal of what has gone for good
// its entry is closed; one that somebody registers again is theirs.
func TestGoneKeepsNoEntry(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.NoHealthCheck, 6, "web")
	m.probe(12)
	m.tell(m.says("web-0", health.OwnerGone))
	m.pass(5 * time.Second)
	if n := m.w.OpenEntries(); n != 1 {
		t.Fatalf("%d open entries after the removal, want 1", n)
	}
	m.pass(9 * time.Minute)
	if n := m.w.OpenEntries(); n != 1 {
		t.Fatalf("%d open entries while it counts as out, want 1", n)
	}
	m.pass(time.Minute)
	if n := m.w.OpenEntries(); n != 0 {
		t.Errorf("%d open entries after ten minutes, want none", n)
	}
	if _, ok := m.w.Explain(m.now, "srv-web", "web-0"); ok {
		t.Error("it is known still")
	}
}

// TestRetireForgetsTheGone: what has gone for good does not hold up a farewell.
func TestRetireForgetsTheGone(t *testing.T) {
	for _, kind := range []warden.HealthCheckKind{warden.NoHealthCheck, warden.CustomHealthCheck} {
		m := started(t, testConfig(), warden.Loaded{}, kind, 6, "web")
		m.probe(12)
		m.tell(m.says("web-0", health.OwnerGone))
		m.pass(3 * time.Minute)
		m.mustRemove(1, "gone")
		m.tell(warden.Retire{})
		m.pass(5 * time.Second)
		if !m.w.Snapshot(m.now).Retired {
			t.Errorf("%s: not retired", kind)
		}
		if n := len(m.decided(policy.Bring)); n != 0 {
			t.Errorf("%s: %d returns of what has gone", kind, n)
		}
	}
}

// TestExplainTellsTheOwnersWord: of several owners the worst word is told.
func TestExplainTellsTheOwnersWord(t *testing.T) {
	cfg := testConfig()
	cfg.Default.Policy.Mode = policy.ModeObserve
	m := started(t, cfg, warden.Loaded{}, warden.CustomHealthCheck, 6, "web")
	m.probe(1)
	m.tell(m.says("web-0", health.OwnerAlarm), m.says("web-0", health.OwnerRunning, func(e *health.Evidence) { e.Source = "ec2" }))
	e, _ := m.w.Explain(m.now, "srv-web", "web-0")
	if e.Owner != health.OwnerAlarm || e.OwnerSource != "ecs" || !strings.HasSuffix(e.Summary, "; its owner (ecs) says: alarm") {
		t.Errorf("%s of %s: %q", e.Owner, e.OwnerSource, e.Summary)
	}
}

// TestEvidenceMissingIsShownWhileOwnersAreSilent (rule 14).
func TestEvidenceMissingIsShownWhileOwnersAreSilent(t *testing.T) {
	cfg := testConfig()
	cfg.Default.Policy.Evidence = policy.EvidenceOwner
	m := started(t, cfg, warden.Loaded{}, warden.NoHealthCheck, 6, "web")
	lacks := func(want policy.Reason) {
		t.Helper()
		if got := m.w.Snapshot(m.now).Services[0].NoLever; got != want {
			t.Errorf("no lever because of %q, want %q", got, want)
		}
	}
	lacks(policy.EvidenceMissing)
	m.tell(warden.ServiceOwned{Service: "srv-web", Source: "ecs", Desired: 6})
	lacks(policy.NoReason)
	m.pass(2 * time.Second)
	m.tell(m.says("web-0", health.OwnerRunning))
	m.pass(2 * time.Second)
	lacks(policy.NoReason)
	m.pass(2 * time.Second)
	lacks(policy.EvidenceMissing)
}

// TestOwnershipIsThatOfAllOwners: the most desired, any deploy, any writer; and
// what was said long ago counts no more.
func TestOwnershipIsThatOfAllOwners(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 6, "web")
	gates := func(want ...policy.Reason) {
		t.Helper()
		page := m.w.Snapshot(m.now).Services[0]
		for _, r := range []policy.Reason{policy.Deploying, policy.OwnerWrites} {
			if slices.Contains(page.Gates, r) != slices.Contains(want, r) {
				t.Errorf("gates %q, want %q", page.Gates, want)
			}
		}
	}
	m.tell(warden.ServiceOwned{Service: "srv-web", Source: "ecs", Desired: 9, Deployments: []string{"a", "b"}})
	gates(policy.Deploying)
	if n := m.w.Snapshot(m.now).Services[0].N; n != 9 {
		t.Errorf("N is %d, want 9", n)
	}
	m.tell(warden.ServiceOwned{Service: "srv-web", Source: "other", Desired: 3, WritesHealth: true})
	gates(policy.Deploying, policy.OwnerWrites)
	m.tell(warden.ServiceOwned{Service: "srv-web", Source: "ecs", Desired: 9, Deployments: []string{"b"}})
	gates(policy.OwnerWrites)
	m.pass(5 * time.Second)
	gates()
	if n := m.w.Snapshot(m.now).Services[0].N; n != 6 {
		t.Errorf("N is %d, want 6", n)
	}
	m.tell(warden.ServiceOwned{Service: "srv-nobody", Source: "ecs"})
}
