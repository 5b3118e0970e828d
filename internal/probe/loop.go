package probe

import (
	"context"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// loop is the engine's one goroutine that schedules. Each turn it obeys
// orders, takes in results, finds what is due, starts what there is room for
// and hands on what is ready; then it sleeps until the next of these.
type loop struct {
	e       *Engine
	sched   schedule
	room    room
	senses  *senses
	outbox  *outbox
	meter   *meter
	waiting int      // slots in that stage
	jobs    chan job // capacity MaxInFlight, as done: neither ever blocks
	done    chan job
	workers int
	spare   []order // for the next swap with Engine.orders
}

func newLoop(e *Engine) loop {
	return loop{
		e:      e,
		room:   room{size: e.cfg.MaxInFlight},
		senses: new(senses),
		outbox: newOutbox(),
		meter:  newMeter(),
		jobs:   make(chan job, e.cfg.MaxInFlight),
		done:   make(chan job, e.cfg.MaxInFlight),
	}
}

func (l *loop) run(ctx context.Context, children *sync.WaitGroup) {
	defer close(l.jobs)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	wanted := health.Never
	for ctx.Err() == nil {
		now := l.e.cfg.Now()
		l.senses.woke(wanted, now)
		l.obey(now)
		l.collect()
		l.fire(now)
		l.start(ctx, now, children)
		l.senses.report(now, l.outbox)
		l.outbox.pack(now)
		l.meter.gauges(l.sched.used, l.waiting, l.room.running)

		wanted = min(l.sched.next(), l.outbox.flushAt())
		timer.Reset(sleep(wanted, l.e.cfg.Now()))
		select {
		case <-ctx.Done():
		case <-l.e.wake:
		case j := <-l.done:
			l.take(j)
		case <-timer.C:
		case l.outbox.exit() <- l.outbox.first():
			l.outbox.left()
		}
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
				l.unqueue(s)
				l.room.leave(s.service)
				l.sched.clear(s)
			}
		case reschedule:
			if s := l.sched.live(o.handle); s != nil && s.stage != waiting {
				l.sched.move(s, max(o.at, now))
			}
		}
	}
	clear(orders)
	l.spare = orders
}

func (l *loop) watch(o order, now health.Instant) {
	s := l.sched.slotFor(o.handle)
	if s == nil {
		return
	}
	service := l.room.join(o.target.Service.ID)
	if s.handle != 0 {
		l.unqueue(s)
		l.room.leave(s.service)
		l.sched.clear(s)
	}
	s.service = service
	l.sched.fill(s, o.target, o.at)
	l.sched.move(s, max(o.at, now))
}

// unqueue makes the slot's place in its line void, if it has one.
func (l *loop) unqueue(s *slot) {
	if s.stage == waiting {
		s.stage = idle
		l.waiting--
	}
}

// collect takes in the results that wait.
func (l *loop) collect() {
	for {
		select {
		case j := <-l.done:
			l.take(j)
		default:
			return
		}
	}
}

func (l *loop) take(j job) {
	l.room.ended(j.service)
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
	l.hand(j.result)
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
		s := l.sched.earliest()
		if s == nil || s.at > now {
			return
		}
		l.senses.due(s.interval)
		switch s.stage {
		case waiting:
			l.hand(overloaded(s, now))
		case idle:
			s.stage = waiting
			l.waiting++
			l.room.queue(s.service, ticket{int32(s.handle.Index()), s.epoch})
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

// start hands probes to workers while there is room for them.
func (l *loop) start(ctx context.Context, now health.Instant, children *sync.WaitGroup) {
	for !l.outbox.full() {
		t, ok := l.room.admit()
		if !ok {
			return
		}
		s := &l.sched.slots[t.slot]
		if s.epoch != t.epoch {
			continue
		}
		s.stage = running
		l.waiting--
		l.room.began(s.service)
		if l.room.running > l.workers {
			l.workers++
			children.Go(func() { l.e.work(ctx, l.jobs, l.done) })
		}
		l.jobs <- job{ticket: t, service: s.service, target: l.sched.targets[t.slot], due: s.due, noticed: s.noticed, sent: now}
	}
}
