package web

import (
	"context"
	"time"

	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// Mind is the judgement that is shown and that operators speak to.
type Mind interface {
	// Snapshot returns the latest picture. It never blocks and is never nil;
	// before the first listing its Synced is false.
	Snapshot() *warden.Snapshot
	// Explain says why an instance is in or out. The service is its id or
	// "namespace/name". It reports false where there is no such instance, and
	// an error only where the mind did not answer.
	Explain(ctx context.Context, service, instance string) (warden.Explanation, bool, error)
	// Command hands over an operator's wish: Freeze, Unfreeze, Release,
	// RestoreAsked or Retire. It returns when the mind has taken it.
	Command(ctx context.Context, e warden.Event) error
}

// History is what was recorded.
type History interface {
	// Records returns the latest records that q selects, oldest first.
	Records(ctx context.Context, q HistoryQuery) ([]Record, error)
}

// HistoryQuery selects records.
type HistoryQuery struct {
	Since    time.Time           // records at or after; the zero time is the beginning
	Service  string              // "namespace/service" or a service id; "" is all
	Instance string              // instance id; "" is all
	Kinds    []warden.RecordKind // empty is all
	Limit    int                 // at most this many, the latest; above 0
}

// Journal is what is out because of us.
type Journal interface {
	// Entries returns all open entries, in any order.
	Entries(ctx context.Context) ([]lever.Entry, error)
}

// Prober is what the metrics say of probing.
type Prober interface {
	// ProbeStats returns counters since the start and gauges now. The caller
	// owns what it gets.
	ProbeStats() ProbeStats
}

// ProbeStats are a prober's counters and gauges.
type ProbeStats struct {
	Probes   []ProbeCount
	Lateness Lateness
	Dropped  uint64 // results that nobody wanted any more, or that found no way out
	Waiting  int    // due, without room to run
	InFlight int    // running
}

// ProbeCount counts the probes that found one thing.
type ProbeCount struct {
	Outcome string // health.Outcome
	Cause   string // health.Cause
	Count   uint64
}

// Lateness is how late probes began, as a histogram in seconds: counts per
// bound, not cumulative, and one more for what lies above them all.
type Lateness struct {
	Bounds []float64
	Counts []uint64
	Sum    float64
}
