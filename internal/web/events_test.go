package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
	"github.com/mapwarden/mapwarden/internal/web"
)

// subscriber reads an event stream.
type subscriber struct {
	t    *testing.T
	resp *http.Response
	in   *bufio.Reader
}

func subscribe(t *testing.T, ctx context.Context, url string) *subscriber {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return &subscriber{t, resp, bufio.NewReader(resp.Body)}
}

// next returns the next event; ok is false at the end of the stream.
func (s *subscriber) next() (name, data string, ok bool) {
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return "", "", false
		}
		switch line = strings.TrimSuffix(line, "\n"); {
		case line == "":
			return name, data, true
		case strings.HasPrefix(line, "event: "):
			name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data = line[len("data: "):]
		default:
			s.t.Errorf("not an event stream: %q", line)
		}
	}
}

// await returns the data of the next event of that name.
func (s *subscriber) await(name string, into any) {
	s.t.Helper()
	for {
		n, data, ok := s.next()
		if !ok {
			s.t.Fatalf("the stream ended before %q", name)
		}
		if n == name {
			if err := json.Unmarshal([]byte(data), into); err != nil {
				s.t.Fatal(err)
			}
			return
		}
	}
}

func streaming(t *testing.T, opts web.Options) (*mind, *web.Feed, string) {
	t.Helper()
	m := &mind{snap: night()}
	feed := web.NewFeed()
	opts.Mind, opts.Feed, opts.Log = m, feed, slog.New(slog.DiscardHandler)
	if opts.Refresh == 0 {
		opts.Refresh = 5 * time.Millisecond
	}
	srv := httptest.NewServer(web.New(opts).Handler())
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections)
	return m, feed, srv.URL
}

func TestStreamSendsWhatChanged(t *testing.T) {
	m, feed, url := streaming(t, web.Options{})
	s := subscribe(t, t.Context(), url)
	if got := s.resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("Content-Type %q", got)
	}
	var c web.Change
	s.await("snapshot", &c)
	if !c.Whole || len(c.Services) != 5 || c.Fleet.Totals.Targets != 54 {
		t.Fatalf("the first snapshot: whole %v, %d services, %d targets", c.Whole, len(c.Services), c.Fleet.Totals.Targets)
	}

	// One page is another, one is gone, the rest is shared.
	before := m.Snapshot()
	after := *before
	changed := *before.Services[3]
	changed.PastLine = false
	after.Services = []*warden.ServicePage{before.Services[0], before.Services[2], &changed, before.Services[4]}
	m.show(&after)
	s.await("snapshot", &c)
	if c.Whole || len(c.Services) != 1 || c.Services[0].ServiceID != "srv-search" || len(c.Gone) != 1 || c.Gone[0] != "srv-batch" {
		t.Errorf("the change: %+v", c)
	}

	feed.Publish(warden.Record{Kind: warden.DecisionRecord, Wall: noon.UnixNano(), Action: policy.Remove, Reason: policy.FailOpen, Instance: "a\nb"},
		warden.Record{Kind: warden.FleetRecord, Detail: "second"})
	var r web.Record
	s.await("record", &r)
	if r.Instance != "a\nb" || r.Reason != policy.FailOpen || !r.At.Equal(noon) {
		t.Errorf("the record: %+v", r)
	}
	s.await("record", &r)
	if r.Detail != "second" {
		t.Errorf("the second record: %+v", r)
	}
}

func TestStreamShowsThatItLives(t *testing.T) {
	_, _, url := streaming(t, web.Options{Heartbeat: 5 * time.Millisecond, Refresh: time.Hour})
	s := subscribe(t, t.Context(), url)
	s.await("alive", &struct{}{})
	s.await("alive", &struct{}{})
}

func TestStreamsAreBounded(t *testing.T) {
	_, _, url := streaming(t, web.Options{MaxStreams: 2})
	ctx, leave := context.WithCancel(t.Context())
	first := subscribe(t, ctx, url)
	first.await("snapshot", &web.Change{})
	subscribe(t, t.Context(), url).await("snapshot", &web.Change{})
	third := subscribe(t, t.Context(), url)
	if third.resp.StatusCode != 503 || third.resp.Header.Get("Retry-After") == "" {
		t.Fatalf("a third stream: %s", third.resp.Status)
	}
	leave()
	for deadline := time.Now().Add(10 * time.Second); ; {
		again := subscribe(t, t.Context(), url)
		if again.resp.StatusCode == 200 {
			break
		}
		again.resp.Body.Close()
		if time.Now().After(deadline) {
			t.Fatal("the place of a client that left was never given away")
		}
	}
}

func TestFeedDropsWhoDoesNotRead(t *testing.T) {
	feed := web.NewFeed()
	slow, cancel := feed.Subscribe()
	defer cancel()
	quick, stop := feed.Subscribe()
	var got int
	for range 10_000 {
		feed.Publish(warden.Record{Kind: warden.FleetRecord})
		<-quick
		got++
	}
	n := 0
	for range slow {
		n++
	}
	if n == 0 || n >= 10_000 || got != 10_000 {
		t.Errorf("the slow one got %d before it was dropped, the quick one %d", n, got)
	}
	stop()
	stop()
	if _, ok := <-quick; ok {
		t.Error("a record after the subscription ended")
	}
	feed.Publish(warden.Record{}) // nobody is left
}

// TestServeEnds: event streams must not hold up the end of the process.
func TestServeEnds(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s := web.New(web.Options{Mind: &mind{snap: night()}, Refresh: time.Hour, Log: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(ctx, ln, s.Handler()) }()
	stream := subscribe(t, t.Context(), "http://"+ln.Addr().String())
	stream.await("snapshot", &web.Change{})
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Serve did not end")
	}
	if _, err := io.ReadAll(stream.in); err != nil && !strings.Contains(err.Error(), "EOF") {
		t.Logf("the stream ended with %v", err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

func TestServeReportsABrokenListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := web.Serve(t.Context(), ln, http.NotFoundHandler()); err == nil {
		t.Error("no error for a listener that is closed")
	}
}
