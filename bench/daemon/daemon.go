//go:build linux || darwin

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// daemon is a mapwarden process under measurement.
type daemon struct {
	*child
	web string // address
}

// startDaemon starts a daemon with a state of its own, and returns when every
// target passes and no procedure is under way: its drills are behind it.
func (st *stage) startDaemon(ctx context.Context) (*daemon, error) {
	st.daemons++
	name := fmt.Sprintf("daemon-%d", st.daemons)
	config := filepath.Join(st.dir, name+".yaml")
	if err := os.WriteFile(config, []byte(st.config()), 0o600); err != nil {
		return nil, err
	}
	c, err := st.spawn(true, name, st.mapwarden, "run", "-c", config, "--data", filepath.Join(st.dir, name), "--listen", "127.0.0.1:0", "--until-eof")
	if err != nil {
		return nil, err
	}
	d := &daemon{child: c}
	if d.web, err = c.listening("web"); err == nil {
		err = d.settled(ctx, len(st.ports))
	}
	if err != nil {
		c.stop()
		return nil, err
	}
	return d, nil
}

// config of the daemon: the defaults, but for the interval, and for what would
// keep a run this short from seeing a removal.
func (st *stage) config() string {
	return fmt.Sprintf(`mode: enforce
registry: {url: %q, region: us-east-1, poll: 10s}
targets: {allow: [127.0.0.0/8]}
defaults:
  check: {http: {path: /healthz}, interval: %s, timeout: %s}
  safety: {warmup: 1s, prove: 0s}
  quarantine: {evidence: probe}
`, st.registry.url, st.interval, st.interval/2)
}

func (d *daemon) settled(ctx context.Context, targets int) error {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	calm := 0
	for {
		m, err := d.scrape(ctx)
		if err != nil {
			return err
		}
		passing, jobs := m.sum(`mapwarden_targets{state="passing"}`), m.sum("mapwarden_jobs")
		if calm++; passing < float64(targets) || jobs > 0 || m.sum("mapwarden_synced") == 0 {
			calm = 0
		}
		if calm == 4 {
			return nil
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return fmt.Errorf("the daemon does not settle: %w (%.0f of %d pass, %.0f procedures under way); its log: %s", err, passing, targets, jobs, d.lastLines())
		}
	}
}

func (d *daemon) get(ctx context.Context, path string, q url.Values) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.web+path+"?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return body, err
}

// metrics are the lines of /metrics: name and labels as written, and the value.
type metrics map[string]float64

func (d *daemon) scrape(ctx context.Context) (metrics, error) {
	body, err := d.get(ctx, "/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("scrape the daemon: %w", err)
	}
	m := metrics{}
	for in := bufio.NewScanner(strings.NewReader(string(body))); in.Scan(); {
		at := strings.LastIndexByte(in.Text(), ' ')
		if at < 0 || in.Text()[0] == '#' {
			continue
		}
		if m[in.Text()[:at]], err = strconv.ParseFloat(in.Text()[at+1:], 64); err != nil {
			return nil, fmt.Errorf("metric %q: %w", in.Text(), err)
		}
	}
	return m, nil
}

// sum is the sum of all series whose name and labels begin so.
func (m metrics) sum(series string) (total float64) {
	for name, v := range m {
		if name == series || strings.HasPrefix(name, series+"{") {
			total += v
		}
	}
	return total
}

func (d *daemon) sample(ctx context.Context) (sample, error) {
	m, err := d.scrape(ctx)
	if err != nil {
		return sample{}, err
	}
	s := sample{CPU: m.sum("process_cpu_seconds_total"), RSS: m.sum("process_resident_memory_bytes"), Probes: m.sum("mapwarden_probes_total")}
	below := 0.0
	for _, le := range []string{"0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"} {
		n, ok := m[`mapwarden_probe_lateness_seconds_bucket{le="`+le+`"}`]
		if !ok {
			return sample{}, fmt.Errorf("/metrics has no bucket of mapwarden_probe_lateness_seconds up to %s", le)
		}
		if le != "+Inf" {
			bound, err := strconv.ParseFloat(le, 64)
			if err != nil {
				return sample{}, err
			}
			s.Bounds = append(s.Bounds, bound)
		}
		s.Late = append(s.Late, n-below)
		below = n
	}
	return s, nil
}

// judgements are when the daemon called instances unhealthy, and why it
// withheld their removal where it did, by instance id.
func (d *daemon) judgements(ctx context.Context) (unhealthy map[string]time.Time, withheld map[string]string, err error) {
	body, err := d.get(ctx, "/api/v1/history", url.Values{"kind": {"transition", "decision"}, "since": {"1m"}, "limit": {"5000"}})
	if err != nil {
		return nil, nil, err
	}
	var answer struct {
		Records []struct {
			At             time.Time
			Kind           string
			Instance, To   string
			Action, Reason string
			Admitted       bool
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, nil, err
	}
	unhealthy, withheld = map[string]time.Time{}, map[string]string{}
	for _, r := range answer.Records {
		switch {
		case r.Kind == "transition" && strings.EqualFold(r.To, "unhealthy"):
			unhealthy[r.Instance] = r.At
		case r.Kind == "decision" && !r.Admitted:
			withheld[r.Instance] = r.Reason
		case r.Kind == "decision":
			delete(withheld, r.Instance)
		}
	}
	return unhealthy, withheld, nil
}
