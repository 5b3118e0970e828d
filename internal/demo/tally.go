package demo

import (
	"sync"
	"time"
)

// tally collects what clients heard, and answers questions about spans of it.
type tally struct {
	mu    sync.Mutex
	heard []heard
}

func newTally() *tally { return &tally{} }

func (t *tally) add(h heard) {
	t.mu.Lock()
	t.heard = append(t.heard, h)
	t.mu.Unlock()
}

// window is a part of what was heard: one service of one side, and optionally
// one instance of it, between two moments.
type window struct {
	side       side
	service    string
	instance   string // "" is all
	begin, end time.Time
}

// figures of a window.
type figures struct {
	Sent     int
	Failed   int
	LastFail time.Time // when the latest failed request was sent; zero: none failed
	FirstOK  time.Time // when the first good request was sent
	Least    int       // the fewest instances, but for that one, that clients were offered
}

func (t *tally) figures(w window) (f figures) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.Least = -1
	for _, h := range t.heard {
		if h.Side != w.side || h.Service != w.service || h.At.Before(w.begin) || h.At.Add(-tellEvery).After(w.end) {
			continue
		}
		if n := others(h.Offered, w.instance); f.Least < 0 || n < f.Least {
			f.Least = n
		}
		for id, n := range h.Sent {
			if w.instance != "" && id != w.instance {
				continue
			}
			f.Sent += n
			f.Failed += h.Failed[id]
			f.LastFail = later(f.LastFail, h.LastFail[id], w)
			if at := h.FirstOK[id]; at != 0 {
				first := time.Unix(0, at)
				if !first.Before(w.begin) && (f.FirstOK.IsZero() || first.Before(f.FirstOK)) {
					f.FirstOK = first
				}
			}
		}
	}
	f.Least = max(f.Least, 0)
	return f
}

func later(t time.Time, at int64, w window) time.Time {
	if x := time.Unix(0, at); at != 0 && x.After(t) && !x.Before(w.begin) && x.Before(w.end) {
		return x
	}
	return t
}

func others(ids []string, but string) (n int) {
	for _, id := range ids {
		if id != but {
			n++
		}
	}
	return n
}
