package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// StoredRecord is a record of the history as scripts see it: `history -o json`
// and the operator API print it. Times are RFC 3339, reasons the strings of
// package policy; a member that does not apply is left out.
type StoredRecord struct {
	At        time.Time         `json:"at"`
	Kind      warden.RecordKind `json:"kind"`
	Namespace string            `json:"namespace,omitempty"`
	Service   string            `json:"service,omitempty"`
	ServiceID string            `json:"service_id,omitempty"`
	Instance  string            `json:"instance,omitempty"`
	Address   string            `json:"address,omitempty"`

	Action   string        `json:"action,omitempty"`
	Admitted bool          `json:"admitted"`
	Reason   policy.Reason `json:"reason,omitempty"`
	Shadow   bool          `json:"shadow,omitempty"`
	Lever    string        `json:"lever,omitempty"`

	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
	Cause  string `json:"cause,omitempty"`
	Fails  int    `json:"fails,omitempty"`
	Fall   int    `json:"fall,omitempty"`
	Detail string `json:"detail,omitempty"`

	Evidence string `json:"evidence,omitempty"` // what an owner says of the instance
	Source   string `json:"source,omitempty"`   // … and which

	Passing int `json:"passing"`
	Ever    int `json:"ever"`
	Out     int `json:"out"`
	N       int `json:"n"`
}

// Stored is the stored form of a record. The instant within the process is
// not kept: it means nothing to another process.
func Stored(r warden.Record) StoredRecord {
	s := StoredRecord{
		At: time.Unix(0, r.Wall).UTC(), Kind: r.Kind,
		Namespace: r.Service.Namespace, Service: r.Service.Name, ServiceID: r.Service.ID,
		Instance: r.Instance, Address: r.Addr,
		Admitted: r.Admitted, Reason: r.Reason, Shadow: r.Shadow,
		Fails: r.Fails, Fall: r.Fall, Detail: r.Detail,
		Passing: r.Passing, Ever: r.Ever, Out: r.Out, N: r.N,
	}
	if r.Kind == warden.DecisionRecord || r.Action != policy.Keep {
		s.Action = r.Action.String()
	}
	if r.Lever != lever.None {
		s.Lever = r.Lever.String()
	}
	if r.Kind == warden.TransitionRecord || r.From != r.To {
		s.From, s.To = r.From.String(), r.To.String()
	}
	if r.Kind == warden.EvidenceRecord {
		s.Evidence, s.Source = r.Evidence.String(), r.Source
	}
	if r.Cause != health.NoCause {
		s.Cause = r.Cause.String()
	}
	return s
}

// Query selects records. The zero Query selects the latest 1,000.
type Query struct {
	Since    time.Time           // records at or after; the zero time is the beginning
	Service  string              // "namespace/service" or a service id; "" is all
	Instance string              // instance id; "" is all
	Kinds    []warden.RecordKind // empty is all
	Limit    int                 // at most this many, the latest; 0 is 1,000
}

// Append adds records in their order, and forgets some of the oldest beyond
// the bounds of Options. It is one commit: callers hand over batches.
func (s *Store) Append(ctx context.Context, records []warden.Record) error {
	if len(records) == 0 {
		return nil
	}
	rows := make([][]byte, len(records))
	for i, r := range records {
		row, err := encode(Stored(r))
		if err != nil {
			return fmt.Errorf("append to the history: %w", err)
		}
		rows[i] = row
	}
	oldest := time.Now().Add(-s.opts.KeepFor).UnixNano()
	return s.write(ctx, "append to the history", func(tx *bolt.Tx) error {
		bucket := tx.Bucket(bucketHistory)
		bucket.FillPercent = 0.95 // keys only grow: pages need no room for later rows
		for i, row := range rows {
			seq, err := bucket.NextSequence()
			if err != nil {
				return err
			}
			if err := bucket.Put(historyKey(seq, records[i].Wall), row); err != nil {
				return err
			}
		}
		return s.forget(bucket, oldest, 2*len(rows)+256)
	})
}

// forget removes at most limit records from the front: those beyond the number
// to keep, and those from before oldest (wall, Unix nanoseconds).
func (s *Store) forget(bucket *bolt.Bucket, oldest int64, limit int) error {
	first := bucket.Sequence() - min(bucket.Sequence(), uint64(s.opts.KeepRecords)) + 1
	var old [][]byte
	c := bucket.Cursor()
	for k, _ := c.First(); k != nil && len(old) < limit; k, _ = c.Next() {
		seq, wall, err := parseHistoryKey(k)
		if err != nil {
			return err
		}
		if seq >= first && wall >= oldest {
			break
		}
		old = append(old, k)
	}
	for _, k := range old {
		if err := bucket.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// Records returns the latest records that q selects, oldest first.
func (s *Store) Records(ctx context.Context, q Query) ([]StoredRecord, error) {
	if q.Limit <= 0 {
		q.Limit = 1000
	}
	since := int64(0)
	if !q.Since.IsZero() {
		since = q.Since.UnixNano()
	}
	mention, err := encode(q.Instance)
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	var out []StoredRecord
	err = s.view(ctx, "the history", func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketHistory).Cursor()
		seen := 0
		for k, v := c.Last(); k != nil && len(out) < q.Limit; k, v = c.Prev() {
			if seen++; seen%1024 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			_, wall, err := parseHistoryKey(k)
			if err != nil {
				return err
			}
			// Most rows are sorted out without the cost of decoding them.
			if wall < since || q.Instance != "" && !bytes.Contains(v, mention) {
				continue
			}
			var r StoredRecord
			if err := json.Unmarshal(v, &r); err != nil {
				return err
			}
			if q.selects(r) {
				out = append(out, r)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Reverse(out)
	return out, nil
}

func (q Query) selects(r StoredRecord) bool {
	return (q.Instance == "" || q.Instance == r.Instance) &&
		(q.Service == "" || q.Service == r.ServiceID || q.Service == r.Namespace+"/"+r.Service) &&
		(len(q.Kinds) == 0 || slices.Contains(q.Kinds, r.Kind))
}

// historyKey is the order of arrival, which is the order of keys, and the wall
// time, which need not be: a clock may have been set back.
func historyKey(seq uint64, wall int64) []byte {
	key := binary.BigEndian.AppendUint64(nil, seq)
	return binary.BigEndian.AppendUint64(key, uint64(wall))
}

func parseHistoryKey(key []byte) (seq uint64, wall int64, err error) {
	if len(key) != 16 {
		return 0, 0, fmt.Errorf("a key of the history has %d bytes instead of 16", len(key))
	}
	return binary.BigEndian.Uint64(key), int64(binary.BigEndian.Uint64(key[8:])), nil
}
