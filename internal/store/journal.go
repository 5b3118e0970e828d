package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/mapwarden/mapwarden/internal/lever"
)

// Journal holds the open entries: at most one per service id and instance.
//
// All writes are durable when they return, and concurrent ones share an fsync.
// A write that failed may be repeated as it is. Where Put or Update had taken
// effect after all, the repetition returns what it stored and changes nothing;
// where Close had, it is ErrNotFound.
type Journal struct{ store *Store }

// Put stores e as version 1 and returns it so. The error wraps ErrConflict
// where an entry is open for the instance.
func (j *Journal) Put(ctx context.Context, e lever.Entry) (lever.Entry, error) {
	e.Version = 1
	err := j.write(ctx, "open the entry", e, func(stored *lever.Entry) error {
		if stored != nil && !same(*stored, e) {
			return refusal{fmt.Errorf("entry %s is open: %w", stored.ID, ErrConflict)}
		}
		return nil
	})
	if err != nil {
		return lever.Entry{}, err
	}
	return e, nil
}

// Update replaces the stored lever.Entry if it has e's ID and Version, and returns e
// with the next Version. The error wraps ErrNotFound or ErrConflict.
func (j *Journal) Update(ctx context.Context, e lever.Entry) (lever.Entry, error) {
	expected := e.Version
	e.Version++
	err := j.write(ctx, "update the entry", e, func(stored *lever.Entry) error {
		switch {
		case stored == nil:
			return refusal{ErrNotFound}
		case stored.ID == e.ID && stored.Version == expected, same(*stored, e):
			return nil
		}
		return conflict(*stored, expected)
	})
	if err != nil {
		return lever.Entry{}, err
	}
	return e, nil
}

// Close removes the stored lever.Entry if it has e's ID and Version. The error wraps
// ErrNotFound or ErrConflict.
func (j *Journal) Close(ctx context.Context, e lever.Entry) error {
	key, err := instanceKey(e.Service.ID, e.Instance)
	if err != nil {
		return fmt.Errorf("close the entry: %w", err)
	}
	return j.store.write(ctx, "close the entry of "+e.Service.String()+"/"+e.Instance, func(tx *bolt.Tx) error {
		bucket := tx.Bucket(bucketJournal)
		stored, err := storedEntry(bucket, key)
		switch {
		case err != nil:
			return err
		case stored == nil:
			return refusal{ErrNotFound}
		case stored.ID != e.ID || stored.Version != e.Version:
			return conflict(*stored, e.Version)
		}
		if err := bucket.Delete(key); err != nil {
			return err
		}
		return count(tx, -1)
	})
}

// List returns the open entries, sorted by service id and instance.
func (j *Journal) List(ctx context.Context) ([]lever.Entry, error) {
	var out []lever.Entry
	err := j.store.view(ctx, "the journal", func(tx *bolt.Tx) error {
		return tx.Bucket(bucketJournal).ForEach(func(_, v []byte) error {
			e, err := decodeEntry(v)
			out = append(out, e)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b lever.Entry) int {
		return cmp.Or(cmp.Compare(a.Service.ID, b.Service.ID), cmp.Compare(a.Instance, b.Instance))
	})
	return out, nil
}

// write stores e where allow, which is given the entry that is open for the
// same instance or nil, does not refuse.
func (j *Journal) write(ctx context.Context, what string, e lever.Entry, allow func(stored *lever.Entry) error) error {
	what += " of " + e.Service.String() + "/" + e.Instance
	key, err := instanceKey(e.Service.ID, e.Instance)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	row, err := encodeEntry(e)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return j.store.write(ctx, what, func(tx *bolt.Tx) error {
		bucket := tx.Bucket(bucketJournal)
		stored, err := storedEntry(bucket, key)
		if err != nil {
			return err
		}
		if err := allow(stored); err != nil {
			return err
		}
		if err := bucket.Put(key, row); err != nil {
			return err
		}
		if stored == nil {
			return count(tx, 1)
		}
		return nil
	})
}

func storedEntry(b *bolt.Bucket, key []byte) (*lever.Entry, error) {
	row := b.Get(key)
	if row == nil {
		return nil, nil
	}
	e, err := decodeEntry(row)
	return &e, err
}

func conflict(stored lever.Entry, expected int64) error {
	return refusal{fmt.Errorf("entry %s has version %d, not %d: %w", stored.ID, stored.Version, expected, ErrConflict)}
}

// count adds to the number of open entries.
func count(tx *bolt.Tx, add int) error {
	meta := tx.Bucket(bucketMeta)
	var open openRow
	if err := json.Unmarshal(meta.Get(rowOpen), &open); err != nil {
		return fmt.Errorf("count the open entries: %w", err)
	}
	open.Entries += add
	return putRow(meta, rowOpen, open)
}

// maxName bounds the ids in keys; Cloud Map's own are at most 64 characters.
const maxName = 4096

// instanceKey is the key of rows about one instance. The length in front keeps
// two different pairs of ids from having one key.
func instanceKey(service, instance string) ([]byte, error) {
	if service == "" || instance == "" {
		return nil, errors.New("the service id and the instance id must not be empty")
	}
	if len(service) > maxName || len(instance) > maxName {
		return nil, fmt.Errorf("an id is longer than %d bytes", maxName)
	}
	key := binary.BigEndian.AppendUint16(nil, uint16(len(service)))
	return append(append(key, service...), instance...), nil
}
