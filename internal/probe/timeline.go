package probe

import "github.com/mapwarden/mapwarden/internal/health"

// timeline keeps small numbers in the order of their instants. It is a heap
// with four children to a node and the instants inline: one step touches few
// lines of the cache, also with a hundred thousand entries. Only growing
// allocates.
type timeline struct {
	heap  []moment
	place []int32 // by id: index in heap and one; 0: not in it
}

type moment struct {
	at health.Instant
	id int32
}

// reserve makes room for ids below n.
func (t *timeline) reserve(n int) {
	for len(t.place) < n {
		t.place = append(t.place, 0)
	}
}

// set puts id at an instant, wherever it was before.
func (t *timeline) set(id int32, at health.Instant) {
	i := int(t.place[id]) - 1
	if i < 0 {
		i = len(t.heap)
		t.heap = append(t.heap, moment{})
		t.up(i, moment{at, id})
		return
	}
	if at < t.heap[i].at {
		t.up(i, moment{at, id})
	} else {
		t.down(i, moment{at, id})
	}
}

// drop takes id out, if it is in.
func (t *timeline) drop(id int32) {
	i := int(t.place[id]) - 1
	if i < 0 {
		return
	}
	t.place[id] = 0
	last := len(t.heap) - 1
	m, gone := t.heap[last], t.heap[i]
	t.heap = t.heap[:last]
	switch {
	case i == last:
	case m.at < gone.at:
		t.up(i, m)
	default:
		t.down(i, m)
	}
}

// first is the id with the smallest instant.
func (t *timeline) first() (id int32, ok bool) {
	if len(t.heap) == 0 {
		return 0, false
	}
	return t.heap[0].id, true
}

// next is the smallest instant.
func (t *timeline) next() health.Instant {
	if len(t.heap) == 0 {
		return health.Never
	}
	return t.heap[0].at
}

func (t *timeline) put(i int, m moment) {
	t.heap[i] = m
	t.place[m.id] = int32(i) + 1
}

// up puts m at i or nearer to the root.
func (t *timeline) up(i int, m moment) {
	for i > 0 {
		parent := (i - 1) / 4
		if t.heap[parent].at <= m.at {
			break
		}
		t.put(i, t.heap[parent])
		i = parent
	}
	t.put(i, m)
}

// down puts m at i or farther from the root.
func (t *timeline) down(i int, m moment) {
	for {
		child := 4*i + 1
		if child >= len(t.heap) {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, len(t.heap)); c++ {
			if t.heap[c].at < t.heap[least].at {
				least = c
			}
		}
		if m.at <= t.heap[least].at {
			break
		}
		t.put(i, t.heap[least])
		i = least
	}
	t.put(i, m)
}
