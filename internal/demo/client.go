package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// How a client of the demo behaves: it refreshes its view of a service like a
// good client would, spreads its requests evenly, and never retries.
const (
	refreshEvery   = 500 * time.Millisecond
	requestTimeout = time.Second
	mostInFlight   = 1000
	tellEvery      = 250 * time.Millisecond
	offeredMost    = 100
)

// Report of a client about one service and one span of time.
type heard struct {
	Side     side             `json:"side"`
	Service  string           `json:"service"`
	At       time.Time        `json:"at"`      // end of the span
	Offered  []string         `json:"offered"` // instances as discovered last
	Sent     map[string]int   `json:"sent"`    // requests that ended in the span, by instance
	Failed   map[string]int   `json:"failed"`
	LastFail map[string]int64 `json:"last_fail"` // when the latest one that failed was sent, Unix ns
	FirstOK  map[string]int64 `json:"first_ok"`  // when the first one that went well was sent, Unix ns
}

// Call is a client process of the demo: it discovers one service of one side
// in the registry at url and sends it a steady load until ctx ends. What it
// gets goes to out, a line of JSON for every span.
func Call(ctx context.Context, out io.Writer, url, namespace, service string) error {
	c, err := cloudmap.New(ctx, cloudmap.Config{URL: url, LoopbackOnly: true})
	if err != nil {
		return err
	}
	defer c.Close()
	l := &load{
		reader: c.NewReader(""), side: side(namespace), service: service, out: json.NewEncoder(out),
		http: &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
			Proxy: nil, MaxIdleConnsPerHost: 64, DialContext: (&net.Dialer{Timeout: requestTimeout}).DialContext,
		}},
		room: make(chan struct{}, mostInFlight),
	}
	l.reset()
	return l.run(ctx)
}

type load struct {
	reader  *cloudmap.Reader
	side    side
	service string
	http    *http.Client
	out     *json.Encoder
	room    chan struct{}
	turn    int

	mu    sync.Mutex
	known []warden.InstanceFound
	heard heard
}

func (l *load) reset() {
	l.heard = heard{
		Side: l.side, Service: l.service,
		Sent: map[string]int{}, Failed: map[string]int{}, LastFail: map[string]int64{}, FirstOK: map[string]int64{},
	}
}

func (l *load) run(ctx context.Context) error {
	var requests sync.WaitGroup
	defer requests.Wait()
	requests.Go(func() { l.discover(ctx) })
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	tell := time.NewTicker(tellEvery)
	defer tell.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tell.C:
			if err := l.tell(); err != nil {
				return err
			}
		case <-tick.C:
			id, address, ok := l.next()
			if !ok {
				continue
			}
			select {
			case l.room <- struct{}{}:
				requests.Go(func() {
					l.request(ctx, id, address)
					<-l.room
				})
			default: // as many as a client can bear hang already
				l.note(id, time.Now(), false)
			}
		}
	}
}

// discover keeps the list of instances fresh; while the registry does not
// answer, the client goes on with what it knows.
func (l *load) discover(ctx context.Context) {
	for {
		found, err := l.reader.Discover(ctx, string(l.side), l.service, cloudmap.HealthyOrElseAll, offeredMost)
		if err == nil {
			l.mu.Lock()
			l.known = found
			l.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(refreshEvery):
		}
	}
}

func (l *load) next() (id, address string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.known) == 0 {
		return "", "", false
	}
	l.turn++
	i := l.known[l.turn%len(l.known)]
	addr, port := health.Endpoint(i.Attributes)
	return i.ID, fmt.Sprintf("http://%s:%d/", addr, port), true
}

func (l *load) request(ctx context.Context, id, url string) {
	sent := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	resp, err := l.http.Do(req)
	if ctx.Err() != nil {
		return
	}
	good := err == nil && resp.StatusCode == http.StatusOK
	if err == nil {
		io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<10))
		resp.Body.Close()
	}
	l.note(id, sent, good)
}

func (l *load) note(id string, sent time.Time, good bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard.Sent[id]++
	at := sent.UnixNano()
	if !good {
		l.heard.Failed[id]++
		l.heard.LastFail[id] = max(l.heard.LastFail[id], at)
		return
	}
	if first, ok := l.heard.FirstOK[id]; !ok || at < first {
		l.heard.FirstOK[id] = at
	}
}

func (l *load) tell() error {
	l.mu.Lock()
	h := l.heard
	h.At = time.Now()
	for _, i := range l.known {
		h.Offered = append(h.Offered, i.ID)
	}
	l.reset()
	l.mu.Unlock()
	return l.out.Encode(h)
}
