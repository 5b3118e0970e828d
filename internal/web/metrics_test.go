package web_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
	"github.com/mapwarden/mapwarden/internal/web"
)

type prober struct{}

func (prober) ProbeStats() web.ProbeStats {
	return web.ProbeStats{
		Probes:   []web.ProbeCount{{Outcome: "pass", Cause: "none", Count: 40}, {Outcome: "fail", Cause: "refused", Count: 2}},
		Lateness: web.Lateness{Bounds: []float64{0.01, 0.1}, Counts: []uint64{30, 9, 3}, Sum: 1.5},
		Dropped:  1, Waiting: 2, InFlight: 3,
	}
}

func scrape(t *testing.T, m *web.Metrics) string {
	t.Helper()
	w := ask(m.Handler(), "GET", "/metrics", "")
	if w.Code != 200 {
		t.Fatalf("metrics: %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	snap := night()
	snap.Wall = 0 // so that no age is added
	snap.Gates, snap.Doubt, snap.Storm = []policy.Reason{policy.SelfDoubt}, health.DoubtMass, true
	m := web.NewMetrics(&mind{snap: snap}, prober{}, web.Build{Version: "v0.1.0", Revision: "abc"})
	m.Observe(warden.Record{Kind: warden.DecisionRecord, Action: policy.Remove, Reason: policy.FailOpen})
	m.Observe(warden.Record{Kind: warden.DecisionRecord, Action: policy.Remove, Reason: policy.FailOpen})
	m.Observe(warden.Record{Kind: warden.ActuationRecord, Action: policy.Bring, Reason: policy.Recovered, Lever: lever.Quarantine})
	m.Observe(warden.Record{Kind: warden.TransitionRecord})
	m.ObserveCall("RegisterInstance", lever.Throttled)
	m.Reloaded(false)
	got := scrape(t, m)
	for _, want := range []string{
		`mapwarden_targets{state="passing"} 42`,
		`mapwarden_targets{state="failing"} 9`,
		`mapwarden_targets{state="indeterminate"} 3`,
		`mapwarden_instances{standing="in"} 45`,
		`mapwarden_instances{standing="kept"} 6`,
		`mapwarden_withheld{reason="fail-open"} 6`,
		`mapwarden_withheld{reason="hold"} 1`,
		`mapwarden_services{lever="quarantine",mode="enforce"} 3`,
		`mapwarden_services_past_line 1`,
		`mapwarden_gates{reason="self-doubt"} 1`,
		`mapwarden_gates{reason="storm"} 1`,
		`mapwarden_self_doubt 1`,
		`mapwarden_frozen 0`,
		`mapwarden_synced 1`,
		`mapwarden_quarantined 1`,
		`mapwarden_registry_staleness_seconds 4`,
		`mapwarden_decisions_total{action="remove",reason="fail-open"} 2`,
		`mapwarden_actuations_total{action="return",lever="quarantine",reason="recovered"} 1`,
		`mapwarden_registry_calls_total{fault="throttled",op="RegisterInstance"} 1`,
		`mapwarden_config_last_reload_successful 0`,
		`mapwarden_probes_total{cause="refused",outcome="fail"} 2`,
		`mapwarden_probe_lateness_seconds_bucket{le="0.01"} 30`,
		`mapwarden_probe_lateness_seconds_bucket{le="0.1"} 39`,
		`mapwarden_probe_lateness_seconds_bucket{le="+Inf"} 42`,
		`mapwarden_probe_lateness_seconds_sum 1.5`,
		`mapwarden_probe_lateness_seconds_count 42`,
		`mapwarden_build_info{goversion="go`,
	} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("no line %s", want)
		}
	}
	m.Reloaded(true)
	if got := scrape(t, m); !strings.Contains(got, "\nmapwarden_config_last_reload_successful 1\n") {
		t.Error("a good reload is not shown")
	}
	if strings.Contains(got, "pay-0003") || strings.Contains(got, "10.8.0.4") || strings.Contains(got, "prod.internal") {
		t.Error("a label names an instance, an address or a service")
	}
}

// TestMetricsDoNotGrowWithTheFleet: a thousand instances must not add a series.
func TestMetricsDoNotGrowWithTheFleet(t *testing.T) {
	series := func(s *warden.Snapshot) int {
		got := scrape(t, web.NewMetrics(&mind{snap: s}, nil, web.Build{}))
		return strings.Count(got, "\nmapwarden_")
	}
	few := series(snapshotOf(page("a", "b", "srv-1", warden.NoHealthCheck, serial("i", 1)...)))
	many := series(snapshotOf(page("a", "b", "srv-1", warden.NoHealthCheck, serial("i", 1000)...), page("a", "c", "srv-2", warden.NoHealthCheck, serial("i", 1000)...)))
	if few != many {
		t.Errorf("%d series for one instance, %d for 2,000", few, many)
	}
}

// TestEveryReasonHasASentence reads the constants themselves, so that a new
// one cannot be forgotten.
func TestEveryReasonHasASentence(t *testing.T) {
	reasons := constants(t, "../policy/reason.go", "Reason")
	if len(reasons) < 30 {
		t.Fatalf("found %d reasons only: the test reads them wrongly", len(reasons))
	}
	said := map[string]string{}
	for _, r := range reasons {
		says := web.Explain(policy.Reason(r))
		switch {
		case r == "":
			if says != "" {
				t.Errorf("no reason says %q", says)
			}
			continue
		case says == r || !strings.HasSuffix(says, "."):
			t.Errorf("%q has no sentence: %q", r, says)
		case said[says] != "":
			t.Errorf("%q and %q say the same", r, said[says])
		}
		said[says] = r
	}
	if got := web.Explain("from-the-future"); got != "from-the-future" {
		t.Errorf("an unknown reason says %q", got)
	}
}

// TestEveryCauseAndStandingHasWords does the same for what is numbered.
func TestEveryCauseAndStandingHasWords(t *testing.T) {
	_, _, h := server(t)
	body := ask(h, "GET", "/api/v1/words", "").Body.String()
	for c := health.Refused; c.String() != "unknown-cause"; c++ {
		if !strings.Contains(body, strconv.Quote(c.String())+":") {
			t.Errorf("cause %s has no words", c)
		}
	}
	for _, s := range []policy.Standing{policy.In, policy.Leaving, policy.Out, policy.Probation, policy.Waiting, policy.Kept} {
		if !strings.Contains(body, strconv.Quote(s.String())+":") {
			t.Errorf("standing %s has no words", s)
		}
	}
}

// constants are the values of a file's string constants of one type.
func constants(t *testing.T, path, typeName string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); !ok || id.Name != typeName {
			return true
		}
		for _, e := range v.Values {
			text, err := strconv.Unquote(e.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, text)
		}
		return true
	})
	slices.Sort(out)
	return out
}
