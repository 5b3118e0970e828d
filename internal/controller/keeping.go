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

// keeping passes records and memory on to the Keeper without making the mind
// wait for a disk.
type keeping struct {
	keeper Keeper
	log    *slog.Logger

	mu      sync.Mutex
	records []warden.Record
	lessons []warden.Memory
	dropped int // records that went, since the latest flush
	news    chan struct{}
	ended   chan struct{}
}

func newKeeping(k Keeper, log *slog.Logger) *keeping {
	return &keeping{keeper: k, log: log, news: make(chan struct{}, 1), ended: make(chan struct{})}
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
	if len(k.lessons) == mostWaiting { // a freeze is never what is forgotten
		if k.lessons[1].Freeze == nil {
			k.lessons[1].Freeze = k.lessons[0].Freeze
		}
		k.lessons = k.lessons[1:]
	}
	k.lessons = append(k.lessons, m)
	k.mu.Unlock()
	k.signal()
}

// now stores a lesson before the mind goes on, and reports whether it could: a
// freeze is durable when the operator is told of it (safety rule 21). It is
// rare, so the mind can wait for the disk.
func (k *keeping) now(ctx context.Context, m warden.Memory) bool {
	ctx, cancel := context.WithTimeout(ctx, keepWithin)
	defer cancel()
	if err := k.keeper.Learn(ctx, m); err != nil {
		k.log.Error("store a freeze at once; it is tried again", "err", err)
		return false
	}
	return true
}

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
		select {
		case <-k.news:
			pause := time.NewTimer(flushEvery)
			select {
			case <-pause.C:
			case <-k.ended:
				pause.Stop()
			}
			k.flush(ctx)
		case <-k.ended:
			k.flush(ctx)
			return
		}
	}
}

func (k *keeping) flush(ctx context.Context) {
	k.mu.Lock()
	records, lessons, dropped := k.records, k.lessons, k.dropped
	k.records, k.lessons, k.dropped = nil, nil, 0
	k.mu.Unlock()
	if dropped > 0 {
		k.log.Error("the history lost records", "records", dropped)
	}
	if m := merge(lessons); len(m.Passed)+len(m.Armed)+len(m.Removals) > 0 || m.Freeze != nil {
		if err := k.keeper.Learn(ctx, m); err != nil {
			k.log.Error("store memory", "err", err)
		}
	}
	if len(records) > 0 {
		if err := k.keeper.Append(ctx, records); err != nil {
			k.log.Error("append history", "err", err, "records", len(records))
		}
	}
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
