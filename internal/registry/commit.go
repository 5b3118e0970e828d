package registry

import (
	"errors"
	"fmt"
	"time"
)

// writer is one change that waits for a commit. Its fields are guarded by
// commitMu, except that queueMu guards it while it stands in the queue.
type writer struct {
	change func(*batch) error
	taken  bool
	err    error
}

var errAborted = errors.New("commit was aborted by a panic in another write")

// write runs change against the newest state, waits until what it did is
// durable and visible, and returns its error. A change that returns an error
// must have done nothing. Whoever gets the commit lock first carries all
// changes that queued up meanwhile, so that they share one fsync.
func (r *Registry) write(change func(*batch) error) error {
	w := &writer{change: change, err: errAborted}
	r.queueMu.Lock()
	r.queue = append(r.queue, w)
	r.queueMu.Unlock()

	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	if !w.taken {
		r.queueMu.Lock()
		writers := r.queue
		r.queue = nil
		r.queueMu.Unlock()
		for _, w := range writers {
			w.taken = true
		}
		r.commit(writers)
	}
	return w.err
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
