package lever_test

import (
	"fmt"
	"maps"
	"net/netip"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
)

// world is a registry that holds one instance, and a journal. It carries out
// calls one by one, the way that a fate says.
type world struct {
	now health.Instant

	// The registry.

	attrs   map[string]string // nil: the instance is not registered
	status  health.Status
	pending []change // accepted, not yet in effect
	ops     map[string]*operation
	opDelay time.Duration

	// The journal: at most one entry, as there is one instance.

	entry *lever.Entry

	calls int
	wrong []string // what must never happen, and did
}

// change is a write that takes effect later.
type change struct {
	at     health.Instant
	kind   lever.Op
	attrs  map[string]string
	status health.Status
	op     string
}

type operation struct{ status lever.OperationStatus }

// fate is what becomes of one call.
type fate uint8

const (
	well            fate = iota
	throttled            // surely not carried out
	denied               // surely not carried out
	unconnected          // surely not carried out
	inTheWay             // surely not carried out: another operation is under way
	lostBefore           // the answer is lost, and it had no effect
	lostAfter            // the answer is lost, and it has its effect
	lostLate             // the same, as late as Settle allows
	operationFails       // accepted; its operation ends as FAIL
	operationSlow        // accepted; its operation takes longer than Deadline
	killedBefore         // the process dies before the call has an effect
	killedAfter          // the process dies after it, before the answer
	cancelledAtCall      // carried out; and a cancel arrives while it is
	fates
)

func (f fate) String() string {
	return [...]string{"well", "throttled", "denied", "unconnected", "in-the-way", "lost-before", "lost-after", "lost-late",
		"operation-fails", "operation-slow", "killed-before", "killed-after", "cancelled"}[f]
}

var (
	pace    = lever.Pace{}.WithDefaults()
	svc     = health.Service{ID: "srv-1", Name: "web", Namespace: "prod"}
	ours    = map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.7", "AWS_INSTANCE_PORT": "80", "color": "blue"}
	life    = health.Incarnation{Service: "srv-1", Instance: "i-1", Addr: netip.MustParseAddr("10.0.0.7"), Port: 80}
	epoch   = int64(1_700_000_000_000_000_000)
	begin   = health.Instant(time.Hour)
	opDelay = 3 * time.Second
)

func newWorld() *world {
	return &world{now: begin, attrs: maps.Clone(ours), status: health.Healthy, ops: make(map[string]*operation), opDelay: opDelay}
}

func (w *world) fail(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// advance lets time pass, and what is pending take effect.
func (w *world) advance(to health.Instant) {
	w.now = max(w.now, to)
	for len(w.pending) > 0 {
		first := 0
		for i := range w.pending {
			if w.pending[i].at < w.pending[first].at {
				first = i
			}
		}
		c := w.pending[first]
		if c.at > w.now {
			return
		}
		w.pending = append(w.pending[:first], w.pending[first+1:]...)
		w.effect(c)
	}
}

func (w *world) effect(c change) {
	switch c.kind {
	case lever.Deregister:
		w.attrs = nil
	case lever.Register:
		w.attrs = maps.Clone(c.attrs)
	case lever.SetStatus:
		w.status = c.status
	}
	if o := w.ops[c.op]; o != nil {
		o.status = lever.OperationSuccess
	}
}

// forgotten: the process died. Operations of which nobody knows end within
// Settle; that is what Settle means.
func (w *world) forgotten() {
	for i := range w.pending {
		if p := &w.pending[i]; p.op != "" && (w.entry == nil || w.entry.Operation != p.op) {
			p.at = min(p.at, w.now.Add(pace.Settle-time.Second))
		}
	}
}

// do carries out one call; ok is false where the process died of it.
func (w *world) do(c lever.Call, f fate) (r lever.Result, ok bool) {
	w.calls++
	w.advance(max(w.now, c.At) + health.Instant(20*time.Millisecond))
	r = lever.Result{Op: c.Op}
	switch c.Op {
	case lever.Wait:
		return r, f != killedBefore && f != killedAfter
	case lever.PutEntry, lever.UpdateEntry, lever.CloseEntry:
		return w.journal(c, f)
	case lever.ReadInstance, lever.ReadStatus, lever.PollOperation:
		return w.read(c, f)
	}
	return w.write(c, f)
}

func (w *world) journal(c lever.Call, f fate) (lever.Result, bool) {
	r := lever.Result{Op: c.Op, Entry: c.Entry}
	switch f {
	case killedBefore:
		return r, false
	case lostBefore:
		r.Fault = lever.Ambiguous
		return r, true
	case throttled, denied, unconnected:
		r.Fault = lever.Failed
		return r, true
	}
	r.Fault, r.Entry = w.store(c)
	switch f {
	case killedAfter:
		return r, false
	case lostAfter, lostLate:
		r.Fault, r.Entry = lever.Ambiguous, c.Entry
	}
	return r, true
}

// store has the contract of the journal: an exact repeat is known as such.
func (w *world) store(c lever.Call) (lever.Fault, lever.Entry) {
	e := c.Entry
	switch c.Op {
	case lever.PutEntry:
		e.Version = 1
		if w.entry != nil && !equal(*w.entry, e) {
			return lever.Conflict, c.Entry
		}
	case lever.UpdateEntry:
		e.Version++
		switch {
		case w.entry == nil:
			return lever.NotFound, c.Entry
		case w.entry.ID == e.ID && w.entry.Version == c.Entry.Version, equal(*w.entry, e):
		default:
			return lever.Conflict, c.Entry
		}
	case lever.CloseEntry:
		switch {
		case w.entry == nil:
			return lever.NotFound, c.Entry
		case w.entry.ID != e.ID || w.entry.Version != e.Version:
			return lever.Conflict, c.Entry
		}
		w.entry = nil
		return lever.OK, c.Entry
	}
	w.entry = &e
	return lever.OK, e
}

func equal(a, b lever.Entry) bool {
	same := a.Attributes.Equal(b.Attributes)
	a.Attributes, b.Attributes = nil, nil
	return same && fmt.Sprint(a) == fmt.Sprint(b)
}

func (w *world) read(c lever.Call, f fate) (lever.Result, bool) {
	r := lever.Result{Op: c.Op}
	switch f {
	case killedBefore, killedAfter:
		return r, false
	case throttled:
		r.Fault = lever.Throttled
		return r, true
	case denied:
		r.Fault = lever.Denied
		return r, true
	case unconnected:
		r.Fault = lever.Failed
		return r, true
	case lostBefore, lostAfter, lostLate:
		r.Fault = lever.Ambiguous
		return r, true
	}
	switch c.Op {
	case lever.PollOperation:
		o := w.ops[c.Operation]
		if o == nil {
			r.Fault = lever.NotFound
			return r, true
		}
		r.OperationStatus = o.status
	case lever.ReadInstance, lever.ReadStatus:
		if w.attrs == nil {
			r.Fault = lever.NotFound
			return r, true
		}
		r.Found, r.Status = true, w.status
		if c.Op == lever.ReadInstance {
			r.Status, r.Attributes = health.Unknown, health.AttributesOf(w.attrs)
		}
	}
	return r, true
}

func (w *world) write(c lever.Call, f fate) (lever.Result, bool) {
	w.checkWrite(c)
	r := lever.Result{Op: c.Op}
	for fault, surely := range map[lever.Fault]fate{
		lever.Throttled: throttled, lever.Denied: denied, lever.Failed: unconnected, lever.InFlight: inTheWay,
	} {
		if f == surely {
			r.Fault = fault
			return r, true
		}
	}
	switch f {
	case killedBefore:
		return r, false
	case lostBefore:
		r.Fault = lever.Ambiguous
		return r, true
	}
	if w.attrs == nil && c.Op != lever.Register {
		r.Fault = lever.NotFound
		return r, true
	}
	w.accept(c, f, &r)
	switch f {
	case killedAfter:
		return r, false
	case lostAfter, lostLate:
		return lever.Result{Op: c.Op, Fault: lever.Ambiguous}, true
	}
	return r, true
}

func (w *world) accept(c lever.Call, f fate, r *lever.Result) {
	if c.Op == lever.SetStatus {
		for i, p := range w.pending {
			if p.kind == lever.SetStatus && p.status == c.Status {
				return // a repeat hastens nothing
			} else if p.kind == lever.SetStatus {
				w.pending = append(w.pending[:i], w.pending[i+1:]...)
				break
			}
		}
		if c.Status != w.status {
			w.pending = append(w.pending, change{at: w.now.Add(pace.CustomDelay), kind: c.Op, status: c.Status})
		}
		return
	}
	r.Operation = fmt.Sprintf("op-%d", len(w.ops)+1)
	o := &operation{status: lever.OperationPending}
	w.ops[r.Operation] = o
	delay := w.opDelay
	switch f {
	case operationFails:
		o.status = lever.OperationFail
		return
	case operationSlow:
		delay = pace.Deadline + 90*time.Second
	case lostLate, killedAfter:
		delay = pace.Settle - time.Second
	}
	w.pending = append(w.pending, change{at: w.now.Add(delay), kind: c.Op, attrs: c.Attributes.Map(), op: r.Operation})
}

// checkWrite holds every write to rule 13: the journal says that it may be
// sent, and with which attributes the instance comes back.
func (w *world) checkWrite(c lever.Call) {
	e := w.entry
	if e == nil {
		w.fail("%s with nothing in the journal", c.Op)
		return
	}
	want := lever.Sending
	if c.Op == lever.Register && e.Kind != lever.Drill || c.Op == lever.SetStatus && c.Status == health.Healthy {
		want = lever.Returning
	}
	if e.Phase != want {
		w.fail("%s while the journal says %s", c.Op, e.Phase)
	}
	if c.Op != lever.SetStatus && !e.Attributes.Equal(health.AttributesOf(ours)) {
		w.fail("%s while the journal holds the attributes %v", c.Op, e.Attributes)
	}
	if c.Op == lever.Register && !c.Attributes.Equal(health.AttributesOf(ours)) {
		w.fail("registers %v", c.Attributes)
	}
}
