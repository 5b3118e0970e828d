package probe

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// loop is the engine's one goroutine that schedules. Each turn it obeys
// orders, takes in results, finds what is due, starts what there is room for
// and hands on what is ready; then it rests until the next of these. A carrier
// runs probes within its rest and its turns; workers run them on goroutines.
type loop struct {
	e       *Engine
	sched   schedule
	rooms   [lanes]room
	senses  *senses
	outbox  *outbox
	meter   *meter
	waiting int      // slots in that stage
	jobs    chan job // capacity the workers' room, as done: neither ever blocks
	done    chan job
	workers int
	spare   []order // for the next swap with Engine.orders
}

func newLoop(e *Engine) loop {
	workers := cmp.Or(e.cfg.MaxInFlight, defaultWorkers)
	l := loop{
		e:      e,
		senses: new(senses),
		outbox: newOutbox(e.ring),
		meter:  newMeter(),
		jobs:   make(chan job, workers),
		done:   make(chan job, workers),
	}
	l.rooms[byWorkers].size = workers
	return l
}

func (l *loop) run(ctx context.Context, children *sync.WaitGroup) {
	defer close(l.jobs)
	rest := l.restPortably
	if c := l.e.carrier; c != nil {
		l.sched.gather = true
		l.rooms[byCarrier].size = cmp.Or(l.e.cfg.MaxInFlight, min(defaultAloft, descriptors()/4))
		defer c.close()
		defer context.AfterFunc(ctx, c.ring)()
		rest = func(_ context.Context, d time.Duration) { c.rest(d) }
	}
	wanted := health.Never
	for ctx.Err() == nil {
		wanted = l.turn(ctx, wanted, children)
		rest(ctx, sleep(wanted, l.e.cfg.Now()))
	}
}

// turn does what there is to do and returns when it wants to be called again.
func (l *loop) turn(ctx context.Context, wanted health.Instant, children *sync.WaitGroup) health.Instant {
	now := l.e.cfg.Now()
	l.senses.woke(wanted, now)
	l.obey(now)
	l.collect()
	wanted = health.Never
	if c := l.e.carrier; c != nil {
		c.expire(now)
	}
	l.fire(now)
	l.start(ctx, now, children)
	l.senses.report(now, l.outbox)
	l.outbox.pack(now)
	l.meter.gauges(l.sched.used, l.waiting, l.rooms[byWorkers].running+l.rooms[byCarrier].running)
	if c := l.e.carrier; c != nil {
		wanted = c.next()
	}
	return min(wanted, l.sched.next(), l.outbox.flushAt())
}

// restPortably waits for at most d, or until there is something to do.
func (l *loop) restPortably(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-l.e.wake:
	case j := <-l.done:
		l.take(&j)
	case <-timer.C:
	}
}

// sleep is how long to wait for wanted: long if nothing is.
func sleep(wanted, now health.Instant) time.Duration {
	if wanted == health.Never {
		return time.Hour
	}
	return max(wanted.Sub(now), 0)
}

// obey carries out the orders that have come in.
func (l *loop) obey(now health.Instant) {
	l.e.mu.Lock()
	orders := l.e.orders
	l.e.orders = l.spare[:0]
	l.e.mu.Unlock()
	for _, o := range orders {
		switch o.kind {
		case watch:
			l.watch(o, now)
		case unwatch:
			if s := l.sched.live(o.handle); s != nil {
				l.forget(s)
			}
		case reschedule:
			if s := l.sched.live(o.handle); s != nil && s.stage != waiting {
				l.sched.move(s, max(o.at, now))
			}
		}
	}
	if cap(orders) > keptOrders {
		orders = nil // of a first listing: it will not be as long again
	}
	clear(orders)
	l.spare = orders
}

const keptOrders = 1 << 12

func (l *loop) watch(o order, now health.Instant) {
	s := l.sched.slotFor(o.handle)
	if s == nil {
		l.free(o.place)
		return
	}
	service := l.rooms[o.place.lane()].join(o.service)
	if s.handle != 0 {
		l.forget(s)
	}
	s.service = service
	l.sched.fill(s, o.handle, o.place, o.at)
	l.sched.move(s, max(o.at, now))
}

// forget frees a slot in use.
func (l *loop) forget(s *slot) {
	l.unqueue(s)
	l.rooms[s.lane].leave(s.service)
	l.free(l.sched.clear(s))
}

func (l *loop) free(p place) {
	if p.plan != nil {
		l.e.plans.give(p.plan)
	}
}

// unqueue makes the slot's place in its line void, if it has one.
func (l *loop) unqueue(s *slot) {
	if s.stage == waiting {
		s.stage = idle
		l.waiting--
	}
}

// collect takes in the workers' results that wait.
func (l *loop) collect() {
	for {
		select {
		case j := <-l.done:
			l.take(&j)
		default:
			return
		}
	}
}

func (l *loop) take(j *job) {
	l.rooms[j.lane].ended(j.service)
	s := &l.sched.slots[j.slot]
	if s.epoch != j.epoch {
		l.meter.dropped()
		return
	}
	s.stage = idle
	// The wait for room is not the checker's lateness: one service whose
	// targets hang waits for itself.
	own := j.noticed.Sub(j.due) + j.result.Start.Sub(j.sent)
	l.senses.started(own, s.interval)
	j.result.Target, j.result.Due = j.handle, j.due
	l.hand(timely(j.result, j.interval, j.timeout))
}

func (l *loop) hand(o health.Observation) {
	if !l.outbox.add(o) {
		l.meter.dropped()
		return
	}
	l.meter.observed(o)
}

// fire finds the targets that are due.
func (l *loop) fire(now health.Instant) {
	for {
		s := l.sched.dueBy(now)
		if s == nil {
			return
		}
		l.senses.due(s.interval)
		switch s.stage {
		case waiting:
			l.hand(overloaded(s, now))
		case idle:
			s.stage = waiting
			l.waiting++
			l.rooms[s.lane].queue(s.service, ticket{int32(s.handle.Index()), s.epoch})
		case running:
			l.sched.move(s, s.following(now))
			continue
		}
		s.due, s.noticed = s.at, now
		l.sched.move(s, s.following(now))
	}
}

func overloaded(s *slot, now health.Instant) health.Observation {
	return health.Observation{
		Target: s.handle, Outcome: health.Indeterminate, Cause: health.Overloaded,
		Detail: "too many probes under way, none was made", Due: s.due, Start: now, End: now,
	}
}

// start begins probes while there is room for them.
func (l *loop) start(ctx context.Context, now health.Instant, children *sync.WaitGroup) {
	for i := range l.rooms {
		for !l.outbox.full() {
			t, ok := l.rooms[i].admit()
			if !ok {
				break
			}
			if s := &l.sched.slots[t.slot]; s.epoch == t.epoch {
				l.begin(ctx, s, t, now, children)
			}
		}
	}
}

func (l *loop) begin(ctx context.Context, s *slot, t ticket, now health.Instant, children *sync.WaitGroup) {
	s.stage = running
	l.waiting--
	r := &l.rooms[s.lane]
	r.began(s.service)
	j := job{ticket: t, handle: s.handle, service: s.service, lane: s.lane, interval: s.interval, due: s.due, noticed: s.noticed, sent: now}
	p := &l.sched.places[t.slot]
	if s.lane == byCarrier {
		j.timeout = p.plan.timeout
		l.e.carrier.launch(&j, p)
		return
	}
	j.target, j.timeout = p.target, timeoutOf(p.target.Check)
	if r.running > l.workers {
		l.workers++
		children.Go(func() { l.e.work(ctx, l.jobs, l.done) })
	}
	l.jobs <- j
}
