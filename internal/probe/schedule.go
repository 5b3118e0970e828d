package probe

import (
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
	at       health.Instant // the schedule's key: when to look at this slot next
	due      health.Instant // of the probe that waits or runs
	noticed  health.Instant // when that was found to be due

	service int32 // index in room
	pos     int32 // in schedule.heap, -1 outside
	epoch   uint32
	stage   stage
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

// schedule holds the slots of all targets and a binary heap of those in use,
// the earliest first. Everything but growing is free of allocation.
type schedule struct {
	slots   []slot
	targets []*health.Target // same index; immutable once watched
	heap    []int32
	used    int
}

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
		q.slots = append(q.slots, slot{pos: -1})
		q.targets = append(q.targets, nil)
	}
	if s := &q.slots[i]; s.handle.Generation() <= h.Generation() {
		return s
	}
	return nil
}

// fill gives a free slot to t. The slot has no key yet.
func (q *schedule) fill(s *slot, t *health.Target, anchor health.Instant) {
	q.used++
	q.targets[t.Handle.Index()] = t
	s.handle = t.Handle
	s.anchor = anchor
	s.interval = intervalOf(t.Check)
}

// clear frees a slot.
func (q *schedule) clear(s *slot) {
	q.drop(s)
	q.targets[s.handle.Index()] = nil
	q.used--
	s.handle = 0
	s.epoch++
	s.stage = idle
}

// move sets the slot's key.
func (q *schedule) move(s *slot, at health.Instant) {
	s.at = at
	if s.pos < 0 {
		s.pos = int32(len(q.heap))
		q.heap = append(q.heap, int32(s.handle.Index()))
	}
	q.up(int(s.pos))
	q.down(int(s.pos))
}

func (q *schedule) drop(s *slot) {
	if s.pos < 0 {
		return
	}
	i, last := int(s.pos), len(q.heap)-1
	q.swap(i, last)
	q.heap = q.heap[:last]
	s.pos = -1
	if i < last {
		q.up(i)
		q.down(i)
	}
}

// earliest returns the slot with the smallest key, nil if there is none.
func (q *schedule) earliest() *slot {
	if len(q.heap) == 0 {
		return nil
	}
	return &q.slots[q.heap[0]]
}

// next is the smallest key.
func (q *schedule) next() health.Instant {
	if s := q.earliest(); s != nil {
		return s.at
	}
	return health.Never
}

func (q *schedule) key(i int) health.Instant { return q.slots[q.heap[i]].at }

func (q *schedule) swap(i, j int) {
	q.heap[i], q.heap[j] = q.heap[j], q.heap[i]
	q.slots[q.heap[i]].pos = int32(i)
	q.slots[q.heap[j]].pos = int32(j)
}

func (q *schedule) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if q.key(parent) <= q.key(i) {
			return
		}
		q.swap(i, parent)
		i = parent
	}
}

func (q *schedule) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(q.heap) {
			return
		}
		if r := child + 1; r < len(q.heap) && q.key(r) < q.key(child) {
			child = r
		}
		if q.key(i) <= q.key(child) {
			return
		}
		q.swap(i, child)
		i = child
	}
}
