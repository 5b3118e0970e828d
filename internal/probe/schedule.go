package probe

import (
	"math/bits"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// stage is where a slot's current probe is.
type stage uint8

const (
	idle    stage = iota
	waiting       // due, but there is no room to run it
	running
)

// slot is the engine's record of one target: no pointer, 64 bytes. Slots lie
// under the index of their handle.
type slot struct {
	handle   health.Handle // 0: free
	anchor   health.Instant
	interval time.Duration
	at       health.Instant // when the next probe is due
	due      health.Instant // of the probe that waits or runs
	noticed  health.Instant // when that was found to be due

	service int32 // index in its lane's room
	epoch   uint32
	stage   stage
	lane    lane
}

// following is the first instant after t on the slot's grid, anchor + n ×
// interval. Instants that were missed are skipped, so a late engine neither
// hurries nor drifts.
func (s *slot) following(t health.Instant) health.Instant {
	if t < s.anchor {
		return s.anchor
	}
	n := t.Sub(s.anchor)/s.interval + 1
	return s.anchor.Add(n * s.interval)
}

// schedule holds the slots of all targets and the order in which they are due.
// Everything but growing is free of allocation.
type schedule struct {
	slots  []slot
	places []place  // same index
	order  timeline // ids are indexes of slots
	used   int

	// gather lets a slot be looked at a little after it is due, together with
	// others: by at most maxGather and a 64th of its interval. Fewer, larger
	// turns of the loop cost less.
	gather bool
}

const maxGather = 1 << 23 // ns, about 8 ms

// live returns the slot of h, nil if h is not watched (any more).
func (q *schedule) live(h health.Handle) *slot {
	if i := h.Index(); h != 0 && i < len(q.slots) && q.slots[i].handle == h {
		return &q.slots[i]
	}
	return nil
}

// slotFor returns the slot that h may have, growing the schedule as needed: nil
// if h is zero or older than the handle that holds it.
func (q *schedule) slotFor(h health.Handle) *slot {
	if h == 0 {
		return nil
	}
	i := h.Index()
	for len(q.slots) <= i {
		q.slots = append(q.slots, slot{})
		q.places = append(q.places, place{})
	}
	q.order.reserve(len(q.slots))
	if s := &q.slots[i]; s.handle.Generation() <= h.Generation() {
		return s
	}
	return nil
}

// fill gives a free slot to h at p. It is not yet in the order.
func (q *schedule) fill(s *slot, h health.Handle, p place, anchor health.Instant) {
	q.used++
	q.places[h.Index()] = p
	s.handle = h
	s.anchor = anchor
	s.interval = p.interval()
	s.lane = p.lane()
}

// clear frees a slot and returns its place.
func (q *schedule) clear(s *slot) (p place) {
	i := s.handle.Index()
	q.order.drop(int32(i))
	p, q.places[i] = q.places[i], place{}
	q.used--
	s.handle = 0
	s.epoch++
	s.stage = idle
	return p
}

// move sets when the slot's next probe is due.
func (q *schedule) move(s *slot, at health.Instant) {
	s.at = at
	if q.gather {
		at = gathered(at, s.interval)
	}
	q.order.set(int32(s.handle.Index()), at)
}

// gathered is the end of the stretch of time in which at lies. Stretches are
// powers of two long: the longer ones end where shorter ones do.
func gathered(at health.Instant, interval time.Duration) health.Instant {
	stretch := min(int64(1)<<bits.Len64(uint64(interval)>>7), maxGather)
	return health.Instant((int64(at) + stretch - 1) &^ (stretch - 1))
}

// dueBy returns the first slot in the order if it is to be looked at by now.
func (q *schedule) dueBy(now health.Instant) *slot {
	if id, ok := q.order.first(); ok && q.order.next() <= now {
		return &q.slots[id]
	}
	return nil
}

// next is when to look at the schedule again.
func (q *schedule) next() health.Instant { return q.order.next() }
