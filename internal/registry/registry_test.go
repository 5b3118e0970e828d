package registry_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// open returns a registry that closes with the test.
func open(t testing.TB, opts registry.Options) *registry.Registry {
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

// must returns v, and ends the test on an error.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// namespace creates a namespace in a registry without operation delay.
func namespace(t testing.TB, r *registry.Registry, n registry.NewNamespace) string {
	t.Helper()
	id := must[string](t)(r.CreateNamespace(n))
	return must[*registry.Operation](t)(r.Operation(id, "")).Targets.Namespace
}

// service creates the service web, with a custom health check or without, in a
// new HTTP namespace prod.
func service(t testing.TB, r *registry.Registry, checked bool) string {
	t.Helper()
	ns := namespace(t, r, registry.NewNamespace{Name: "prod", Type: registry.HTTPNamespace})
	return must[*registry.Service](t)(r.CreateService(registry.NewService{Name: "web", NamespaceID: ns, CustomHealth: checked})).ID
}

func register(t testing.TB, r *registry.Registry, service, id string, attrs map[string]string) string {
	t.Helper()
	if attrs == nil {
		attrs = map[string]string{}
	}
	return must[string](t)(r.Register(registry.Registration{ServiceID: service, InstanceID: id, Attributes: attrs}))
}

// refused checks that err is a refusal with that code whose message has words.
func refused(t testing.TB, err error, code registry.Code, words string) {
	t.Helper()
	var refusal *registry.Error
	if !errors.As(err, &refusal) || refusal.Code != code || !strings.Contains(refusal.Message, words) {
		t.Errorf("error = %v, want %s with %q", err, code, words)
	}
}

func ids(instances []*registry.Instance) string {
	var list []string
	for _, i := range instances {
		list = append(list, i.ID)
	}
	return strings.Join(list, " ")
}
