package route53

import (
	"container/heap"
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/registry"
)

// turn is when a vantage looks at an instance next.
type turn struct {
	at      time.Time
	watch   *watch
	vantage int
}

// result is what it found.
type result struct {
	watch   *watch
	vantage int
	found   health.Observation
	at      time.Time
}

// listPace is how long listings are apart at least: each costs a look at every
// service, however many registrations it is for.
const listPace = 100 * time.Millisecond

// Run makes the checks until ctx ends, and returns nil then. Results that
// cannot be filed are logged; the next ones are filed in their place.
func (c *Checkers) Run(ctx context.Context) error {
	var probes errgroup.Group
	probes.SetLimit(room)
	defer probes.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	results := make(chan result, room)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var listed time.Time
	stale := true // the registry said that the list changed
	for {
		now := time.Now()
		if stale && now.Sub(listed) >= listPace {
			c.list(now)
			listed, stale = now, false
		}
		next := c.startDue(now, func(t turn) bool {
			return probes.TryGo(func() error { return c.look(ctx, t, results) })
		})
		if stale {
			next = min(next, listPace-now.Sub(listed))
		}
		timer.Reset(next)
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-c.reg.CheckedChanged():
			stale = true
		case r := <-results:
			c.file(r, results)
		}
	}
}

// idle is how long Run sleeps when no vantage has a turn.
const idle = time.Hour

// startDue starts what is due while there is room, and returns how long nothing
// more will be due. Without room it is the next result that makes some.
func (c *Checkers) startDue(now time.Time, start func(turn) bool) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.due) > 0 {
		t := c.due[0]
		switch {
		case t.watch.gone:
			heap.Pop(&c.due)
			continue
		case t.at.After(now):
			return t.at.Sub(now)
		case t.watch.vantages[t.vantage].asking: // it waits longer than its interval
		case !start(t):
			return idle
		default:
			t.watch.vantages[t.vantage].asking = true
		}
		// Turns that passed while there was no room are not made up for.
		missed := now.Sub(t.at) / c.cfg.Interval
		c.due[0].at = t.at.Add((missed + 1) * c.cfg.Interval)
		heap.Fix(&c.due, 0)
	}
	return idle
}

// look is one turn.
func (c *Checkers) look(ctx context.Context, t turn, results chan<- result) error {
	found := ask(ctx, c.probe, t.watch.Checked)
	select {
	case results <- result{watch: t.watch, vantage: t.vantage, found: found, at: time.Now()}:
	case <-ctx.Done():
	}
	return nil
}

// file hands a result to the registry, and whatever else has come in: one write
// carries them all.
func (c *Checkers) file(r result, more <-chan result) {
	var said []registry.Observed
	for {
		if o, ok := c.heed(r); ok {
			said = append(said, o)
		}
		select {
		case r = <-more:
			continue
		default:
		}
		if err := c.reg.SetObserved(said); err != nil {
			c.cfg.Log.Error("file the results of Route 53 health checks", "err", err)
		}
		return
	}
}

// schedule is a heap of turns, the next one first.
type schedule []turn

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].at.Before(s[j].at) }
func (s schedule) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)        { *s = append(*s, x.(turn)) }
func (s *schedule) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

func (s *schedule) add(t turn) { heap.Push(s, t) }
