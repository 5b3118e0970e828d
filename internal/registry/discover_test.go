package registry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mapwarden/mapwarden/internal/registry"
)

func TestDiscover(t *testing.T) {
	r := open(t, registry.Options{})
	checked := service(t, r, true)
	ns := r.View(checked).NamespaceID
	plain := must[*registry.Service](t)(r.CreateService(registry.NewService{Name: "plain", NamespaceID: ns})).ID
	down := must[*registry.Service](t)(r.CreateService(registry.NewService{Name: "down", NamespaceID: ns, CustomHealth: true})).ID
	bad := func(attrs map[string]string) map[string]string {
		attrs[registry.AttrInitHealth] = "UNHEALTHY"
		return attrs
	}
	register(t, r, checked, "a", map[string]string{"zone": "1", "v": "1"})
	register(t, r, checked, "b", map[string]string{"zone": "1", "v": "2"})
	register(t, r, checked, "c", bad(map[string]string{"zone": "1", "v": "3"}))
	register(t, r, checked, "d", bad(map[string]string{"zone": "2", "v": "1"}))
	register(t, r, plain, "p", map[string]string{"zone": "1"})
	register(t, r, down, "x", bad(map[string]string{"zone": "1"}))
	register(t, r, down, "y", bad(map[string]string{"zone": "2"}))

	zone := func(z string) map[string]string { return map[string]string{"zone": z} }
	for _, tt := range []struct {
		service      string
		health       registry.HealthFilter
		must, prefer map[string]string
		want         string
	}{
		{"web", "", nil, nil, "a b"},
		{"web", registry.OnlyHealthy, nil, nil, "a b"},
		{"web", registry.OnlyUnhealthy, nil, nil, "c d"},
		{"web", registry.AnyHealth, nil, nil, "a b c d"},
		{"web", registry.HealthyOrElseAll, nil, nil, "a b"},
		{"down", "", nil, nil, ""},
		{"down", registry.HealthyOrElseAll, nil, nil, "x y"},
		// The query narrows before health is looked at: zone 2 has no healthy one.
		{"web", registry.HealthyOrElseAll, zone("2"), nil, "d"},
		{"web", registry.OnlyHealthy, zone("2"), nil, ""},
		{"web", registry.AnyHealth, zone("1"), nil, "a b c"},
		{"web", registry.AnyHealth, map[string]string{"zone": "1", "v": "2"}, nil, "b"},
		{"web", registry.AnyHealth, map[string]string{"colour": ""}, nil, ""},
		{"web", registry.AnyHealth, map[string]string{registry.AttrInitHealth: "UNHEALTHY"}, nil, "c d"},
		// A preference applies to what health left, and never empties it.
		{"web", "", nil, map[string]string{"v": "2"}, "b"},
		{"web", "", nil, map[string]string{"v": "3"}, "a b"},
		{"web", registry.AnyHealth, zone("1"), map[string]string{"v": "1"}, "a"},
		// Without a check there is nothing to filter by.
		{"plain", registry.OnlyUnhealthy, nil, nil, "p"},
		{"plain", registry.OnlyHealthy, zone("1"), nil, "p"},
	} {
		found := must[registry.Discovery](t)(r.Discover(registry.Query{
			Namespace: "prod", Service: tt.service, Health: tt.health, Must: tt.must, Prefer: tt.prefer})).Instances()
		slices.SortFunc(found, func(a, b *registry.Instance) int { return strings.Compare(a.ID, b.ID) })
		if got := ids(found); got != tt.want {
			t.Errorf("%s %q must %v prefer %v = %q, want %q", tt.service, tt.health, tt.must, tt.prefer, got, tt.want)
		}
		for _, inst := range found {
			if tt.service == "plain" && inst.Health != registry.Unknown {
				t.Errorf("an instance without check is %s", inst.Health)
			}
		}
	}
	for says, q := range map[string]registry.Query{
		"NamespaceName: is required": {Service: "web"},
		"ServiceName: is required":   {Namespace: "prod"},
		"MaxResults: 0":              {Namespace: "prod", Service: "web", Max: ptr(int32(0))},
		"MaxResults: 1001":           {Namespace: "prod", Service: "web", Max: ptr(int32(1001))},
		"HealthStatus":               {Namespace: "prod", Service: "web", Health: "SICK"},
		"OwnerAccount":               {Namespace: "prod", Service: "web", Owner: "1"},
	} {
		_, err := r.Discover(q)
		refused(t, err, registry.InvalidInput, says)
	}
	_, err := r.Discover(registry.Query{Namespace: "prod", Service: "none"})
	refused(t, err, registry.ServiceNotFound, "none")
	_, err = r.Discover(registry.Query{Namespace: "prod", Service: "web", Owner: "999999999999"})
	refused(t, err, registry.NamespaceNotFound, "prod")
}

// TestDiscoverDraws checks the limits, and that each answer is a fresh draw.
func TestDiscoverDraws(t *testing.T) {
	r := open(t, registry.Options{})
	svc := service(t, r, false)
	for i := range 120 {
		register(t, r, svc, fmt.Sprintf("%03d", i), nil)
	}
	ask := func(most *int32) []*registry.Instance {
		return must[registry.Discovery](t)(r.Discover(registry.Query{Namespace: "prod", Service: "web", Max: most})).Instances()
	}
	if n := len(ask(nil)); n != 100 {
		t.Errorf("%d instances by default, want 100", n)
	}
	if n := len(ask(ptr(int32(1000)))); n != 120 {
		t.Errorf("%d instances of at most 1000, want 120", n)
	}
	seen := make(map[string]bool)
	for range 3000 { // a given instance is missed with probability (119/120)^3000, about 1e-11
		one := ask(ptr(int32(1)))
		if len(one) != 1 {
			t.Fatalf("%d instances of at most 1", len(one))
		}
		seen[one[0].ID] = true
	}
	if len(seen) != 120 {
		t.Errorf("only %d of 120 instances were ever drawn", len(seen))
	}
	if view := r.View(svc); !slices.IsSortedFunc(view.Instances, func(a, b *registry.Instance) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("drawing disturbed the view")
	}
}

// TestRevision checks that a registration, a new one or not, and a
// deregistration raise the revision, and that health does not.
func TestRevision(t *testing.T) {
	r := open(t, registry.Options{})
	svc := service(t, r, true)
	last := r.View(svc).Revision
	raised := func() bool {
		now := must[int64](t)(r.DiscoverRevision(registry.Query{Namespace: "prod", Service: "web"}))
		defer func() { last = now }()
		return now > last
	}
	register(t, r, svc, "a", nil)
	if !raised() {
		t.Error("not raised by registering")
	}
	register(t, r, svc, "a", map[string]string{"k": "v"})
	if !raised() {
		t.Error("not raised by registering again")
	}
	if err := r.SetCustomHealth(svc, "a", registry.Unhealthy); err != nil {
		t.Fatal(err)
	}
	if raised() {
		t.Error("raised by health")
	}
	must[string](t)(r.Deregister(svc, "a"))
	if !raised() {
		t.Error("not raised by deregistering")
	}
}

func BenchmarkDiscover(b *testing.B) {
	r := open(b, registry.Options{})
	svc := service(b, r, true)
	for i := range 100 {
		register(b, r, svc, fmt.Sprintf("%03d", i), map[string]string{registry.AttrIPv4: "10.0.0.1", registry.AttrPort: "80"})
	}
	q := registry.Query{Namespace: "prod", Service: "web", Health: registry.HealthyOrElseAll}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.Discover(q); err != nil {
				b.Fatal(err)
			}
		}
	})
}
