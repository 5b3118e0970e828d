package fleetsim

import (
	"math/rand/v2"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

const (
	batchSize = 256
	batchAge  = 10 * time.Millisecond
)

// slot is one watched target of a process.
type slot struct {
	target  health.Target
	anchor  health.Instant
	turn    uint64 // counts the times that it was planned anew
	epoch   uint64 // of the Watch that filled it; results of an earlier one are dropped
	running bool
}

// engine is the prober of one process: it keeps every target on its grid,
// obeys orders and hands results on in batches.
type engine struct {
	p     *process
	slots []*slot // by Handle.Index
	epoch uint64
	open  []health.Observation
	rng   *rand.Rand

	lacked health.Instant // when the mind was last told of what has run out
}

func newEngine(p *process) *engine {
	return &engine{p: p, rng: p.c.stream("probe latency")}
}

func (e *engine) live(h health.Handle) *slot {
	if i := h.Index(); i < len(e.slots) && e.slots[i] != nil && e.slots[i].target.Handle == h {
		return e.slots[i]
	}
	return nil
}

func (e *engine) watch(w warden.Watch) {
	e.epoch++
	s := &slot{target: w.Target, anchor: w.First, epoch: e.epoch}
	i := w.Target.Handle.Index()
	if grow := i + 1 - len(e.slots); grow > 0 {
		e.slots = append(e.slots, make([]*slot, grow)...)
	}
	e.slots[i] = s
	e.plan(s, w.First)
}

func (e *engine) unwatch(h health.Handle) {
	if s := e.live(h); s != nil {
		s.turn++
		e.slots[h.Index()] = nil
	}
}

func (e *engine) reschedule(h health.Handle, at health.Instant) {
	if s := e.live(h); s != nil {
		e.plan(s, at)
	}
}

// plan makes at the slot's only next instant.
func (e *engine) plan(s *slot, at health.Instant) {
	at = max(at, e.p.instant())
	s.turn++
	turn := s.turn
	e.p.at(at, func() {
		if s.turn == turn && e.live(s.target.Handle) == s {
			e.fire(s, at)
		}
	})
}

// following is the slot's first instant on its grid after t.
func (s *slot) following(t health.Instant) health.Instant {
	if t < s.anchor {
		return s.anchor
	}
	n := t.Sub(s.anchor)/s.target.Check.Interval + 1
	return s.anchor.Add(n * s.target.Check.Interval)
}

// fire starts the probe that was due.
func (e *engine) fire(s *slot, due health.Instant) {
	start := e.p.instant()
	e.plan(s, s.following(start))
	if s.running {
		return
	}
	s.running = true
	o := health.Observation{Target: s.target.Handle, Due: due, Start: start, Startup: s.target.Startup}
	if !s.target.Addr.IsValid() || s.target.Port == 0 {
		o.Cause, o.Detail = health.NotProbeable, "no address or port"
		e.p.after(0, func() { e.end(s, o) })
		return
	}
	if d := e.p.c.exhausted; d != health.NoDoubt {
		o.Cause, o.Detail = health.LocalFault, "nothing left to connect with"
		e.p.after(0, func() { e.end(s, o); e.lacks(d) })
		return
	}
	usual := time.Millisecond + time.Duration(e.rng.Int64N(int64(9*time.Millisecond)))
	takes := min(e.p.c.s.fleet.latency(s.target.AddrPort(), usual), s.target.Check.Timeout)
	e.p.after(takes, func() {
		r, parts := e.p.c.s.fleet.ask(e.p.c, s.target)
		o.Outcome, o.Cause, o.Draining, o.Parts, o.Dependencies = r.outcome, r.cause, r.drains, parts, r.needs
		late := start.Add(s.target.Check.Timeout)
		switch {
		case e.p.instant() >= late: // the process stood still in between
			o.Outcome, o.Cause, o.Dependencies = health.Fail, health.Timeout, nil
		case r.silent || e.p.instant().Add(r.late) >= late:
			o.Outcome, o.Cause, o.Dependencies = health.Fail, health.Timeout, nil
			e.p.at(late, func() { e.end(s, o) })
			return
		case r.late > 0:
			e.p.after(r.late, func() { e.end(s, o) })
			return
		}
		e.end(s, o)
	})
}

// lacks tells the mind of what the process has run out of, once a second at most.
func (e *engine) lacks(d health.Doubt) {
	if now := e.p.instant(); e.lacked == 0 || now.Sub(e.lacked) >= doubtEvery {
		e.lacked = now
		e.p.tell(warden.Doubted{Doubt: d})
	}
}

const doubtEvery = time.Second

// end hands the result on.
func (e *engine) end(s *slot, o health.Observation) {
	s.running = false
	if e.live(s.target.Handle) != s {
		return
	}
	o.End = e.p.instant()
	if len(e.open) == 0 {
		e.p.after(batchAge, e.flush)
	}
	e.open = append(e.open, o)
	if len(e.open) >= batchSize {
		e.flush()
	}
}

func (e *engine) flush() {
	if len(e.open) == 0 {
		return
	}
	batch := e.open
	e.open = nil
	e.p.tell(warden.Observed{Observations: batch})
}

// shortest is the shortest interval of all targets, 0 if there is none.
func (e *engine) shortest() time.Duration {
	var d time.Duration
	for _, s := range e.slots {
		if s != nil && (d == 0 || s.target.Check.Interval < d) {
			d = s.target.Check.Interval
		}
	}
	return d
}
