package warden_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

func grayConfig() warden.Config {
	cfg := testConfig()
	cfg.Default.Check.Gray = health.Gray{Fails: 5, Of: 20}
	return cfg
}

// stutter fails and passes web-0 in turn.
func (m *mind) stutter(times int) {
	for range times {
		m.probe(1, "web-0")
		m.probe(1)
	}
}

// TestGrayIsRemovedAndEarnsItsReturn: it goes though it passes, and a few
// passes do not bring it back: a whole window does.
func TestGrayIsRemovedAndEarnsItsReturn(t *testing.T) {
	m := started(t, grayConfig(), warden.Loaded{}, warden.NoHealthCheck, 4, "web")
	m.probe(25)
	m.stutter(4)
	m.mustRemove(0, "after four failures")
	m.stutter(3)
	m.mustRemove(1, "after five failures in as many runs, and the hold")
	e, _ := m.w.Explain(m.now, "srv-web", "web-0")
	if !e.Line.Flags.Has(warden.Gray) || !strings.Contains(e.Summary, "fails now and then: 7 of its latest 20 probes failed") {
		t.Errorf("explained as %v: %s", e.Line.Flags.Names(), e.Summary)
	}
	m.probe(12)
	if back := m.decided(policy.Bring); len(back) != 0 {
		t.Fatalf("back after 12 passes: %+v", back)
	}
	m.probe(12)
	if back := m.decided(policy.Bring); len(back) != 1 || back[0].Reason != policy.Recovered {
		t.Fatalf("after a clean window: %+v", back)
	}
}

// TestGrayOutlivesTheProcess: the next one does not know how often it failed,
// and so wants to see a whole window, too.
func TestGrayOutlivesTheProcess(t *testing.T) {
	entry := lever.Entry{ID: "e", Version: 1, Kind: lever.CustomStatus, Phase: lever.Out, Service: serviceOf("web"), Instance: "web-0", Reason: policy.Gray,
		Incarnation: health.Incarnation{Service: "srv-web", Instance: "web-0", Addr: addr("10.119.0.1"), Port: 80}, OutSince: wall - int64(time.Minute)}
	m := started(t, grayConfig(), warden.Loaded{Entries: []lever.Entry{entry}}, warden.CustomHealthCheck, 4, "web")
	m.probe(26) // the window begins anew when the warm-up of 10 s ends
	if back := m.decided(policy.Bring); len(back) != 0 {
		t.Fatalf("back after a part of a window: %+v", back)
	}
	m.probe(8)
	if back := m.decided(policy.Bring); len(back) != 1 {
		t.Fatalf("after a clean window: %+v", back)
	}
}

// TestGrayInObserve: what would be out comes back under the same conditions.
func TestGrayInObserve(t *testing.T) {
	cfg := grayConfig()
	cfg.Default.Policy.Mode = policy.ModeObserve
	m := started(t, cfg, warden.Loaded{}, warden.CustomHealthCheck, 4, "web")
	m.probe(25)
	m.stutter(7)
	out := m.decided(policy.Remove)
	if len(out) != 1 || out[0].Reason != policy.Gray || !out[0].Shadow {
		t.Fatalf("decided %+v", out)
	}
	m.probe(12)
	if back := m.decided(policy.Bring); len(back) != 0 {
		t.Fatalf("back after 12 passes: %+v", back)
	}
	m.probe(12)
	if back := m.decided(policy.Bring); len(back) != 1 {
		t.Fatalf("after a clean window: %+v", back)
	}
}
