package registry

import (
	"runtime"
	"time"
)

// company is what the next commit knows of the one before it; whoever has the
// lead owns it. Clients that
// register one thing after another come back as soon as they are answered. A
// commit that did not wait for them would leave with those alone who queued
// while the last one was at the disk: the clients would fall into two halves
// that take turns, with twice the fsyncs.
type company struct {
	joined   chan struct{} // told of every writer in the queue
	expected int           // writers that were there when the last commit ended
	patience time.Duration // how long to wait for one more of them
}

// Bounds of the wait, for one more writer and for all of them.
const (
	longestPause = 5 * time.Millisecond
	longestWait  = 20 * time.Millisecond
)

// patience is how long the next commit may wait for one more writer: as long as
// this one took, since a commit is what it can save.
func (b *batch) patience() time.Duration {
	if b.store == nil {
		return 0
	}
	return min(time.Since(b.now), longestPause)
}

// awaitCompany waits until as many writers stand in the queue as there were
// just now, or until they no longer come. A writer that is used to being alone
// does not wait. Those who are ready to join do so first: where there is but one
// processor, a short fsync keeps it from them, and each would go alone.
func (r *Registry) awaitCompany() {
	runtime.Gosched()
	c := &r.company
	if c.patience == 0 || r.queued() >= c.expected {
		return
	}
	start := time.Now()
	pause := time.NewTimer(c.patience)
	defer pause.Stop()
	for r.queued() < c.expected && time.Since(start) < longestWait {
		select {
		case <-c.joined:
			pause.Reset(c.patience)
		case <-pause.C:
			return
		}
	}
}

// expectCompany notes how many writers a commit had, and how many missed it.
func (r *Registry) expectCompany(writers int) { r.company.expected = writers + r.queued() }

// queued is the number of writers that wait for the next commit.
func (r *Registry) queued() int {
	r.queueMu.Lock()
	defer r.queueMu.Unlock()
	return len(r.queue)
}
