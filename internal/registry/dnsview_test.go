package registry_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// TestHasServiceBelow holds the index against a look at every service, while
// services and instances come and go.
func TestHasServiceBelow(t *testing.T) {
	names := []string{"a", "b.a", "c.b.a", "C.a", "_x._tcp.a", "d", "e.d", ".", "f.."}
	asked := []string{"a", "B.a", "b.a", "_tcp.a", "tcp.a", "d", "c", "", "."}
	rapid.Check(t, func(r *rapid.T) {
		reg, err := registry.Open(registry.Options{})
		if err != nil {
			r.Fatal(err)
		}
		defer reg.Close()
		op, err := reg.CreateNamespace(registry.NewNamespace{Name: "corp", Type: registry.DNSPrivateNamespace, VPC: "vpc-1"})
		if err != nil {
			r.Fatal(err)
		}
		done, err := reg.Operation(op, "")
		if err != nil {
			r.Fatal(err)
		}
		ns, err := reg.Namespace(done.Targets.Namespace)
		if err != nil {
			r.Fatal(err)
		}
		ids := map[string]string{} // name -> id of the service
		full := map[string]bool{}
		for range rapid.IntRange(1, 30).Draw(r, "changes") {
			name := rapid.SampledFrom(names).Draw(r, "name")
			id, exists := ids[name]
			switch {
			case !exists:
				svc, err := reg.CreateService(registry.NewService{Name: name, NamespaceID: ns.ID, DNS: &registry.DNSConfig{
					Records: []registry.DNSRecord{{Type: registry.RecordA, TTL: 1}},
				}})
				if err == nil { // not every name is one
					ids[name] = svc.ID
				}
			case !full[name] && rapid.Bool().Draw(r, "fill"):
				_, err = reg.Register(registry.Registration{ServiceID: id, InstanceID: "i", Attributes: map[string]string{registry.AttrIPv4: "10.0.0.1"}})
				full[name] = true
			case full[name]:
				_, err = reg.Deregister(id, "i")
				full[name] = false
			default:
				err = reg.DeleteService(id)
				delete(ids, name)
			}
			if err != nil {
				r.Fatal(err)
			}
			for _, ask := range asked {
				want := false
				for name := range ids {
					want = want || full[name] && strings.HasSuffix(strings.ToLower(name), "."+strings.ToLower(ask))
				}
				if ask == "" {
					want = false // the namespace itself exists anyway
				}
				if got := reg.HasServiceBelow(ns, ask); got != want {
					r.Fatalf("below %q: %t, want %t; services %v, with instances %v", ask, got, want, ids, full)
				}
			}
		}
	})
}
