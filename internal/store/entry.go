package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// maxEntry bounds an encoded entry, in bytes. Cloud Map's own bound on the
// attributes of an instance is 5,000 characters.
const maxEntry = 1 << 20

// entryRow is an entry as it stands in the file. Names never change their
// meaning; times are UTC with nanoseconds.
type entryRow struct {
	ID          string         `json:"id"`
	Version     int64          `json:"version"`
	Kind        string         `json:"kind"`
	Phase       string         `json:"phase"`
	Namespace   string         `json:"namespace"`
	Service     string         `json:"service"`
	ServiceID   string         `json:"service_id"`
	Instance    string         `json:"instance"`
	Incarnation incarnationRow `json:"incarnation"`
	Attributes  []attributeRow `json:"attributes,omitempty"`
	Operation   string         `json:"operation,omitempty"`
	Reason      string         `json:"reason,omitempty"`
	Cause       string         `json:"cause,omitempty"`
	Waiting     bool           `json:"waiting,omitempty"`
	Restored    bool           `json:"restored,omitempty"`
	Opened      *time.Time     `json:"opened,omitempty"`
	Updated     *time.Time     `json:"updated,omitempty"`
	OutSince    *time.Time     `json:"out_since,omitempty"`
}

type incarnationRow struct {
	ServiceID string `json:"service_id"`
	Instance  string `json:"instance"`
	Address   string `json:"address,omitempty"`
	Port      uint16 `json:"port,omitempty"`
	Boot      string `json:"boot,omitempty"`
}

// attributeRow keeps attributes in their own order.
type attributeRow struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

var kinds = []lever.Kind{lever.None, lever.CustomStatus, lever.Quarantine, lever.Drill}

var phases = []lever.Phase{lever.Intended, lever.Sending, lever.Submitted, lever.Out, lever.Returning, lever.Accepted, lever.Returned}

// encodeEntry refuses an entry that would not be read back exactly as it is:
// what is restored from the journal must be what was taken away.
func encodeEntry(e lever.Entry) ([]byte, error) {
	row, err := encode(rowOf(e))
	if err != nil {
		return nil, err
	}
	if len(row) > maxEntry {
		return nil, fmt.Errorf("it takes %d bytes, more than %d", len(row), maxEntry)
	}
	back, err := decodeEntry(row)
	if err != nil {
		return nil, err
	}
	if !same(back, e) {
		return nil, errors.New("it could not be read back unchanged: an id, an attribute or a text is not valid UTF-8")
	}
	return row, nil
}

func decodeEntry(encoded []byte) (lever.Entry, error) {
	var row entryRow
	if err := json.Unmarshal(encoded, &row); err != nil {
		return lever.Entry{}, fmt.Errorf("read a journal entry: %w", err)
	}
	e, err := row.entry()
	if err != nil {
		return lever.Entry{}, fmt.Errorf("read the journal entry of %s/%s/%s: %w", row.Namespace, row.Service, row.Instance, err)
	}
	return e, nil
}

// same compares all members. Absent and empty attributes are the same thing.
func same(a, b lever.Entry) bool {
	attributes := a.Attributes.Equal(b.Attributes)
	a.Attributes, b.Attributes = nil, nil
	return attributes && rowOf(a).equal(rowOf(b))
}

func (r entryRow) equal(o entryRow) bool {
	times := sameTime(r.Opened, o.Opened) && sameTime(r.Updated, o.Updated) && sameTime(r.OutSince, o.OutSince)
	return times && r.ID == o.ID && r.Version == o.Version && r.Kind == o.Kind && r.Phase == o.Phase &&
		r.Namespace == o.Namespace && r.Service == o.Service && r.ServiceID == o.ServiceID && r.Instance == o.Instance &&
		r.Incarnation == o.Incarnation && r.Operation == o.Operation && r.Reason == o.Reason && r.Cause == o.Cause &&
		r.Waiting == o.Waiting && r.Restored == o.Restored
}

func sameTime(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}

func rowOf(e lever.Entry) entryRow {
	row := entryRow{
		ID: e.ID, Version: e.Version, Kind: e.Kind.String(), Phase: string(e.Phase),
		Namespace: e.Service.Namespace, Service: e.Service.Name, ServiceID: e.Service.ID, Instance: e.Instance,
		Incarnation: incarnationRow{
			ServiceID: e.Incarnation.Service, Instance: e.Incarnation.Instance, Port: e.Incarnation.Port, Boot: e.Incarnation.Boot,
		},
		Operation: e.Operation, Reason: string(e.Reason), Cause: e.Cause, Waiting: e.Waiting, Restored: e.Restored,
		Opened: timeOf(e.Opened), Updated: timeOf(e.Updated), OutSince: timeOf(e.OutSince),
	}
	if e.Incarnation.Addr.IsValid() {
		row.Incarnation.Address = e.Incarnation.Addr.String()
	}
	for _, a := range e.Attributes {
		row.Attributes = append(row.Attributes, attributeRow(a))
	}
	return row
}

func (r entryRow) entry() (lever.Entry, error) {
	e := lever.Entry{
		ID: r.ID, Version: r.Version, Phase: lever.Phase(r.Phase),
		Service:  health.Service{ID: r.ServiceID, Name: r.Service, Namespace: r.Namespace},
		Instance: r.Instance,
		Incarnation: health.Incarnation{
			Service: r.Incarnation.ServiceID, Instance: r.Incarnation.Instance, Port: r.Incarnation.Port, Boot: r.Incarnation.Boot,
		},
		Operation: r.Operation, Reason: policy.Reason(r.Reason), Cause: r.Cause, Waiting: r.Waiting, Restored: r.Restored,
		Opened: wall(r.Opened), Updated: wall(r.Updated), OutSince: wall(r.OutSince),
	}
	kind := slices.IndexFunc(kinds, func(k lever.Kind) bool { return k.String() == r.Kind })
	if kind < 0 {
		return lever.Entry{}, fmt.Errorf("kind %q is not known", r.Kind)
	}
	e.Kind = kinds[kind]
	if !slices.Contains(phases, e.Phase) {
		return lever.Entry{}, fmt.Errorf("phase %q is not known", r.Phase)
	}
	if r.Incarnation.Address != "" {
		addr, err := netip.ParseAddr(r.Incarnation.Address)
		if err != nil {
			return lever.Entry{}, err
		}
		e.Incarnation.Addr = addr
	}
	for _, a := range r.Attributes {
		e.Attributes = append(e.Attributes, health.Attribute(a))
	}
	return e, nil
}

// timeOf is nil for 0, which stands for "never".
func timeOf(wall int64) *time.Time {
	if wall == 0 {
		return nil
	}
	t := time.Unix(0, wall).UTC()
	return &t
}

func wall(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return t.UnixNano()
}
