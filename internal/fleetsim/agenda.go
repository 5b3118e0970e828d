package fleetsim

import "time"

// entry is one thing that will happen. Entries of the same instant happen in
// the order in which they were planned.
type entry struct {
	at  time.Duration // since the story began
	seq uint64
	do  func()
}

// agenda is the simulation's future, earliest first: a binary heap. It is
// written out because the heap of the standard library would put every entry
// on the heap of the garbage collector, too.
type agenda struct {
	entries []entry
	seq     uint64
}

func (a *agenda) plan(at time.Duration, do func()) {
	a.seq++
	a.entries = append(a.entries, entry{at, a.seq, do})
	for i := len(a.entries) - 1; i > 0; {
		up := (i - 1) / 2
		if !a.before(i, up) {
			break
		}
		a.entries[i], a.entries[up] = a.entries[up], a.entries[i]
		i = up
	}
}

// next takes the earliest entry out, if it is not after until.
func (a *agenda) next(until time.Duration) (entry, bool) {
	if len(a.entries) == 0 || a.entries[0].at > until {
		return entry{}, false
	}
	first, last := a.entries[0], len(a.entries)-1
	a.entries[0] = a.entries[last]
	a.entries[last] = entry{}
	a.entries = a.entries[:last]
	for i := 0; ; {
		least := i
		for _, down := range [2]int{2*i + 1, 2*i + 2} {
			if down < last && a.before(down, least) {
				least = down
			}
		}
		if least == i {
			return first, true
		}
		a.entries[i], a.entries[least] = a.entries[least], a.entries[i]
		i = least
	}
}

func (a *agenda) before(i, k int) bool {
	x, y := &a.entries[i], &a.entries[k]
	return x.at < y.at || x.at == y.at && x.seq < y.seq
}
