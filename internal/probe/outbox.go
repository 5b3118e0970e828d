package probe

import (
	"context"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

const (
	batchSize  = 256
	batchAge   = 10 * time.Millisecond
	maxParcels = 64
)

// parcel is what is handed on at once: the doubts first.
type parcel struct {
	doubts       []health.Doubt
	observations []health.Observation
}

// outbox collects observations and doubts into parcels. The engine's loop owns
// it, but for what lies behind mu and for deliver.
type outbox struct {
	open   parcel
	opened health.Instant // when pack first saw something in open; 0: nothing yet
	before int            // observations in the parcel before

	mu      sync.Mutex
	ready   []parcel
	some    chan struct{} // capacity 1: ready has something
	emptied func()        // called by deliver when full has become untrue
}

func newOutbox(emptied func()) *outbox {
	return &outbox{some: make(chan struct{}, 1), emptied: emptied}
}

// add puts o into the open parcel. It reports false, and drops o, if o is
// Overloaded and nobody takes parcels away: those alone come without a limit.
func (b *outbox) add(o health.Observation) bool {
	if o.Cause == health.Overloaded && b.full() {
		return false
	}
	if b.open.observations == nil {
		b.open.observations = make([]health.Observation, 0, min(b.before+b.before/8+8, batchSize))
	}
	b.open.observations = append(b.open.observations, o)
	if len(b.open.observations) == batchSize {
		b.close()
	}
	return true
}

func (b *outbox) doubt(d health.Doubt) { b.open.doubts = append(b.open.doubts, d) }

// pack closes the open parcel when it is old enough; doubts do not wait.
func (b *outbox) pack(now health.Instant) {
	switch {
	case len(b.open.observations) == 0 && len(b.open.doubts) == 0:
	case len(b.open.doubts) > 0:
		b.close()
	case b.opened == 0:
		b.opened = now
	case now.Sub(b.opened) >= batchAge-batchAge/5:
		b.close() // rather with this turn than with one of its own
	}
}

func (b *outbox) close() {
	b.mu.Lock()
	b.ready = append(b.ready, b.open)
	b.mu.Unlock()
	b.before = len(b.open.observations)
	b.open, b.opened = parcel{}, 0
	select {
	case b.some <- struct{}{}:
	default:
	}
}

// flushAt is when pack has something to do without being given more.
func (b *outbox) flushAt() health.Instant {
	if b.opened == 0 {
		return health.Never
	}
	return b.opened.Add(batchAge)
}

// full reports whether so much waits that no further probes should start.
func (b *outbox) full() bool { return b.waiting() >= maxParcels }

func (b *outbox) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.ready)
}

// take removes the oldest parcel.
func (b *outbox) take() (p parcel, ok bool) {
	b.mu.Lock()
	waited := len(b.ready)
	if waited > 0 {
		p = b.ready[0]
		n := copy(b.ready, b.ready[1:])
		b.ready[n] = parcel{}
		b.ready = b.ready[:n]
	}
	b.mu.Unlock()
	if waited == maxParcels {
		b.emptied()
	}
	return p, waited > 0
}

// deliver hands parcels on until ctx ends.
func (b *outbox) deliver(ctx context.Context, observations func([]health.Observation), doubt func(health.Doubt)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.some:
		}
		for ctx.Err() == nil {
			p, ok := b.take()
			if !ok {
				break
			}
			if doubt != nil {
				for _, d := range p.doubts {
					doubt(d)
				}
			}
			if len(p.observations) > 0 {
				observations(p.observations)
			}
		}
	}
}
