package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"time"
)

// checker is one mapwarden daemon of the demo.
type checker struct {
	side    side
	process *process
	api     string // address of its operator API
}

// modes of the daemons: the one that only observes leaves its side as it is
// without mapwarden.
var modes = map[side]string{with: "enforce", without: "observe"}

func (s *stage) startDaemons(ctx context.Context) error {
	for _, x := range sides {
		d, err := s.startDaemon(ctx, x)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.daemons[x] = d
		s.mu.Unlock()
		if x == with {
			s.say("listening web %s\n", d.api)
		}
	}
	return nil
}

func (s *stage) startDaemon(ctx context.Context, x side) (*checker, error) {
	endpoint, listen := s.endpoint, "127.0.0.1:0"
	if x == with {
		endpoint, listen = s.wire.url(), s.opts.Listen
	}
	config, err := s.write(string(x)+".yaml", fmt.Sprintf(
		"mode: %s\nregistry: {url: %q, region: us-east-1, poll: 1s}\nscope: {namespaces: [%s]}\n%s", modes[x], endpoint, x, s.opts.Config))
	if err != nil {
		return nil, err
	}
	p, err := start(s.opts.Binary, s.dir, "daemon-"+string(x), true,
		"run", "-c", config, "--data", filepath.Join(s.dir, string(x)), "--listen", listen)
	if err != nil {
		return nil, err
	}
	api, err := p.listening(ctx, "web")
	go drain(p)
	if err != nil {
		p.stop()
		return nil, err
	}
	return &checker{side: x, process: p, api: api}, nil
}

// killDaemon ends the enforcing daemon as a power cut would, and starts it
// again with the state that it left.
func (s *stage) killDaemon(ctx context.Context) {
	s.mu.Lock()
	d := s.daemons[with]
	s.mu.Unlock()
	d.process.kill()
	at := time.Now()
	s.say("%4.0fs  the enforcing daemon is killed: journalled, but not yet deregistered\n", time.Since(s.opening).Seconds())
	s.restarts.Go(func() {
		again, err := s.startDaemon(ctx, with)
		if err == nil {
			s.mu.Lock()
			s.daemons[with] = again
			s.mu.Unlock()
			err = s.awaitReady(ctx, again)
		}
		if err != nil {
			if ctx.Err() == nil {
				s.say("the daemon did not come back: %v\n", err)
			}
			return
		}
		s.mu.Lock()
		s.killed = append(s.killed, time.Since(at))
		s.mu.Unlock()
	})
}

// awaitDaemons returns when no daemon withholds anything any more: synced,
// warmed up, and with a proven check on each service.
func (s *stage) awaitDaemons(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	for _, x := range sides {
		for {
			var answer struct {
				Services []struct {
					Service string
					Gates   []string
					N       int
				}
			}
			err := s.daemons[x].get(ctx, "/api/v1/services", nil, &answer)
			ready := err == nil && len(answer.Services) == len(services)
			for _, v := range answer.Services {
				ready = ready && len(v.Gates) == 0 && v.N == serversPerService
			}
			if ready {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the daemon of side %q is not ready: %w (%v)", x, ctx.Err(), answer.Services)
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}

func (s *stage) awaitReady(ctx context.Context, d *checker) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.api+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// get asks a daemon's operator API.
func (d *checker) get(ctx context.Context, path string, q url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.api+path+"?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// told is one record of a daemon's history.
type told struct {
	At       time.Time
	Kind     string
	Service  string
	Instance string
	Action   string
	Admitted bool
	Reason   string
	Cause    string
	Fails    int
	Fall     int
	Detail   string
	Passing  int
	Ever     int
}

// history is what the enforcing daemon recorded since the plan began.
func (s *stage) history(ctx context.Context) ([]told, error) {
	var answer struct{ Records []told }
	q := url.Values{"since": {s.opening.UTC().Format(time.RFC3339)}, "limit": {"5000"}}
	s.mu.Lock()
	d := s.daemons[with]
	s.mu.Unlock()
	err := d.get(ctx, "/api/v1/history", q, &answer)
	return slices.DeleteFunc(answer.Records, func(r told) bool { return r.At.Before(s.opening) }), err
}
