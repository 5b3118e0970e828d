package controller

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/warden"
)

// ErrEnded is the answer to questions put to a controller that has ended.
var ErrEnded = errors.New("the daemon is stopping")

// flushEvery is how long records and memory wait for company.
const flushEvery = 200 * time.Millisecond

// mostWaiting records, and as many lessons, may wait for a store that does not
// keep up; the oldest go first.
const mostWaiting = 10_000

// retryEvery is how long what could not be stored waits for the next attempt.
const retryEvery = time.Second

// keeping passes records and memory on to the Keeper without making the mind
// wait for a disk. What could not be stored is tried again, in its order.
type keeping struct {
	keeper  Keeper
	log     *slog.Logger
	writing chan struct{} // holds one while the Keeper is at work

	mu      sync.Mutex
	records []warden.Record
	lessons []warden.Memory     // without freezes
	freeze  *warden.FreezeUntil // the latest that is not stored yet: an older one never undoes it
	dropped int                 // records that went, since the latest flush
	news    chan struct{}
	ended   chan struct{}

	// Owned by run: what fails is said once, until it works again.

	memoryFails, historyFails bool
}

func newKeeping(k Keeper, log *slog.Logger) *keeping {
	return &keeping{keeper: k, log: log, writing: make(chan struct{}, 1), news: make(chan struct{}, 1), ended: make(chan struct{})}
}

func (k *keeping) append(r warden.Record) {
	k.mu.Lock()
	if len(k.records) == mostWaiting {
		k.records = k.records[1:]
		k.dropped++
	}
	k.records = append(k.records, r)
	first := k.dropped == 1
	k.mu.Unlock()
	k.signal()
	if first {
		k.log.Error("the history loses records: its store does not keep up", "waiting", mostWaiting)
	}
}

func (k *keeping) learn(m warden.Memory) {
	k.mu.Lock()
	if m.Freeze != nil {
		k.freeze, m.Freeze = m.Freeze, nil
	}
	if !empty(m) {
		k.lessons = latest(append(k.lessons, m))
	}
	k.mu.Unlock()
	k.signal()
}

// now stores the freeze that was just learnt before the mind goes on: it is
// durable when the operator is told of it (safety rule 21). It is rare, so the
// mind can wait for the disk, but not for long: what fails is tried again.
func (k *keeping) now(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, keepWithin)
	defer cancel()
	select {
	case k.writing <- struct{}{}:
		defer func() { <-k.writing }()
	case <-ctx.Done():
		k.log.Error("store a freeze at once; it is tried again", "err", ctx.Err())
		return
	}
	k.mu.Lock()
	f := k.freeze
	k.mu.Unlock()
	if f == nil {
		return // the flush before us had it
	}
	if err := k.keeper.Learn(ctx, warden.Memory{Freeze: f}); err != nil {
		k.log.Error("store a freeze at once; it is tried again", "err", err)
		return
	}
	k.stored(f)
}

// stored forgets a freeze that is stored, unless there is a later one.
func (k *keeping) stored(f *warden.FreezeUntil) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.freeze == f {
		k.freeze = nil
	}
}

// latest bounds what waits: the oldest go.
func latest[T any](waiting []T) []T { return waiting[max(0, len(waiting)-mostWaiting):] }

func (k *keeping) signal() {
	select {
	case k.news <- struct{}{}:
	default:
	}
}

// close ends run once everything was passed on.
func (k *keeping) close() { close(k.ended) }

// run passes on what comes until close.
func (k *keeping) run(ctx context.Context) {
	for {
		var again <-chan time.Time
		if k.memoryFails || k.historyFails {
			again = time.After(retryEvery)
		}
		select {
		case <-k.news:
			pause := time.NewTimer(flushEvery)
			select {
			case <-pause.C:
			case <-k.ended:
				pause.Stop()
			}
			k.flush(ctx)
		case <-again:
			k.flush(ctx)
		case <-k.ended:
			k.flush(ctx)
			k.mourn()
			return
		}
	}
}

// mourn says what the process takes with it.
func (k *keeping) mourn() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.records)+len(k.lessons) > 0 || k.freeze != nil {
		k.log.Error("the store did not take the last records and lessons: they are lost", "records", len(k.records), "lessons", len(k.lessons), "freeze", k.freeze != nil)
	}
}

func (k *keeping) flush(ctx context.Context) {
	k.writing <- struct{}{}
	defer func() { <-k.writing }()
	k.mu.Lock()
	records, lessons, dropped := k.records, k.lessons, k.dropped
	m := merge(lessons)
	m.Freeze = k.freeze
	k.records, k.lessons, k.dropped = nil, nil, 0
	k.mu.Unlock()
	if dropped > 0 {
		k.log.Error("the history lost records", "records", dropped)
	}
	if !empty(m) {
		err := k.keeper.Learn(ctx, m)
		if err == nil {
			k.stored(m.Freeze)
		} else {
			k.mu.Lock()
			k.lessons = latest(append(lessons, k.lessons...))
			k.mu.Unlock()
		}
		k.memoryFails = k.say("store memory", err, k.memoryFails)
	}
	if len(records) > 0 {
		err := k.keeper.Append(ctx, records)
		if err != nil {
			k.mu.Lock()
			all := append(records, k.records...)
			k.records = latest(all)
			k.dropped += len(all) - len(k.records)
			k.mu.Unlock()
		}
		k.historyFails = k.say("append history", err, k.historyFails)
	}
}

// say tells of a failure when it begins and when it ends.
func (k *keeping) say(doing string, err error, failed bool) (fails bool) {
	switch {
	case err != nil && !failed:
		k.log.Error(doing+"; it is tried again", "err", err)
	case err == nil && failed:
		k.log.Info(doing + ": it works again, nothing is missing but what was said to be lost")
	}
	return err != nil
}

// merge makes one difference of several; later ones win by their order.
func merge(lessons []warden.Memory) (m warden.Memory) {
	for _, l := range lessons {
		m.Passed = append(m.Passed, l.Passed...)
		m.Armed = append(m.Armed, l.Armed...)
		m.Removals = append(m.Removals, l.Removals...)
		m.Drains = append(m.Drains, l.Drains...)
	}
	return m
}

func empty(m warden.Memory) bool {
	return len(m.Passed)+len(m.Armed)+len(m.Removals)+len(m.Drains) == 0 && m.Freeze == nil
}
