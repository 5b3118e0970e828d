package main

import (
	"fmt"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// mind is a checker that follows a rule. It sees what mapwarden's own mind
// sees: listings and probe results. It keeps nothing over a restart.
type mind struct {
	rule     *rule
	council  *council
	acts     bool // it writes; the others only look
	cfg      warden.Config
	services map[string]*service
	order    []*instance
	lookers  []looker // by Handle.Index
	calls    map[uint64]*instance
	job      uint64
	effects  []warden.Effect
}

type service struct {
	found     warden.ServiceFound
	instances map[string]*instance
}

// instance is one that is watched.
type instance struct {
	id      string
	service *service
	attrs   health.Attributes
	first   int // of its lookers
	out     bool
	wanted  bool // out, as the call under way will have it
	busy    bool
	started health.Instant // the latest write
	missing bool
}

// looker is one prober of one instance.
type looker struct {
	of            *instance
	fails, passes int
	known, bad    bool
}

// council is all places that look for one checker.
type council struct {
	names []string
	minds map[string]*mind
}

// seat is a mind at a place; a later one takes the place of an earlier one.
// The first place of all acts.
func (c *council) seat(name string, r *rule) *mind {
	if c.minds[name] == nil {
		c.names = append(c.names, name)
	}
	m := &mind{rule: r, council: c, acts: c.names[0] == name, services: map[string]*service{}, calls: map[uint64]*instance{}}
	c.minds[name] = m
	return m
}

// Snapshot has nothing to show.
func (m *mind) Snapshot(now health.Instant) *warden.Snapshot { return &warden.Snapshot{At: now} }

// Handle takes events, as warden.Warden does.
func (m *mind) Handle(now health.Instant, events []warden.Event) []warden.Effect {
	m.effects = nil
	for _, e := range events {
		switch e := e.(type) {
		case warden.Configured:
			m.cfg = e.Config
		case warden.ServicesListed:
			for _, f := range e.Services {
				if m.services[f.Service.ID] == nil {
					m.services[f.Service.ID] = &service{found: f, instances: map[string]*instance{}}
				}
			}
		case warden.InstancesListed:
			m.listed(e, now)
		case warden.Observed:
			for _, o := range e.Observations {
				m.observed(o)
			}
			if m.acts {
				m.decide(now)
			}
		case warden.Called:
			m.called(e)
		}
	}
	return m.effects
}

// listed believes what the registry shows, as simple checkers do.
func (m *mind) listed(e warden.InstancesListed, now health.Instant) {
	svc := m.services[e.Service]
	if svc == nil {
		return
	}
	seen := map[string]bool{}
	for _, f := range e.Instances {
		seen[f.ID] = true
		x := svc.instances[f.ID]
		addr, port := health.Endpoint(f.Attributes)
		if x != nil {
			oldAddr, oldPort := health.Endpoint(x.attrs)
			if addr == oldAddr && port == oldPort {
				x.attrs, x.missing = f.Attributes, false
				continue
			}
			m.forget(x)
		}
		m.watch(svc, f, now)
	}
	for id, x := range svc.instances {
		if !seen[id] && !x.out && !x.busy && x.started < e.Started {
			x.missing = true
		}
	}
	for _, x := range m.order { // in order: a map's is another each time
		if x.service == svc && x.missing && svc.instances[x.id] == x {
			m.forget(x)
		}
	}
}

func (m *mind) watch(svc *service, f warden.InstanceFound, now health.Instant) {
	x := &instance{id: f.ID, service: svc, attrs: f.Attributes, first: len(m.lookers)}
	svc.instances[f.ID] = x
	m.order = append(m.order, x)
	check := m.cfg.Resolve(svc.found.Service).Check
	check.Interval, check.Timeout, check.Confirm = m.rule.interval, m.rule.timeout, 0
	addr, port := health.Endpoint(f.Attributes)
	inc := health.Incarnation{Service: svc.found.Service.ID, Instance: f.ID, Addr: addr, Port: port}
	for i := range m.rule.lookers {
		h := health.NewHandle(uint32(len(m.lookers)), 1)
		m.lookers = append(m.lookers, looker{of: x})
		phase := inc.Hash() + uint64(i)*uint64(check.Interval)/uint64(m.rule.lookers)
		m.effects = append(m.effects, warden.Watch{
			Target: health.Target{Handle: h, Service: svc.found.Service, Instance: f.ID, Addr: addr, Port: port, Check: check, Phase: phase},
			First:  health.FirstDue(now, check.Interval, phase),
		})
	}
}

func (m *mind) forget(x *instance) {
	delete(x.service.instances, x.id)
	for i := range m.rule.lookers {
		m.effects = append(m.effects, warden.Unwatch{Target: health.NewHandle(uint32(x.first+i), 1)})
	}
}

// observed counts. The first result of all decides at once, as it does for
// those that have documented that.
func (m *mind) observed(o health.Observation) {
	l := &m.lookers[o.Target.Index()]
	switch o.Outcome {
	case health.Pass:
		l.passes, l.fails = l.passes+1, 0
		if !l.known || l.passes >= m.rule.rise {
			l.known, l.bad = true, false
		}
	case health.Fail:
		l.fails, l.passes = l.fails+1, 0
		if l.fails >= m.rule.fall {
			l.known, l.bad = true, true
		}
	}
}

// decide writes what differs from what is wanted.
func (m *mind) decide(now health.Instant) {
	for _, x := range m.order {
		if x.service.instances[x.id] != x || x.busy {
			continue
		}
		if out := !m.healthy(x) && !(m.rule.failOpen && m.allFail(x.service)); out != x.out {
			m.write(x, out, now)
		}
	}
}

// healthy is also what was not seen to fail yet.
func (m *mind) healthy(x *instance) bool {
	saying, all := 0, 0
	for _, name := range m.council.names {
		other := m.council.minds[name]
		svc := other.services[x.service.found.Service.ID]
		if svc == nil || svc.instances[x.id] == nil {
			continue
		}
		for i := range m.rule.lookers {
			all++
			if l := &other.lookers[svc.instances[x.id].first+i]; !l.known || !l.bad {
				saying++
			}
		}
	}
	return m.rule.healthy(saying, all)
}

func (m *mind) allFail(svc *service) bool {
	for _, x := range svc.instances {
		if m.healthy(x) {
			return false
		}
	}
	return true
}

func (m *mind) write(x *instance, out bool, now health.Instant) {
	m.job++
	c := lever.Call{Service: x.service.found.Service, Instance: x.id}
	switch {
	case x.service.found.HealthCheck == warden.CustomHealthCheck && !m.rule.deregister:
		c.Op, c.Status = lever.SetStatus, health.Healthy
		if out {
			c.Status = health.Unhealthy
		}
	case out:
		c.Op = lever.Deregister
	default:
		c.Op, c.Attributes = lever.Register, x.attrs.Registrable()
		c.Token = fmt.Sprintf("%s-%d", x.id, m.job)
	}
	x.wanted, x.busy, x.started = out, true, now
	m.calls[m.job] = x
	m.effects = append(m.effects, warden.Do{Job: m.job, Call: c})
}

// called takes an answer; what failed is tried again with the next results.
func (m *mind) called(e warden.Called) {
	x := m.calls[e.Job]
	delete(m.calls, e.Job)
	x.busy = false
	if e.Result.Fault == lever.OK {
		x.out = x.wanted
	}
}

// idle is the mind of a place that a checker does not use.
type idle struct{}

func (idle) Handle(health.Instant, []warden.Event) []warden.Effect { return nil }
func (idle) Snapshot(now health.Instant) *warden.Snapshot          { return &warden.Snapshot{At: now} }
