package route53

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/registry"
)

// Registry is whose instances are checked; *registry.Registry is one. Results
// that it does not want any more it drops by itself.
type Registry interface {
	Checked() []registry.Checked
	CheckedChanged() <-chan struct{}
	SetObserved([]registry.Observed) error
}

// Config is how to check. The zero value is usable.
type Config struct {
	Interval time.Duration // start to start, of one vantage; default 30 s, as Cloud Map's checks
	Vantages int           // default 3, the fewest regions that Route 53 checks from
	Log      *slog.Logger  // default slog.Default()
}

// What a Config leaves out.
const (
	DefaultInterval = 30 * time.Second
	DefaultVantages = 3
)

// room is how many probes are under way at most. An instance that is silent
// holds a place for 6 s (TCP: 10 s).
const room = 512

// Checkers are the vantages of one registry. Run makes the checks; Views may be
// called meanwhile.
type Checkers struct {
	reg   Registry
	probe Probe
	cfg   Config
	names []string // of the vantages

	mu      sync.Mutex
	watches map[registry.Checked]*watch
	due     schedule
}

// watch is an instance under check. Its vantages are guarded by Checkers.mu.
type watch struct {
	registry.Checked
	gone     bool
	vantages []vantage
}

// vantage is one checker's side of a watch.
type vantage struct {
	opinion opinion
	asking  bool      // a probe is under way
	since   time.Time // since when its status is what it is
	last    health.Observation
	lastAt  time.Time // end of last; zero: it has not looked yet
}

// New returns checkers that have not begun.
func New(reg Registry, probe Probe, cfg Config) *Checkers {
	cfg.Interval = cmp.Or(cfg.Interval, DefaultInterval)
	cfg.Vantages = cmp.Or(cfg.Vantages, DefaultVantages)
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	c := &Checkers{reg: reg, probe: probe, cfg: cfg, watches: make(map[registry.Checked]*watch)}
	for i := range cfg.Vantages {
		c.names = append(c.names, fmt.Sprintf("vantage-%d", i+1))
	}
	return c
}

// list brings the watches in line with the registry.
func (c *Checkers) list(now time.Time) {
	checked := c.reg.Checked()
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.watches
	c.watches = make(map[registry.Checked]*watch, len(checked))
	for _, x := range checked {
		w := before[x]
		if w == nil {
			w = &watch{Checked: x, vantages: make([]vantage, len(c.names))}
			for v := range w.vantages {
				w.vantages[v].since = now
				c.due.add(turn{at: now.Add(phase(x, v, c.cfg.Interval)), watch: w, vantage: v})
			}
		}
		delete(before, x)
		c.watches[x] = w
	}
	for _, w := range before {
		w.gone = true
	}
}

// phase is when in its interval a vantage looks at an instance: as if at
// random, since the checkers of Route 53 do not coordinate.
func phase(x registry.Checked, vantage int, interval time.Duration) time.Duration {
	h := fnv.New64a()
	fmt.Fprint(h, x.RegisteredBy, x.ServiceID, x.InstanceID, vantage)
	return time.Duration(h.Sum64() % uint64(interval))
}

// heed folds a result into what its vantage thinks, and returns what all of
// them say now, or false if that is nothing.
func (c *Checkers) heed(r result) (registry.Observed, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := r.watch
	v := &w.vantages[r.vantage]
	before := v.opinion.status
	v.opinion = v.opinion.step(r.found.Outcome, w.Check.FailureThreshold)
	v.asking, v.last, v.lastAt = false, r.found, r.at
	if v.opinion.status != before {
		v.since = r.at
	}
	switch {
	case w.gone:
		return registry.Observed{}, false
	case w.verdict() == health.Healthy:
		return registry.Observed{Checked: w.Checked, Status: registry.Healthy}, true
	case w.verdict() == health.Unhealthy:
		return registry.Observed{Checked: w.Checked, Status: registry.Unhealthy}, true
	}
	return registry.Observed{}, false
}

func (w *watch) verdict() health.Status {
	opinions := make([]opinion, len(w.vantages))
	for i, v := range w.vantages {
		opinions[i] = v.opinion
	}
	return verdict(opinions)
}
