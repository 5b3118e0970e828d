package registry_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// TestQuotas fills an account up, and checks that what is in flight counts,
// that what goes away makes room, and that a restart counts the same.
func TestQuotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := registry.Options{
			OperationDelay: time.Second, Path: filepath.Join(t.TempDir(), "r"),
			Quotas: registry.Quotas{Namespaces: 2, InstancesPerService: 2, InstancesPerNamespace: 3},
		}
		r := must[*registry.Registry](t)(registry.Open(opts))
		create := func(name string) (string, error) {
			return r.CreateNamespace(registry.NewNamespace{Name: name, Type: registry.HTTPNamespace})
		}
		a := must[*registry.Operation](t)(r.Operation(must[string](t)(create("a")), "")).Targets.Namespace
		b := must[*registry.Operation](t)(r.Operation(must[string](t)(create("b")), "")).Targets.Namespace
		_, err := create("c")
		refused(t, err, registry.ResourceLimitExceeded, "2 namespaces: the quota namespaces is 2")
		time.Sleep(time.Second)
		_, err = create("c")
		refused(t, err, registry.ResourceLimitExceeded, "2 namespaces")
		must[string](t)(r.DeleteNamespace(b))
		time.Sleep(time.Second)
		must[string](t)(create("c"))

		one := must[*registry.Service](t)(r.CreateService(registry.NewService{Name: "one", NamespaceID: a})).ID
		two := must[*registry.Service](t)(r.CreateService(registry.NewService{Name: "two", NamespaceID: a})).ID
		add := func(service, id string) error {
			_, err := r.Register(registry.Registration{ServiceID: service, InstanceID: id, Attributes: map[string]string{}})
			return err
		}
		fits := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		fits(add(one, "1"))
		fits(add(one, "2"))
		full := func() {
			t.Helper()
			refused(t, add(one, "3"), registry.ResourceLimitExceeded, "has 2 instances: the quota instances-per-service is 2")
		}
		full() // both are in flight
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = must[*registry.Registry](t)(registry.Open(opts))
		full() // also after a restart
		time.Sleep(time.Second)
		full() // both are there
		fits(add(one, "1"))
		full() // one of them is being registered again
		time.Sleep(time.Second)
		fits(add(two, "1"))
		refused(t, add(two, "2"), registry.ResourceLimitExceeded, "has 3 instances: the quota instances-per-namespace is 3")
		must[string](t)(r.Deregister(one, "2"))
		refused(t, add(two, "2"), registry.ResourceLimitExceeded, "instances-per-namespace")
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = open(t, opts)
		time.Sleep(time.Second)
		fits(add(two, "2"))
	})
}

func TestNoQuotas(t *testing.T) {
	r := open(t, registry.Options{})
	for i := range 51 {
		must[string](t)(r.CreateNamespace(registry.NewNamespace{Name: long(i + 1), Type: registry.HTTPNamespace}))
	}
	if _, err := registry.Open(registry.Options{Quotas: registry.Quotas{Namespaces: -1}}); err == nil {
		t.Error("a negative quota was taken")
	}
}
