package probe

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

const (
	// defaultWorkers and defaultAloft are how many probes run at once, on
	// goroutines and in the event loop; the latter only as far as a quarter of
	// the process's descriptors allows.
	defaultWorkers = 1024
	defaultAloft   = 8192

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
	// after they were made, and owns the slice. Calls come one after the
	// other. While a call blocks, up to 64 batches wait; then no further
	// probes start until there is room again.
	Deliver func([]health.Observation)

	// Doubt is told of reasons to distrust this checker, at most once a second
	// each, before any observation made at the same time is delivered; by the
	// goroutine that calls Deliver. May be nil.
	Doubt func(health.Doubt)

	// MaxInFlight bounds the probes that run at once, for each of the two ways
	// in which they are run. On a goroutine (every protocol but those below)
	// one takes a descriptor and about 20 KiB while it runs; default 1024. In
	// the event loop (plain HTTP and TCP, on Linux) it takes a descriptor, and
	// up to 64 KiB only while a long answer comes in; default 8192, or a
	// quarter of the process's limit of descriptors where that is less.
	MaxInFlight int

	// Portable runs all probes on goroutines and the net package, as it is on
	// systems for which there is no event loop.
	Portable bool

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
// Indeterminate, Late. In the event loop a probe may start a 64th of its
// interval late, at most 9 ms, so that several start together.
//
// Watch, Unwatch and Reschedule never block, may be called by any goroutine,
// also from Deliver and before Run, and take effect in the order of the calls.
type Engine struct {
	cfg    Config
	prober *Prober       // nil where Config.Probe replaces it
	wake   chan struct{} // capacity 1: orders has something; not for a carrier
	plans  plans

	// carrier runs what it can carry, and is what the loop rests in. It is nil
	// in the portable engine; lack says why, if that is not by choice.
	carrier carrier
	lack    error

	mu     sync.Mutex
	orders []order

	loop loop // owned by Run
}

// carrier runs probes without a goroutine for each. The loop owns it, but for
// carries and ring.
type carrier interface {
	// carries reports whether t is one for the carrier.
	carries(t *health.Target) bool
	// launch begins a probe; the loop's take is given the job when it is done,
	// which may be at once.
	launch(j *job, p *place)
	// next is when expire has something to do.
	next() health.Instant
	// expire ends what has come to its deadline.
	expire(now health.Instant)
	// rest waits for at most d, until ring is called or probes under way have
	// moved on, and moves them on.
	rest(d time.Duration)
	// ring ends a rest, or the next one. Any goroutine may call it.
	ring()
	// close calls off what is under way.
	close()
}

// NewEngine returns an engine without targets. Run starts it.
func NewEngine(c Config) (*Engine, error) {
	if c.Now == nil || c.Deliver == nil {
		return nil, errors.New("probe engine: Now and Deliver are required")
	}
	if c.MaxInFlight < 0 {
		return nil, errors.New("probe engine: MaxInFlight is negative")
	}
	e := &Engine{cfg: c, wake: make(chan struct{}, 1)}
	e.loop = newLoop(e)
	if e.cfg.Probe == nil {
		o := c.Options
		o.Doubt = e.loop.senses.raise
		e.prober = NewProber(o, c.Now)
		e.cfg.Probe = e.prober.Probe
		e.plans.agent = e.prober.agent
		if !c.Portable {
			e.carrier, e.lack = newCarrier(e)
		}
	}
	return e, nil
}

// Portable reports whether all probes run on goroutines and the net package,
// and why, if that was not asked for.
func (e *Engine) Portable() (bool, error) { return e.carrier == nil, e.lack }

// order is a call of Watch, Unwatch or Reschedule on its way to the loop.
type order struct {
	kind    orderKind
	handle  health.Handle
	at      health.Instant
	place   place  // Watch
	service string // Watch
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
	o := order{kind: watch, handle: t.Handle, at: first, service: t.Service.ID}
	if e.carrier != nil && e.carrier.carries(&t) {
		o.place = place{addr: netip.AddrPortFrom(t.Addr.Unmap(), dialAddr(&t).Port()), plan: e.plans.take(t.Check)}
	} else {
		own := t
		o.place = place{target: &own}
	}
	e.send(o)
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
	e.ring()
}

// ring makes the loop take a turn.
func (e *Engine) ring() {
	if e.carrier != nil {
		e.carrier.ring()
		return
	}
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
	if e.prober != nil {
		e.prober.aside = children.Go
	}
	children.Go(func() { e.loop.outbox.deliver(ctx, e.cfg.Deliver, e.cfg.Doubt) })
	e.loop.run(ctx, &children)
	children.Wait()
	return nil
}

// job is one probe on its way to whoever runs it and back.
type job struct {
	ticket
	handle   health.Handle
	service  int32
	lane     lane
	interval time.Duration
	timeout  time.Duration
	due      health.Instant
	noticed  health.Instant
	sent     health.Instant
	target   *health.Target // for workers
	result   health.Observation
}

// work runs jobs until there are no more.
func (e *Engine) work(ctx context.Context, jobs <-chan job, done chan<- job) {
	for j := range jobs {
		start := e.cfg.Now()
		j.result = e.cfg.Probe(ctx, j.target)
		j.result.Start = cmp.Or(j.result.Start, start)
		j.result.End = cmp.Or(j.result.End, e.cfg.Now())
		done <- j
		if e.carrier != nil {
			e.carrier.ring()
		}
	}
}

// timely withdraws a failure that may be the checker's own slowness: the probe
// began more than half an interval late, or ended that much after its timeout.
func timely(o health.Observation, interval, timeout time.Duration) health.Observation {
	if o.Outcome != health.Fail {
		return o
	}
	slack := time.Duration(maxLate * float64(interval))
	switch {
	case o.Start.Sub(o.Due) > slack:
		o.Detail = printable("started " + o.Start.Sub(o.Due).Round(time.Millisecond).String() + " late: " + o.Detail)
	case o.End.Sub(o.Start) > timeout+slack:
		o.Detail = printable("took " + o.End.Sub(o.Start).Round(time.Millisecond).String() + ", the checker stood still: " + o.Detail)
	default:
		return o
	}
	o.Outcome, o.Cause = health.Indeterminate, health.Late
	return o
}
