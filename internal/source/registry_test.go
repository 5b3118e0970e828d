package source_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
	"github.com/mapwarden/mapwarden/internal/source"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// await returns the next event for which want is true.
func await[T warden.Event](t *testing.T, events <-chan warden.Event, want func(T) bool) T {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case x := <-events:
			if x, ok := x.(T); ok && want(x) {
				return x
			}
		case <-deadline:
			t.Fatalf("no such %T within 30 s", *new(T))
		}
	}
}

// TestAgainstARegistry lists a registry through the real client, over a real
// socket, while an instance leaves and until the registry goes away.
func TestAgainstARegistry(t *testing.T) {
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	server := httptest.NewServer(awsjson.New(reg))
	defer server.Close()
	client, err := cloudmap.New(t.Context(), cloudmap.Config{URL: server.URL, LoopbackOnly: true, WritesPerSecond: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	svc := fill(t, client, 250)

	events := make(chan warden.Event, 16)
	started := time.Now()
	src := source.New(client.NewReader(""), source.Config{
		Poll:    20 * time.Millisecond,
		Deliver: func(x warden.Event) { events <- x },
		Now:     func() health.Instant { return health.Instant(1).Add(time.Since(started)) },
	})
	ctx, cancel := context.WithCancel(t.Context())
	var g errgroup.Group
	g.Go(func() error { return src.Run(ctx) })
	defer func() {
		cancel()
		done := make(chan struct{})
		go func() { g.Wait(); close(done) }()
		for {
			select {
			case <-events: // let deliveries under way end
			case <-done:
				return
			}
		}
	}()

	services := await(t, events, func(l warden.ServicesListed) bool { return true })
	if !services.Complete || len(services.Services) != 1 || services.Services[0].Service != svc || services.Services[0].HealthCheck != warden.CustomHealthCheck {
		t.Errorf("services %+v", services)
	}
	first := await(t, events, func(l warden.InstancesListed) bool { return true })
	if !first.Complete || first.Service != svc.ID || len(first.Instances) != 250 || first.Instances[7].Status != health.Healthy {
		t.Errorf("a listing of %d instances, complete %v", len(first.Instances), first.Complete)
	}
	if _, err := client.NewWriter().Deregister(t.Context(), svc.ID, "i-100"); err != nil {
		t.Fatal(err)
	}
	next := await(t, events, func(l warden.InstancesListed) bool { return len(l.Instances) == 249 })
	if !next.Complete || next.Started <= first.Started {
		t.Errorf("the next listing: complete %v, begun at %d after %d", next.Complete, next.Started, first.Started)
	}
	server.CloseClientConnections()
	server.Listener.Close()
	await(t, events, func(l warden.ListingFailed) bool { return l.Service == svc.ID && l.Message != "" })
	await(t, events, func(l warden.ListingFailed) bool { return l.Service == "" && l.Message != "" })
}

func fill(t *testing.T, client *cloudmap.Client, n int) health.Service {
	t.Helper()
	made, err := client.NewProvisioner()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := made.HTTPNamespace(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	svc, err := made.Service(t.Context(), ns, "svc", true)
	if err != nil {
		t.Fatal(err)
	}
	svc.Namespace = "test"
	w := client.NewWriter()
	for i := range n {
		if _, err := w.Register(t.Context(), svc.ID, fmt.Sprintf("i-%03d", i), health.AttributesOf(map[string]string{"AWS_INSTANCE_IPV4": "127.0.0.1"}), ""); err != nil {
			t.Fatal(err)
		}
	}
	return svc
}
