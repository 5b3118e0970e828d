package fleetsim

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// episode is one fault of one workload, as clients live through it.
type episode struct {
	id       string
	what     string
	at       time.Duration
	detected time.Duration // the checker's status became unhealthy; 0: not yet
	stopped  time.Duration // clients no longer find it
	cleared  time.Duration // it serves again
	back     time.Duration // clients find it again
}

// passage is one instance leaving what clients find, or coming back to it.
type passage struct {
	at time.Duration
	in bool
	by writer
}

// clients measure what the registry's state means to those who ask it. They
// spread a steady load evenly over all instances that they discover.
type clients struct {
	s        *sim
	services []load // as registry.services
	episodes []*episode
	latest   map[string]*episode  // by instance id; looked up only
	passages map[string][]passage // by instance id; looked up only

	removed, heldOut, returned int
	wrong                      int // removals of instances that served well
}

// load is what one service's clients have seen.
type load struct {
	settled  time.Duration
	loaded   float64 // seconds in which there was anything to ask
	with     float64 // of them, seconds in which requests failed
	without  float64 // the same, had the registry stayed as its owner left it
	capacity float64 // least share of the well instances that clients found
}

func newClients(s *sim) *clients {
	c := &clients{s: s, passages: map[string][]passage{}, latest: map[string]*episode{}}
	for range s.registry.services {
		c.services = append(c.services, load{capacity: 1})
	}
	return c
}

// settle adds up a service's time since it was last called; everything that
// changes what its clients see calls it first.
func (c *clients) settle(svc *service) {
	l := &c.services[svc.index]
	d := (c.s.now - l.settled).Seconds()
	l.settled = c.s.now
	if d <= 0 || len(svc.owned) == 0 {
		return
	}
	l.loaded += d
	l.with += d * c.failing(svc, svc.truth, true)
	l.without += d * c.failing(svc, svc.owned, false)
	l.capacity = min(l.capacity, c.capacity(svc))
}

func (c *clients) settleAll() {
	for _, svc := range c.s.registry.services {
		c.settle(svc)
	}
}

// failing is the share of requests that fail over some records.
func (c *clients) failing(svc *service, some records, filtered bool) float64 {
	n, bad, fast, slow := 0, 0.0, 0, 0
	for _, x := range some {
		if filtered && !svc.discovered(x) {
			continue
		}
		n++
		f := c.faults(x)
		bad += f
		switch {
		case f < 1:
		case c.s.fleet.silent(x.id):
			slow++
		default:
			fast++
		}
	}
	switch {
	case n == 0:
		return 1
	case n > 1 && c.s.story.Services[svc.index].LeastRequest:
		return leastRequest(n, fast, slow) + (bad-float64(fast+slow))/float64(n)
	}
	return bad / float64(n)
}

// leastRequest is the share of requests that fail where clients take the less
// busy one of two that they draw: who fails fast is idle and wins every draw,
// who never answers loses all but those against its like.
func leastRequest(n, fast, slow int) float64 {
	pairs := float64(n * (n - 1))
	withoutFast := float64((n - fast) * (n - fast - 1))
	return 1 - withoutFast/pairs + float64(slow*(slow-1))/pairs
}

func (c *clients) faults(x *record) float64 {
	if w := c.s.fleet.find(x.id); w != nil && sameEndpoint(w.attributes(""), x.attrs) {
		return w.faults()
	}
	return 1
}

// capacity is the share of the well instances that clients find.
func (c *clients) capacity(svc *service) float64 {
	well, in := 0, 0
	for _, x := range svc.owned {
		if c.faults(x) == 0 && !c.s.stops(svc, x.id) {
			well++
			if svc.discovered(svc.truth.get(x.id)) {
				in++
			}
		}
	}
	if well == 0 {
		return 1
	}
	return float64(in) / float64(well)
}

// changed notes who comes and goes.
func (c *clients) changed(svc *service, id string, before, after *record, by writer) {
	was, is := svc.discovered(before), svc.discovered(after)
	if was == is {
		return
	}
	c.passages[id] = append(c.passages[id], passage{c.s.now, is, by})
	e := c.episode(id)
	switch {
	case is && e != nil && e.cleared == 0 && e.stopped == e.at: // registered while it fails
		e.stopped = 0
	case is && e != nil && e.cleared != 0 && e.back == 0 && e.stopped != 0:
		e.back = c.s.now
	case !is && e != nil && e.stopped == 0:
		e.stopped = c.s.now
	}
	c.s.line.passage(id, is, by)
	if by != byUs {
		return
	}
	w := c.s.fleet.find(id)
	switch {
	case is:
		c.returned++
	case c.waiting(svc, id):
		c.heldOut++
	default:
		c.removed++
		if w != nil && w.faults() == 0 && !w.drains && w.slow == 0 && !c.s.stops(svc, id) && !c.drained(svc, id) {
			c.wrong++
		}
	}
}

// drained reports whether a journal says that an operator wanted it out.
func (c *clients) drained(svc *service, id string) bool {
	e := c.s.store.entry(svc.ID, id)
	return e != nil && e.Reason == policy.Drained
}

// waiting reports whether a journal says that the instance never passed.
func (c *clients) waiting(svc *service, id string) bool {
	e := c.s.store.entry(svc.ID, id)
	return e != nil && e.Waiting
}

// episode is the latest one of an instance, nil if there is none.
func (c *clients) episode(id string) *episode { return c.latest[id] }

// mood opens or closes an episode as a workload begins or ceases to fail.
func (c *clients) mood(w *workload, what string) {
	e := c.episode(w.id)
	open := e != nil && e.cleared == 0
	switch {
	case w.faults() > 0 && !open:
		e := &episode{id: w.id, what: what, at: c.s.now}
		if w.svc != nil && !w.svc.discovered(w.svc.truth.get(w.id)) {
			e.stopped = c.s.now
		}
		c.episodes = append(c.episodes, e)
		c.latest[w.id] = e
	case w.faults() == 0 && open:
		e.cleared = c.s.now
	}
}

// found reports whether clients find an instance.
func (c *clients) found(id string) bool {
	p := c.passages[id]
	return len(p) > 0 && p[len(p)-1].in
}

// sees notes when an instance is first called unhealthy: by the only checker,
// or, where there are several, by their quorum, which is when the leader first
// considers its removal.
func (c *clients) sees(p *process, r warden.Record) {
	if n := c.s.noise; n != nil && p.tenure.leads && r.Kind == warden.DecisionRecord && r.Action.Removes() {
		n.thinks(key{r.Service.ID, r.Instance})
	}
	if len(c.s.checkers) == 1 {
		if r.Kind != warden.TransitionRecord || r.To != health.Unhealthy {
			return
		}
	} else if !p.tenure.leads || r.Kind != warden.DecisionRecord || !r.Action.Removes() {
		return
	}
	if e := c.episode(r.Instance); e != nil && e.cleared == 0 && e.detected == 0 {
		e.detected = c.s.now
	}
}
