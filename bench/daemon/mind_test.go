//go:build linux || darwin

package main

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/config"
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// BenchmarkMind is the part of a probe's cost that is not probing: 2,000
// targets in 20 services report once a second, in batches as the engine makes
// them, and four snapshots a second are drawn. Observing, nothing is written.
func BenchmarkMind(b *testing.B) {
	for _, c := range []struct {
		name    string
		failing int // percent
	}{{"all pass", 0}, {"a tenth fails", 10}} {
		b.Run(c.name, func(b *testing.B) { benchmarkMind(b, c.failing) })
	}
}

func benchmarkMind(b *testing.B, failing int) {
	const (
		targets, services = 2000, 20
		batch             = 20 // of 10 ms
		perSnapshot       = 25
	)
	f, err := config.Parse("bench.yaml", []byte(`mode: observe
registry: {url: "http://127.0.0.1:1", region: us-east-1}
defaults: {check: {tcp: {}, interval: 1s, timeout: 500ms}, safety: {warmup: 1s, prove: 0s}}
`), config.Flags{})
	if err != nil {
		b.Fatal(err)
	}
	now := health.Instant(time.Second)
	mind := warden.New()
	watched := make([]health.Handle, 0, targets)
	handle := func(events ...warden.Event) {
		for _, e := range mind.Handle(now, events) {
			if w, ok := e.(warden.Watch); ok {
				watched = append(watched, w.Target.Handle)
			}
		}
	}
	handle(warden.Clock{Wall: 1}, warden.Configured{Config: f.Warden()}, warden.Loaded{})
	handle(registered(services, targets/services)...)
	if len(watched) != targets {
		b.Fatalf("%d targets are watched, not %d", len(watched), targets)
	}
	next := 0
	step := func() {
		now = now.Add(10 * time.Millisecond)
		seen := make([]health.Observation, batch)
		for k := range seen {
			o := health.Observation{Target: watched[next], Outcome: health.Pass, Due: now, Start: now, End: now}
			if next%100 < failing && now > health.Instant(5*time.Second) {
				o.Outcome, o.Cause, o.Detail = health.Fail, health.Refused, "connect: connection refused"
			}
			seen[k] = o
			next = (next + 1) % targets
		}
		handle(warden.Observed{Observations: seen})
	}
	for now < health.Instant(15*time.Second) {
		step()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		step()
		if i%perSnapshot == 0 {
			mind.Snapshot(now)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/probe")
	if got := mind.Snapshot(now).Totals; b.N > targets/batch && got.Failing != targets*failing/100 {
		b.Fatalf("%d of %d targets fail", got.Failing, targets)
	}
}

// registered is a first listing of everything.
func registered(services, each int) []warden.Event {
	all := warden.ServicesListed{Complete: true}
	events := []warden.Event{}
	for i := range services {
		s := health.Service{ID: "srv-" + strconv.Itoa(i), Name: serviceName(i), Namespace: "bench"}
		kind := warden.NoHealthCheck
		if custom(i) {
			kind = warden.CustomHealthCheck
		}
		all.Services = append(all.Services, warden.ServiceFound{Service: s, HealthCheck: kind})
		listing := warden.InstancesListed{Service: s.ID, Complete: true, Started: 1}
		for k := range each {
			addr := netip.AddrFrom4([4]byte{10, 0, byte(i), byte(k)})
			listing.Instances = append(listing.Instances, warden.InstanceFound{
				ID: instanceName(k), Status: health.Healthy,
				Attributes: health.AttributesOf(map[string]string{health.AttrIPv4: addr.String(), health.AttrPort: "80"}),
			})
		}
		events = append(events, listing)
	}
	return append([]warden.Event{all}, events...)
}
