package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/probe"
	"github.com/mapwarden/mapwarden/internal/store"
	"github.com/mapwarden/mapwarden/internal/web"
)

// What follows fits one edge to what another declares that it needs, so that
// the two need not know each other.

// history is the store as the page's History.
type history struct{ store *store.Store }

func (h history) Records(ctx context.Context, q web.HistoryQuery) ([]web.Record, error) {
	stored, err := h.store.Records(ctx, store.Query(q))
	if err != nil {
		return nil, err
	}
	out := make([]web.Record, len(stored))
	for i, r := range stored {
		out[i] = web.Record(r)
	}
	return out, nil
}

// journal is the store's journal as the page's Journal.
type journal struct{ *store.Journal }

func (j journal) Entries(ctx context.Context) ([]lever.Entry, error) { return j.List(ctx) }

// probeCounters are the engine's counters as the metrics want them.
type probeCounters struct{ engine *probe.Engine }

func (p probeCounters) ProbeStats() web.ProbeStats {
	s := p.engine.Stats()
	out := web.ProbeStats{
		Lateness: web.Lateness(s.Lateness), Dropped: s.Dropped, Waiting: s.Waiting, InFlight: s.InFlight,
	}
	for found, n := range s.Probes {
		out.Probes = append(out.Probes, web.ProbeCount{Outcome: found.Outcome.String(), Cause: found.Cause.String(), Count: n})
	}
	slices.SortFunc(out.Probes, func(a, b web.ProbeCount) int {
		return cmp.Or(cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Cause, b.Cause))
	})
	return out
}
