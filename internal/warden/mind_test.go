package warden_test

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

const wall = int64(1_700_000_000_000_000_000)

// mind drives a Warden by hand, and answers the calls of its jobs from a
// journal and a registry in which nothing goes wrong.
type mind struct {
	t       testing.TB
	w       *warden.Warden
	now     health.Instant
	cfg     warden.Config
	targets map[string]health.Target // by instance id: what is watched
	records []warden.Record
	calls   []lever.Call
	pending []warden.Do // calls that were not answered yet
	answer  bool        // answer calls at once
	learnt  []warden.Memory
	version int64
	absent  map[string]bool              // deregistered instances
	status  map[string]health.Status     // as first listed, or written since
	attrs   map[string]health.Attributes // as listed
	trace   uint64                       // hash of all effects
	casts   []warden.Cast                // not sent yet
	asks    []warden.AskVotes
	looks   []health.Handle // rescheduled
}

// testConfig enforces custom statuses and quarantine, with short times.
func testConfig() warden.Config {
	return warden.Config{
		Default: warden.ServiceConfig{
			Check: health.Check{Interval: time.Second, Timeout: time.Second, Confirm: 500 * time.Millisecond, Fall: 4, Rise: 2},
			Policy: policy.Config{
				Mode: policy.ModeEnforce, MaxOut: 20, MaxOutHard: 50, FailOpen: 50,
				Removals: policy.Rate{N: 1, Per: time.Second}, Restores: policy.Rate{N: 1, Per: time.Second},
				WarmUp: 10 * time.Second, WarmUpProbes: 5, Hold: 3 * time.Second, Evidence: policy.EvidenceProbe,
				ReturnPasses: 3, ReturnOver: 2 * time.Second, ReturnBackoff: []time.Duration{time.Minute}, Yield: 10 * time.Minute,
			},
		},
		Fleet: policy.FleetConfig{
			RemovalsGlobal: policy.Fraction{Percent: 1, Per: time.Minute, Least: 10},
			StormPercent:   3, StormCount: 100, StormWindow: 10 * time.Minute, StormCalm: 1,
			Abstain: 5 * time.Second, StaleAfter: time.Hour, ThawPercent: 95, ThawFor: time.Minute,
			MassTargets: 50, MassHosts: 3, MassServices: 30, MassPercent: 90, MassLeast: 50, MassWindow: 30 * time.Second,
		},
		Poll: time.Second,
	}
}

func newMind(t testing.TB, cfg warden.Config) *mind {
	m := &mind{t: t, w: warden.New(), now: health.Instant(time.Second), cfg: cfg,
		targets: make(map[string]health.Target), answer: true,
		absent: make(map[string]bool), status: make(map[string]health.Status), attrs: make(map[string]health.Attributes)}
	m.tell(warden.Clock{Wall: wall}, warden.Configured{Config: cfg})
	return m
}

// started is a mind that has loaded a memory and synced n instances of each
// service.
func started(t testing.TB, cfg warden.Config, load warden.Loaded, kind warden.HealthCheckKind, n int, services ...string) *mind {
	m := newMind(t, cfg)
	m.tell(load)
	m.tell(found(kind, services...))
	for _, s := range services {
		m.tell(m.listing(s, instances(s, n)...))
	}
	return m
}

func serviceOf(name string) health.Service {
	return health.Service{ID: "srv-" + name, Name: name, Namespace: "test"}
}

func found(kind warden.HealthCheckKind, names ...string) warden.ServicesListed {
	e := warden.ServicesListed{Complete: true}
	for _, n := range names {
		e.Services = append(e.Services, warden.ServiceFound{Service: serviceOf(n), HealthCheck: kind})
	}
	return e
}

// instances are n of them, in subnets of their service.
func instances(service string, n int) (out []warden.InstanceFound) {
	for i := range n {
		out = append(out, instance(fmt.Sprintf("%s-%d", service, i), fmt.Sprintf("10.%d.%d.%d", service[0], i/250, i%250+1)))
	}
	return out
}

func instance(id, addr string) warden.InstanceFound {
	return warden.InstanceFound{ID: id, Status: health.Healthy, Attributes: health.AttributesOf(map[string]string{
		health.AttrIPv4: addr, health.AttrPort: "80",
	})}
}

func (m *mind) listing(service string, is ...warden.InstanceFound) warden.InstancesListed {
	for _, f := range is {
		m.attrs[f.ID] = f.Attributes
		if _, ok := m.status[f.ID]; !ok {
			m.status[f.ID] = f.Status
		}
	}
	return warden.InstancesListed{Service: "srv-" + service, Instances: is, Complete: true, Started: m.now}
}

// tell hands events to the mind, a millisecond later, and sees to the effects.
func (m *mind) tell(events ...warden.Event) {
	m.t.Helper()
	m.now = m.now.Add(time.Millisecond)
	h := fnv.New64a()
	for _, e := range m.w.Handle(m.now, events) {
		fmt.Fprintf(h, "%d %T %+v\n", m.trace, e, e)
		switch e := e.(type) {
		case warden.Watch:
			m.targets[e.Target.Instance] = e.Target
		case warden.Unwatch:
			for id, x := range m.targets {
				if x.Handle == e.Target {
					delete(m.targets, id)
				}
			}
		case warden.Record:
			m.records = append(m.records, e)
		case warden.Learn:
			m.learnt = append(m.learnt, e.Memory)
		case warden.Cast:
			m.casts = append(m.casts, e)
		case warden.AskVotes:
			m.asks = append(m.asks, e)
		case warden.Reschedule:
			m.looks = append(m.looks, e.Target)
		case warden.Do:
			m.calls = append(m.calls, e.Call)
			m.pending = append(m.pending, e)
		}
	}
	m.trace = h.Sum64()
	for m.answer && len(m.pending) > 0 {
		do := m.pending[0]
		m.pending = m.pending[1:]
		m.tell(warden.Called{Job: do.Job, Result: m.result(do.Call)})
	}
}

func (m *mind) result(c lever.Call) lever.Result {
	r := lever.Result{Op: c.Op, Entry: c.Entry, Found: !m.absent[c.Instance], Status: health.Healthy, OperationStatus: lever.OperationSuccess}
	if s, ok := m.status[c.Instance]; ok && c.Op == lever.ReadStatus {
		r.Status = s
	}
	switch c.Op {
	case lever.SetStatus:
		m.status[c.Instance] = c.Status
	case lever.PutEntry, lever.UpdateEntry:
		m.version++
		r.Entry.Version = m.version
	case lever.ReadInstance:
		r.Attributes = m.attrs[c.Instance]
	case lever.Register, lever.Deregister:
		m.absent[c.Instance] = c.Op == lever.Deregister
		r.Operation = "op"
	}
	return r
}

// pass lets time go by, with a Tick every 100 ms.
func (m *mind) pass(d time.Duration) {
	m.t.Helper()
	for end := m.now.Add(d); m.now < end; {
		m.now = min(m.now.Add(100*time.Millisecond), end)
		m.tell(warden.Tick{})
	}
}

func (m *mind) seen(id string, o health.Outcome, c health.Cause) health.Observation {
	return health.Observation{Target: m.targets[id].Handle, Outcome: o, Cause: c, Due: m.now, Start: m.now, End: m.now + 1}
}

// probe gives n rounds of probes, a second apart: those named are refused, all
// others pass.
func (m *mind) probe(n int, refused ...string) {
	m.t.Helper()
	for range n {
		m.round(func(id string) (health.Outcome, health.Cause) {
			if slices.Contains(refused, id) {
				return health.Fail, health.Refused
			}
			return health.Pass, health.NoCause
		})
	}
}

// round is one probe of each target, with what it finds, and a second.
func (m *mind) round(finds func(id string) (health.Outcome, health.Cause)) {
	m.t.Helper()
	ids := make([]string, 0, len(m.targets))
	for id := range m.targets {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var batch warden.Observed
	for _, id := range ids {
		outcome, cause := finds(id)
		batch.Observations = append(batch.Observations, m.seen(id, outcome, cause))
	}
	m.tell(batch)
	m.pass(time.Second)
}

// decided are the admitted decisions of an action.
func (m *mind) decided(a policy.Action) (out []warden.Record) {
	for _, r := range m.records {
		if r.Kind == warden.DecisionRecord && r.Admitted && r.Action == a {
			out = append(out, r)
		}
	}
	return out
}

// withheld are the reasons of withheld decisions about an instance.
func (m *mind) withheld(id string) (out []policy.Reason) {
	for _, r := range m.records {
		if r.Kind == warden.DecisionRecord && !r.Admitted && r.Instance == id {
			out = append(out, r.Reason)
		}
	}
	return out
}

func (m *mind) mustRemove(want int, when string) {
	m.t.Helper()
	if got := m.decided(policy.Remove); len(got) != want {
		m.t.Errorf("%s: %d removals, want %d: %+v", when, len(got), want, got)
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
