package health_test

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
)

func TestEndpoint(t *testing.T) {
	for _, c := range []struct {
		name  string
		attrs map[string]string
		addr  string // "" is invalid
		port  uint16
	}{
		{"nothing", nil, "", 0},
		{"IPv4 and port", map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "8080"}, "10.0.0.1", 8080},
		{"IPv6", map[string]string{"AWS_INSTANCE_IPV6": "fd00::1", "AWS_INSTANCE_PORT": "1"}, "fd00::1", 1},
		{"both: IPv4 wins", map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_IPV6": "fd00::1"}, "10.0.0.1", 0},
		{"a malformed IPv4 is not replaced by another address", map[string]string{"AWS_INSTANCE_IPV4": "10.0.0", "AWS_INSTANCE_IPV6": "fd00::1"}, "", 0},
		{"mapped", map[string]string{"AWS_INSTANCE_IPV6": "::ffff:10.0.0.1"}, "10.0.0.1", 0},
		{"port too large", map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "65536"}, "10.0.0.1", 0},
		{"port with a sign", map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "+80"}, "10.0.0.1", 0},
		{"alias", map[string]string{"AWS_ALIAS_DNS_NAME": "lb.example."}, "", 0},
	} {
		addr, port := health.Endpoint(health.AttributesOf(c.attrs))
		want, _ := netip.ParseAddr(c.addr)
		if addr != want || port != c.port {
			t.Errorf("%s: %s port %d, want %s port %d", c.name, addr, port, want, c.port)
		}
	}
}

func FuzzEndpoint(f *testing.F) {
	f.Add("10.0.0.1", "fd00::1", "80")
	f.Add("::ffff:1.2.3.4", "", "065535")
	f.Fuzz(func(t *testing.T, v4, v6, port string) {
		addr, n := health.Endpoint(health.AttributesOf(map[string]string{
			health.AttrIPv4: v4, health.AttrIPv6: v6, health.AttrPort: port,
		}))
		if addr.Is4In6() {
			t.Errorf("%s is not unmapped", addr)
		}
		again, m := health.Endpoint(health.AttributesOf(map[string]string{
			health.AttrIPv6: addr.String(), health.AttrPort: port,
		}))
		if addr.IsValid() && again != addr || m != n {
			t.Errorf("%s port %d reads again as %s port %d", addr, n, again, m)
		}
	})
}

func TestAttributes(t *testing.T) {
	gen := rapid.MapOf(rapid.StringMatching(`[A-Za-z_]{0,5}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		m, n := gen.Draw(t, "m"), gen.Draw(t, "n")
		a, b := health.AttributesOf(m), health.AttributesOf(n)
		if !slices.IsSortedFunc(a, func(x, y health.Attribute) int {
			if x.Key < y.Key {
				return -1
			}
			return 1
		}) {
			t.Fatalf("not sorted: %v", a)
		}
		if !maps.Equal(a.Map(), m) {
			t.Fatalf("%v became %v", m, a.Map())
		}
		if a.Equal(b) != maps.Equal(m, n) {
			t.Fatalf("%v equals %v: %v", m, n, a.Equal(b))
		}
		for k, v := range m {
			if a.Get(k) != v {
				t.Fatalf("%q is %q, want %q", k, a.Get(k), v)
			}
		}
		for k := range n {
			if _, ok := m[k]; !ok && a.Get(k) != "" {
				t.Fatalf("%q, which is not there, is %q", k, a.Get(k))
			}
		}
	})
	if health.AttributesOf(nil) != nil || !health.AttributesOf(nil).Equal(health.Attributes{}) {
		t.Error("no attributes are not equal to none")
	}
}

func TestIncarnationHash(t *testing.T) {
	base := health.Incarnation{Service: "srv-1", Instance: "i-1", Addr: netip.MustParseAddr("10.0.0.1"), Port: 80}
	seen := map[uint64]health.Incarnation{base.Hash(): base}
	for _, change := range []func(*health.Incarnation){
		func(i *health.Incarnation) { i.Service = "srv-2" },
		func(i *health.Incarnation) { i.Instance = "i-2" },
		func(i *health.Incarnation) { i.Addr = netip.MustParseAddr("10.0.0.2") },
		func(i *health.Incarnation) { i.Addr = netip.Addr{} },
		func(i *health.Incarnation) { i.Port = 81 },
		func(i *health.Incarnation) { i.Boot = "b" },
		func(i *health.Incarnation) { i.Service, i.Instance = "srv-1i", "-1" },
		func(i *health.Incarnation) { i.Instance, i.Boot = "", "i-1" },
	} {
		x := base
		change(&x)
		if other, ok := seen[x.Hash()]; ok {
			t.Errorf("%+v and %+v have one hash", x, other)
		}
		seen[x.Hash()] = x
	}
	if base.Hash() != (health.Incarnation{Service: "srv-1", Instance: "i-1", Addr: netip.MustParseAddr("10.0.0.1"), Port: 80}).Hash() {
		t.Error("the same incarnation has another hash")
	}
}

func TestFingerprint(t *testing.T) {
	base := health.Probe{Protocol: health.HTTP, Path: "/healthz"}
	seen := map[uint64]bool{base.Fingerprint(): true}
	for i, change := range []func(*health.Probe){
		func(p *health.Probe) { p.Protocol = health.HTTPS },
		func(p *health.Probe) { p.Port = 8080 },
		func(p *health.Probe) { p.Method = "HEAD" },
		func(p *health.Probe) { p.Path = "/healthy" },
		func(p *health.Probe) { p.Path, p.Host = "/health", "z" },
		func(p *health.Probe) { p.Headers = []health.Header{{Name: "a", Value: "b"}} },
		func(p *health.Probe) { p.Headers = []health.Header{{Name: "ab", Value: ""}} },
		func(p *health.Probe) { p.Status = []health.StatusRange{{From: 200, To: 299}} },
		func(p *health.Probe) { p.Status = []health.StatusRange{{From: 200, To: 204}} },
		func(p *health.Probe) { p.Contains = "ok" },
		func(p *health.Probe) { p.ServerName = "ok" },
		func(p *health.Probe) { p.Verify = true },
		func(p *health.Probe) { p.Invert = true },
		func(p *health.Probe) { p.Combine, p.Of = health.All, make([]health.Probe, 2) },
		func(p *health.Probe) { p.Combine, p.Of = health.Any, make([]health.Probe, 2) },
		func(p *health.Probe) { p.Combine, p.Of = health.Any, make([]health.Probe, 3) },
		func(p *health.Probe) { p.Combine, p.N, p.Of = health.AtLeast, 1, make([]health.Probe, 3) },
		func(p *health.Probe) { p.Combine, p.N, p.Of = health.AtLeast, 2, make([]health.Probe, 3) },
		func(p *health.Probe) { p.Combine, p.Of = health.All, []health.Probe{{}, {Path: "/x"}} },
		func(p *health.Probe) { p.Combine, p.Of = health.All, []health.Probe{{}, {Invert: true}} },
	} {
		p := base
		change(&p)
		if seen[p.Fingerprint()] {
			t.Errorf("change %d does not change the fingerprint", i)
		}
		seen[p.Fingerprint()] = true
	}
}

func TestWithPath(t *testing.T) {
	for _, c := range []struct {
		outcome    health.Outcome
		cause      health.Cause
		ever, peer bool
		want       health.Outcome
	}{
		{health.Fail, health.Timeout, true, true, health.Fail},
		{health.Fail, health.Timeout, false, true, health.Indeterminate},
		{health.Fail, health.Timeout, true, false, health.Indeterminate},
		{health.Fail, health.Unreachable, false, false, health.Indeterminate},
		{health.Fail, health.Unreachable, true, true, health.Fail},
		{health.Fail, health.Refused, false, false, health.Fail},
		{health.Fail, health.BadStatus, false, false, health.Fail},
		{health.Pass, health.NoCause, false, false, health.Pass},
		{health.Indeterminate, health.LocalFault, true, true, health.Indeterminate},
	} {
		o := health.Observation{Outcome: c.outcome, Cause: c.cause}.WithPath(c.ever, c.peer)
		wantCause := c.cause
		if c.want != c.outcome {
			wantCause = health.PathUnproven
		}
		if o.Outcome != c.want || o.Cause != wantCause {
			t.Errorf("%s %s, passed before %v, a peer passed %v: %s %s, want %s %s",
				c.outcome, c.cause, c.ever, c.peer, o.Outcome, o.Cause, c.want, wantCause)
		}
	}
}

// TestCauses: each has a name of its own, and silence never proves reach.
func TestCauses(t *testing.T) {
	seen := make(map[string]health.Cause)
	for c := health.NoCause; c.String() != "unknown-cause"; c++ {
		if other, ok := seen[c.String()]; ok || c.String() == "" {
			t.Errorf("causes %d and %d are both called %q", other, c, c)
		}
		seen[c.String()] = c
		if c.ProvesReach() && c.NeedsPath() {
			t.Errorf("%s proves reach and needs a path", c)
		}
		if c.Class() == health.Hard && !c.ProvesReach() {
			t.Errorf("%s is hard evidence and proves no reach", c)
		}
	}
	if len(seen) < 15 {
		t.Errorf("only %d causes", len(seen))
	}
}

func TestHandle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i, g := rapid.Uint32().Draw(t, "index"), rapid.Uint32Min(1).Draw(t, "generation")
		h := health.NewHandle(i, g)
		if h == 0 || h.Index() != int(i) || h.Generation() != g {
			t.Fatalf("%d/%d became %d/%d", i, g, h.Index(), h.Generation())
		}
	})
}

func TestInstant(t *testing.T) {
	if health.Never.Add(time.Hour) != health.Never || health.Never.Add(-time.Hour) != health.Never {
		t.Error("Never does not stay")
	}
	if at := health.Instant(time.Second); at.Add(time.Second).Sub(at) != time.Second || at.Seconds() != 1 {
		t.Error("instants do not add up")
	}
}
