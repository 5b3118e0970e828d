package store

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// version of the file's format. A file of an older version is brought up to
// it when it is opened; one of a newer version is refused.
const version = 1

const formatName = "mapwarden store"

// Buckets, and the rows of bucketMeta.
var (
	bucketMeta     = []byte("meta")
	bucketJournal  = []byte("journal")
	bucketHistory  = []byte("history")
	bucketPassed   = []byte("passed")
	bucketArmed    = []byte("armed")
	bucketRemovals = []byte("removals")
	bucketFreeze   = []byte("freeze")

	buckets = [][]byte{bucketMeta, bucketJournal, bucketHistory, bucketPassed, bucketArmed, bucketRemovals, bucketFreeze}

	rowFormat = []byte("format")
	rowOpen   = []byte("open")
)

// formatRow describes the file to its readers.
type formatRow struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	ID      string    `json:"id"` // of the journal; the marker file repeats it
	Created time.Time `json:"created"`
}

// openRow counts the open entries, in the transactions that change them.
type openRow struct {
	Entries int `json:"entries"`
}

// mend is how to go on with a file that cannot be used.
const mend = "restore it from a backup or move it away"

// survive turns the panics and memory faults with which a damaged or cut-off
// file answers into an error that wraps ErrFormat.
func survive(path string, read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("open %s: %w: it is damaged (%v); %s", path, ErrFormat, r, mend)
		}
	}()
	return read()
}

// prepare makes a new file ours, or proves that an old one is and that every
// row of it can be read. It returns the journal's id.
func (s *Store) prepare() (id string, err error) {
	err = survive(s.Path(), func() error {
		fresh, err := s.isFresh()
		if err != nil {
			return err
		}
		if fresh {
			if id, err = s.initialise(); err != nil {
				return fmt.Errorf("create the store in %s: %w", s.Path(), err)
			}
			return nil
		}
		return s.db.View(func(tx *bolt.Tx) error {
			id, err = checkFormat(tx)
			if err == nil {
				err = walk(tx, s.Path())
			}
			if err != nil {
				return fmt.Errorf("open %s: %w: %w", s.Path(), ErrFormat, err)
			}
			return nil
		})
	})
	return id, err
}

// isFresh reports whether the file holds no bucket at all: it was just
// created, or a process died while it created it.
func (s *Store) isFresh() (bool, error) {
	fresh := true
	err := s.db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func([]byte, *bolt.Bucket) error {
			fresh = false
			return nil
		})
	})
	if err != nil {
		return false, fmt.Errorf("open %s: %w: %w", s.Path(), ErrFormat, err)
	}
	if fresh && s.db.IsReadOnly() {
		return false, fmt.Errorf("open the store: nothing was ever stored in %s: %w", s.Path(), fs.ErrNotExist)
	}
	return fresh, nil
}

func (s *Store) initialise() (string, error) {
	row := formatRow{Format: formatName, Version: version, ID: rand.Text(), Created: time.Now().UTC()}
	return row.ID, s.db.Update(func(tx *bolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		if err := putRow(tx.Bucket(bucketMeta), rowFormat, row); err != nil {
			return err
		}
		return putRow(tx.Bucket(bucketMeta), rowOpen, openRow{})
	})
}

// checkFormat returns the journal's id.
func checkFormat(tx *bolt.Tx) (string, error) {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return "", errors.New("it belongs to another program; " + mend)
	}
	var row formatRow
	if err := json.Unmarshal(meta.Get(rowFormat), &row); err != nil || row.Format != formatName {
		return "", errors.New("it belongs to another program; " + mend)
	}
	if row.Version != version {
		return "", fmt.Errorf("it has format %d and this mapwarden knows format %d; run a newer mapwarden on it", row.Version, version)
	}
	if row.ID == "" {
		return "", errors.New("its journal has no id; " + mend)
	}
	for _, name := range buckets {
		if tx.Bucket(name) == nil {
			return "", fmt.Errorf("it is damaged (its %s is gone); %s", name, mend)
		}
	}
	return row.ID, nil
}

// walk touches every row, so that a cut-off or damaged file is refused when it
// is opened and not when an entry is needed.
func walk(tx *bolt.Tx, path string) error {
	if info, err := os.Stat(path); err != nil {
		return err
	} else if info.Size() < tx.Size() {
		return fmt.Errorf("it is cut off at %d of %d bytes; %s", info.Size(), tx.Size(), mend)
	}
	for _, name := range buckets {
		bucket := tx.Bucket(name)
		var last []byte
		err := bucket.ForEach(func(k, v []byte) error {
			if len(v) == 0 || last != nil && bytes.Compare(last, k) >= 0 {
				return fmt.Errorf("it is damaged (a row of its %s); %s", name, mend)
			}
			last = k
			return nil
		})
		if err != nil {
			return err
		}
	}
	return tx.Bucket(bucketJournal).ForEach(func(_, v []byte) error {
		if _, err := decodeEntry(v); err != nil {
			return fmt.Errorf("%w; %s", err, mend)
		}
		return nil
	})
}

// findLoss compares the file with the marker beside it. The marker is written
// once and names the journal that this directory is about: a directory whose
// file was removed or replaced is told from a new one by it. Deleting the
// marker is the operator's way of saying that the old journal is not missed.
func (s *Store) findLoss(dir, id string) (string, error) {
	path := filepath.Join(dir, markerName)
	marker, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if s.db.IsReadOnly() {
			return s.countLoss()
		}
		if err := writeMarker(path, id); err != nil {
			return "", fmt.Errorf("create %s: %w", path, err)
		}
	case err != nil:
		return "", fmt.Errorf("open the store: %w", err)
	case strings.TrimSpace(string(marker)) != id:
		return fmt.Sprintf("%s is not the journal that %s speaks of: it was removed or replaced; put it back, or delete %s to go on without it",
			s.Path(), path, path), nil
	}
	return s.countLoss()
}

// countLoss compares the open entries with their count.
func (s *Store) countLoss() (loss string, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		var open openRow
		if err := json.Unmarshal(tx.Bucket(bucketMeta).Get(rowOpen), &open); err != nil {
			return fmt.Errorf("open %s: %w: it is damaged (its count of open entries); %s", s.Path(), ErrFormat, mend)
		}
		found := 0
		err := tx.Bucket(bucketJournal).ForEach(func(_, _ []byte) error {
			found++
			return nil
		})
		if err == nil && found != open.Entries {
			loss = fmt.Sprintf("%s holds %d open entries and speaks of %d: it was changed by something else", s.Path(), found, open.Entries)
		}
		return err
	})
	return loss, err
}

// writeMarker writes the marker so that it is there whole or not at all.
func writeMarker(path, id string) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, markerName+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(id + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}

// syncDir makes the names in a directory durable: that of the new file too.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func putRow(b *bolt.Bucket, key []byte, row any) error {
	encoded, err := encode(row)
	if err != nil {
		return err
	}
	return b.Put(key, encoded)
}

// encode is json.Marshal without the escapes that are meant for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
