package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mapwarden/mapwarden/internal/warden"
)

// Rows of the memory. Hashes are texts: not every reader of JSON keeps 64 bits.
type (
	passedRow struct {
		ServiceID   string `json:"service_id"`
		Instance    string `json:"instance"`
		Incarnation uint64 `json:"incarnation,string"`
		Probe       uint64 `json:"probe,string"`
	}
	armedRow struct {
		ServiceID string     `json:"service_id"`
		Probe     uint64     `json:"probe,string"`
		Since     *time.Time `json:"since,omitempty"`
		Proven    bool       `json:"proven"`
	}
	removalRow struct {
		ServiceID string      `json:"service_id"`
		Instance  string      `json:"instance"`
		At        []time.Time `json:"at"`
	}
	// orderRow is what an operator ordered for a time: a freeze, or, with a
	// service and an instance, a drain.
	orderRow struct {
		ServiceID string     `json:"service_id,omitempty"`
		Instance  string     `json:"instance,omitempty"`
		Until     *time.Time `json:"until,omitempty"`
		By        string     `json:"by,omitempty"`
		Note      string     `json:"note,omitempty"`
	}
)

// rowFreeze is the key of the freeze in bucketFreeze; drains have their instance's.
var rowFreeze = []byte("freeze")

// Learn merges a difference into the memory: a row replaces the one with the
// same service and instance, or forgets it (Incarnation 0, no Walls, Until 0).
func (s *Store) Learn(ctx context.Context, m warden.Memory) error {
	if len(m.Passed) == 0 && len(m.Armed) == 0 && len(m.Removals) == 0 && len(m.Drains) == 0 && m.Freeze == nil {
		return nil
	}
	rows, err := memoryRows(m)
	if err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	return s.write(ctx, "learn", func(tx *bolt.Tx) error {
		for _, r := range rows {
			bucket := tx.Bucket(r.bucket)
			var err error
			if r.value == nil {
				err = bucket.Delete(r.key)
			} else {
				err = bucket.Put(r.key, r.value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// memoryRow is a row to put, or to delete where value is nil.
type memoryRow struct{ bucket, key, value []byte }

// memoryRows encodes a difference before any transaction begins.
func memoryRows(m warden.Memory) ([]memoryRow, error) {
	rows := make([]memoryRow, 0, len(m.Passed)+len(m.Armed)+len(m.Removals)+len(m.Drains)+1)
	add := func(bucket, key []byte, row any, keep bool) error {
		r := memoryRow{bucket: bucket, key: key}
		if keep {
			var err error
			if r.value, err = encode(row); err != nil {
				return err
			}
		}
		rows = append(rows, r)
		return nil
	}
	for _, p := range m.Passed {
		key, err := instanceKey(p.Service, p.Instance)
		if err != nil {
			return nil, err
		}
		if err := add(bucketPassed, key, passedRow{p.Service, p.Instance, p.Incarnation, p.Probe}, p.Incarnation != 0); err != nil {
			return nil, err
		}
	}
	for _, a := range m.Armed {
		if a.Service == "" || len(a.Service) > maxName {
			return nil, fmt.Errorf("a service id has %d bytes", len(a.Service))
		}
		if err := add(bucketArmed, []byte(a.Service), armedRow{a.Service, a.Probe, timeOf(a.Since), a.Proven}, true); err != nil {
			return nil, err
		}
	}
	for _, r := range m.Removals {
		key, err := instanceKey(r.Service, r.Instance)
		if err != nil {
			return nil, err
		}
		row := removalRow{ServiceID: r.Service, Instance: r.Instance}
		for _, w := range r.Walls {
			row.At = append(row.At, time.Unix(0, w).UTC())
		}
		if err := add(bucketRemovals, key, row, len(r.Walls) > 0); err != nil {
			return nil, err
		}
	}
	for _, d := range m.Drains {
		key, err := instanceKey(d.Service, d.Instance)
		if err != nil {
			return nil, err
		}
		if err := add(bucketFreeze, key, orderRow{d.Service, d.Instance, timeOf(d.Until), d.By, d.Note}, d.Until != 0); err != nil {
			return nil, err
		}
	}
	if f := m.Freeze; f != nil {
		if err := add(bucketFreeze, rowFreeze, orderRow{Until: timeOf(f.Until), By: f.By, Note: f.Note}, f.Until != 0); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// Memory returns everything that was learnt and not forgotten. The order is
// that of the file's keys: the same memory is always the same list.
func (s *Store) Memory(ctx context.Context) (warden.Memory, error) {
	var m warden.Memory
	err := s.view(ctx, "the memory", func(tx *bolt.Tx) error {
		m = warden.Memory{}
		err := eachRow(tx, bucketPassed, func(r passedRow) {
			m.Passed = append(m.Passed, warden.Passed{Service: r.ServiceID, Instance: r.Instance, Incarnation: r.Incarnation, Probe: r.Probe})
		})
		if err != nil {
			return err
		}
		err = eachRow(tx, bucketArmed, func(r armedRow) {
			m.Armed = append(m.Armed, warden.Armed{Service: r.ServiceID, Probe: r.Probe, Since: wall(r.Since), Proven: r.Proven})
		})
		if err != nil {
			return err
		}
		err = eachRow(tx, bucketRemovals, func(r removalRow) {
			removal := warden.Removal{Service: r.ServiceID, Instance: r.Instance}
			for _, at := range r.At {
				removal.Walls = append(removal.Walls, at.UnixNano())
			}
			m.Removals = append(m.Removals, removal)
		})
		if err != nil {
			return err
		}
		return eachRow(tx, bucketFreeze, func(r orderRow) {
			if r.ServiceID != "" {
				m.Drains = append(m.Drains, warden.DrainUntil{Service: r.ServiceID, Instance: r.Instance, Until: wall(r.Until), By: r.By, Note: r.Note})
				return
			}
			m.Freeze = &warden.FreezeUntil{Until: wall(r.Until), By: r.By, Note: r.Note}
		})
	})
	return m, err
}

func eachRow[R any](tx *bolt.Tx, bucket []byte, use func(R)) error {
	return tx.Bucket(bucket).ForEach(func(_, v []byte) error {
		var row R
		if err := json.Unmarshal(v, &row); err != nil {
			return fmt.Errorf("a row of %s: %w", bucket, err)
		}
		use(row)
		return nil
	})
}
