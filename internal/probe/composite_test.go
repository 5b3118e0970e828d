package probe

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// serveParts answers /live with 200 and /deep with 503.
func serveParts(t *testing.T) *health.Target {
	t.Helper()
	_, ap := serveHTTP(t, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/deep" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	return &health.Target{Addr: ap.Addr(), Port: ap.Port(), Check: health.Check{Timeout: enough}}
}

func TestComposite(t *testing.T) {
	t.Parallel()
	live := health.Probe{Protocol: health.HTTP, Path: "/live", Name: "live"}
	deep := health.Probe{Protocol: health.HTTP, Path: "/deep", Name: "deep"}
	closed := health.Probe{Protocol: health.TCP, Port: closedPort(t).Port(), Name: "closed"}
	not := func(p health.Probe) health.Probe { p.Invert = true; return p }
	all := func(of ...health.Probe) health.Probe { return health.Probe{Combine: health.All, Of: of} }
	for _, c := range []struct {
		name  string
		probe health.Probe
		want  want
		parts string // outcomes, in order
	}{
		{"all pass", all(live, live), want{health.Pass, health.NoCause, "all parts pass"}, "pass pass"},
		{"shallow passes, deep fails", all(live, deep), want{health.Fail, health.BadStatus, "deep: HTTP 503"}, "pass fail"},
		{"any", health.Probe{Combine: health.Any, Of: []health.Probe{deep, live}}, want{health.Pass, health.NoCause, "deep: HTTP 503"}, "fail pass"},
		{"two of three", health.Probe{Combine: health.AtLeast, N: 2, Of: []health.Probe{live, deep, closed}}, want{health.Fail, health.BadStatus, "closed: "}, "pass fail fail"},
		{"nested and inverted", all(live, not(all(live, deep)), not(closed)), want{health.Pass, health.NoCause, ""}, "pass pass fail fail"},
		{"one, inverted", not(live), want{health.Fail, health.Inverted, ""}, "pass"},
		{"a port of its own", all(live, health.Probe{Protocol: health.TCP, Port: closed.Port}), want{health.Fail, health.Refused, "tcp :"}, "pass fail"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			target := serveParts(t)
			target.Check.Probe, target.Startup = c.probe, true
			o := NewProber(Options{Policy: loopbackOnly}, clock()).Probe(context.Background(), target)
			c.want.check(t, o)
			var outcomes []string
			for _, p := range o.Parts {
				outcomes = append(outcomes, p.Outcome.String())
			}
			if got := strings.Join(outcomes, " "); got != c.parts || !o.Startup {
				t.Errorf("parts %s, startup %v; want %s", got, o.Startup, c.parts)
			}
		})
	}
}

// TestCompositeAsksAtOnce: every part waits until all of them are connected.
func TestCompositeAsksAtOnce(t *testing.T) {
	t.Parallel()
	const n = 4
	var together sync.WaitGroup
	together.Add(n)
	ap := serveTCP(t, func(c net.Conn) {
		request(c)
		together.Done()
		together.Wait()
		io.WriteString(c, okHead+"Mapwarden-Status: draining\r\nContent-Length: 0\r\n\r\n")
		c.Close()
	})
	pr := health.Probe{Combine: health.All}
	for range n {
		pr.Of = append(pr.Of, health.Probe{Protocol: health.HTTP})
	}
	o := portable.ask(t, ap, pr, enough)
	want{health.Pass, health.NoCause, ""}.check(t, o)
	if !o.Draining {
		t.Error("what a part says is lost")
	}
}

// TestCompositeHasOneTimeout: a part that hangs costs no more than the check.
func TestCompositeHasOneTimeout(t *testing.T) {
	t.Parallel()
	ap := serveTCP(t, func(net.Conn) {})
	get := health.Probe{Protocol: health.HTTP}
	o := portable.ask(t, ap, health.Probe{Combine: health.Any, Of: []health.Probe{get, get, get}}, patience)
	want{health.Fail, health.Timeout, ""}.check(t, o)
	if took := o.End.Sub(o.Start); took > patience+5*time.Second {
		t.Errorf("took %v, the timeout is %v", took, patience)
	}
}
