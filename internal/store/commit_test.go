package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
)

// A commit that fails, here because the disk is full, fails for everybody in
// it, leaves the journal as it was, and is not the end of the store.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	first, err := s.Journal().Put(t.Context(), testEntry("first"))
	if err != nil {
		t.Fatal(err)
	}
	s.db.MaxSize = 1
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			e := testEntry(fmt.Sprint("big-", i))
			e.Attributes = health.Attributes{{Key: "k", Value: strings.Repeat("v", maxEntry-2000)}}
			if _, err := s.Journal().Put(t.Context(), e); !errors.Is(err, bolterrors.ErrMaxSizeReached) {
				t.Errorf("Put = %v, want a full disk", err)
			}
		})
	}
	group.Wait()
	expectEntries(t, s.Journal(), first)

	s.db.MaxSize = 0
	second, err := s.Journal().Put(t.Context(), testEntry("second"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir)
	expectEntries(t, s.Journal(), first, second)
	if s.Loss() != "" {
		t.Errorf("lost: %s", s.Loss())
	}
}

// FuzzEntry: an entry is stored so that it reads back as it was, or refused.
func FuzzEntry(f *testing.F) {
	f.Add("id", "srv-1", "i-1", "key", "value", int64(1), uint16(80), true)
	f.Add("", "\x00", "é", "\u2028<&>", "\xff", int64(-1), uint16(0), false)
	f.Fuzz(func(t *testing.T, id, service, instance, key, value string, at int64, port uint16, flag bool) {
		e := lever.Entry{
			ID: id, Version: at, Kind: lever.Quarantine, Phase: lever.Out, Instance: instance,
			Service:    health.Service{ID: service, Name: key, Namespace: value},
			Attributes: health.Attributes{{Key: key, Value: value}, {Key: value, Value: key}},
			Operation:  value, Cause: key, Waiting: flag, Restored: !flag,
			Opened: at, Updated: -at, OutSince: at / 2,
		}
		e.Incarnation.Port, e.Incarnation.Boot = port, id
		row, err := encodeEntry(e)
		if err != nil {
			return
		}
		back, err := decodeEntry(row)
		if err != nil {
			t.Fatal(err)
		}
		if diff := diffEntries(e, back); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// FuzzRow: whatever stands in the file is an entry or an error.
func FuzzRow(f *testing.F) {
	row, err := encodeEntry(testEntry("i-1"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(row)
	f.Add([]byte(`{"kind":"drill","phase":"out","incarnation":{"address":"::ffff:1.2.3.4%a"}}`))
	f.Fuzz(func(t *testing.T, row []byte) {
		e, err := decodeEntry(row)
		if err != nil {
			return
		}
		if _, err := encodeEntry(e); err != nil {
			t.Errorf("%s was read and cannot be written: %v", row, err)
		}
	})
}
