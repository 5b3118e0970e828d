package cloudmap_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// fleet is a registry over a real socket, with a plain and a custom service.
type fleet struct {
	client        *cloudmap.Client
	r             *cloudmap.Reader
	w             *cloudmap.Writer
	plain, custom warden.ServiceFound
}

func newFleet(t testing.TB) fleet {
	t.Helper()
	reg, err := registry.Open(registry.Options{Account: "123456789012"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(awsjson.New(reg))
	t.Cleanup(func() { server.Close(); reg.Close() })
	client, err := cloudmap.New(t.Context(), cloudmap.Config{URL: server.URL, LoopbackOnly: true, WritesPerSecond: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	made, err := client.NewProvisioner()
	if err != nil {
		t.Fatal(err)
	}
	f := fleet{client: client, r: client.NewReader("123456789012"), w: client.NewWriter()}
	ns, err := made.HTTPNamespace(t.Context(), "prod")
	if err != nil {
		t.Fatal(err)
	}
	for to, custom := range map[*warden.ServiceFound]bool{&f.plain: false, &f.custom: true} {
		svc, err := made.Service(t.Context(), ns, map[bool]string{false: "plain", true: "custom"}[custom], custom)
		if err != nil {
			t.Fatal(err)
		}
		svc.Namespace = "prod"
		to.Service = svc
		if custom {
			to.HealthCheck = warden.CustomHealthCheck
		}
	}
	return f
}

func (f fleet) register(t testing.TB, svc warden.ServiceFound, n int) {
	t.Helper()
	for i := range n {
		if _, err := f.w.Register(t.Context(), svc.Service.ID, fmt.Sprintf("i-%04d", i), instance(i), fmt.Sprintf("token-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
}

func instance(i int) health.Attributes {
	return health.AttributesOf(map[string]string{
		"AWS_INSTANCE_IPV4": fmt.Sprintf("10.0.%d.%d", i/250, i%250), "AWS_INSTANCE_PORT": "8080",
		"AVAILABILITY_ZONE": "eu-west-1a", "ECS_CLUSTER_NAME": "prod", "ECS_SERVICE_NAME": "payments", "REGION": "eu-west-1",
	})
}

func TestAgainstTheRegistry(t *testing.T) {
	f := newFleet(t)
	ctx := t.Context()

	services, complete, err := f.r.ListServices(ctx)
	if err != nil || !complete {
		t.Fatalf("complete %v, %v", complete, err)
	}
	want := []warden.ServiceFound{f.plain, f.custom}
	if want[0].Service.ID > want[1].Service.ID {
		want[0], want[1] = want[1], want[0]
	}
	if diff := cmp.Diff(want, services); diff != "" {
		t.Error(diff)
	}

	f.register(t, f.custom, 250)
	if err := f.w.SetStatus(ctx, f.custom.Service.ID, "i-0249", health.Unhealthy); err != nil {
		t.Fatal(err)
	}
	found, complete, err := f.r.ListInstances(ctx, f.custom)
	if err != nil || !complete || len(found) != 250 {
		t.Fatalf("%d instances, complete %v, %v", len(found), complete, err)
	}
	for i, got := range found {
		want := warden.InstanceFound{ID: fmt.Sprintf("i-%04d", i), Attributes: instance(i), Status: health.Healthy}
		if i == 249 {
			want.Status = health.Unhealthy
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("instance %d: %s", i, diff)
		}
	}

	for filter, n := range map[cloudmap.Filter]int{cloudmap.All: 250, cloudmap.OnlyHealthy: 249, cloudmap.HealthyOrElseAll: 249} {
		if got, err := f.r.Discover(ctx, "prod", "custom", filter, 1000); err != nil || len(got) != n {
			t.Errorf("discover %s: %d instances, %v; want %d", filter, len(got), err, n)
		}
	}
	if _, err := f.r.Discover(ctx, "prod", "none", cloudmap.All, 10); cloudmap.FaultOf(err) != lever.NotFound {
		t.Errorf("discover of no service: %v", err)
	}
	if _, complete, err := f.r.ListInstances(ctx, warden.ServiceFound{Service: health.Service{ID: "srv-none"}}); complete || cloudmap.FaultOf(err) != lever.NotFound {
		t.Errorf("instances of no service: complete %v, %v", complete, err)
	}
	if found, complete, err := f.r.ListInstances(ctx, f.plain); err != nil || !complete || len(found) != 0 {
		t.Errorf("instances of an empty service: %v, complete %v, %v", found, complete, err)
	}
}

func TestAnotherAccountsNamespaceIsMarked(t *testing.T) {
	f := newFleet(t)
	services, _, err := f.client.NewReader("999999999999").ListServices(t.Context())
	if err != nil || len(services) != 2 {
		t.Fatalf("%v, %v", services, err)
	}
	for _, s := range services {
		if !s.OtherAccount || s.Service.ID[:4] != "arn:" {
			t.Errorf("%+v, want it another account's, and named by its ARN", s)
		}
		if _, complete, err := f.r.ListInstances(t.Context(), s); err != nil || !complete {
			t.Errorf("list %s by its ARN: complete %v, %v", s.Service.ID, complete, err)
		}
	}
}

func BenchmarkListInstances(b *testing.B) {
	f := newFleet(b)
	f.register(b, f.custom, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if found, _, err := f.r.ListInstances(b.Context(), f.custom); err != nil || len(found) != 1000 {
			b.Fatal(len(found), err)
		}
	}
}

func BenchmarkSetStatus(b *testing.B) {
	f := newFleet(b)
	f.register(b, f.custom, 1)
	b.ReportAllocs()
	for b.Loop() {
		if err := f.w.SetStatus(b.Context(), f.custom.Service.ID, "i-0000", health.Healthy); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDiscover(b *testing.B) {
	f := newFleet(b)
	f.register(b, f.custom, 6)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.r.Discover(b.Context(), "prod", "custom", cloudmap.HealthyOrElseAll, 100); err != nil {
			b.Fatal(err)
		}
	}
}
