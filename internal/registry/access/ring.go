package access

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// lookEvery is how often, at most, a request looks whether the keys changed.
const lookEvery = time.Second

// Ring is the keys that a registry knows: those of a file, as it is now, and
// the process's own. Its methods may be called by many goroutines.
//
// Nobody is asked for a signature while there is no file. Once there was one
// the Ring asks until the process ends: a file that goes away, or that holds no
// key any more, closes the door instead of opening it. A file that cannot be
// used leaves the keys that were there before it.
type Ring struct {
	path string
	log  *slog.Logger
	own  []Key

	asked  atomic.Bool
	keys   atomic.Pointer[map[string]*heldKey]
	issued atomic.Int64 // keys of the file
	next   atomic.Int64 // when to look again, in nanoseconds of the epoch

	mu   sync.Mutex
	seen stamp
}

// stamp changes when a file is written or replaced; zero where there is none.
type stamp struct {
	size int64
	at   time.Time
	mode fs.FileMode
}

// OpenRing reads the keys of a file, if there is one. A file that cannot be
// used is an error here. The process's own keys are in no file.
func OpenRing(path string, log *slog.Logger, own ...Key) (*Ring, error) {
	if log == nil {
		log = slog.Default()
	}
	r := &Ring{path: path, log: log, own: own}
	r.hold(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r, r.read()
}

// Issued is the number of keys in the file.
func (r *Ring) Issued() int { return int(r.issued.Load()) }

// Asked reports whether requests have to be signed. At most once a second it
// looks at the file first.
func (r *Ring) Asked() bool {
	now := time.Now().UnixNano()
	if next := r.next.Load(); now >= next && r.next.CompareAndSwap(next, now+int64(lookEvery)) {
		r.refresh()
	}
	return r.asked.Load()
}

// find returns the key of that id, or nil.
func (r *Ring) find(id string) *heldKey { return (*r.keys.Load())[id] }

func (r *Ring) refresh() {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.seen
	err := r.read()
	switch {
	case r.seen == before:
	case err != nil:
		r.log.Error("the registry's keys cannot be read; those from before stay", "error", err)
	case r.seen == stamp{}:
		r.log.Error("the registry's keys are gone; no call is let in", "path", r.path)
	default:
		r.log.Info("the registry's keys changed", "path", r.path, "keys", r.Issued())
	}
}

// read takes the file for the keys, if it is another than last time.
func (r *Ring) read() error {
	now, err := stampOf(r.path)
	if now == r.seen {
		return err
	}
	r.seen = now
	if err != nil {
		return err
	}
	keys, err := ReadKeys(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		r.hold(nil)
		return nil
	}
	if err != nil {
		return err
	}
	r.hold(keys)
	r.asked.Store(true)
	return nil
}

func (r *Ring) hold(issued []Key) {
	held := make(map[string]*heldKey, len(issued)+len(r.own))
	for _, list := range [][]Key{issued, r.own} {
		for _, k := range list {
			held[k.ID] = &heldKey{Key: k}
		}
	}
	r.keys.Store(&held)
	r.issued.Store(int64(len(issued)))
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return stamp{}, nil
	case err != nil:
		return stamp{size: -1}, err
	}
	return stamp{info.Size(), info.ModTime(), info.Mode()}, nil
}
