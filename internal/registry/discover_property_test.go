package registry_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// TestDiscoverProperty holds the order of DiscoverInstances against its plain
// reading: what the query asks for, of that what the health filter lets
// through, of that what is preferred, if any.
func TestDiscoverProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r, err := registry.Open(registry.Options{})
		if err != nil {
			rt.Fatal(err)
		}
		defer r.Close()
		checked := rapid.Bool().Draw(rt, "checked")
		id := service(t, r, checked)
		attrs := rapid.MapOf(rapid.SampledFrom([]string{"zone", "v"}), rapid.SampledFrom([]string{"1", "2"}))
		for i := range rapid.IntRange(0, 8).Draw(rt, "instances") {
			own := attrs.Draw(rt, "attributes")
			if checked && rapid.Bool().Draw(rt, "sick") {
				own[registry.AttrInitHealth] = "UNHEALTHY"
			}
			register(t, r, id, fmt.Sprint("i-", i), own)
		}
		most := rapid.Int32Range(1, 10).Draw(rt, "most")
		q := registry.Query{
			Namespace: "prod", Service: "web", Must: attrs.Draw(rt, "must"), Prefer: attrs.Draw(rt, "prefer"), Max: &most,
			Health: rapid.SampledFrom([]registry.HealthFilter{"", registry.OnlyHealthy, registry.OnlyUnhealthy, registry.AnyHealth, registry.HealthyOrElseAll}).Draw(rt, "health"),
		}
		answer, err := r.Discover(q)
		if err != nil {
			rt.Fatal(err)
		}
		want := plainDiscover(r.View(id), q)
		if len(answer.Drawn) != min(len(want), int(most)) {
			rt.Fatalf("%d instances, want %d of at most %d", len(answer.Drawn), len(want), most)
		}
		seen := make(map[string]bool)
		for _, i := range answer.Instances() {
			if seen[i.ID] || !slices.Contains(want, i) {
				rt.Fatalf("%s is twice in the answer, or should not be: want some of %s", i.ID, ids(want))
			}
			seen[i.ID] = true
		}
	})
}

func plainDiscover(v *registry.ServiceView, q registry.Query) []*registry.Instance {
	where := func(from []*registry.Instance, ok func(*registry.Instance) bool) (kept []*registry.Instance) {
		for _, i := range from {
			if ok(i) {
				kept = append(kept, i)
			}
		}
		return kept
	}
	has := func(attrs map[string]string) func(*registry.Instance) bool {
		return func(i *registry.Instance) bool {
			for key, value := range attrs {
				if i.Attributes.Get(key) != value {
					return false
				}
			}
			return true
		}
	}
	is := func(h registry.HealthStatus) func(*registry.Instance) bool {
		return func(i *registry.Instance) bool { return i.Health == h }
	}
	asked := where(v.Instances, has(q.Must))
	if v.CustomHealth {
		healthy := where(asked, is(registry.Healthy))
		switch {
		case q.Health == "", q.Health == registry.OnlyHealthy, q.Health == registry.HealthyOrElseAll && len(healthy) > 0:
			asked = healthy
		case q.Health == registry.OnlyUnhealthy:
			asked = where(asked, is(registry.Unhealthy))
		}
	}
	if preferred := where(asked, has(q.Prefer)); len(preferred) > 0 {
		return preferred
	}
	return asked
}
