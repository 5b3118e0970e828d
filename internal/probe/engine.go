package probe

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

const (
	defaultMaxInFlight = 1024

	// maxLate is how late a probe may start, as a share of its interval, for
	// its failure to count (safety rule 2).
	maxLate = 0.5
)

// Config is what an Engine needs. Now and Deliver are required.
type Config struct {
	Options // of the prober; its Doubt is set by the engine

	// Now is the process's monotonic clock, above zero.
	Now func() health.Instant

	// Deliver is given the observations, at most 256 at once and at most 10 ms
	// after their connections were closed, and owns the slice. Calls come one after the
	// other. While a call blocks, up to 64 batches wait; then no further
	// probes start until there is room again.
	Deliver func([]health.Observation)

	// Doubt is told of reasons to distrust this checker, at most once a second
	// each, before any observation made at the same time is delivered; by the
	// goroutine that calls Deliver. May be nil.
	Doubt func(health.Doubt)

	// MaxInFlight bounds the probes that run at once. Each takes a goroutine,
	// a descriptor and about 20 KiB while it runs, so it has to stay well below
	// the process's limit of descriptors. Default 1024.
	MaxInFlight int

	// Probe replaces the prober, for tests. It is called concurrently, must
	// return soon after ctx ends, and may leave Target, Start and End empty.
	Probe func(ctx context.Context, t *health.Target) health.Observation
}

// Engine probes targets on their schedules. Each target is probed on the grid
// that its first due instant and its interval make, and never twice at once:
// an instant that comes while the target's probe still runs is passed over.
//
// Which probes run is shared fairly among services. A probe that finds no room
// before the target's next one is due is reported as Indeterminate, Overloaded;
// a failure of a probe that started more than half an interval late, as
// Indeterminate, Late.
//
// Watch, Unwatch and Reschedule never block, may be called by any goroutine,
// also from Deliver and before Run, and take effect in the order of the calls.
type Engine struct {
	cfg    Config
	prober *Prober       // nil where Config.Probe replaces it
	wake   chan struct{} // capacity 1: orders has something

	mu     sync.Mutex
	orders []order

	loop loop // owned by Run
}

// NewEngine returns an engine without targets. Run starts it.
func NewEngine(c Config) (*Engine, error) {
	if c.Now == nil || c.Deliver == nil {
		return nil, errors.New("probe engine: Now and Deliver are required")
	}
	if c.MaxInFlight < 0 {
		return nil, errors.New("probe engine: MaxInFlight is negative")
	}
	c.MaxInFlight = cmp.Or(c.MaxInFlight, defaultMaxInFlight)
	e := &Engine{cfg: c, wake: make(chan struct{}, 1)}
	e.loop = newLoop(e)
	if e.cfg.Probe == nil {
		o := c.Options
		o.Doubt = e.loop.senses.raise
		e.prober = NewProber(o, c.Now)
		e.cfg.Probe = e.prober.Probe
	}
	return e, nil
}

// order is a call of Watch, Unwatch or Reschedule on its way to the loop.
type order struct {
	kind   orderKind
	handle health.Handle
	at     health.Instant
	target *health.Target // Watch
}

type orderKind uint8

const (
	watch orderKind = iota
	unwatch
	reschedule
)

// Watch begins to probe t, first at the given instant, which also fixes the
// phase of all later probes; an instant in the past means now, with the phase
// that it gives. Watching a handle again replaces its target and check; an
// answer to the old check that is still under way is dropped. A target whose
// handle is older than the one that now holds its index is ignored.
func (e *Engine) Watch(t health.Target, first health.Instant) {
	e.send(order{kind: watch, handle: t.Handle, at: first, target: &t})
}

// SetPolicy puts another address policy into force for every connection from
// now on. It may be called by any goroutine.
func (e *Engine) SetPolicy(p AddressPolicy) {
	if e.prober != nil {
		e.prober.SetPolicy(p)
	}
}

// Unwatch ends the probing of h. A probe that runs is not interrupted, but no
// observation made after the call took effect is delivered.
func (e *Engine) Unwatch(h health.Handle) { e.send(order{kind: unwatch, handle: h}) }

// Reschedule moves the next probe of h to the given instant, which does not
// change the phase of the ones after it. An instant in the past means now. A
// probe that is due already is not moved.
func (e *Engine) Reschedule(h health.Handle, at health.Instant) {
	e.send(order{kind: reschedule, handle: h, at: at})
}

func (e *Engine) send(o order) {
	e.mu.Lock()
	e.orders = append(e.orders, o)
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Run probes until ctx ends, then calls off what runs, waits for it and for a
// call of Deliver in progress, and returns nil. Observations that were not
// delivered by then are lost. It may be called once.
func (e *Engine) Run(ctx context.Context) error {
	var children sync.WaitGroup
	children.Go(func() { e.loop.outbox.deliver(ctx, e.cfg.Deliver, e.cfg.Doubt) })
	e.loop.run(ctx, &children)
	children.Wait()
	return nil
}

// job is one probe on its way to a worker and back.
type job struct {
	ticket
	service int32
	target  *health.Target
	due     health.Instant
	noticed health.Instant
	sent    health.Instant
	result  health.Observation
}

// work runs jobs until there are no more.
func (e *Engine) work(ctx context.Context, jobs <-chan job, done chan<- job) {
	for j := range jobs {
		start := e.cfg.Now()
		o := e.cfg.Probe(ctx, j.target)
		o.Target, o.Due = j.target.Handle, j.due
		o.Start = cmp.Or(o.Start, start)
		o.End = cmp.Or(o.End, e.cfg.Now())
		j.result = timely(o, j.target.Check)
		done <- j
	}
}

// timely withdraws a failure that may be the checker's own slowness: the probe
// began more than half an interval late, or ended that much after its timeout.
func timely(o health.Observation, c health.Check) health.Observation {
	if o.Outcome != health.Fail {
		return o
	}
	slack := time.Duration(maxLate * float64(intervalOf(c)))
	switch {
	case o.Start.Sub(o.Due) > slack:
		o.Detail = printable("started " + o.Start.Sub(o.Due).Round(time.Millisecond).String() + " late: " + o.Detail)
	case o.End.Sub(o.Start) > timeoutOf(c)+slack:
		o.Detail = printable("took " + o.End.Sub(o.Start).Round(time.Millisecond).String() + ", the checker stood still: " + o.Detail)
	default:
		return o
	}
	o.Outcome, o.Cause = health.Indeterminate, health.Late
	return o
}
