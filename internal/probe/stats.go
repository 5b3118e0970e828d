package probe

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// Result is one combination of outcome and cause.
type Result struct {
	Outcome health.Outcome
	Cause   health.Cause
}

// Stats are an engine's counters since it was made, and its gauges now.
type Stats struct {
	Probes   map[Result]uint64 // observations by what they found
	Lateness Histogram         // start minus due, seconds, of probes that ran
	Dropped  uint64            // observations of targets that had gone, or that found no way out

	Targets  int // watched
	Waiting  int // due, without room to run
	InFlight int // running
}

// Histogram counts values by upper bound; Counts has one more entry than
// Bounds, for what lies above them all. The counts are not cumulative.
type Histogram struct {
	Bounds []float64 // seconds, upper bounds, included
	Counts []uint64
	Sum    float64
}

// meter is what Stats are taken from.
type meter struct {
	mu    sync.Mutex
	stats Stats
}

func newMeter() *meter {
	bounds := []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5}
	return &meter{stats: Stats{
		Probes:   map[Result]uint64{},
		Lateness: Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)},
	}}
}

// Stats returns the engine's counters and gauges. The caller owns them.
func (e *Engine) Stats() Stats {
	m := e.loop.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Probes = maps.Clone(s.Probes)
	s.Lateness.Bounds = slices.Clone(s.Lateness.Bounds)
	s.Lateness.Counts = slices.Clone(s.Lateness.Counts)
	return s
}

func (m *meter) observed(o health.Observation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Probes[Result{o.Outcome, o.Cause}]++
	if o.Cause == health.Overloaded {
		return
	}
	h := &m.stats.Lateness
	late := max(o.Start.Sub(o.Due), time.Duration(0)).Seconds()
	i, _ := slices.BinarySearch(h.Bounds, late)
	h.Counts[i]++
	h.Sum += late
}

func (m *meter) dropped() {
	m.mu.Lock()
	m.stats.Dropped++
	m.mu.Unlock()
}

func (m *meter) gauges(targets, waiting, inFlight int) {
	m.mu.Lock()
	m.stats.Targets, m.stats.Waiting, m.stats.InFlight = targets, waiting, inFlight
	m.mu.Unlock()
}
