package probe

import (
	"context"
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
// it; only the other end of ch belongs to deliver.
type outbox struct {
	open   parcel
	opened health.Instant // when pack first saw something in open; 0: nothing yet
	ready  []parcel
	ch     chan parcel
}

func newOutbox() *outbox { return &outbox{ch: make(chan parcel)} }

// add puts o into the open parcel. It reports false, and drops o, if o is
// Overloaded and nobody takes parcels away: those alone come without a limit.
func (b *outbox) add(o health.Observation) bool {
	if o.Cause == health.Overloaded && b.full() {
		return false
	}
	if b.open.observations == nil {
		b.open.observations = make([]health.Observation, 0, 32)
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
	case now.Sub(b.opened) >= batchAge:
		b.close()
	}
}

func (b *outbox) close() {
	b.ready = append(b.ready, b.open)
	b.open, b.opened = parcel{}, 0
}

// flushAt is when pack has something to do without being given more.
func (b *outbox) flushAt() health.Instant {
	if b.opened == 0 {
		return health.Never
	}
	return b.opened.Add(batchAge)
}

// full reports whether so much waits that no further probes should start.
func (b *outbox) full() bool { return len(b.ready) >= maxParcels }

// exit is where first can be sent to, nil while there is nothing to send.
func (b *outbox) exit() chan<- parcel {
	if len(b.ready) == 0 {
		return nil
	}
	return b.ch
}

func (b *outbox) first() parcel {
	if len(b.ready) == 0 {
		return parcel{}
	}
	return b.ready[0]
}

// left takes the first parcel out, after it was sent.
func (b *outbox) left() {
	n := copy(b.ready, b.ready[1:])
	b.ready[n] = parcel{}
	b.ready = b.ready[:n]
}

// deliver hands parcels on until ctx ends.
func (b *outbox) deliver(ctx context.Context, observations func([]health.Observation), doubt func(health.Doubt)) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-b.ch:
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
