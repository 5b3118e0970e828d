package dns

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// long is an instance id that Cloud Map allows and DNS does not.
var long = strings.Repeat("x", maxLabel+1)

// fleet is a registry in memory that applies every change at once.
type fleet struct {
	testing.TB
	reg *registry.Registry
}

func newFleet(t testing.TB) fleet {
	t.Helper()
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
	return fleet{t, reg}
}

// newServer is a server of a fleet.
func newServer(t testing.TB, f fleet, opts Options) *Server {
	t.Helper()
	s, err := New(f.reg, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// reply is what a stranger gets, or nil.
func (s *Server) reply(packet []byte, stream bool) []byte {
	out, _ := s.respond(nil, packet, asker{addr: netip.MustParseAddr("192.0.2.1"), stream: stream}, s.chooser())
	return out
}

func (f fleet) namespace(name string, kind registry.NamespaceType, soa int64) string {
	f.Helper()
	n := registry.NewNamespace{Name: name, Type: kind}
	if kind != registry.HTTPNamespace {
		n.VPC, n.SOATTL = "vpc-"+name, &soa
	}
	op, err := f.reg.CreateNamespace(n)
	if err != nil {
		f.Fatal(err)
	}
	done, err := f.reg.Operation(op, "")
	if err != nil {
		f.Fatal(err)
	}
	return done.Targets.Namespace
}

// service creates a service; records is like "A:10 AAAA:20".
func (f fleet) service(namespace, name string, checked bool, policy registry.RoutingPolicy, records string) string {
	f.Helper()
	n := registry.NewService{Name: name, NamespaceID: namespace, CustomHealth: checked}
	if records == "" {
		n.Type = string(registry.HTTPService)
	} else {
		n.DNS = &registry.DNSConfig{RoutingPolicy: policy}
	}
	for r := range strings.FieldsSeq(records) {
		var rec registry.DNSRecord
		if _, err := fmt.Sscanf(strings.Replace(r, ":", " ", 1), "%s %d", &rec.Type, &rec.TTL); err != nil {
			f.Fatal(err)
		}
		n.DNS.Records = append(n.DNS.Records, rec)
	}
	svc, err := f.reg.CreateService(n)
	if err != nil {
		f.Fatal(err)
	}
	return svc.ID
}

// instance registers an instance; attrs are like "IPV4=10.0.0.1 PORT=80".
func (f fleet) instance(service, id, attrs string) {
	f.Helper()
	n := registry.Registration{ServiceID: service, InstanceID: id, Attributes: map[string]string{}}
	for attr := range strings.FieldsSeq(attrs) {
		key, value, _ := strings.Cut(attr, "=")
		if key != "ALIAS_DNS_NAME" {
			key = "INSTANCE_" + key
		}
		n.Attributes["AWS_"+key] = value
	}
	if _, err := f.reg.Register(n); err != nil {
		f.Fatal(err)
	}
}

func (f fleet) health(service, id string, to registry.HealthStatus) {
	f.Helper()
	if err := f.reg.SetCustomHealth(service, id, to); err != nil {
		f.Fatal(err)
	}
}

// corp is a registry with a service of every sort.
func corp(t testing.TB) fleet {
	f := newFleet(t)
	f.namespace("web", registry.HTTPNamespace, 0)
	f.namespace("corp", registry.DNSPrivateNamespace, 100_000)
	prod := f.namespace("Prod.corp", registry.DNSPrivateNamespace, 15)

	web := f.service(prod, "web", true, registry.Multivalue, "A:10")
	for i, id := range []string{"a", "b", "c"} {
		f.instance(web, id, fmt.Sprintf("IPV4=10.0.0.%d", i+1))
	}
	f.health(web, "b", registry.Unhealthy)

	down := f.service(prod, "down", true, registry.Multivalue, "A:0")
	for i, id := range []string{"a", "b"} {
		f.instance(down, id, fmt.Sprintf("IPV4=10.0.1.%d", i+1))
		f.health(down, id, registry.Unhealthy)
	}

	// The only healthy instance has no IPv6 address.
	both := f.service(prod, "both", true, registry.Multivalue, "A:10 AAAA:20")
	f.instance(both, "four", "IPV4=10.0.2.1")
	f.instance(both, "six", "IPV6=fd00::2")
	f.health(both, "six", registry.Unhealthy)

	rpc := f.service(prod, "rpc", false, registry.Multivalue, "SRV:30")
	f.instance(rpc, "10.0.3.1:80", "IPV4=10.0.3.1 IPV6=fd00:3::1 PORT=80")
	f.instance(rpc, "Node-2", "IPV4=10.0.3.2 PORT=65535")
	f.instance(rpc, long, "IPV4=10.0.3.9 PORT=1")

	twins := f.service(prod, "twins", false, registry.Multivalue, "SRV:5")
	f.instance(twins, "T", "IPV4=10.0.4.1 PORT=1")
	f.instance(twins, "t", "IPV4=10.0.4.2 PORT=2")

	one := f.service(prod, "one", true, registry.Weighted, "A:10")
	for i, id := range []string{"a", "b", "c"} {
		f.instance(one, id, fmt.Sprintf("IPV4=10.0.5.%d", i+1))
	}
	f.health(one, "a", registry.Unhealthy)

	same := f.service(prod, "same", false, registry.Multivalue, "A:10")
	f.instance(same, "a", "IPV4=10.0.6.1")
	f.instance(same, "b", "IPV4=10.0.6.1")

	f.service(prod, "none", false, registry.Multivalue, "A:10")
	f.service(prod, "below.none", false, registry.Multivalue, "A:10")
	tooLong := f.service(prod, "toolong", false, registry.Multivalue, "SRV:10")
	f.instance(tooLong, long, "IPV4=10.0.7.1 PORT=1")

	for _, c := range []struct{ name, target string }{
		{"www", "WEB.prod.corp"}, {"ext", "example.com."}, {"loop", "loop.prod.corp"},
		{"dangling", "nobody.corp"}, {"chain", "ext.prod.corp"},
	} {
		f.instance(f.service(prod, c.name, false, registry.Weighted, "CNAME:7"), "i", "CNAME="+c.target)
	}

	elb := f.service(prod, "elb", false, registry.Weighted, "A:10")
	f.instance(elb, "i", "ALIAS_DNS_NAME=elb.example.com")
	f.instance(f.service(prod, "_grpc._tcp.api", false, registry.Multivalue, "SRV:10"), "i", "IPV4=10.0.8.1 PORT=9")
	f.instance(f.service(prod, ".", false, registry.Multivalue, "A:60"), "i", "IPV4=10.0.9.1")
	f.instance(f.service(prod, "http-only", false, "", ""), "i", "IPV4=10.0.10.1")

	f.instance(f.service(prod, "kiosk", false, registry.Multivalue, "A:10"), "i", "IPV4=10.0.13.1")

	// The service claims the name of the instance.
	f.instance(f.service(prod, "clash", false, registry.Multivalue, "SRV:10"), "x", "IPV4=10.0.11.1 PORT=1")
	f.instance(f.service(prod, "x.clash", false, registry.Multivalue, "A:10"), "i", "IPV4=10.0.11.2")
	f.instance(f.service(prod, "hollow", false, registry.Multivalue, "SRV:10"), "x", "IPV4=10.0.12.1 PORT=1")
	f.service(prod, "x.hollow", false, registry.Multivalue, "A:10")
	return f
}
