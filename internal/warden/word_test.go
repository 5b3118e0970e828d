package warden_test

import (
	"strings"
	"testing"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// answers has all but one pass, and that one pass with a word.
func (m *mind) answers(id string, word func(*health.Observation)) {
	m.t.Helper()
	o := m.seen(id, health.Pass, health.NoCause)
	word(&o)
	m.tell(warden.Observed{Observations: []health.Observation{o}})
}

// TestDrainingIsFollowedAtOnce: no failure, no hold; a fault of many that only
// drain is no reason for self-doubt.
func TestDrainingIsFollowedAtOnce(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.NoHealthCheck, 4, "web")
	m.probe(15)
	m.answers("web-0", func(o *health.Observation) { o.Draining = true })
	m.mustRemove(1, "at its own word")
	e, _ := m.w.Explain(m.now, "srv-web", "web-0")
	if e.Line.Phase != health.Draining || !e.Line.Flags.Has(warden.Draining) || !strings.Contains(e.Summary, "about to stop") {
		t.Errorf("explained as %s %v: %s", e.Line.Phase, e.Line.Flags.Names(), e.Summary)
	}
	m.probe(6)
	if back := m.decided(policy.Bring); len(back) != 1 {
		t.Errorf("%d returns of one that drains no more", len(back))
	}
}

// TestBootIsShown: with the time at which it was first heard.
func TestBootIsShown(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.NoHealthCheck, 4, "web")
	m.probe(3)
	boot := func(id string) warden.Explanation {
		m.answers("web-0", func(o *health.Observation) { o.Identity.Boot = id })
		e, _ := m.w.Explain(m.now, "srv-web", "web-0")
		return e
	}
	first := boot("a")
	m.probe(2) // says nothing of it
	if again := boot("a"); again.Boot != "a" || again.BootSince != first.BootSince || first.BootSince == 0 {
		t.Errorf("%s since %d, then %s since %d", first.Boot, first.BootSince, again.Boot, again.BootSince)
	}
	if next := boot("b"); next.Boot != "b" || next.BootSince <= first.BootSince {
		t.Errorf("another life: %s since %d", next.Boot, next.BootSince)
	}
}
