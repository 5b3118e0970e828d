package fleetsim

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// writer is who wrote something in the registry.
type writer uint8

const (
	byOwner writer = iota // whoever registered the instance
	byUs
	byForeigner // a third party that sets statuses
)

// change is a custom status that was submitted and is not in effect yet.
type change struct {
	to  health.Status
	by  writer
	due time.Duration
}

// record is one registered instance. Records are immutable; a change replaces
// the record.
type record struct {
	id      string
	attrs   health.Attributes
	status  health.Status // Unknown where the service has no check
	by      writer        // of the status
	touched bool          // the status was submitted since the registration
	change  *change
	moved   time.Duration // since when it names this address
	spoken  time.Duration // when somebody else than us wrote it last
}

// service is a Cloud Map service: what is true, what readers see, and what
// its owner wants.
type service struct {
	health.Service
	index int // in the story
	kind  warden.HealthCheckKind
	other bool // of another account
	truth records
	seen  records // the truth of lag ago
	owned records // what the owner registered and did not deregister
	busy  map[string]*operation
}

// records are sorted by id.
type records []*record

func (r records) find(id string) (int, bool) {
	return slices.BinarySearchFunc(r, id, func(x *record, id string) int { return cmp.Compare(x.id, id) })
}

func (r records) get(id string) *record {
	if i, ok := r.find(id); ok {
		return r[i]
	}
	return nil
}

// with returns the records with x in the place of the one with its id.
func (r records) with(id string, x *record) records {
	i, ok := r.find(id)
	out := slices.Clone(r)
	switch {
	case ok && x == nil:
		return slices.Delete(out, i, i+1)
	case ok:
		out[i] = x
	case x != nil:
		out = slices.Insert(out, i, x)
	}
	return out
}

// operation is an asynchronous change.
type operation struct {
	id     string
	svc    *service
	inst   string
	attrs  health.Attributes // nil: deregister
	by     writer
	fails  bool
	status lever.OperationStatus
}

// registry is Cloud Map: services, operations that take time, custom statuses
// that take longer, and readers that see the past.
type registry struct {
	s          *sim
	services   []*service // in the order of the story
	operations []*operation

	delay  time.Duration // of an operation
	custom time.Duration // of a custom status
	lag    time.Duration // of readers behind writers
	dooms  int           // that many of the next operations fail
}

func (r *registry) byID(id string) *service {
	for _, svc := range r.services {
		if svc.ID == id {
			return svc
		}
	}
	return nil
}

// put replaces a record, now for writers and after the lag for readers.
func (r *registry) put(svc *service, id string, x *record, by writer) {
	r.s.clients.settle(svc)
	before := svc.truth.get(id)
	svc.truth = svc.truth.with(id, x)
	if r.lag == 0 {
		svc.seen = svc.truth
	} else {
		r.s.after(r.lag, func() { svc.seen = svc.seen.with(id, x) })
	}
	r.s.clients.changed(svc, id, before, x, by)
	r.s.judge.lost(svc)
}

// submit accepts an operation; deregistering is attrs == nil.
func (r *registry) submit(svc *service, id string, attrs health.Attributes, by writer) (*operation, lever.Fault) {
	if busy := svc.busy[id]; busy != nil {
		return busy, lever.InFlight
	}
	if attrs == nil && svc.truth.get(id) == nil {
		return nil, lever.NotFound
	}
	op := &operation{
		id: fmt.Sprintf("op-%d", len(r.operations)+1), svc: svc, inst: id, attrs: attrs, by: by,
		status: lever.OperationPending,
	}
	if by == byUs && r.dooms > 0 {
		r.dooms--
		op.fails = true
	}
	r.operations = append(r.operations, op)
	svc.busy[id] = op
	r.s.after(r.delay, func() { r.apply(op) })
	return op, lever.OK
}

func (r *registry) apply(op *operation) {
	delete(op.svc.busy, op.inst)
	if op.fails {
		op.status = lever.OperationFail
		r.s.line.physics("operation on %s failed", op.inst)
		return
	}
	op.status = lever.OperationSuccess
	var x *record
	if op.attrs != nil {
		x = r.registered(op.svc, op.inst, op.attrs, op.by)
	}
	if op.by == byOwner {
		r.s.clients.settle(op.svc)
		op.svc.owned = op.svc.owned.with(op.inst, x)
	}
	if op.by == byUs && x != nil {
		r.s.judge.proven[op.svc.ID] = true
	}
	if x == nil {
		r.put(op.svc, op.inst, nil, op.by)
		return
	}
	r.put(op.svc, op.inst, x, op.by)
}

// registered is the record that a registration makes: all attributes are
// replaced, and a custom status starts anew.
func (r *registry) registered(svc *service, id string, attrs health.Attributes, by writer) *record {
	x := &record{id: id, attrs: attrs, moved: r.s.now}
	if svc.kind == warden.CustomHealthCheck {
		x.status, x.by = health.Healthy, by
		if attrs.Get(health.AttrInitStatus) == "UNHEALTHY" {
			x.status = health.Unhealthy
		}
	}
	old := svc.truth.get(id)
	if old == nil && by == byUs {
		old = svc.owned.get(id) // a restore does not move an instance
	}
	if old != nil {
		x.spoken = old.spoken
		if sameEndpoint(old.attrs, attrs) {
			x.moved = old.moved
		}
	}
	if by != byUs {
		x.spoken = r.s.now
	}
	return x
}

func sameEndpoint(a, b health.Attributes) bool {
	addr, port := health.Endpoint(a)
	addr2, port2 := health.Endpoint(b)
	return addr == addr2 && port == port2
}

// setStatus is UpdateInstanceCustomHealthStatus: a change takes effect after
// the delay, a repeat does not hasten it and the opposite takes it back.
func (r *registry) setStatus(svc *service, id string, to health.Status, by writer) lever.Fault {
	old := svc.truth.get(id)
	switch {
	case svc.kind != warden.CustomHealthCheck:
		return lever.NotCustom
	case old == nil:
		return lever.NotFound
	}
	x := *old
	x.touched = true
	if by != byUs {
		x.spoken = r.s.now
	}
	switch {
	case x.change != nil && x.change.to == to, x.change == nil && x.status == to:
	case x.change != nil:
		x.change = nil
	default:
		c := &change{to: to, by: by, due: r.s.now + r.custom}
		x.change = c
		r.s.after(r.custom, func() { r.settle(svc, id, c) })
	}
	r.put(svc, id, &x, by)
	return lever.OK
}

// settle applies a custom status that was not taken back.
func (r *registry) settle(svc *service, id string, c *change) {
	old := svc.truth.get(id)
	if old == nil || old.change != c {
		return
	}
	x := *old
	x.status, x.by, x.change = c.to, c.by, nil
	r.put(svc, id, &x, c.by)
}

// poll is GetOperation.
func (r *registry) poll(id string) (lever.OperationStatus, lever.Fault) {
	n, err := strconv.Atoi(strings.TrimPrefix(id, "op-"))
	if err != nil || n < 1 || n > len(r.operations) {
		return lever.OperationUnknown, lever.NotFound
	}
	return r.operations[n-1].status, lever.OK
}

// discovered reports whether DiscoverInstances with the filter HEALTHY gives
// the record to clients; a service without a check gives all.
func (svc *service) discovered(x *record) bool {
	return x != nil && (svc.kind != warden.CustomHealthCheck || x.status == health.Healthy)
}
