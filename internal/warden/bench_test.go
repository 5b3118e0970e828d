package warden_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/quorum"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// BenchmarkHandle is the mind's cost of steady passes of 10,000 targets in 100
// services, in batches as the probe engine sends them.
func BenchmarkHandle(b *testing.B) {
	b.Run("alone", func(b *testing.B) { benchHandle(b, 1) })
	b.Run("of three", func(b *testing.B) { benchHandle(b, 3) })
}

func benchHandle(b *testing.B, vantages int) {
	const services, each, batch = 100, 100, 250
	names := make([]string, services)
	for i := range names {
		names[i] = fmt.Sprintf("s%03d", i)
	}
	cfg := testConfig()
	cfg.Vantage = quorum.Vantage{Checker: "0", Zone: "0"}
	cfg.Quorum.Count, cfg.VoteTTL = vantages, time.Hour
	m := newMind(b, cfg)
	m.tell(warden.Loaded{}, found(warden.CustomHealthCheck, names...))
	for i, name := range names {
		var is []warden.InstanceFound
		for k := range each {
			is = append(is, instance(fmt.Sprintf("%s-%d", name, k), fmt.Sprintf("10.1.%d.%d", i, k+1)))
		}
		m.tell(m.listing(name, is...))
	}
	m.probe(12)
	ids := make([]string, 0, len(m.targets))
	for id := range m.targets {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for k := 1; k < vantages; k++ { // each other one has said that all passes
		m.tell(warden.VotesAsked{})
		name := fmt.Sprint(k)
		m.tell(warden.Voted{Vantage: quorum.Vantage{Checker: name, Zone: name}, Full: true, Votes: m.casts[len(m.casts)-1].Votes})
	}
	var batches []warden.Observed
	for chunk := range slices.Chunk(ids, batch) {
		var o warden.Observed
		for _, id := range chunk {
			o.Observations = append(o.Observations, m.seen(id, health.Pass, health.NoCause))
		}
		batches = append(batches, o)
	}
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for b.Loop() {
		o := batches[n%len(batches)]
		n++
		m.now = m.now.Add(25 * time.Millisecond) // 10,000 a second
		for i := range o.Observations {
			x := &o.Observations[i]
			x.Due, x.Start, x.End = m.now, m.now, m.now
		}
		m.w.Handle(m.now, []warden.Event{o})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*batch), "ns/observation")
}
