package probe

import (
	"context"
	"testing"

	"github.com/mapwarden/mapwarden/internal/health"
)

// TestATargetSpeaksOfItself: over a real connection, whatever the status.
func TestATargetSpeaksOfItself(t *testing.T) {
	t.Parallel()
	const ok, failing = "HTTP/1.1 200 OK\r\n", "HTTP/1.1 503 Gone Fishing\r\n"
	for _, c := range []struct {
		name     string
		head     string
		want     want
		draining bool
		identity health.Identity
	}{
		{"nothing", ok, want{health.Pass, health.NoCause, "HTTP 200"}, false, health.Identity{}},
		{"drains", ok + "Mapwarden-Status: Draining\r\n", want{health.Pass, health.NoCause, ""}, true, health.Identity{}},
		{"another status", ok + "Mapwarden-Status: fine\r\n", want{health.Pass, health.NoCause, ""}, false, health.Identity{}},
		{"Envoy drains", ok + "x-envoy-immediate-health-check-fail: true\r\n", want{health.Pass, health.NoCause, ""}, true, health.Identity{}},
		{"Envoy fails and drains", failing + "x-envoy-immediate-health-check-fail:\r\n", want{health.Fail, health.BadStatus, "503"}, true, health.Identity{}},
		{"itself", ok + "Mapwarden-Service: web\r\nMapwarden-Instance: i-1\r\nMapwarden-Boot: 7f\r\n",
			want{health.Pass, health.NoCause, ""}, false, health.Identity{Service: "web", Instance: "i-1", Boot: "7f"}},
		{"itself in full", ok + "Mapwarden-Service: prod/WEB\r\n", want{health.Pass, health.NoCause, ""}, false, health.Identity{Service: "prod/WEB"}},
		{"itself by id", ok + "Mapwarden-Service: srv-1\r\n", want{health.Pass, health.NoCause, ""}, false, health.Identity{Service: "srv-1"}},
		{"another service", ok + "Mapwarden-Service: pay\r\n", want{health.Fail, health.Stranger, "service pay"}, false, health.Identity{Service: "pay"}},
		{"another instance drains", ok + "Mapwarden-Instance: i-2\r\nMapwarden-Status: draining\r\n",
			want{health.Fail, health.Stranger, "instance i-2"}, false, health.Identity{Instance: "i-2"}},
		{"another instance fails", failing + "Mapwarden-Instance: i-2\r\n", want{health.Fail, health.Stranger, "instance i-2"}, false, health.Identity{Instance: "i-2"}},
		{"nothing but boots", ok + "Mapwarden-Boot: a\x01b\r\n", want{health.Fail, health.Malformed, ""}, false, health.Identity{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ap := serveTCP(t, says(c.head+"Content-Length: 0\r\n\r\n"))
			p := NewProber(Options{Policy: loopbackOnly}, func() health.Instant { return 1 })
			o := p.Probe(context.Background(), &health.Target{
				Addr: ap.Addr(), Port: ap.Port(), Instance: "i-1", Service: health.Service{ID: "srv-1", Name: "web", Namespace: "prod"},
				Check: health.Check{Timeout: enough, Probe: health.Probe{Protocol: health.HTTP}},
			})
			c.want.check(t, o)
			if o.Draining != c.draining || o.Identity != c.identity {
				t.Errorf("draining %v, %+v; want %v, %+v", o.Draining, o.Identity, c.draining, c.identity)
			}
		})
	}
}

// TestNobodyIsAStrangerToTheUnknown: `mapwarden check` asks an address of which
// it knows neither service nor instance.
func TestNobodyIsAStrangerToTheUnknown(t *testing.T) {
	if who := stranger(health.Identity{Service: "web", Instance: "i-1"}, &health.Target{}); who != "" {
		t.Errorf("%s is a stranger", who)
	}
}
