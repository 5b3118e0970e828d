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

// retryAtMost is the longest pause before a store that failed is tried again.
const retryAtMost = 10 * time.Second

// mostWaiting records, and as many lessons, may wait for a store that does not
// keep up, or fails; the oldest go first.
const mostWaiting = 10_000

// keeping passes records and memory on to the Keeper without making the mind
// wait for a disk.
type keeping struct {
	keeper Keeper
	log    *slog.Logger

	// writing is held by whoever calls the Keeper. What it is about to write is
	// taken while it is held, so that a freeze is never stored after a later one.
	writing chan struct{}
	memory  complaint
	history complaint

	mu      sync.Mutex
	records []warden.Record
	lessons []warden.Memory
	dropped int // records that went, since the latest flush
	news    chan struct{}
	ended   chan struct{}
}

func newKeeping(k Keeper, log *slog.Logger) *keeping {
	return &keeping{
		keeper: k, log: log, writing: make(chan struct{}, 1), news: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

func (k *keeping) append(r warden.Record) {
	k.mu.Lock()
	k.records = append(k.records, r)
	first := k.boundRecords() == 1
	k.mu.Unlock()
	k.signal()
	if first {
		k.log.Error("the history loses records: its store does not keep up", "waiting", mostWaiting)
	}
}

// boundRecords lets the oldest records go, and returns how many went since the
// latest flush, or 0 where none did now.
func (k *keeping) boundRecords() int {
	over := len(k.records) - mostWaiting
	if over <= 0 {
		return 0
	}
	k.records = k.records[over:]
	k.dropped += over
	return k.dropped
}

func (k *keeping) learn(m warden.Memory) {
	k.mu.Lock()
	k.lessons = append(k.lessons, m)
	k.boundLessons()
	k.mu.Unlock()
	k.signal()
}

// boundLessons lets the oldest lessons go, but never the latest freeze.
func (k *keeping) boundLessons() {
	over := len(k.lessons) - mostWaiting
	if over <= 0 {
		return
	}
	for i := range over {
		if k.lessons[i+1].Freeze == nil {
			k.lessons[i+1].Freeze = k.lessons[i].Freeze
		}
	}
	k.lessons = k.lessons[over:]
}

// now stores a lesson before the mind goes on, and reports whether it could: a
// freeze is durable when the operator is told of it (safety rule 21). It is
// rare, so the mind can wait for the disk.
func (k *keeping) now(ctx context.Context, m warden.Memory) bool {
	ctx, cancel := context.WithTimeout(ctx, keepWithin)
	defer cancel()
	err := k.alone(ctx, func() error {
		if err := k.keeper.Learn(ctx, m); err != nil {
			return err
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		for i := range k.lessons { // this freeze is the latest
			k.lessons[i].Freeze = nil
		}
		return nil
	})
	if err != nil {
		k.log.Error("store a freeze at once; it is tried again", "err", err)
	}
	return err == nil
}

// alone calls do while nobody else calls the Keeper, or fails when ctx ends
// before its turn comes.
func (k *keeping) alone(ctx context.Context, do func() error) error {
	select {
	case k.writing <- struct{}{}:
		defer func() { <-k.writing }()
		return do()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *keeping) signal() {
	select {
	case k.news <- struct{}{}:
	default:
	}
}

// close ends run once everything was passed on.
func (k *keeping) close() { close(k.ended) }

// run passes on what comes until close. What the Keeper could not store waits,
// and is tried again.
func (k *keeping) run(ctx context.Context) {
	pause := flushEvery
	for {
		select {
		case <-k.news:
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-k.ended:
				timer.Stop()
				k.last(ctx)
				return
			}
			if k.flush(ctx) {
				pause = flushEvery
				continue
			}
			pause = min(2*pause, retryAtMost)
			k.signal()
		case <-k.ended:
			k.last(ctx)
			return
		}
	}
}

// last stores what still waits, or says that it is lost.
func (k *keeping) last(ctx context.Context) {
	if !k.flush(ctx) {
		k.log.Error("lost, for the store did not take it", "records", len(k.records), "lessons", len(k.lessons))
	}
}

// flush reports whether everything that waited was stored.
func (k *keeping) flush(ctx context.Context) (whole bool) {
	err := k.alone(ctx, func() error {
		k.mu.Lock()
		records, lessons, dropped := k.records, k.lessons, k.dropped
		k.records, k.lessons, k.dropped = nil, nil, 0
		k.mu.Unlock()
		if dropped > 0 {
			k.log.Error("the history lost records", "records", dropped)
		}
		whole = true
		if m := merge(lessons); len(m.Passed)+len(m.Armed)+len(m.Removals) > 0 || m.Freeze != nil {
			if err := k.keeper.Learn(ctx, m); k.memory.about(k.log, "store memory", err) {
				k.mu.Lock()
				k.lessons = append(lessons, k.lessons...)
				k.boundLessons()
				k.mu.Unlock()
				whole = false
			}
		}
		if len(records) > 0 {
			if err := k.keeper.Append(ctx, records); k.history.about(k.log, "append history", err) {
				k.mu.Lock()
				k.records = append(records, k.records...)
				k.boundRecords()
				k.mu.Unlock()
				whole = false
			}
		}
		return nil
	})
	return whole && err == nil
}

// complaint is what was last said of something that is tried again and again,
// so that the same failure is said once.
type complaint struct{ said string }

// about says what failed, and that it works again, and reports whether it did
// fail.
func (c *complaint) about(log *slog.Logger, doing string, err error) (failed bool) {
	switch {
	case err == nil && c.said != "":
		log.Info(doing + ": it works again")
		c.said = ""
	case err != nil && c.said != err.Error():
		log.Error(doing, "err", err)
		c.said = err.Error()
	}
	return err != nil
}

// merge makes one difference of several; later ones win by their order.
func merge(lessons []warden.Memory) (m warden.Memory) {
	for _, l := range lessons {
		m.Passed = append(m.Passed, l.Passed...)
		m.Armed = append(m.Armed, l.Armed...)
		m.Removals = append(m.Removals, l.Removals...)
		if l.Freeze != nil {
			m.Freeze = l.Freeze
		}
	}
	return m
}
