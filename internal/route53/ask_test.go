package route53

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/registry"
)

func TestTarget(t *testing.T) {
	for _, tt := range []struct {
		check            registry.HealthCheck
		endpoint, host   string
		wantHost, wantIn string // Host header; path
	}{
		{registry.HealthCheck{Type: registry.CheckHTTP, ResourcePath: "/"}, "10.0.0.1:80", "web.example.com", "web.example.com", "/"},
		{registry.HealthCheck{Type: registry.CheckHTTP, ResourcePath: "up"}, "10.0.0.1:443", "web.example.com", "web.example.com:443", "/up"},
		{registry.HealthCheck{Type: registry.CheckHTTPS, ResourcePath: "/a?b=//c"}, "10.0.0.1:443", "web.example.com", "web.example.com", "/a?b=//c"},
		{registry.HealthCheck{Type: registry.CheckHTTPS, ResourcePath: "/"}, "[fd00::1]:8443", "", "", "/"},
	} {
		got := target(registry.Checked{Check: tt.check, Endpoint: netip.MustParseAddrPort(tt.endpoint), Host: tt.host})
		p := got.Check.Probe
		if p.Host != tt.wantHost || p.ServerName != tt.host || p.Path != tt.wantIn || p.Verify || p.Status != nil || got.AddrPort().String() != tt.endpoint {
			t.Errorf("%+v: target %+v", tt, got)
		}
		if got.Check.Timeout != 6*time.Second {
			t.Errorf("timeout %s", got.Check.Timeout)
		}
	}
	tcp := target(registry.Checked{Check: registry.HealthCheck{Type: registry.CheckTCP}, Endpoint: netip.MustParseAddrPort("10.0.0.1:22"), Host: "x"})
	if tcp.Check.Probe.Protocol != health.TCP || tcp.Check.Timeout != 10*time.Second {
		t.Errorf("tcp target %+v", tcp)
	}
}

func TestOnTime(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		protocol       health.Protocol
		connect, total time.Duration
		found          health.Outcome
		want           health.Outcome
	}{
		{health.HTTP, 4 * s, 6 * s, pass, pass},
		{health.HTTP, 4*s + 1, 5 * s, pass, fail},
		{health.HTTPS, s, 3*s + 1, pass, fail},
		{health.HTTPS, s, 3 * s, pass, pass},
		{health.HTTP, 0, 5 * s, none, none},
		{health.TCP, 9 * s, 9 * s, pass, pass},
	} {
		o := onTime(health.Observation{Outcome: tt.found, Start: 1, End: 1 + health.Instant(tt.total)}, tt.connect, tt.protocol)
		if o.Outcome != tt.want || o.Outcome == fail && o.Cause != health.Timeout {
			t.Errorf("%+v: %+v", tt, o)
		}
	}
}

// TestWithoutName checks that an endpoint which does not know the service's
// name gets a second handshake without it.
func TestWithoutName(t *testing.T) {
	c := registry.Checked{Host: "web.example.com", Endpoint: netip.MustParseAddrPort("10.0.0.1:443"), Check: registry.HealthCheck{Type: registry.CheckHTTPS}}
	var asked []string
	probe := func(_ context.Context, t health.Target) (health.Observation, time.Duration) {
		asked = append(asked, t.Check.Probe.ServerName)
		if t.Check.Probe.ServerName == "10.0.0.1" {
			return health.Observation{Outcome: pass, Start: 1, End: 1}, 0
		}
		return health.Observation{Outcome: fail, Cause: health.TLS, Start: 1, End: 1}, 0
	}
	if o := ask(t.Context(), probe, c); o.Outcome != pass || len(asked) != 2 || asked[0] != c.Host {
		t.Errorf("asked for %q: %+v", asked, o)
	}
	asked, c.Host = nil, ""
	ask(t.Context(), probe, c)
	if len(asked) != 1 {
		t.Errorf("without a name asked %d times", len(asked))
	}
}
