package store

import (
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// writer is one change that waits for a commit. Its fields are guarded by
// commitMu, except that queueMu guards it while it stands in the queue.
type writer struct {
	change func(*bolt.Tx) error
	taken  bool
	err    error
}

// refusal is a change's answer that it did nothing, and why. Any other error
// of a change fails the commit, since it may have done half of its work.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

var (
	errAborted = errors.New("another write of the same commit panicked")
	errNothing = errors.New("nothing to commit")
)

// write runs change in a transaction and returns when its effect is durable.
// What names the change in errors. A done ctx is refused; once the change is
// queued it is waited for, so that a caller never has to guess what became of
// it. Whoever gets the commit lock first carries the changes of all that
// queued up meanwhile, so that they share one fsync.
func (s *Store) write(ctx context.Context, what string, change func(*bolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	w := &writer{change: change, err: errAborted}
	s.queueMu.Lock()
	s.queue = append(s.queue, w)
	s.queueMu.Unlock()

	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	if !w.taken {
		s.queueMu.Lock()
		writers := s.queue
		s.queue = nil
		s.queueMu.Unlock()
		for _, w := range writers {
			w.taken = true
		}
		s.commit(writers)
	}
	if w.err != nil {
		return fmt.Errorf("%s in %s: %w", what, s.Path(), w.err)
	}
	return nil
}

// commit is called with commitMu held.
func (s *Store) commit(writers []*writer) {
	if s.closed {
		for _, w := range writers {
			w.err = ErrClosed
		}
		return
	}
	err := s.db.Update(func(tx *bolt.Tx) error {
		wrote := false
		for _, w := range writers {
			var refused refusal
			switch err := w.change(tx); {
			case err == nil:
				wrote = true
				w.err = nil
			case errors.As(err, &refused):
				w.err = refused.error
			default:
				return err
			}
		}
		if !wrote {
			return errNothing
		}
		return nil
	})
	if err == nil || errors.Is(err, errNothing) {
		return
	}
	// Refusals fail as well: they may rest on a change that is now undone.
	for _, w := range writers {
		w.err = err
	}
}
