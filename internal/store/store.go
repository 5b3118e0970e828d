// Package store keeps what must outlive the process, in one bbolt file: the
// journal of open entries, the history of records, and what was learnt.
//
// The journal is the reason for the package. An entry that Put or Update
// returned is on the disk (fsync) and survives kill -9 and power loss; of two
// writers of one entry the one that read the newer version wins. History and
// memory share the file and the commits, but nothing unsafe follows from
// losing their latest rows.
//
// The package judges nothing: it does not know which phase may follow which,
// when an entry may be closed or what a record means. It serves one process
// per file, coordinates no replicas, and repairs no damaged file.
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/mapwarden/mapwarden/internal/warden"
)

// Names inside the data directory.
const (
	fileName   = "mapwarden.db"
	markerName = "journal.id"
)

var (
	// ErrConflict: an entry is open for the instance, or its version is another.
	ErrConflict = errors.New("another version of the entry is stored")
	// ErrNotFound: no entry is open for the instance.
	ErrNotFound = errors.New("no such entry")
	// ErrInUse: another process holds the file.
	ErrInUse = errors.New("another mapwarden runs on it")
	// ErrFormat: the file is not a store, is damaged, or comes from a newer mapwarden.
	ErrFormat = errors.New("not a store that this mapwarden can use")
	// ErrLost: a journal was kept here, and it is not there any more.
	ErrLost = errors.New("the journal is lost")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the store is closed")
)

// Options of a store. The zero value is the default of each.
type Options struct {
	LockTimeout time.Duration // 2s: how long to wait for another process to let go of the file
	KeepRecords int           // 100,000: records of history
	KeepFor     time.Duration // 720h: age of the oldest record of history
}

func (o Options) withDefaults() Options {
	if o.LockTimeout <= 0 {
		o.LockTimeout = 2 * time.Second
	}
	if o.KeepRecords <= 0 {
		o.KeepRecords = 100_000
	}
	if o.KeepFor <= 0 {
		o.KeepFor = 30 * 24 * time.Hour
	}
	return o
}

// Store is an open file. Its methods may be called concurrently.
type Store struct {
	db   *bolt.DB
	opts Options
	loss string

	queueMu sync.Mutex
	queue   []*writer

	commitMu sync.Mutex // held for one transaction that writes
	closed   bool       // guarded by commitMu
}

// Open opens the store in dir for this process alone and creates what is
// missing. The error wraps ErrInUse where another process holds the file, and
// ErrFormat where the file cannot be used; such a file is left as it is.
func Open(dir string, opts Options) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the data directory: %w", err)
	}
	return open(dir, opts, false)
}

// OpenReadOnly opens the store in dir to look at it while no daemon runs. It
// creates and changes nothing. The error wraps fs.ErrNotExist where dir holds
// no store, ErrLost as well where it held one, and ErrInUse where a daemon
// runs on it.
func OpenReadOnly(dir string, opts Options) (*Store, error) {
	info, err := os.Stat(filepath.Join(dir, fileName))
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("open the store: %w", err)
	case err == nil && (info.Size() > 0 || !info.Mode().IsRegular()):
		return open(dir, opts, true)
	}
	if _, err := os.Stat(filepath.Join(dir, markerName)); err == nil {
		return nil, fmt.Errorf("%w: %s is there and %s is not: %w", ErrLost, markerName, fileName, fs.ErrNotExist)
	}
	return nil, fmt.Errorf("nothing was ever stored in %s: %w", dir, fs.ErrNotExist)
}

func open(dir string, opts Options, readOnly bool) (*Store, error) {
	path := filepath.Join(dir, fileName)
	s := &Store{opts: opts.withDefaults()}
	db, err := openFile(path, s.opts.LockTimeout, readOnly)
	if err != nil {
		return nil, err
	}
	s.db = db
	id, err := s.prepare()
	if err == nil {
		s.loss, err = s.findLoss(dir, id)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// openFile opens and locks the database itself.
func openFile(path string, timeout time.Duration, readOnly bool) (*bolt.DB, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s: %w: it is not a file", path, ErrFormat)
	}
	var db *bolt.DB
	err := survive(path, func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout:      timeout,
			ReadOnly:     readOnly,
			FreelistType: bolt.FreelistMapType,
			NoStatistics: true,
		})
		return err
	})
	var onPath *fs.PathError
	switch {
	case err == nil, errors.Is(err, ErrFormat):
		return db, err
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("open %s: %w; stop it, or ask it instead of the file", path, ErrInUse)
	case errors.As(err, &onPath):
		return nil, fmt.Errorf("open the store: %w", err)
	}
	return nil, fmt.Errorf("open %s: %w: %w; %s", path, ErrFormat, err, mend)
}

// Path is the file that the store is in.
func (s *Store) Path() string { return s.db.Path() }

// Loss says in one sentence why the journal counts as lost, or is empty.
func (s *Store) Loss() string { return s.loss }

// Journal is the store's journal.
func (s *Store) Journal() *Journal { return &Journal{store: s} }

// Close waits for writes under way and lets go of the file. Later calls of
// the store's methods return ErrClosed.
func (s *Store) Close() error {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close the store: %w", err)
	}
	return nil
}

// Load reads what the last process left: the open entries and the memory.
// Lost is true where a journal existed here and is gone or incomplete (safety
// rule 13); an empty data directory is new, not lost.
func (s *Store) Load(ctx context.Context) (warden.Loaded, error) {
	entries, err := s.Journal().List(ctx)
	if err != nil {
		return warden.Loaded{}, err
	}
	memory, err := s.Memory(ctx)
	if err != nil {
		return warden.Loaded{}, err
	}
	return warden.Loaded{Entries: entries, Memory: memory, Lost: s.loss != ""}, nil
}

// view runs read in a transaction of its own. It sees one state of the file.
func (s *Store) view(ctx context.Context, what string, read func(*bolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	err := s.db.View(read)
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		err = ErrClosed
	}
	if err != nil {
		return fmt.Errorf("read %s in %s: %w", what, s.Path(), err)
	}
	return nil
}
