package demo

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
)

// scene is a real registry, reached over the wire, with one service.
type scene struct {
	t       *testing.T
	api     *httptest.Server
	writer  *cloudmap.Writer
	service health.Service
}

func newScene(t *testing.T) *scene {
	t.Helper()
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); reg.Run(ctx) }()
	s := &scene{t: t, api: httptest.NewServer(awsjson.New(reg))}
	t.Cleanup(func() { s.api.Close(); cancel(); <-done; reg.Close() })
	c, err := cloudmap.New(ctx, cloudmap.Config{URL: s.api.URL, LoopbackOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	p, err := c.NewProvisioner()
	if err != nil {
		t.Fatal(err)
	}
	space, err := p.HTTPNamespace(within(t), string(with))
	if err != nil {
		t.Fatal(err)
	}
	if s.service, err = p.Service(within(t), space, "web", true); err != nil {
		t.Fatal(err)
	}
	s.writer = c.NewWriter()
	return s
}

// register adds an instance at a server.
func (s *scene) register(id string, h http.HandlerFunc) {
	s.t.Helper()
	srv := httptest.NewServer(h)
	s.t.Cleanup(srv.Close)
	at := srv.Listener.Addr().(*net.TCPAddr)
	_, err := s.writer.Register(within(s.t), s.service.ID, id, health.AttributesOf(map[string]string{
		health.AttrIPv4: at.IP.String(), health.AttrPort: strconv.Itoa(at.Port),
	}), id)
	if err != nil {
		s.t.Fatal(err)
	}
}

// call starts a client; the function it returns gives its next report, and
// after the end false.
func (s *scene) call() (next func() (heard, bool), end func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := Call(ctx, in, s.api.URL, string(with), "web")
		in.Close()
		done <- err
	}()
	reports := make(chan heard)
	go func() {
		defer close(reports)
		for d := json.NewDecoder(out); ; {
			var h heard
			if err := d.Decode(&h); err != nil {
				if err != io.EOF {
					s.t.Errorf("the client wrote what is no report: %v", err)
				}
				return
			}
			reports <- h
		}
	}()
	next = func() (heard, bool) {
		s.t.Helper()
		select {
		case h, ok := <-reports:
			return h, ok
		case <-within(s.t).Done():
			s.t.Fatal("the client says nothing")
		}
		return heard{}, false
	}
	end = func() {
		s.t.Helper()
		cancel()
		for _, ok := next(); ok; _, ok = next() {
		}
		if err := <-done; err != nil {
			s.t.Errorf("Call: %v", err)
		}
	}
	return next, end
}

// until gives the first report that is as wanted.
func until(t *testing.T, next func() (heard, bool), what string, is func(heard) bool) heard {
	t.Helper()
	for ctx := within(t); ctx.Err() == nil; {
		h, ok := next()
		if !ok {
			t.Fatalf("the client ended before %s", what)
		}
		if is(h) {
			return h
		}
	}
	t.Fatalf("waited in vain for %s", what)
	return heard{}
}

func well(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "yes") }

func spoilt(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }

// TestClientCounts what it sent to whom, and what of it failed.
func TestClientCounts(t *testing.T) {
	s := newScene(t)
	s.register("web-1", well)
	s.register("web-2", spoilt)
	next, end := s.call()
	defer end()
	sent, failed := map[string]int{}, map[string]int{}
	until(t, next, "200 requests", func(h heard) bool {
		if h.Side != with || h.Service != "web" || h.At.IsZero() {
			t.Errorf("a report about %q %q at %s", h.Side, h.Service, h.At)
		}
		for id, n := range h.Sent {
			sent[id] += n
			failed[id] += h.Failed[id]
			if ok := h.FirstOK[id] != 0; ok != (h.Failed[id] < n) {
				t.Errorf("%s: %d of %d failed, and the first good one is said to be %t", id, h.Failed[id], n, ok)
			}
			if bad := h.LastFail[id] != 0; bad != (h.Failed[id] > 0) {
				t.Errorf("%s: %d of %d failed, and the last bad one is said to be %t", id, h.Failed[id], n, bad)
			}
		}
		return sent["web-1"]+sent["web-2"] >= 200
	})
	if failed["web-1"] != 0 || failed["web-2"] != sent["web-2"] {
		t.Errorf("failed: %v of %v", failed, sent)
	}
	if d := sent["web-1"] - sent["web-2"]; d < -60 || d > 60 {
		t.Errorf("the load is not even: %v", sent)
	}
}

// TestClientFollowsTheRegistry: what is registered is called soon, what is
// UNHEALTHY no more.
func TestClientFollowsTheRegistry(t *testing.T) {
	s := newScene(t)
	next, end := s.call()
	defer end()
	if h, _ := next(); len(h.Offered) != 0 || len(h.Sent) != 0 {
		t.Errorf("with nothing registered it is offered %v and sends %v", h.Offered, h.Sent)
	}
	s.register("web-1", well)
	until(t, next, "the first instance", func(h heard) bool { return slices.Equal(h.Offered, []string{"web-1"}) && h.Sent["web-1"] > 0 })
	s.register("web-2", well)
	until(t, next, "the second instance", func(h heard) bool { return len(h.Offered) == 2 && h.Sent["web-2"] > 0 })
	if err := s.writer.SetStatus(within(t), s.service.ID, "web-1", health.Unhealthy); err != nil {
		t.Fatal(err)
	}
	until(t, next, "the end of the load on the first", func(h heard) bool {
		return slices.Equal(h.Offered, []string{"web-2"}) && h.Sent["web-1"] == 0 && h.Sent["web-2"] > 0
	})
}

// TestClientGoesOn with what it knows while the registry is away.
func TestClientGoesOn(t *testing.T) {
	s := newScene(t)
	s.register("web-1", well)
	next, end := s.call()
	defer end()
	until(t, next, "the first request", func(h heard) bool { return h.Sent["web-1"] > 0 })
	s.api.CloseClientConnections()
	s.api.Close()
	for range 6 {
		until(t, next, "requests without a registry", func(h heard) bool {
			return slices.Equal(h.Offered, []string{"web-1"}) && h.Sent["web-1"] > 0 && h.Failed["web-1"] == 0
		})
	}
}

// TestClientWaitsSoLong and no longer for an answer: a server that hangs makes
// failures, and does not keep the client from its end.
func TestClientWaitsSoLong(t *testing.T) {
	s := newScene(t)
	release := make(chan struct{})
	defer close(release)
	s.register("web-1", func(http.ResponseWriter, *http.Request) { <-release })
	next, end := s.call()
	h := until(t, next, "failures", func(h heard) bool { return h.Failed["web-1"] > 0 })
	if age := h.At.UnixNano() - h.LastFail["web-1"]; age < int64(requestTimeout) {
		t.Errorf("a request failed %d ms after it was sent, before its time was over", age/1e6)
	}
	if h.Failed["web-1"] != h.Sent["web-1"] {
		t.Errorf("%d of %d failed, want all", h.Failed["web-1"], h.Sent["web-1"])
	}
	end()
}

func TestClientNeedsARegistry(t *testing.T) {
	if err := Call(within(t), io.Discard, "http://198.51.100.1:80", "with", "web"); err == nil {
		t.Error("a registry beyond this machine, and no error")
	}
}
