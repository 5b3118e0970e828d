package warden_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// TestSlowIsRemovedAgainstItsPeers, shown before, and returns when it is quick.
func TestSlowIsRemovedAgainstItsPeers(t *testing.T) {
	cfg := testConfig()
	cfg.Default.Check.Slow = health.Slow{Factor: 5, Floor: 500 * time.Millisecond}
	m := started(t, cfg, warden.Loaded{}, warden.NoHealthCheck, 8, "web")
	m.probe(15)
	crawl := func(n int) {
		for range n {
			m.answers("web-0", func(o *health.Observation) { o.Start = o.End.Add(-900 * time.Millisecond) })
			m.pass(time.Second)
		}
	}
	crawl(5)
	e, _ := m.w.Explain(m.now, "srv-web", "web-0")
	if !e.Line.Flags.Has(warden.Degraded) || !strings.Contains(e.Summary, "in; its latest probe is a pass; degraded: it passes in about") {
		t.Errorf("explained as %v: %s", e.Line.Flags.Names(), e.Summary)
	}
	crawl(50)
	m.mustRemove(0, "within a minute")
	crawl(20)
	m.mustRemove(1, "after a minute, and the hold")
	if out := m.decided(policy.Remove); out[0].Reason != policy.Slow {
		t.Errorf("removed for %s", out[0].Reason)
	}
	crawl(10)
	if back := m.decided(policy.Bring); len(back) != 0 {
		t.Errorf("back though it is slow: %+v", back)
	}
	m.probe(10)
	if back := m.decided(policy.Bring); len(back) != 1 {
		t.Errorf("%d returns of one that is quick again", len(back))
	}
}
