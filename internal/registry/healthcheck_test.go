package registry_test

import (
	"path/filepath"
	"testing"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// spaces are the namespaces in which a health check makes a difference.
type spaces struct{ http, public, private string }

func newSpaces(t testing.TB, r *registry.Registry) spaces {
	return spaces{
		http:    namespace(t, r, registry.NewNamespace{Name: "prod", Type: registry.HTTPNamespace}),
		public:  namespace(t, r, registry.NewNamespace{Name: "example.com", Type: registry.DNSPublicNamespace}),
		private: namespace(t, r, registry.NewNamespace{Name: "corp", Type: registry.DNSPrivateNamespace, VPC: "vpc-1"}),
	}
}

func records(types ...registry.RecordType) *registry.DNSConfig {
	c := &registry.DNSConfig{RoutingPolicy: registry.Weighted}
	for _, rt := range types {
		c.Records = append(c.Records, registry.DNSRecord{Type: rt, TTL: 60})
	}
	return c
}

func checked(typ, path string, threshold ...int32) *registry.NewHealthCheck {
	n := &registry.NewHealthCheck{Type: typ, ResourcePath: path}
	if threshold != nil {
		n.FailureThreshold = &threshold[0]
	}
	return n
}

func TestHealthCheckSettings(t *testing.T) {
	r := open(t, registry.Options{})
	in := newSpaces(t, r)
	a := records(registry.RecordA)
	for i, tt := range []struct {
		says string // empty: accepted as want
		n    registry.NewService
		want registry.HealthCheck
	}{
		{"", registry.NewService{NamespaceID: in.http, HealthCheck: checked("HTTP", "")}, registry.HealthCheck{Type: "HTTP", ResourcePath: "/", FailureThreshold: 3}},
		{"", registry.NewService{NamespaceID: in.http, HealthCheck: checked("TCP", "", 1)}, registry.HealthCheck{Type: "TCP", FailureThreshold: 1}},
		{"", registry.NewService{NamespaceID: in.http, HealthCheck: checked("HTTPS", "/"+long(254), 10)}, registry.HealthCheck{Type: "HTTPS", ResourcePath: "/" + long(254), FailureThreshold: 10}},
		{"", registry.NewService{NamespaceID: in.public, DNS: a, HealthCheck: checked("HTTP", "/up?deep=1")}, registry.HealthCheck{Type: "HTTP", ResourcePath: "/up?deep=1", FailureThreshold: 3}},
		{"HealthCheckConfig.Type: is required", registry.NewService{NamespaceID: in.http, HealthCheck: checked("", "")}, registry.HealthCheck{}},
		{"HealthCheckConfig.Type: \"HTTP_STR_MATCH\"", registry.NewService{NamespaceID: in.http, HealthCheck: checked("HTTP_STR_MATCH", "")}, registry.HealthCheck{}},
		{"HealthCheckConfig.ResourcePath: has 256", registry.NewService{NamespaceID: in.http, HealthCheck: checked("HTTP", "/"+long(255))}, registry.HealthCheck{}},
		{"HealthCheckConfig.ResourcePath: a check of Type TCP", registry.NewService{NamespaceID: in.http, HealthCheck: checked("TCP", "/")}, registry.HealthCheck{}},
		{"HealthCheckConfig.ResourcePath: \"/a b\"", registry.NewService{NamespaceID: in.http, HealthCheck: checked("HTTP", "/a b")}, registry.HealthCheck{}},
		{"HealthCheckConfig.FailureThreshold: 0", registry.NewService{NamespaceID: in.http, HealthCheck: checked("HTTP", "", 0)}, registry.HealthCheck{}},
		{"HealthCheckConfig.FailureThreshold: 11", registry.NewService{NamespaceID: in.http, HealthCheck: checked("HTTP", "", 11)}, registry.HealthCheck{}},
		{"HealthCheckConfig: does not go together with HealthCheckCustomConfig", registry.NewService{NamespaceID: in.http, CustomHealth: true, HealthCheck: checked("HTTP", "")}, registry.HealthCheck{}},
		{"HealthCheckConfig: does not go together with CNAME", registry.NewService{NamespaceID: in.public, DNS: records(registry.RecordCNAME), HealthCheck: checked("HTTP", "")}, registry.HealthCheck{}},
		{"HealthCheckConfig: is for public", registry.NewService{NamespaceID: in.private, DNS: a, HealthCheck: checked("HTTP", "")}, registry.HealthCheck{}},
		{"HealthCheckConfig: is for public", registry.NewService{NamespaceID: in.private, Type: "HTTP", HealthCheck: checked("HTTP", "")}, registry.HealthCheck{}},
	} {
		tt.n.Name = "s" + string(rune('a'+i))
		svc, err := r.CreateService(tt.n)
		if tt.says != "" {
			refused(t, err, registry.InvalidInput, tt.says)
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", tt.n.HealthCheck, err)
			continue
		}
		if got := *r.View(svc.ID).HealthCheck; got != tt.want {
			t.Errorf("check is %+v, want %+v", got, tt.want)
		}
	}
}

func TestCheckedInstancesHaveAnEndpoint(t *testing.T) {
	r := open(t, registry.Options{})
	in := newSpaces(t, r)
	plain := must[*registry.Service](t)(r.CreateService(registry.NewService{NamespaceID: in.http, Name: "plain", HealthCheck: checked("TCP", "")})).ID
	alias := must[*registry.Service](t)(r.CreateService(registry.NewService{
		NamespaceID: in.public, Name: "alias", DNS: records(registry.RecordA), HealthCheck: checked("TCP", "")})).ID
	for _, tt := range []struct {
		says, service string
		attrs         map[string]string
	}{
		{"AWS_INSTANCE_PORT is required", plain, map[string]string{registry.AttrIPv4: "10.0.0.1"}},
		{"AWS_INSTANCE_IPV4 or AWS_INSTANCE_IPV6 is required", plain, map[string]string{registry.AttrPort: "80"}},
		{"AWS_INSTANCE_PORT is required", alias, map[string]string{registry.AttrIPv4: "10.0.0.1"}},
		{"AWS_INIT_HEALTH_STATUS is for", plain, map[string]string{registry.AttrIPv4: "10.0.0.1", registry.AttrPort: "80", registry.AttrInitHealth: "HEALTHY"}},
		{"", plain, map[string]string{registry.AttrIPv6: "fd00::1", registry.AttrPort: "80"}},
		{"", alias, map[string]string{registry.AttrAlias: "elb.example.com"}},
	} {
		_, err := r.Register(registry.Registration{ServiceID: tt.service, InstanceID: "i", Attributes: tt.attrs})
		if tt.says != "" {
			refused(t, err, registry.InvalidInput, tt.says)
		} else if err != nil {
			t.Errorf("%v: %v", tt.attrs, err)
		}
	}
}

// TestUnknownIsInThePool holds the 2019 behaviour of AWS, an instance that is
// not judged yet gets traffic, and the option that ends it.
func TestUnknownIsInThePool(t *testing.T) {
	for _, closed := range []bool{false, true} {
		r := open(t, registry.Options{UnknownIsUnhealthy: closed})
		in := newSpaces(t, r)
		svc := must[*registry.Service](t)(r.CreateService(registry.NewService{
			NamespaceID: in.public, Name: "web", DNS: records(registry.RecordA), HealthCheck: checked("HTTP", "")})).ID
		register(t, r, svc, "new", map[string]string{registry.AttrIPv4: "10.0.0.1", registry.AttrPort: "80"})
		register(t, r, svc, "elb", map[string]string{registry.AttrAlias: "elb.example.com"}) // has no check of its own
		want := map[registry.HealthFilter]int{
			registry.OnlyHealthy: 2, registry.HealthyOrElseAll: 2, registry.OnlyUnhealthy: 0, registry.AnyHealth: 2,
		}
		if closed {
			want[registry.OnlyHealthy], want[registry.HealthyOrElseAll] = 1, 1
		}
		for filter, n := range want {
			got := must[registry.Discovery](t)(r.Discover(registry.Query{Namespace: "example.com", Service: "web", Health: filter}))
			if len(got.Drawn) != n {
				t.Errorf("closed %v, %s: %s, want %d", closed, filter, ids(got.Instances()), n)
			}
		}
		if got := r.View(svc).Instance("new").Health; got != registry.Unknown {
			t.Errorf("status is %s", got)
		}
	}
}

func TestUpdateService(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	r := must[*registry.Registry](t)(registry.Open(registry.Options{Path: path}))
	in := newSpaces(t, r)
	svc := must[*registry.Service](t)(r.CreateService(registry.NewService{
		NamespaceID: in.public, Name: "web", Description: "old", DNS: records(registry.RecordA, registry.RecordAAAA)})).ID
	update := func(u registry.ServiceUpdate) *registry.Service {
		t.Helper()
		u.ID = svc
		op := must[*registry.Operation](t)(r.Operation(must[string](t)(r.UpdateService(u)), ""))
		if op.Type != registry.UpdateServiceOp || op.Status != registry.Success || op.Targets.Service != svc {
			t.Errorf("operation %+v", op)
		}
		return r.View(svc).Service
	}
	ttls := []registry.DNSRecord{{Type: registry.RecordAAAA, TTL: 5}, {Type: registry.RecordA, TTL: 0}}

	got := update(registry.ServiceUpdate{Description: "new", Records: ttls, HealthCheck: checked("HTTP", "/up", 2)})
	if got.Description != "new" || got.DNS.Records[0] != ttls[0] || got.DNS.Records[1] != ttls[1] || got.DNS.RoutingPolicy != registry.Weighted ||
		*got.HealthCheck != (registry.HealthCheck{Type: "HTTP", ResourcePath: "/up", FailureThreshold: 2}) {
		t.Errorf("service is %+v %+v %+v", got, got.DNS, got.HealthCheck)
	}
	if got := update(registry.ServiceUpdate{Records: ttls, HealthCheck: checked("HTTP", "/other")}); got.HealthCheck.ResourcePath != "/other" || got.Description != "" {
		t.Errorf("service is %+v %+v", got, got.HealthCheck)
	}
	if got := update(registry.ServiceUpdate{Records: ttls}); got.HealthCheck != nil {
		t.Errorf("a check that is left out stays: %+v", got.HealthCheck)
	}
	update(registry.ServiceUpdate{Records: ttls, HealthCheck: checked("TCP", "")})
	if got := update(registry.ServiceUpdate{HealthCheck: checked("TCP", "")}); got.DNS != nil || got.Type != registry.HTTPService {
		t.Errorf("a DnsConfig that is left out stays: %+v", got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, registry.Options{Path: path})
	if got := r.View(svc); *got.HealthCheck != (registry.HealthCheck{Type: "TCP", FailureThreshold: 3}) || got.DNS != nil {
		t.Errorf("after a restart: %+v", got.Service)
	}
}

func TestUpdateServiceRefusals(t *testing.T) {
	r := open(t, registry.Options{})
	in := newSpaces(t, r)
	create := func(n registry.NewService) string {
		return must[*registry.Service](t)(r.CreateService(n)).ID
	}
	web := create(registry.NewService{NamespaceID: in.public, Name: "web", DNS: records(registry.RecordA), HealthCheck: checked("HTTP", "")})
	custom := create(registry.NewService{NamespaceID: in.public, Name: "custom", DNS: records(registry.RecordA), CustomHealth: true})
	cname := create(registry.NewService{NamespaceID: in.public, Name: "cname", DNS: records(registry.RecordCNAME)})
	private := create(registry.NewService{NamespaceID: in.private, Name: "db", DNS: records(registry.RecordA)})
	plain := create(registry.NewService{NamespaceID: in.http, Name: "plain"})
	api := create(registry.NewService{NamespaceID: in.private, Name: "api", Type: "HTTP"})
	a := records(registry.RecordA).Records
	for _, tt := range []struct {
		says string
		u    registry.ServiceUpdate
	}{
		{"Id: is required", registry.ServiceUpdate{}},
		{"Service.Description: has 1025", registry.ServiceUpdate{ID: web, Description: long(1025), Records: a}},
		{"Id: service", registry.ServiceUpdate{ID: plain, Description: "x"}},
		{"DnsRecords: is required", registry.ServiceUpdate{ID: web, Records: []registry.DNSRecord{}}},
		{"DnsRecords: the service has A, the request has AAAA", registry.ServiceUpdate{ID: web, Records: records(registry.RecordAAAA).Records}},
		{"DnsRecords: the service has A, the request has A+AAAA", registry.ServiceUpdate{ID: web, Records: records(registry.RecordAAAA, registry.RecordA).Records}},
		{"DnsRecords: the service has no records", registry.ServiceUpdate{ID: api, Records: a}},
		{"TTL: -1", registry.ServiceUpdate{ID: web, Records: []registry.DNSRecord{{Type: registry.RecordA, TTL: -1}}}},
		{"HealthCheckConfig.Type: is HTTP and cannot change", registry.ServiceUpdate{ID: web, Records: a, HealthCheck: checked("TCP", "")}},
		{"HealthCheckConfig.FailureThreshold: 11", registry.ServiceUpdate{ID: web, Records: a, HealthCheck: checked("HTTP", "", 11)}},
		{"HealthCheckConfig: does not go together with HealthCheckCustomConfig", registry.ServiceUpdate{ID: custom, Records: a, HealthCheck: checked("HTTP", "")}},
		{"HealthCheckConfig: does not go together with CNAME", registry.ServiceUpdate{ID: cname, Records: records(registry.RecordCNAME).Records, HealthCheck: checked("HTTP", "")}},
		{"HealthCheckConfig: is for public", registry.ServiceUpdate{ID: private, Records: a, HealthCheck: checked("HTTP", "")}},
	} {
		_, err := r.UpdateService(tt.u)
		refused(t, err, registry.InvalidInput, tt.says)
	}
	_, err := r.UpdateService(registry.ServiceUpdate{ID: "srv-none"})
	refused(t, err, registry.ServiceNotFound, "srv-none")
	must[string](t)(r.UpdateService(registry.ServiceUpdate{ID: custom, Records: a}))
	if !r.View(custom).CustomHealth {
		t.Error("a custom health check that is left out goes")
	}
}
