package registry_test

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// open returns a registry that closes with the test; a path makes it durable.
func open(t *testing.T, opts registry.Options) *registry.Registry {
	t.Helper()
	r, err := registry.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// must returns v; it ends the test on an error.
func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// run runs the registry until the test ends.
func run(t *testing.T, r *registry.Registry) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func namespaceOf(t *testing.T, r *registry.Registry, operationID string) string {
	t.Helper()
	op, err := r.Operation(operationID, "")
	if err != nil {
		t.Fatal(err)
	}
	return op.Targets[registry.NamespaceTarget]
}

func TestDurable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	r := open(t, registry.Options{Path: path})
	opID := must(t, "", nil)
	opID, err := r.CreateNamespace(registry.NewNamespace{Name: "prod", Type: registry.HTTPNamespace})
	ns := namespaceOf(t, r, must(t, opID, err))
	svc, err := r.CreateService(registry.NewService{Name: "web", NamespaceID: ns, CustomHealth: true})
	must(t, svc, err)
	for _, id := range []string{"b", "a"} {
		opID, err = r.Register(registry.Registration{ServiceID: svc.ID, InstanceID: id, Attributes: map[string]string{"k": id}})
		must(t, opID, err)
	}
	if err := r.SetCustomHealth(svc.ID, "a", registry.Unhealthy); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, registry.Options{Path: path})
	found, err := r.Discover(registry.Query{Namespace: "prod", Service: "web"})
	if err != nil || len(found.Instances) != 1 || found.Instances[0].ID != "b" {
		t.Errorf("Discover after reopening = %v, %v", found, err)
	}
}

func TestOperationTiming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, registry.Options{OperationDelay: 200 * time.Millisecond})
		run(t, r)
		opID, err := r.CreateNamespace(registry.NewNamespace{Name: "prod", Type: registry.HTTPNamespace})
		must(t, opID, err)
		for _, step := range []struct {
			after time.Duration
			want  registry.OperationStatus
		}{{0, registry.Submitted}, {100 * time.Millisecond, registry.Pending}, {100 * time.Millisecond, registry.Success}} {
			time.Sleep(step.after)
			synctest.Wait()
			if op := must(t, mustOp(t, r, opID), nil); op.Status != step.want {
				t.Errorf("status %s, want %s", op.Status, step.want)
			}
		}
	})
}

func mustOp(t *testing.T, r *registry.Registry, id string) *registry.Operation {
	t.Helper()
	op, err := r.Operation(id, "")
	return must(t, op, err)
}
