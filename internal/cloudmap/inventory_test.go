package cloudmap_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// watched is a registry over a real socket that counts the calls by their
// operation, and refuses the one that it is told to.
type watched struct {
	*httptest.Server
	calls  map[string]int
	refuse string
}

// newWatched makes a registry with two namespaces.
func newWatched(t *testing.T) *watched {
	t.Helper()
	reg, err := registry.Open(registry.Options{Account: "123456789012", Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	made := func(id string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		op, err := reg.Operation(id, "")
		if err != nil {
			t.Fatal(err)
		}
		return op.Targets.Namespace
	}
	ttl := int64(7)
	shop := made(reg.CreateNamespace(registry.NewNamespace{Name: "shop", Type: registry.HTTPNamespace, Description: "d", CreatorRequestID: "c", Tags: []registry.Tag{{Key: "k", Value: "v"}}}))
	corp := made(reg.CreateNamespace(registry.NewNamespace{Name: "corp", Type: registry.DNSPrivateNamespace, VPC: "vpc-1", SOATTL: &ttl}))
	services := []registry.NewService{
		{Name: "web", NamespaceID: shop, CustomHealth: true, Tags: []registry.Tag{{Key: "s", Value: "t"}}},
		{Name: "api", NamespaceID: shop, Description: "e", CreatorRequestID: "f"},
		{Name: "db", NamespaceID: corp, DNS: &registry.DNSConfig{RoutingPolicy: registry.Weighted, Records: []registry.DNSRecord{{Type: registry.RecordA, TTL: 9}}}},
	}
	for _, n := range services {
		svc, err := reg.CreateService(n)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			if _, err := reg.Register(registry.Registration{ServiceID: svc.ID, InstanceID: fmt.Sprint("i-", i), Attributes: map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.1"}}); err != nil {
				t.Fatal(err)
			}
		}
		if n.CustomHealth {
			if err := reg.SetCustomHealth(svc.ID, "i-1", registry.Unhealthy); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := &watched{calls: map[string]int{}}
	face := awsjson.New(reg)
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		_, op, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
		w.calls[op]++ // one client, one call at a time
		if op == w.refuse {
			rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
			rw.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(rw, `{"__type":"AccessDeniedException","Message":"no"}`)
			return
		}
		face.ServeHTTP(rw, req)
	}))
	t.Cleanup(func() { w.Close(); reg.Close() })
	return w
}

func (w *watched) reader(t *testing.T) *cloudmap.Reader {
	t.Helper()
	c, err := cloudmap.New(t.Context(), cloudmap.Config{URL: w.URL, LoopbackOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.NewReader("")
}

func TestInventory(t *testing.T) {
	w := newWatched(t)
	inv, err := w.reader(t).Inventory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for op := range w.calls {
		if !strings.HasPrefix(op, "List") && !strings.HasPrefix(op, "Get") && op != "DiscoverInstancesRevision" {
			t.Errorf("%s was called", op)
		}
	}
	instances := func(status ...health.Status) (list []warden.InstanceFound) {
		for i, s := range status {
			list = append(list, warden.InstanceFound{ID: fmt.Sprint("i-", i), Attributes: health.Attributes{{Key: "AWS_INSTANCE_IPV4", Value: "10.0.0.1"}}, Status: s})
		}
		return list
	}
	want := cloudmap.Inventory{Account: "123456789012", Region: "eu-west-1", Namespaces: []cloudmap.NamespaceDetails{
		{Name: "shop", Type: "HTTP", HTTPName: "shop", Description: "d", CreatorRequestID: "c", Tags: map[string]string{"k": "v"}, Services: []cloudmap.ServiceDetails{
			{Name: "api", Description: "e", CreatorRequestID: "f", Tags: map[string]string{}, Instances: instances(health.Unknown, health.Unknown)},
			{Name: "web", CustomHealth: true, Tags: map[string]string{"s": "t"}, Instances: instances(health.Healthy, health.Unhealthy)},
		}},
		{Name: "corp", Type: "DNS_PRIVATE", HTTPName: "corp", SOATTL: 7, Tags: map[string]string{}, Services: []cloudmap.ServiceDetails{
			{Name: "db", RoutingPolicy: "WEIGHTED", Records: []cloudmap.RecordDetails{{Type: "A", TTL: 9}}, Tags: map[string]string{}, Instances: instances(health.Unknown, health.Unknown)},
		}},
	}}
	// What the registry chose must be there, whatever it is.
	for i := range inv.Namespaces {
		ns := &inv.Namespaces[i]
		if ns.ID == "" || ns.CreateDate.IsZero() || (ns.HostedZoneID == "") != (ns.Name == "shop") {
			t.Errorf("%+v", ns)
		}
		ns.ID, ns.HostedZoneID, ns.CreateDate = "", "", want.Namespaces[0].CreateDate
		for j := range ns.Services {
			svc := &ns.Services[j]
			if svc.ID == "" || svc.CreateDate.IsZero() || svc.Revision == 0 {
				t.Errorf("%+v", svc)
			}
			svc.ID, svc.Revision, svc.CreateDate, svc.Attributes = "", 0, ns.CreateDate, nil
		}
	}
	slices.SortFunc(inv.Namespaces, func(a, b cloudmap.NamespaceDetails) int { return strings.Compare(b.Name, a.Name) }) // made in the same millisecond
	if diff := cmp.Diff(want, inv); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInventoryOfSome(t *testing.T) {
	r := newWatched(t).reader(t)
	inv, err := r.Inventory(t.Context(), []string{"corp"})
	if err != nil || len(inv.Namespaces) != 1 || inv.Namespaces[0].Name != "corp" {
		t.Errorf("%+v, %v", inv, err)
	}
	if inv, err = r.Inventory(t.Context(), []string{inv.Namespaces[0].ID}); err != nil || len(inv.Namespaces) != 1 {
		t.Errorf("by id: %+v, %v", inv, err)
	}
	if inv, err = r.Inventory(t.Context(), []string{"corp", "other"}); err == nil || !strings.Contains(err.Error(), "no namespace other") || len(inv.Namespaces) != 0 {
		t.Errorf("%+v, %v", inv, err)
	}
}

// TestInventoryIsAllOrNothing refuses one operation after the other.
func TestInventoryIsAllOrNothing(t *testing.T) {
	w := newWatched(t)
	if _, err := w.reader(t).Inventory(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	operations := slices.Sorted(maps.Keys(w.calls))
	if len(operations) < 9 {
		t.Fatalf("only %v were called", operations)
	}
	for _, w.refuse = range operations {
		inv, err := w.reader(t).Inventory(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), w.refuse+": AccessDeniedException: no") || inv.Namespaces != nil {
			t.Errorf("%s refused: %v, %+v", w.refuse, err, inv)
		}
	}
}
