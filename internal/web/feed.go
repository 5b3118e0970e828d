package web

import (
	"sync"

	"github.com/mapwarden/mapwarden/internal/warden"
)

// feedRoom is how many records a reader may lag behind before it is dropped.
const feedRoom = 256

// Feed hands each published record to every subscriber. Publish never waits:
// a reader that does not keep up loses its subscription, not the writer its
// time. Its methods may be called concurrently.
type Feed struct {
	mu      sync.Mutex
	readers map[*reader]struct{}
}

type reader struct{ records chan warden.Record }

// NewFeed returns a feed without subscribers.
func NewFeed() *Feed { return &Feed{readers: map[*reader]struct{}{}} }

// Publish hands records to all subscribers, in order.
func (f *Feed) Publish(records ...warden.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range records {
		for sub := range f.readers {
			select {
			case sub.records <- r:
			default:
				f.drop(sub)
			}
		}
	}
}

// Subscribe returns the records published from now on. The channel is closed
// when the reader fell behind, or after cancel.
func (f *Feed) Subscribe() (records <-chan warden.Record, cancel func()) {
	sub := &reader{records: make(chan warden.Record, feedRoom)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers[sub] = struct{}{}
	return sub.records, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.drop(sub)
	}
}

// drop ends a subscription once. The caller holds mu.
func (f *Feed) drop(sub *reader) {
	if _, ok := f.readers[sub]; ok {
		delete(f.readers, sub)
		close(sub.records)
	}
}
