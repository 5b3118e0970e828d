package fleetsim

import (
	"container/heap"
	"time"
)

// entry is one thing that will happen. Entries of the same instant happen in
// the order in which they were planned.
type entry struct {
	at  time.Duration // since the story began
	seq uint64
	do  func()
}

// agenda is the simulation's future, earliest first.
type agenda struct {
	entries entries
	seq     uint64
}

func (a *agenda) plan(at time.Duration, do func()) {
	a.seq++
	heap.Push(&a.entries, entry{at, a.seq, do})
}

// next takes the earliest entry out, if it is not after until.
func (a *agenda) next(until time.Duration) (entry, bool) {
	if len(a.entries) == 0 || a.entries[0].at > until {
		return entry{}, false
	}
	return heap.Pop(&a.entries).(entry), true
}

// entries implements heap.Interface.
type entries []entry

func (e entries) Len() int { return len(e) }
func (e entries) Less(i, j int) bool {
	if e[i].at != e[j].at {
		return e[i].at < e[j].at
	}
	return e[i].seq < e[j].seq
}
func (e entries) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *entries) Push(x any)   { *e = append(*e, x.(entry)) }
func (e *entries) Pop() any {
	old := *e
	last := old[len(old)-1]
	old[len(old)-1] = entry{}
	*e = old[:len(old)-1]
	return last
}
