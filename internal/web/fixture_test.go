package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
	"github.com/mapwarden/mapwarden/internal/web"
)

// noon is the instant that the fixtures tell of.
var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) int64 { return noon.Add(-d).UnixNano() }

// mind is a Mind that shows what a test put into it and keeps what it is told.
type mind struct {
	mu       sync.Mutex
	snap     *warden.Snapshot
	explains map[string]warden.Explanation // by service id + "/" + instance
	told     []warden.Event
	err      error // answers everything that can fail
}

func (m *mind) Snapshot() *warden.Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.snap
}

func (m *mind) show(s *warden.Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.snap = s
}

func (m *mind) Explain(_ context.Context, service, instance string) (warden.Explanation, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return warden.Explanation{}, false, m.err
	}
	for _, p := range m.snap.Services {
		if service == p.Service.ID || service == p.Service.String() {
			x, ok := m.explains[p.Service.ID+"/"+instance]
			return x, ok, nil
		}
	}
	return warden.Explanation{}, false, nil
}

func (m *mind) Command(_ context.Context, e warden.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.told = append(m.told, e)
	return nil
}

func (m *mind) heard() []warden.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.told)
}

// memory is a History and a Journal in memory.
type memory struct {
	mu      sync.Mutex
	records []web.Record
	entries []lever.Entry
	asked   web.HistoryQuery
	err     error
}

func (m *memory) Records(_ context.Context, q web.HistoryQuery) ([]web.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = q
	var out []web.Record
	for _, r := range m.records {
		if q.Service == "" || q.Service == r.ServiceID || q.Service == r.Namespace+"/"+r.Service {
			out = append(out, r)
		}
	}
	return out[max(len(out)-q.Limit, 0):], m.err
}

func (m *memory) Entries(context.Context) ([]lever.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries, m.err
}

var errStuck = errors.New("the inbox is full")

// line of an instance that simply passes.
func passing(id, addr string) warden.InstanceLine {
	return warden.InstanceLine{ID: id, Addr: addr, Registered: true, Registry: health.Unknown, Status: health.Healthy,
		Phase: health.Steady, Outcome: health.Pass, Standing: policy.In, Since: ago(26 * time.Hour)}
}

// page sums up instances as the mind does.
func page(ns, name, id string, check warden.HealthCheckKind, lines ...warden.InstanceLine) *warden.ServicePage {
	p := &warden.ServicePage{
		Service: health.Service{ID: id, Name: name, Namespace: ns}, Mode: policy.ModeEnforce, Lever: lever.Quarantine, HealthCheck: check,
		Check: "http /healthz every 5s, timeout 2s, fall 4, rise 2", CheckArmed: true, Listed: ago(4 * time.Second), Instances: lines,
	}
	if check == warden.CustomHealthCheck {
		p.Lever = lever.CustomStatus
	}
	t := &p.Totals
	for _, l := range lines {
		t.Targets++
		p.N++
		for n, is := range map[*int]bool{
			&t.Registered: l.Registered, &t.Passing: l.Outcome == health.Pass, &t.Failing: l.Outcome == health.Fail,
			&t.Indeterminate: l.Outcome == health.Indeterminate, &t.Leaving: l.Standing == policy.Leaving, &t.Out: l.Standing == policy.Out,
			&t.Waiting: l.Standing == policy.Waiting, &t.Kept: l.Standing == policy.Kept, &t.Quarantined: !l.Registered,
			&t.Foreign: l.Standing == policy.In && l.Registry == health.Unhealthy, &p.OutCount: l.Standing.IsOut() || l.Registry == health.Unhealthy,
			&p.Ever: l.Standing != policy.Waiting, &t.Flagged: l.Flags != 0,
		} {
			if is {
				*n++
			}
		}
	}
	return p
}

// snapshotOf sums up pages as the mind does.
func snapshotOf(pages ...*warden.ServicePage) *warden.Snapshot {
	s := &warden.Snapshot{Wall: noon.UnixNano(), Mode: policy.ModeEnforce, Synced: true, Staleness: int64(4 * time.Second), Services: pages}
	for _, p := range pages {
		t, u := &s.Totals, p.Totals
		t.Targets += u.Targets
		t.Registered += u.Registered
		t.Passing += u.Passing
		t.Failing += u.Failing
		t.Indeterminate += u.Indeterminate
		t.Leaving += u.Leaving
		t.Out += u.Out
		t.Waiting += u.Waiting
		t.Kept += u.Kept
		t.Foreign += u.Foreign
		t.Quarantined += u.Quarantined
		t.Jobs += u.Jobs
		t.Flagged += u.Flagged
	}
	return s
}

func serial(prefix string, n int) []warden.InstanceLine {
	out := make([]warden.InstanceLine, 0, n)
	for i := range n {
		out = append(out, passing(fmt.Sprintf("%s-%04d", prefix, i), fmt.Sprintf("10.8.%d.%d:8080", i/250, i%250+1)))
	}
	return out
}

// night is a fleet in which something of everything goes wrong.
func night() *warden.Snapshot {
	payments := serial("pay", 12)
	payments[3] = warden.InstanceLine{ID: "pay-0003", Addr: "10.8.0.4:8080", Status: health.Unhealthy, Phase: health.Steady,
		Outcome: health.Fail, Cause: health.Refused, Standing: policy.Out, Reason: policy.Failing, Since: ago(6 * time.Minute)}
	payments[7] = warden.InstanceLine{ID: "pay-0007", Addr: "10.8.0.8:8080", Registered: true, Status: health.Unhealthy, Phase: health.Steady,
		Outcome: health.Fail, Cause: health.BadStatus, Standing: policy.Leaving, Reason: policy.Holding, Since: ago(12 * time.Second),
		Flags: warden.Gray | warden.Flapping}
	search := serial("search", 6)
	for i := range search {
		search[i].Status, search[i].Outcome, search[i].Cause = health.Unhealthy, health.Fail, health.Timeout
		search[i].Standing, search[i].Reason, search[i].Since = policy.Kept, policy.FailOpen, ago(3*time.Minute)
	}
	carts := serial("cart", 9)
	carts[1].Registry = health.Unhealthy // by somebody else: the mind has nothing to say of it
	carts[8] = warden.InstanceLine{ID: "cart-0008", Addr: "10.8.0.9:8080", Registered: true, Registry: health.Unhealthy,
		Outcome: health.Fail, Cause: health.Refused, Standing: policy.Waiting, Reason: policy.NeverReady, Since: ago(40 * time.Second)}
	legacy := serial("legacy/a:b@c", 3)
	for i := range legacy {
		legacy[i].Status, legacy[i].Outcome, legacy[i].Cause = health.Unknown, health.Indeterminate, health.PathUnproven
	}
	legacy[0].ID = `<img src=x onerror=document.title='owned'>`
	s := snapshotOf(
		page("dev.local", "carts", "srv-carts", warden.CustomHealthCheck, carts...),
		page("legacy", "batch", "srv-batch", warden.Route53Check, legacy...),
		page("prod.internal", "payments", "srv-pay", warden.NoHealthCheck, payments...),
		page("prod.internal", "search", "srv-search", warden.NoHealthCheck, search...),
		page("prod.internal", "web", "srv-web", warden.NoHealthCheck, serial("web", 24)...),
	)
	s.Services[1].Lever, s.Services[1].NoLever, s.Services[1].Mode = lever.None, policy.Route53Check, policy.ModeObserve
	s.Services[1].Gates = []policy.Reason{policy.Route53Check, policy.CheckUnproven}
	s.Services[1].CheckArmed = false
	s.Services[1].Ever = 0
	s.Services[3].PastLine = true
	s.Services[3].Gates = []policy.Reason{policy.FailOpen}
	s.Services[2].Totals.Jobs, s.Totals.Jobs = 1, 1
	return s
}

// told is what the mind says of pay-0003.
func told() warden.Explanation {
	s := night().Services[2]
	return warden.Explanation{
		Line: s.Instances[3], Service: s.Service, Mode: s.Mode, Lever: s.Lever,
		Summary: "out because of failing; it failed 76 times in a row (refused; 4 make it unhealthy); passes in a row: 0", Check: s.Check,
		Fails: 76, Fall: 4, Rise: 2, EverPassed: true,
		Recent:     append(slices.Repeat([]health.Outcome{health.Fail}, 14), health.Indeterminate, health.Fail, health.Pass, health.Pass, health.Pass, health.Pass),
		LastDetail: "connect 10.8.0.4:8080: connection refused", LastProbe: ago(2 * time.Second), Verdict: health.Unhealthy,
		Votes: []warden.ExplainedVote{{Checker: "mapwarden-1", Zone: "eu-west-1a", Status: health.Unhealthy, Last: health.Fail, Cause: health.Refused, Heard: true}},
		Rules: []warden.ExplainedRule{
			{Rule: 1, Reason: policy.Unsynced, Says: "the registry was read completely since the start"},
			{Rule: 2, Reason: policy.SelfDoubt, Says: "the checker does not doubt itself"},
			{Rule: 4, Reason: policy.CheckUnproven, Says: "the check is proven on this service"},
			{Rule: 6, Reason: policy.FailOpen, Says: "enough of the service passes (fail-open line)"},
			{Rule: 7, Reason: policy.Budget, Withholds: true, Says: "one more fits into the share that may be out"},
		},
		Entry: &lever.Entry{ID: "e-1", Version: 3, Kind: lever.Quarantine, Phase: lever.Out, Service: s.Service, Instance: "pay-0003",
			Incarnation: health.Incarnation{Service: "srv-pay", Instance: "pay-0003", Addr: netip.MustParseAddr("10.8.0.4"), Port: 8080},
			Attributes:  attributes(), Operation: "op-77", Reason: policy.Failing, Cause: "refused",
			Opened: ago(6 * time.Minute), Updated: ago(6*time.Minute - time.Second), OutSince: ago(6*time.Minute - time.Second)},
		Attributes: attributes(), N: 12, OutCount: 1, Passing: 10, Ever: 12,
	}
}

func attributes() health.Attributes {
	return health.AttributesOf(map[string]string{health.AttrIPv4: "10.8.0.4", health.AttrPort: "8080", "ECS_TASK": "9f2c", "<b>": "a & \"b\""})
}

// past is a history, oldest first.
func past() []web.Record {
	rec := func(d time.Duration, r warden.Record) web.Record {
		r.Wall = ago(d)
		return web.RecordOf(r)
	}
	s := night()
	pay, search := s.Services[2].Service, s.Services[3].Service
	return []web.Record{
		rec(20*time.Minute, warden.Record{Kind: warden.FleetRecord, Reason: policy.WarmUp, Admitted: true, Detail: "warm-up is over"}),
		rec(7*time.Minute, warden.Record{Kind: warden.TransitionRecord, Service: pay, Instance: "pay-0003", Addr: "10.8.0.4:8080", From: health.Healthy, To: health.Unhealthy,
			Cause: health.Refused, Fails: 4, Fall: 4, Detail: "connect 10.8.0.4:8080: connection refused", Passing: 11, Ever: 12, N: 12}),
		rec(6*time.Minute+30*time.Second, warden.Record{Kind: warden.DecisionRecord, Service: pay, Instance: "pay-0003", Addr: "10.8.0.4:8080", Action: policy.Remove, Admitted: true,
			Reason: policy.Failing, Lever: lever.Quarantine, Cause: health.Refused, Fails: 10, Fall: 4, Passing: 11, Ever: 12, N: 12}),
		rec(6*time.Minute, warden.Record{Kind: warden.ActuationRecord, Service: pay, Instance: "pay-0003", Addr: "10.8.0.4:8080", Action: policy.Remove, Admitted: true,
			Reason: policy.Failing, Lever: lever.Quarantine, Detail: "deregistered", Passing: 11, Ever: 12, Out: 1, N: 12}),
		rec(3*time.Minute, warden.Record{Kind: warden.DecisionRecord, Service: search, Instance: "search-0002", Addr: "10.8.0.3:8080", Action: policy.Remove,
			Reason: policy.FailOpen, Lever: lever.Quarantine, Cause: health.Timeout, Fails: 4, Fall: 4, Passing: 0, Ever: 6, N: 6}),
		rec(time.Minute, warden.Record{Kind: warden.CommandRecord, Reason: policy.Frozen, Admitted: true, Detail: "unfreeze by ana"}),
	}
}
