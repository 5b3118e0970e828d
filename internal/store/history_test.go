package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// lately is a wall time that the history still keeps.
var lately = time.Now().UTC().Truncate(time.Hour)

func record(n int, at time.Time) warden.Record {
	return warden.Record{
		Kind: warden.FleetRecord, Wall: at.UnixNano(), Detail: fmt.Sprint("record ", n),
		Service: health.Service{ID: "srv-1", Name: "payments", Namespace: "prod"}, Instance: fmt.Sprint("i-", n%10),
	}
}

// The names and texts of a stored record are a contract with scripts.
func TestRecordAsJSON(t *testing.T) {
	r := warden.Record{
		Kind: warden.DecisionRecord, At: 12345, Wall: time.Date(2026, 5, 4, 12, 0, 1, 5e8, time.UTC).UnixNano(),
		Service:  health.Service{ID: "srv-1", Name: "payments", Namespace: "prod.internal"},
		Instance: "i-1", Addr: "10.0.0.1:8080",
		Action: policy.Remove, Admitted: true, Reason: policy.Failing, Shadow: true, Lever: lever.Quarantine,
		From: health.Healthy, To: health.Unhealthy, Cause: health.Refused, Fails: 4, Fall: 4,
		Detail: "refused 4 times & counting", Passing: 11, Ever: 12, Out: 1, N: 13,
	}
	got, err := encode(Stored(r))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"at":"2026-05-04T12:00:01.5Z","kind":"decision","namespace":"prod.internal","service":"payments","service_id":"srv-1",` +
		`"instance":"i-1","address":"10.0.0.1:8080","action":"remove","admitted":true,"reason":"failing","shadow":true,"lever":"quarantine",` +
		`"from":"healthy","to":"unhealthy","cause":"refused","fails":4,"fall":4,"detail":"refused 4 times & counting","passing":11,"ever":12,"out":1,"n":13}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	empty, err := encode(Stored(warden.Record{Kind: warden.FleetRecord}))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"at":"1970-01-01T00:00:00Z","kind":"fleet","admitted":false,"passing":0,"ever":0,"out":0,"n":0}`; string(empty) != want {
		t.Errorf("got  %s\nwant %s", empty, want)
	}
	gone := Stored(warden.Record{Kind: warden.EvidenceRecord, Evidence: health.OwnerGone, Source: "ecs"})
	if gone.Evidence != "gone" || gone.Source != "ecs" {
		t.Errorf("an owner's word reads %+v", gone)
	}
	withheld := Stored(warden.Record{Kind: warden.DecisionRecord, Reason: policy.FailOpen})
	if withheld.Action != "keep" || withheld.From != "" {
		t.Errorf("a withheld decision reads %+v", withheld)
	}
	settled := Stored(warden.Record{Kind: warden.TransitionRecord, From: health.Unknown, To: health.Healthy})
	if settled.From != "unknown" || settled.To != "healthy" {
		t.Errorf("a transition reads %+v", settled)
	}
}

func TestRecordsComeBack(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	var want []StoredRecord
	for i := range 5 {
		batch := []warden.Record{record(2*i, lately), record(2*i+1, lately.Add(time.Second))}
		if err := s.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		want = append(want, Stored(batch[0]), Stored(batch[1]))
	}
	if err := s.Append(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := openTest(t, dir).Records(t.Context(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var back StoredRecord
	encoded, err := encode(want[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &back); err != nil || !cmp.Equal(want[0], back) {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestQuery(t *testing.T) {
	s := openTest(t, t.TempDir())
	other := record(3, lately.Add(3*time.Second))
	other.Service = health.Service{ID: "srv-2", Name: "search", Namespace: "prod"}
	other.Kind = warden.DecisionRecord
	mention := record(4, lately.Add(4*time.Second))
	mention.Detail = `says "i-1" and is another's`
	if err := s.Append(t.Context(), []warden.Record{
		record(0, lately), record(1, lately.Add(time.Second)), record(11, lately.Add(2*time.Second)), other, mention,
		record(5, lately.Add(-time.Hour)), // the clock was set back
	}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		q    Query
		want []string
	}{
		{"all", Query{}, []string{"record 0", "record 1", "record 11", "record 3", `says "i-1" and is another's`, "record 5"}},
		{"the latest", Query{Limit: 2}, []string{`says "i-1" and is another's`, "record 5"}},
		{"since", Query{Since: lately.Add(2 * time.Second)}, []string{"record 11", "record 3", `says "i-1" and is another's`}},
		{"service by name", Query{Service: "prod/search"}, []string{"record 3"}},
		{"service by id", Query{Service: "srv-2"}, []string{"record 3"}},
		{"service without namespace", Query{Service: "search"}, nil},
		{"instance", Query{Instance: "i-1"}, []string{"record 1", "record 11"}},
		{"instance, the latest", Query{Instance: "i-1", Limit: 1}, []string{"record 11"}},
		{"kinds", Query{Kinds: []warden.RecordKind{warden.DecisionRecord, warden.CommandRecord}}, []string{"record 3"}},
		{"nothing", Query{Service: "srv-2", Instance: "i-1"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			records, err := s.Records(t.Context(), tt.q)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, details(records)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHistoryIsBounded(t *testing.T) {
	now := time.Now()
	s, err := Open(t.TempDir(), Options{KeepRecords: 1000, KeepFor: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	batch := func(n int, at time.Time) {
		var rs []warden.Record
		for i := range n {
			rs = append(rs, record(i, at))
		}
		if err := s.Append(t.Context(), rs); err != nil {
			t.Fatal(err)
		}
	}
	length := func() int {
		records, err := s.Records(t.Context(), Query{Limit: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return len(records)
	}
	batch(900, now.Add(-2*time.Hour))
	if n := length(); n != 0 {
		t.Errorf("%d records are older than an hour", n)
	}
	for range 5 {
		batch(300, now)
	}
	if n := length(); n != 1000 {
		t.Errorf("%d records, want the latest 1000", n)
	}
	batch(5000, now) // more than is kept at all
	if n := length(); n != 1000 {
		t.Errorf("%d records, want the latest 1000", n)
	}
}

// What one Append forgets is bounded, so that a shorter history after a restart
// does not hold up the journal.
func TestForgettingIsSpread(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	var rs []warden.Record
	for i := range 3000 {
		rs = append(rs, record(i, time.Now()))
	}
	if err := s.Append(t.Context(), rs); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, Options{KeepRecords: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 20 {
		if err := s.Append(t.Context(), rs[:1]); err != nil {
			t.Fatal(err)
		}
		records, err := s.Records(t.Context(), Query{Limit: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		want := max(3000+(i+1)-258*(i+1), 10)
		if len(records) != want {
			t.Fatalf("%d records after %d appends, want %d", len(records), i+1, want)
		}
	}
}

func TestLongReadIsCancelled(t *testing.T) {
	s := openTest(t, t.TempDir())
	var rs []warden.Record
	for i := range 4000 {
		rs = append(rs, record(i, lately))
	}
	if err := s.Append(t.Context(), rs); err != nil {
		t.Fatal(err)
	}
	ctx := &expiring{Context: t.Context(), left: 2}
	if _, err := s.Records(ctx, Query{Instance: "none"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Records = %v, want it cancelled", err)
	}
}

// expiring is done after it was asked so many times.
type expiring struct {
	context.Context
	left int
}

func (e *expiring) Err() error {
	if e.left--; e.left < 0 {
		return context.Canceled
	}
	return nil
}

func details(records []StoredRecord) []string {
	var out []string
	for _, r := range records {
		out = append(out, r.Detail)
	}
	return out
}
