package store

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

func openTest(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func testEntry(instance string) lever.Entry {
	return lever.Entry{
		ID: "entry-" + instance, Kind: lever.Quarantine, Phase: lever.Intended,
		Service:  health.Service{ID: "srv-1", Name: "payments", Namespace: "prod.internal"},
		Instance: instance,
		Incarnation: health.Incarnation{
			Service: "srv-1", Instance: instance, Addr: netip.MustParseAddr("10.0.0.1"), Port: 8080, Boot: "b1",
		},
		Attributes: health.AttributesOf(map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "8080"}),
		Operation:  "op-1", Reason: policy.Failing, Cause: "refused", Waiting: true, Restored: true,
		Opened: 1_700_000_000_123_456_789, Updated: 1_700_000_000_123_456_790, OutSince: 1,
	}
}

func TestJournalLifeOfAnEntry(t *testing.T) {
	ctx := t.Context()
	j := openTest(t, t.TempDir()).Journal()

	put, err := j.Put(ctx, testEntry("i-1"))
	if err != nil {
		t.Fatal(err)
	}
	if put.Version != 1 {
		t.Errorf("version after Put = %d, want 1", put.Version)
	}
	next := put
	next.Phase = lever.Sending
	updated, err := j.Update(ctx, next)
	if err != nil {
		t.Fatal(err)
	}
	want := next
	want.Version = 2
	expectEntries(t, j, want)
	if diff := diffEntries(want, updated); diff != "" {
		t.Errorf("Update returned (-want +got):\n%s", diff)
	}
	if err := j.Close(ctx, updated); err != nil {
		t.Fatal(err)
	}
	expectEntries(t, j)
}

func TestJournalRefuses(t *testing.T) {
	ctx := t.Context()
	j := openTest(t, t.TempDir()).Journal()
	stored, err := j.Put(ctx, testEntry("i-1"))
	if err != nil {
		t.Fatal(err)
	}
	other := testEntry("i-1")
	other.ID = "another job's"
	newer := stored
	newer.Version = 2
	foreign := stored
	foreign.ID = "another job's"
	long := testEntry("i-2")
	long.Attributes = health.Attributes{{Key: "k", Value: strings.Repeat("v", maxEntry)}}
	nameless := testEntry("")
	binary := testEntry("i-2")
	binary.Attributes = health.Attributes{{Key: "k", Value: "\xff"}}
	phaseless := testEntry("i-2")
	phaseless.Phase = "gone fishing"

	for _, tt := range []struct {
		name string
		call func() error
		is   error
		text string
	}{
		{"put over an open entry", func() error { _, err := j.Put(ctx, other); return err }, ErrConflict, "entry entry-i-1 is open"},
		{"update from a version that is not there", func() error { _, err := j.Update(ctx, newer); return err }, ErrConflict, "has version 1, not 2"},
		{"update of another job", func() error { _, err := j.Update(ctx, foreign); return err }, ErrConflict, ""},
		{"update without an entry", func() error { _, err := j.Update(ctx, testEntry("i-2")); return err }, ErrNotFound, ""},
		{"close from a version that is not there", func() error { return j.Close(ctx, newer) }, ErrConflict, ""},
		{"close of another job", func() error { return j.Close(ctx, foreign) }, ErrConflict, ""},
		{"close without an entry", func() error { return j.Close(ctx, testEntry("i-2")) }, ErrNotFound, ""},
		{"too long", func() error { _, err := j.Put(ctx, long); return err }, nil, "more than 1048576"},
		{"no instance", func() error { _, err := j.Put(ctx, nameless); return err }, nil, "must not be empty"},
		{"close without an instance", func() error { return j.Close(ctx, nameless) }, nil, "must not be empty"},
		{"an attribute that JSON would change", func() error { _, err := j.Put(ctx, binary); return err }, nil, "not valid UTF-8"},
		{"an unknown phase", func() error { _, err := j.Put(ctx, phaseless); return err }, nil, `phase "gone fishing" is not known`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.call()
			if err == nil {
				t.Fatal("no error")
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %q is not %q", err, tt.is)
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %q does not say %q", err, tt.text)
			}
			expectEntries(t, j, stored)
		})
	}
}

// A caller that got an error cannot know whether the write took effect. It may
// ask again without harm.
func TestJournalRepeats(t *testing.T) {
	ctx := t.Context()
	j := openTest(t, t.TempDir()).Journal()
	first, err := j.Put(ctx, testEntry("i-1"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := j.Put(ctx, testEntry("i-1")); err != nil || again.Version != first.Version {
		t.Errorf("repeated Put = version %d, %v; want version %d", again.Version, err, first.Version)
	}
	next := first
	next.Phase = lever.Sending
	second, err := j.Update(ctx, next)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := j.Update(ctx, next); err != nil || again.Version != second.Version {
		t.Errorf("repeated Update = version %d, %v; want version %d", again.Version, err, second.Version)
	}
	expectEntries(t, j, second)
}

func TestAttributesComeBackByteForByte(t *testing.T) {
	var printable strings.Builder
	for r := rune(' '); r <= '~'; r++ {
		printable.WriteRune(r)
	}
	dir := t.TempDir()
	e := testEntry("i-1")
	e.Attributes = health.Attributes{
		{Key: "", Value: ""},
		{Key: "<script>&amp;", Value: printable.String()},
		{Key: "control", Value: "\x00\x01\t\r\n\x7f"},
		{Key: "separators", Value: "\u2028\u2029\ufeff\ufffd"},
		{Key: "unicode", Value: "žluťoučký 🐎 é é"},
		{Key: "unicode", Value: "a key that stands there twice"},
	}
	s := openTest(t, dir)
	if _, err := s.Journal().Put(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	e.Version = 1
	expectEntries(t, openTest(t, dir).Journal(), e)
}

func TestListIsSorted(t *testing.T) {
	j := openTest(t, t.TempDir()).Journal()
	for _, name := range []string{"b/z", "aa/a", "b/a", "a/b", "aa/B"} {
		service, instance, _ := strings.Cut(name, "/")
		e := testEntry(instance)
		e.Service.ID = service
		if _, err := j.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := j.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Service.ID+"/"+e.Instance)
	}
	if diff := cmp.Diff([]string{"a/b", "aa/B", "aa/a", "b/a", "b/z"}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// A member that somebody adds to an entry is stored, too.
func TestNoMemberIsForgotten(t *testing.T) {
	j := openTest(t, t.TempDir()).Journal()
	e := testEntry("i-1")
	e.Version = 1
	for _, part := range []any{e, e.Service, e.Incarnation} {
		v := reflect.ValueOf(part)
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%s.%s is not in the entry that these tests store: add it there and to entryRow", v.Type(), v.Type().Field(i).Name)
			}
		}
	}
	if _, err := j.Put(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	expectEntries(t, j, e)
}

// Of many that want the same entry one gets it, at every version.
func TestConcurrentWritersOfOneEntry(t *testing.T) {
	ctx := t.Context()
	j := openTest(t, t.TempDir()).Journal()
	const writers, versions = 8, 20
	var won [versions + 1]atomic.Int32
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			e := testEntry("i-1")
			e.ID = fmt.Sprint("job ", w)
			if _, err := j.Put(ctx, e); err == nil {
				won[0].Add(1)
			} else if !errors.Is(err, ErrConflict) {
				t.Error(err)
			}
			for {
				entries, err := j.List(ctx)
				if err != nil || len(entries) != 1 {
					t.Errorf("List = %v, %v", entries, err)
					return
				}
				e := entries[0]
				if e.Version > versions {
					return
				}
				e.Operation = fmt.Sprint("by ", w)
				switch _, err := j.Update(ctx, e); {
				case err == nil:
					won[e.Version].Add(1)
				case !errors.Is(err, ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	for v := range won {
		if n := won[v].Load(); n != 1 {
			t.Errorf("%d writers wrote version %d, want 1", n, v+1)
		}
	}
}

// A refusal in a commit that others share must not touch what they wrote.
func TestConcurrentWritersOfManyEntries(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	s := openTest(t, dir)
	j := s.Journal()
	const n = 200
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			e := testEntry(fmt.Sprint("i-", i))
			stored, err := j.Put(ctx, e)
			if err != nil {
				t.Error(err)
				return
			}
			other := e
			other.ID = "other"
			if _, err := j.Put(ctx, other); !errors.Is(err, ErrConflict) {
				t.Errorf("second Put = %v, want a conflict", err)
			}
			if i%2 == 0 {
				if err := j.Close(ctx, stored); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir)
	loaded, err := s.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.Entries) != n/2 || loaded.Lost {
		t.Errorf("%d entries, lost %v (%s); want %d, not lost", len(loaded.Entries), loaded.Lost, s.Loss(), n/2)
	}
}

func TestDoneContextWritesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := openTest(t, t.TempDir())
	if _, err := s.Journal().Put(ctx, testEntry("i-1")); !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v, want it cancelled", err)
	}
	if _, err := s.Load(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Load = %v, want it cancelled", err)
	}
	expectEntries(t, s.Journal())
}

func TestClosedStore(t *testing.T) {
	s := openTest(t, t.TempDir())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
	if _, err := s.Journal().Put(t.Context(), testEntry("i-1")); !errors.Is(err, ErrClosed) {
		t.Errorf("Put = %v, want ErrClosed", err)
	}
	if _, err := s.Journal().List(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("List = %v, want ErrClosed", err)
	}
}

func expectEntries(t *testing.T, j *Journal, want ...lever.Entry) {
	t.Helper()
	got, err := j.List(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := diffEntries(want, got); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}

func diffEntries(want, got any) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}))
}
