package registry_test

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// changed reports whether the registry said that Checked may have changed.
func changed(r *registry.Registry) bool {
	select {
	case <-r.CheckedChanged():
		return true
	default:
		return false
	}
}

func at(addr string) map[string]string {
	a := netip.MustParseAddrPort(addr)
	key := registry.AttrIPv4
	if a.Addr().Is6() {
		key = registry.AttrIPv6
	}
	return map[string]string{key: a.Addr().String(), registry.AttrPort: addr[len(addr)-2:]}
}

func TestChecked(t *testing.T) {
	r := open(t, registry.Options{})
	in := newSpaces(t, r)
	create := func(n registry.NewService) string { return must[*registry.Service](t)(r.CreateService(n)).ID }
	plain := create(registry.NewService{NamespaceID: in.http, Name: "plain", HealthCheck: checked("TCP", "")})
	both := create(registry.NewService{NamespaceID: in.public, Name: "both",
		DNS: records(registry.RecordA, registry.RecordAAAA), HealthCheck: checked("HTTP", "/up")})
	none := create(registry.NewService{NamespaceID: in.http, Name: "none"})
	if changed(r) || len(r.Checked()) != 0 {
		t.Error("services without instances count")
	}
	register(t, r, none, "i", at("10.0.0.9:80"))
	if changed(r) {
		t.Error("an instance without a check counts")
	}
	register(t, r, plain, "six", at("[fd00::1]:80"))
	op := register(t, r, both, "two", map[string]string{registry.AttrIPv4: "10.0.0.2", registry.AttrIPv6: "fd00::2", registry.AttrPort: "8080"})
	register(t, r, both, "elb", map[string]string{registry.AttrAlias: "elb.example.com"})
	if !changed(r) || changed(r) {
		t.Error("changes are not told once")
	}
	found := r.Checked()
	if len(found) != 2 {
		t.Fatalf("checked = %+v", found)
	}
	byID := map[string]registry.Checked{found[0].InstanceID: found[0], found[1].InstanceID: found[1]}
	if got := byID["six"]; got.Endpoint != netip.MustParseAddrPort("[fd00::1]:80") || got.Host != "" || got.ServiceID != plain {
		t.Errorf("six = %+v", got)
	}
	want := registry.Checked{
		ServiceID: both, InstanceID: "two", RegisteredBy: op, Host: "both.example.com", Endpoint: netip.MustParseAddrPort("10.0.0.2:8080"),
		Check: registry.HealthCheck{Type: registry.CheckHTTP, ResourcePath: "/up", FailureThreshold: 3},
	}
	if got := byID["two"]; got != want {
		t.Errorf("two = %+v, want %+v", got, want)
	}
	must[string](t)(r.Deregister(plain, "six"))
	if !changed(r) || len(r.Checked()) != 1 {
		t.Errorf("after deregistering: %+v", r.Checked())
	}
	must[string](t)(r.UpdateService(registry.ServiceUpdate{ID: both, Records: records(registry.RecordA, registry.RecordAAAA).Records}))
	if !changed(r) || len(r.Checked()) != 0 {
		t.Errorf("after removing the check: %+v", r.Checked())
	}
}

func TestSetObserved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	r := must[*registry.Registry](t)(registry.Open(registry.Options{Path: path}))
	in := newSpaces(t, r)
	svc := must[*registry.Service](t)(r.CreateService(registry.NewService{
		NamespaceID: in.public, Name: "web", DNS: records(registry.RecordA), HealthCheck: checked("HTTP", "")})).ID
	register(t, r, svc, "a", at("10.0.0.1:80"))
	set := func(c registry.Checked, to, want registry.HealthStatus) {
		t.Helper()
		if err := r.SetObserved([]registry.Observed{{Checked: c, Status: to}}); err != nil {
			t.Fatal(err)
		}
		if inst := r.View(svc).Instance("a"); inst != nil && inst.Health != want {
			t.Errorf("status %s, want %s", inst.Health, want)
		}
	}
	revision := r.View(svc).Revision
	first := r.Checked()[0]
	set(first, registry.Healthy, registry.Healthy)
	set(first, registry.Unhealthy, registry.Unhealthy)
	if got := r.View(svc).Revision; got != revision {
		t.Error("health changes the revision")
	}

	// Registered again, the old result is about a life that is over.
	register(t, r, svc, "a", at("10.0.0.1:80"))
	set(first, registry.Unhealthy, registry.Unknown)
	second := r.Checked()[0]
	set(second, registry.Unhealthy, registry.Unhealthy)

	// A check of another path says nothing of this one; the status stays.
	must[string](t)(r.UpdateService(registry.ServiceUpdate{ID: svc, Records: records(registry.RecordA).Records, HealthCheck: checked("HTTP", "/up")}))
	set(second, registry.Healthy, registry.Unhealthy)

	// What was observed last outlives the process.
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, registry.Options{Path: path})
	if got := r.View(svc).Instance("a").Health; got != registry.Unhealthy {
		t.Errorf("after a restart the status is %s", got)
	}

	// Without the check there is no status, and a new one starts anew.
	third := r.Checked()[0]
	must[string](t)(r.UpdateService(registry.ServiceUpdate{ID: svc, Records: records(registry.RecordA).Records}))
	set(third, registry.Healthy, registry.Unknown)
	must[string](t)(r.Deregister(svc, "a"))
	set(third, registry.Healthy, registry.Unknown)
	set(registry.Checked{ServiceID: "srv-none"}, registry.Healthy, registry.Unknown)
}
