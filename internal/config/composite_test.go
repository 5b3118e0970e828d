package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mapwarden/mapwarden/internal/health"
)

// TestChecksOfChecks: parts in the order of the file, with what each of them
// asks; a rule that asks something else inherits nothing of them.
func TestChecksOfChecks(t *testing.T) {
	f, err := Parse("mapwarden.yaml", []byte(`
defaults:
  startup_check: {http: {path: /live}}
  check:
    port: 8080
    all:
      - {name: live, http: {path: /live}}
      - at_least:
          n: 1
          of: [{tcp: {}, port: 9}, {invert: true, any: [{https: {verify: true}}]}]
services:
  - match: a/plain
    startup_check: none
    check: {tcp: {}}
  - match: a/not
    check: {invert: true}
`), Flags{})
	if err != nil {
		t.Fatal(err)
	}
	want := health.Probe{Combine: health.All, Port: 8080, Of: []health.Probe{
		{Name: "live", Protocol: health.HTTP, Path: "/live"},
		{Combine: health.AtLeast, N: 1, Of: []health.Probe{
			{Port: 9},
			{Combine: health.Any, Invert: true, Of: []health.Probe{{Protocol: health.HTTPS, Verify: true}}},
		}},
	}}
	if diff := cmp.Diff(want, f.Defaults.Check.Probe); diff != "" {
		t.Errorf("check (-want +got):\n%s", diff)
	}
	if s := f.Defaults.Check.Startup; s == nil || !s.Equal(health.Probe{Protocol: health.HTTP, Path: "/live"}) {
		t.Errorf("startup check %+v", s)
	}
	plain, not := f.Services[0].Config.Check, f.Services[1].Config.Check
	if !plain.Probe.Equal(health.Probe{Port: 8080}) || plain.Startup != nil {
		t.Errorf("a rule with a check of its own: %+v, started by %v", plain.Probe, plain.Startup)
	}
	want.Invert = true
	if !not.Probe.Equal(want) || not.Startup == nil {
		t.Errorf("a rule that inverts: %+v", not.Probe)
	}
}
