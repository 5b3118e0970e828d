package warden_test

import (
	"strings"
	"testing"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// TestShallowPassesDeepFails is said in one sentence.
func TestShallowPassesDeepFails(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.NoHealthCheck, 4, "web")
	m.probe(3)
	explained := func(deep health.Outcome, c health.Cause) string {
		o := m.seen("web-0", deep, c)
		o.Parts = []health.Part{{Name: "live", Outcome: health.Pass}, {Name: "deep", Outcome: deep, Cause: c}}
		m.tell(warden.Observed{Observations: []health.Observation{o}})
		e, _ := m.w.Explain(m.now, "srv-web", "web-0")
		return e.Summary
	}
	if s := explained(health.Fail, health.BadStatus); !strings.HasSuffix(s, "; live passes, deep fails (status)") {
		t.Error(s)
	}
	if s := explained(health.Indeterminate, health.Late); !strings.HasSuffix(s, "; live passes, deep is NOT CHECKED (late)") {
		t.Error(s)
	}
	if s := explained(health.Pass, health.NoCause); strings.Contains(s, "live") {
		t.Errorf("nothing to tell: %s", s)
	}
}

// TestStartupCheck: it is asked until it passes once; the check that follows is
// no reason for anything before its own first pass.
func TestStartupCheck(t *testing.T) {
	cfg := testConfig()
	cfg.Default.Check.Startup = &health.Probe{Protocol: health.HTTP, Path: "/started", Port: 81}
	m := started(t, cfg, warden.Loaded{}, warden.CustomHealthCheck, 4, "web")
	see := func(id string, o health.Outcome, c health.Cause) {
		x := m.seen(id, o, c)
		x.Startup = m.targets[id].Startup
		m.tell(warden.Observed{Observations: []health.Observation{x}})
	}
	first := m.targets["web-0"]
	if !first.Startup || first.Check.Probe.Path != "/started" || first.Port != 81 {
		t.Fatalf("first asked: %+v", first)
	}
	see("web-0", health.Fail, health.Refused)
	late := m.seen("web-0", health.Fail, health.Refused)
	late.Startup = true
	see("web-0", health.Pass, health.NoCause)
	then := m.targets["web-0"]
	if then.Startup || then.Check.Probe.Path != "" || then.Port != 80 || then.Handle != first.Handle {
		t.Fatalf("asked then: %+v", then)
	}
	m.tell(warden.Observed{Observations: []health.Observation{late}})
	if e, _ := m.w.Explain(m.now, "srv-web", "web-0"); e.Fails != 0 || e.EverPassed {
		t.Errorf("a late answer counts, or a startup check is a check: %+v", e)
	}
	for _, id := range []string{"web-1", "web-2", "web-3"} {
		see(id, health.Pass, health.NoCause)
	}
	m.probe(20, "web-0")
	m.mustRemove(0, "for a check that it never passed")
	if held := m.decided(policy.HoldOut); len(held) != 0 {
		t.Errorf("held out: %+v", held)
	}
	m.probe(6)
	m.probe(4, "web-0")
	m.mustRemove(1, "once it passed its check")
}
