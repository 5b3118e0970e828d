// Package controller is the shell around the mind: one inbox, one goroutine
// that takes from it, calls warden.Handle and carries out the effects.
//
// It owns the mind, so nothing else may touch it: readers get immutable
// snapshots, and questions are put to the inbox like everything else. The
// package judges nothing and knows no edge: what it needs of them stands in
// ports.go, and package main plugs them in. The results of effects come back
// as events, through the same inbox.
package controller

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

const (
	inboxSize     = 256
	mostAtOnce    = 64                     // items taken from the inbox for one Handle
	snapshotEvery = 250 * time.Millisecond // at most four a second
	clockEvery    = 5 * time.Second
	stopWithin    = 5 * time.Second // for calls under way; the process exits within 10 s
	keepWithin    = time.Second     // for the last records, after that
	retiredLinger = 2 * time.Second // so that who asked can see that it is done
)

// Config is what a Controller needs. All members but Recorded are required.
type Config struct {
	Now      func() health.Instant // the process's monotonic clock
	Prober   Prober
	Actuator Actuator
	Keeper   Keeper
	Log      *slog.Logger
	Recorded func(warden.Record) // told of every record, in order; must not block
}

// Controller runs one mind. Send, Snapshot, Explain and Command may be called
// by any goroutine, also before Run; they wait for it then.
type Controller struct {
	cfg      Config
	inbox    chan item
	gone     chan struct{} // closed when nothing is taken from the inbox any more
	snapshot atomic.Pointer[warden.Snapshot]

	// Owned by Run.

	mind     *warden.Warden
	wake     *time.Timer
	redraw   *time.Timer
	drawn    time.Time
	stale    bool // the snapshot is older than the mind
	calls    sync.WaitGroup
	inFlight int
	retired  bool
	keep     *keeping
}

// item is one thing for the owner of the mind: events, or a question.
type item struct {
	events []warden.Event
	ask    func(*warden.Warden)
	done   chan struct{} // closed when it was taken; may be nil
	called bool          // it brings the result of a call
}

// New returns a controller that has not begun.
func New(cfg Config) *Controller {
	c := &Controller{
		cfg: cfg, inbox: make(chan item, inboxSize), gone: make(chan struct{}), mind: warden.New(),
	}
	c.snapshot.Store(&warden.Snapshot{})
	return c
}

// Send hands events to the mind. It blocks while the inbox is full, which
// slows the senders down to the mind's pace, and gives up when Run has ended.
func (c *Controller) Send(events ...warden.Event) { c.put(item{events: events}) }

func (c *Controller) put(it item) bool {
	select {
	case <-c.gone:
		return false
	default:
	}
	select {
	case c.inbox <- it:
		return true
	case <-c.gone:
		return false
	}
}

// Snapshot is the latest picture of the mind: at most a quarter of a second
// old while Run runs. It is never nil.
func (c *Controller) Snapshot() *warden.Snapshot { return c.snapshot.Load() }

// Explain asks the mind about one instance. err is ctx's, or ErrEnded.
func (c *Controller) Explain(ctx context.Context, service, instance string) (e warden.Explanation, ok bool, err error) {
	var answer struct { // the mind's until await says that it was taken
		e  warden.Explanation
		ok bool
	}
	err = c.await(ctx, item{ask: func(m *warden.Warden) { answer.e, answer.ok = m.Explain(c.cfg.Now(), service, instance) }})
	if err != nil {
		return warden.Explanation{}, false, err
	}
	return answer.e, answer.ok, nil
}

// Command hands an operator's event to the mind and returns when it was taken.
// The snapshot shows it then: who commands and looks sees what they did.
func (c *Controller) Command(ctx context.Context, e warden.Event) error {
	return c.await(ctx, item{events: []warden.Event{e}})
}

func (c *Controller) await(ctx context.Context, it item) error {
	it.done = make(chan struct{})
	select {
	case c.inbox <- it:
	case <-c.gone:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-it.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.gone:
	}
	select {
	case <-it.done: // it was among the last that were taken
		return nil
	default:
		return ErrEnded
	}
}

// Run owns the mind until ctx ends or the mind has retired. first is what the
// mind has to know before anything else: its configuration and what the last
// process left. On the way out no new procedure begins to write; calls that
// are under way get 5 s to end, and the last records 1 s to be stored. It may
// be called once, and returns nil.
func (c *Controller) Run(ctx context.Context, first ...warden.Event) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	c.keep = newKeeping(c.cfg.Keeper, c.cfg.Log)
	var kept sync.WaitGroup
	keepCtx, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	kept.Go(func() { c.keep.run(keepCtx) })
	c.loop(ctx, work, first)
	close(c.gone) // results that come now are read back by the next start
	cancel()
	c.calls.Wait()
	c.keep.close()
	defer time.AfterFunc(keepWithin, giveUp).Stop()
	kept.Wait()
	return nil
}

func (c *Controller) loop(ctx, work context.Context, first []warden.Event) {
	c.wake, c.redraw = time.NewTimer(time.Hour), time.NewTimer(time.Hour)
	defer c.wake.Stop()
	defer c.redraw.Stop()
	clock := time.NewTicker(clockEvery)
	defer clock.Stop()

	c.handle(work, append([]warden.Event{warden.Clock{Wall: time.Now().UnixNano()}}, first...))
	var linger <-chan time.Time
	for {
		if c.retired && linger == nil {
			linger = time.After(retiredLinger)
		}
		select {
		case <-ctx.Done():
			c.stop(work)
			c.draw()
			return
		case <-linger:
			return
		case it := <-c.inbox:
			c.take(work, it)
		case <-c.wake.C:
			c.handle(work, []warden.Event{warden.Tick{}})
		case <-clock.C:
			c.handle(work, []warden.Event{warden.Clock{Wall: time.Now().UnixNano()}})
		case <-c.redraw.C:
			c.draw()
		}
	}
}

// take handles an item and what has queued up behind it.
func (c *Controller) take(ctx context.Context, it item) {
	var events []warden.Event
	var done []chan struct{}
	commanded := false
	for n := 1; ; n++ {
		if it.called {
			c.inFlight--
		}
		events = append(events, it.events...)
		if it.ask != nil {
			if len(events) > 0 {
				c.handle(ctx, events)
				events = nil
			}
			it.ask(c.mind)
		}
		if it.done != nil {
			done = append(done, it.done)
			commanded = commanded || len(it.events) > 0
		}
		if n == mostAtOnce {
			break
		}
		select {
		case it = <-c.inbox:
			continue
		default:
		}
		break
	}
	if len(events) > 0 {
		c.handle(ctx, events)
	}
	if commanded && c.stale {
		c.draw()
	}
	for _, d := range done {
		close(d)
	}
}

func (c *Controller) handle(ctx context.Context, events []warden.Event) {
	for _, e := range c.mind.Handle(c.cfg.Now(), events) {
		c.carryOut(ctx, e)
	}
	c.drawSoon()
}

func (c *Controller) carryOut(ctx context.Context, e warden.Effect) {
	switch e := e.(type) {
	case warden.Watch:
		c.cfg.Prober.Watch(e.Target, e.First)
	case warden.Unwatch:
		c.cfg.Prober.Unwatch(e.Target)
	case warden.Reschedule:
		c.cfg.Prober.Reschedule(e.Target, e.At)
	case warden.Do:
		c.do(ctx, e)
	case warden.Learn:
		c.keep.learn(e.Memory)
		if e.Memory.Freeze != nil {
			c.keep.now(ctx)
		}
	case warden.Record:
		logRecord(c.cfg.Log, e)
		c.keep.append(e)
		if c.cfg.Recorded != nil {
			c.cfg.Recorded(e)
		}
	case warden.Wake:
		c.wake.Reset(e.At.Sub(c.cfg.Now()))
	case warden.Retired:
		c.retired = true
		c.draw()
	}
}

// do carries out a call in a goroutine of its own; its result is an event.
func (c *Controller) do(ctx context.Context, e warden.Do) {
	c.inFlight++
	c.calls.Go(func() {
		r := c.cfg.Actuator.Do(ctx, e.Call)
		c.put(item{events: []warden.Event{warden.Called{Job: e.Job, Result: r}}, called: true})
	})
}

// stop lets the mind know that the process ends, and the calls under way end.
func (c *Controller) stop(ctx context.Context) {
	c.handle(ctx, []warden.Event{warden.Stopping{}})
	end := time.NewTimer(stopWithin)
	defer end.Stop()
	for c.inFlight > 0 {
		select {
		case <-end.C:
			c.cfg.Log.Warn("stopping with calls under way; the next start reads them back", "calls", c.inFlight)
			return
		case it := <-c.inbox:
			c.take(ctx, it)
		}
	}
}

// drawSoon renews the snapshot, now or when the last one is old enough.
func (c *Controller) drawSoon() {
	if age := time.Since(c.drawn); age >= snapshotEvery {
		c.draw()
	} else if !c.stale {
		c.stale = true
		c.redraw.Reset(snapshotEvery - age)
	}
}

func (c *Controller) draw() {
	c.redraw.Stop()
	c.stale, c.drawn = false, time.Now()
	c.snapshot.Store(c.mind.Snapshot(c.cfg.Now()))
}
