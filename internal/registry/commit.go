package registry

import (
	"errors"
	"fmt"
	"time"
)

// writer is one change that waits for a commit.
type writer struct {
	change func(*batch) error
	done   chan struct{} // closed by the commit that carried the change
	err    error         // set before that
}

var errAborted = errors.New("commit was aborted by a panic in another write")

// write runs change against the newest state, waits until what it did is
// durable and visible, and returns its error. A change that returns an error
// must have done nothing. Whoever gets the lead carries all changes that queued
// up meanwhile, so that they share one fsync; where there were others just now
// it waits a moment for them to come back.
func (r *Registry) write(change func(*batch) error) error {
	w := &writer{change: change, done: make(chan struct{}), err: errAborted}
	r.join(w)
	// A writer that is done must not wait for the lead: the next leader would
	// be at the disk before it could tell its client.
	select {
	case <-w.done:
		return w.err
	case r.lead <- struct{}{}:
	}
	defer func() { <-r.lead }()
	select {
	case <-w.done:
	default:
		r.carry()
	}
	return w.err
}

// join queues a writer for the next commit.
func (r *Registry) join(w *writer) {
	r.queueMu.Lock()
	r.queue = append(r.queue, w)
	r.queueMu.Unlock()
	select {
	case r.company.joined <- struct{}{}:
	default:
	}
}

// carry commits what is in the queue. Its caller has the lead.
func (r *Registry) carry() {
	r.awaitCompany()
	r.queueMu.Lock()
	writers := r.queue
	r.queue = nil
	r.queueMu.Unlock()
	defer func() {
		for _, w := range writers {
			close(w.done)
		}
	}()
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	r.commit(writers)
	r.expectCompany(len(writers))
}

// commit carries the changes of writers to the disk and to the readers.
func (r *Registry) commit(writers []*writer) {
	if r.closed {
		for _, w := range writers {
			w.err = ErrClosed
		}
		return
	}
	whole := false
	defer func() {
		if !whole { // a panic left the state half changed: write no more of it
			r.closed = true
		}
	}()
	b := &batch{
		now: time.Now(), opts: r.opts, state: r.state, store: r.store,
		services: make(map[string]bool), operations: make(map[string]bool),
	}
	b.applyDue()
	for _, w := range writers {
		w.err = w.change(b)
	}
	b.forgetOperations()
	err := b.persist()
	whole = true
	r.company.patience = b.patience()
	if err != nil {
		// Refusals fail as well: they may rest on a change that is now undone.
		err = fmt.Errorf("write the registry: %w", err)
		if reloadErr := r.reload(b.now); reloadErr != nil {
			r.closed = true
			err = errors.Join(err, fmt.Errorf("reload the registry: %w", reloadErr), r.store.close())
		}
		for _, w := range writers {
			w.err = err
		}
		return
	}
	r.published.update(b)
	if b.sooner {
		nudge(r.wake)
	}
	if b.checked {
		nudge(r.checkedChanged)
	}
}

// nudge leaves one word in a channel that holds one.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// batch is the state in the hands of one commit, with the list of what changed.
type batch struct {
	now   time.Time
	opts  Options
	store *store // nil when in memory
	*state
	rows       []row
	services   map[string]bool // ids whose view changed; removed ones included
	operations map[string]bool // ids of operations that changed; forgotten ones included
	namespaces bool            // some namespace changed
	sooner     bool            // the next due time came nearer
	checked    bool            // what Checked answers may have changed
	err        error           // the first row that could not be encoded
}

func (b *batch) put(bucket, key string, value any) {
	if b.store == nil {
		return
	}
	encoded, err := encodeRow(bucket, key, value)
	if err != nil && b.err == nil {
		b.err = err
	}
	b.rows = append(b.rows, row{bucket: bucket, key: key, value: encoded})
}

func (b *batch) remove(bucket, key string) {
	b.rows = append(b.rows, row{bucket: bucket, key: key})
}

func (b *batch) persist() error {
	if b.err != nil {
		return b.err
	}
	return b.store.write(b.rows)
}

func (b *batch) schedule(item dueItem) {
	next, ok := b.nextDue()
	b.sooner = b.sooner || !ok || item.at.Before(next)
	b.state.schedule(item)
}
