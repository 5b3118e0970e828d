package registry_test

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"github.com/mapwarden/mapwarden/internal/registry"
)

func ptr[T any](v T) *T { return &v }

func long(n int) string { return strings.Repeat("x", n) }

func TestNamespaceConstraints(t *testing.T) {
	r := open(t, registry.Options{})
	http := func(change func(*registry.NewNamespace)) registry.NewNamespace {
		n := registry.NewNamespace{Name: "ok", Type: registry.HTTPNamespace}
		change(&n)
		return n
	}
	dns := func(change func(*registry.NewNamespace)) registry.NewNamespace {
		n := registry.NewNamespace{Name: "ok.internal", Type: registry.DNSPrivateNamespace, VPC: "vpc-1"}
		change(&n)
		return n
	}
	for _, tt := range []struct {
		says string // empty: accepted
		n    registry.NewNamespace
	}{
		{"Name: is required", http(func(n *registry.NewNamespace) { n.Name = "" })},
		{"", http(func(n *registry.NewNamespace) { n.Name = long(1024) })},
		{"Name: has 1025 characters", http(func(n *registry.NewNamespace) { n.Name = long(1025) })},
		{"Name: has 254 characters", dns(func(n *registry.NewNamespace) { n.Name = long(254) })},
		{"", dns(func(n *registry.NewNamespace) { n.Name = long(253) })},
		{"Name: must not begin with arn:", http(func(n *registry.NewNamespace) { n.Name = "arn:x" })},
		{"Name: \"a b\"", http(func(n *registry.NewNamespace) { n.Name = "a b" })},
		{"Name: \"é\"", http(func(n *registry.NewNamespace) { n.Name = "é" })},
		{"Vpc: is required", dns(func(n *registry.NewNamespace) { n.VPC = "" })},
		{"Vpc: has 65", dns(func(n *registry.NewNamespace) { n.VPC = long(65) })},
		{"SOA.TTL: -1", dns(func(n *registry.NewNamespace) { n.SOATTL = ptr(int64(-1)) })},
		{"SOA.TTL: 2147483648", dns(func(n *registry.NewNamespace) { n.SOATTL = ptr(int64(1 << 31)) })},
		{"", dns(func(n *registry.NewNamespace) { n.SOATTL = ptr(int64(0)) })},
		{"Description: has 1025", http(func(n *registry.NewNamespace) { n.Description = long(1025) })},
		{"CreatorRequestId: has 65", http(func(n *registry.NewNamespace) { n.CreatorRequestID = long(65) })},
		{"Tags.Key: is required", http(func(n *registry.NewNamespace) { n.Tags = []registry.Tag{{}} })},
		{"Tags.Key: has 129", http(func(n *registry.NewNamespace) { n.Tags = []registry.Tag{{Key: long(129)}} })},
		{"Tags.Value", http(func(n *registry.NewNamespace) { n.Tags = []registry.Tag{{Key: "a", Value: long(257)}} })},
		{"Tags.Key: AWS:x", http(func(n *registry.NewNamespace) { n.Tags = []registry.Tag{{Key: "AWS:x"}} })},
		{"Tags.Key: a stands twice", http(func(n *registry.NewNamespace) { n.Tags = []registry.Tag{{Key: "a"}, {Key: "a"}} })},
		{"", registry.NewNamespace{Name: "Example.com", Type: registry.DNSPublicNamespace}},
		{"Name: \"com\" is not made of two or more labels", registry.NewNamespace{Name: "com", Type: registry.DNSPublicNamespace}},
		{"Name: \"a_b.com\"", registry.NewNamespace{Name: "a_b.com", Type: registry.DNSPublicNamespace}},
		{"Name: \"-a.com\"", registry.NewNamespace{Name: "-a.com", Type: registry.DNSPublicNamespace}},
		{"Name: has 254", registry.NewNamespace{Name: long(250) + ".com", Type: registry.DNSPublicNamespace}},
		{"SOA.TTL: -1", registry.NewNamespace{Name: "b.com", Type: registry.DNSPublicNamespace, SOATTL: ptr(int64(-1))}},
		{"Tags: 201 tags", http(func(n *registry.NewNamespace) { n.Tags = make([]registry.Tag, 201) })},
	} {
		_, err := r.CreateNamespace(tt.n)
		if tt.says == "" {
			if err != nil {
				t.Errorf("%.40s: %v", tt.n.Name, err)
			}
			continue
		}
		refused(t, err, registry.InvalidInput, tt.says)
	}
}

// TestNamesOfNamespaces checks which names may be used twice, and what clients
// find under them.
func TestNamesOfNamespaces(t *testing.T) {
	r := open(t, registry.Options{})
	first := namespace(t, r, registry.NewNamespace{Name: "corp", Type: registry.DNSPrivateNamespace, VPC: "vpc-1"})
	second := namespace(t, r, registry.NewNamespace{Name: "corp", Type: registry.DNSPrivateNamespace, VPC: "vpc-2"})
	_, err := r.CreateNamespace(registry.NewNamespace{Name: "CORP", Type: registry.DNSPrivateNamespace, VPC: "vpc-2"})
	refused(t, err, registry.NamespaceAlreadyExists, second)
	_, err = r.CreateNamespace(registry.NewNamespace{Name: "corp", Type: registry.HTTPNamespace})
	refused(t, err, registry.NamespaceAlreadyExists, first)
	public := registry.NewNamespace{Name: "corp.example", Type: registry.DNSPublicNamespace}
	open := namespace(t, r, public)
	_, err = r.CreateNamespace(public)
	refused(t, err, registry.NamespaceAlreadyExists, open)
	namespace(t, r, registry.NewNamespace{Name: "corp.example", Type: registry.DNSPrivateNamespace, VPC: "vpc-1"})
	if ns := must[*registry.Namespace](t)(r.Namespace(second)); ns.HTTPName == "corp" || !strings.HasPrefix(ns.HTTPName, "corp-") {
		t.Errorf("the second namespace has the HTTP name %s", ns.HTTPName)
	}
	if zone := r.Zone("corp"); zone.ID != first {
		t.Errorf("the zone is %s, want the oldest namespace, %s", zone.ID, first)
	}
	if list, _, err := r.Namespaces(registry.Page{}, []registry.Filter{{Name: "HTTP_NAME", Values: []string{"corp"}}}); err != nil || len(list) != 1 {
		t.Errorf("HTTP_NAME corp = %v, %v", list, err)
	}
	if list, _, err := r.Namespaces(registry.Page{}, []registry.Filter{{Name: "NAME", Values: []string{"corp"}, Condition: "BEGINS_WITH"}}); err != nil || len(list) != 4 {
		t.Errorf("NAME beginning with co = %v, %v", list, err)
	}
}

func TestServiceConstraints(t *testing.T) {
	r := open(t, registry.Options{})
	http := namespace(t, r, registry.NewNamespace{Name: "h", Type: registry.HTTPNamespace})
	dns := namespace(t, r, registry.NewNamespace{Name: "d", Type: registry.DNSPrivateNamespace, VPC: "v"})
	config := func(policy registry.RoutingPolicy, types ...registry.RecordType) *registry.DNSConfig {
		c := &registry.DNSConfig{RoutingPolicy: policy}
		for _, rt := range types {
			c.Records = append(c.Records, registry.DNSRecord{Type: rt, TTL: 60})
		}
		return c
	}
	label := long(63)
	for i, tt := range []struct {
		says string
		n    registry.NewService
	}{
		{"Name: is required", registry.NewService{NamespaceID: http}},
		{"", registry.NewService{NamespaceID: http, Name: "."}},
		{"", registry.NewService{NamespaceID: http, Name: "_http._tcp"}},
		{"", registry.NewService{NamespaceID: http, Name: label + "." + label}},
		{"Name: has 128", registry.NewService{NamespaceID: http, Name: label + "." + label + "x"}},
		{"Name: \"-a\"", registry.NewService{NamespaceID: http, Name: "-a"}},
		{"Name: \"a-\"", registry.NewService{NamespaceID: http, Name: "a-"}},
		{"Name: \"a..b\"", registry.NewService{NamespaceID: http, Name: "a..b"}},
		{"Name: \"a b\"", registry.NewService{NamespaceID: http, Name: "a b"}},
		{"Name: \"" + label + "x\"", registry.NewService{NamespaceID: http, Name: label + "x"}},
		{"NamespaceId: is required", registry.NewService{Name: "a"}},
		{"", registry.NewService{DNSNamespaceID: dns, Name: "old", DNS: config("", registry.RecordA)}},
		{"DnsConfig.NamespaceId: has 65", registry.NewService{DNSNamespaceID: long(65), NamespaceID: dns, Name: "a", DNS: config("", registry.RecordA)}},
		{"is another namespace", registry.NewService{DNSNamespaceID: http, NamespaceID: r.ARN(dns), Name: "a", DNS: config("", registry.RecordA)}},
		{"Type: \"DNS\" is not HTTP", registry.NewService{NamespaceID: http, Name: "a", Type: "DNS"}},
		{"FailureThreshold: 0", registry.NewService{NamespaceID: http, Name: "a", CustomHealth: true, FailureThreshold: ptr(int32(0))}},
		{"FailureThreshold: 11", registry.NewService{NamespaceID: http, Name: "a", CustomHealth: true, FailureThreshold: ptr(int32(11))}},
		{"DnsConfig: namespace", registry.NewService{NamespaceID: http, Name: "a", DNS: config("", registry.RecordA)}},
		{"DnsConfig: is required", registry.NewService{NamespaceID: dns, Name: "a"}},
		{"DnsConfig: a service of Type HTTP", registry.NewService{NamespaceID: dns, Name: "a", Type: "HTTP", DNS: config("", registry.RecordA)}},
		{"", registry.NewService{NamespaceID: dns, Name: "api", Type: "HTTP"}},
		{"DnsRecords: is required", registry.NewService{NamespaceID: dns, Name: "a", DNS: config("")}},
		{"DnsRecords.Type: \"TXT\"", registry.NewService{NamespaceID: dns, Name: "a", DNS: config("", "TXT")}},
		{"RoutingPolicy: \"LATENCY\"", registry.NewService{NamespaceID: dns, Name: "a", DNS: config("LATENCY", registry.RecordA)}},
		{"A+SRV do not go together", registry.NewService{NamespaceID: dns, Name: "a", DNS: config("", registry.RecordSRV, registry.RecordA)}},
		{"A+A do not go together", registry.NewService{NamespaceID: dns, Name: "a", DNS: config("", registry.RecordA, registry.RecordA)}},
		{"must be WEIGHTED", registry.NewService{NamespaceID: dns, Name: "a", DNS: config("", registry.RecordCNAME)}},
		{"", registry.NewService{NamespaceID: dns, Name: "cname", DNS: config(registry.Weighted, registry.RecordCNAME)}},
		{"", registry.NewService{NamespaceID: dns, Name: "both", DNS: config("", registry.RecordAAAA, registry.RecordA)}},
		{"TTL: 2147483648", registry.NewService{NamespaceID: dns, Name: "a", DNS: &registry.DNSConfig{Records: []registry.DNSRecord{{Type: registry.RecordA, TTL: 1 << 31}}}}},
		{"TTL: -1", registry.NewService{NamespaceID: dns, Name: "a", DNS: &registry.DNSConfig{Records: []registry.DNSRecord{{Type: registry.RecordA, TTL: -1}}}}},
	} {
		_, err := r.CreateService(tt.n)
		if tt.says == "" {
			if err != nil {
				t.Errorf("row %d: %v", i, err)
			}
			continue
		}
		refused(t, err, registry.InvalidInput, tt.says)
	}
}

// TestServiceIDs checks that a service that is created again has its id again,
// and never an InstancesRevision that it had before.
func TestServiceIDs(t *testing.T) {
	r := open(t, registry.Options{})
	id := service(t, r, false)
	register(t, r, id, "a", nil)
	must[string](t)(r.Deregister(id, "a"))
	before := r.View(id)
	if err := r.DeleteService(id); err != nil {
		t.Fatal(err)
	}
	if r.View(id) != nil {
		t.Error("the service is still there")
	}
	again := must[*registry.Service](t)(r.CreateService(registry.NewService{Name: "web", NamespaceID: before.NamespaceID, CreatorRequestID: "t"}))
	if again.ID != id {
		t.Errorf("id %s, was %s", again.ID, id)
	}
	retried := must[*registry.Service](t)(r.CreateService(registry.NewService{Name: "web", NamespaceID: before.NamespaceID, CreatorRequestID: "t"}))
	if retried.ID != id {
		t.Errorf("a retry gave %s", retried.ID)
	}
	_, err := r.CreateService(registry.NewService{Name: "web", NamespaceID: before.NamespaceID, CreatorRequestID: "t", CustomHealth: true})
	refused(t, err, registry.ServiceAlreadyExists, id)
	if err := r.DeleteService(r.ARN(id)); err != nil {
		t.Errorf("by ARN: %v", err)
	}
	refused(t, r.DeleteService("arn:aws:servicediscovery:us-east-1:999999999999:service/"+id), registry.ServiceNotFound, "999999999999")
}

func TestAttributeConstraints(t *testing.T) {
	r := open(t, registry.Options{EC2Addresses: map[string]netip.Addr{"i-1": netip.MustParseAddr("10.0.0.9")}})
	http := namespace(t, r, registry.NewNamespace{Name: "h", Type: registry.HTTPNamespace})
	dns := namespace(t, r, registry.NewNamespace{Name: "d", Type: registry.DNSPrivateNamespace, VPC: "v"})
	create := func(n registry.NewService) string { return must[*registry.Service](t)(r.CreateService(n)).ID }
	records := func(name string, policy registry.RoutingPolicy, types ...registry.RecordType) string {
		c := &registry.DNSConfig{RoutingPolicy: policy}
		for _, rt := range types {
			c.Records = append(c.Records, registry.DNSRecord{Type: rt})
		}
		return create(registry.NewService{Name: name, NamespaceID: dns, DNS: c})
	}
	plain := create(registry.NewService{Name: "plain", NamespaceID: http})
	checked := create(registry.NewService{Name: "checked", NamespaceID: http, CustomHealth: true})
	a, aaaa := records("a", "", registry.RecordA), records("aaaa", "", registry.RecordAAAA)
	both, srv := records("both", "", registry.RecordA, registry.RecordAAAA), records("srv", "", registry.RecordSRV)
	cname, weighted := records("cname", registry.Weighted, registry.RecordCNAME), records("weighted", registry.Weighted, registry.RecordA)
	apiOnly := create(registry.NewService{Name: "api", NamespaceID: dns, Type: "HTTP"})

	many := func(n, keys, values int) map[string]string {
		m := make(map[string]string)
		for i := range n {
			m[fmt.Sprintf("%02d", i)+long(keys-2)] = long(values)
		}
		return m
	}
	thirty := many(30, 10, 10)
	maps.Copy(thirty, map[string]string{registry.AttrIPv4: "10.0.0.1", registry.AttrPort: "1"})
	for i, tt := range []struct {
		service string
		attrs   map[string]string
		says    string
	}{
		{plain, map[string]string{}, ""},
		{plain, map[string]string{"k": ""}, ""},
		{plain, map[string]string{"k": "a b\tc "}, ""},
		{plain, map[string]string{long(255): long(1024)}, ""},
		{plain, thirty, ""},
		{plain, nil, "Attributes: is required"},
		{plain, map[string]string{"": "v"}, "a key is empty"},
		{plain, map[string]string{long(256): "v"}, "has 256 characters"},
		{plain, map[string]string{"a b": "v"}, `the key "a b"`},
		{plain, map[string]string{"é": "v"}, `the key "é"`},
		{plain, map[string]string{"k": long(1025)}, "the value of k has 1025"},
		{plain, map[string]string{"k": " v"}, "begins with white space"},
		{plain, map[string]string{"k": "a\nb"}, "the value of k"},
		{plain, many(31, 3, 1), "31 custom attributes, the limit is 30"},
		{plain, many(5, 10, 990), ""},
		{plain, many(5, 10, 991), "5005 characters together"},
		{plain, map[string]string{registry.AttrIPv4: "10.0.0.256"}, "is not an IPv4"},
		{plain, map[string]string{registry.AttrIPv4: "::1"}, "is not an IPv4"},
		{plain, map[string]string{registry.AttrIPv6: "10.0.0.1"}, "is not an IPv6"},
		{plain, map[string]string{registry.AttrIPv6: "fe80::1%eth0"}, "is not an IPv6"},
		{plain, map[string]string{registry.AttrPort: "0"}, "is not a port"},
		{plain, map[string]string{registry.AttrPort: "65536"}, "is not a port"},
		{plain, map[string]string{registry.AttrPort: "+80"}, "is not a port"},
		{plain, map[string]string{registry.AttrCNAME: "a..b"}, "is not a domain name"},
		{plain, map[string]string{registry.AttrEC2: "i-2"}, "AWS_EC2_INSTANCE_ID i-2: this registry does not know its address"},
		{plain, map[string]string{registry.AttrEC2: "i-1", "k": "v"}, "k does not go together with AWS_EC2_INSTANCE_ID"},
		{apiOnly, map[string]string{registry.AttrEC2: "i-1"}, "AWS_EC2_INSTANCE_ID is for HTTP namespaces"},
		{checked, map[string]string{registry.AttrEC2: "i-1", registry.AttrInitHealth: "HEALTHY"}, ""},
		{plain, map[string]string{registry.AttrInitHealth: "HEALTHY"}, "AWS_INIT_HEALTH_STATUS is for services with HealthCheckCustomConfig"},
		{plain, map[string]string{registry.AttrAlias: "elb.example.com"}, "AWS_ALIAS_DNS_NAME is for services with A"},
		{checked, map[string]string{registry.AttrInitHealth: "UNHEALTHY"}, ""},
		{checked, map[string]string{registry.AttrInitHealth: "UNKNOWN"}, "neither HEALTHY nor UNHEALTHY"},
		{a, map[string]string{}, "AWS_INSTANCE_IPV4 is required"},
		{a, map[string]string{registry.AttrIPv4: "10.0.0.1"}, ""},
		{a, map[string]string{registry.AttrAlias: "elb.example.com"}, "WEIGHTED"},
		{aaaa, map[string]string{registry.AttrIPv4: "10.0.0.1"}, "AWS_INSTANCE_IPV6 is required"},
		{both, map[string]string{}, "AWS_INSTANCE_IPV4 or AWS_INSTANCE_IPV6 is required"},
		{both, map[string]string{registry.AttrIPv6: "2001:db8::1"}, ""},
		{srv, map[string]string{registry.AttrIPv4: "10.0.0.1"}, "AWS_INSTANCE_PORT is required"},
		{srv, map[string]string{registry.AttrPort: "80"}, "AWS_INSTANCE_IPV4 or AWS_INSTANCE_IPV6 is required"},
		{srv, map[string]string{registry.AttrPort: "80", registry.AttrIPv6: "::1"}, ""},
		{cname, map[string]string{}, "AWS_INSTANCE_CNAME is required"},
		{cname, map[string]string{registry.AttrCNAME: "www.example.com."}, ""},
		{weighted, map[string]string{registry.AttrAlias: "elb.example.com"}, ""},
		{weighted, map[string]string{registry.AttrAlias: "elb.example.com", registry.AttrPort: "1"}, "does not go together"},
		{apiOnly, map[string]string{}, ""},
	} {
		_, err := r.Register(registry.Registration{ServiceID: tt.service, InstanceID: "i", Attributes: tt.attrs})
		if tt.says == "" {
			if err != nil {
				t.Errorf("row %d: %v", i, err)
			}
			continue
		}
		refused(t, err, registry.InvalidInput, tt.says)
	}
	for id, says := range map[string]string{
		"": "InstanceId: is required", "a b": "InstanceId", "a?": "InstanceId", long(65): "InstanceId: has 65",
	} {
		_, err := r.Register(registry.Registration{ServiceID: plain, InstanceID: id, Attributes: map[string]string{}})
		refused(t, err, registry.InvalidInput, says)
	}
	register(t, r, plain, "on-ec2", map[string]string{registry.AttrEC2: "i-1"})
	if got := r.View(plain).Instance("on-ec2").Attributes.Get(registry.AttrIPv4); got != "10.0.0.9" {
		t.Errorf("an EC2 instance has the address %q", got)
	}
	register(t, r, plain, "aZ09_/:.@-", nil)
	_, err := r.Register(registry.Registration{ServiceID: "srv-none", InstanceID: "i", Attributes: map[string]string{}})
	refused(t, err, registry.ServiceNotFound, "srv-none")
}

func TestListConstraints(t *testing.T) {
	r := open(t, registry.Options{})
	svc := service(t, r, false)
	list := func(p registry.Page, f ...registry.Filter) error {
		_, _, err := r.Operations(p, f)
		return err
	}
	for _, tt := range []struct {
		err  error
		says string
	}{
		{list(registry.Page{Max: ptr(int32(0))}), "MaxResults: 0"},
		{list(registry.Page{Max: ptr(int32(101))}), "MaxResults: 101"},
		{list(registry.Page{Token: "!"}), "NextToken"},
		{list(registry.Page{Token: long(4097)}), "NextToken: has 4097"},
		{list(registry.Page{}, registry.Filter{Name: "COLOUR", Values: []string{"a"}}), "COLOUR"},
		{list(registry.Page{}, registry.Filter{Name: "STATUS"}), "Filters.Values: is required"},
		{list(registry.Page{}, registry.Filter{Name: "STATUS", Values: []string{"SUCCEED"}}), "STATUS is never"},
		{list(registry.Page{}, registry.Filter{Name: "STATUS", Values: []string{"SUCCESS", "FAIL"}}), "exactly one value"},
		{list(registry.Page{}, registry.Filter{Name: "STATUS", Values: []string{"SUCCESS"}, Condition: "BETWEEN"}), "Filters.Condition: STATUS does not take"},
		{list(registry.Page{}, registry.Filter{Name: "SERVICE_ID", Values: []string{""}}), "1 to 255"},
		{list(registry.Page{}, registry.Filter{Name: "UPDATE_DATE", Values: []string{"1"}, Condition: "BETWEEN"}), "a start and an end"},
		{list(registry.Page{}, registry.Filter{Name: "UPDATE_DATE", Values: []string{"a", "b"}, Condition: "BETWEEN"}), "epoch seconds"},
	} {
		refused(t, tt.err, registry.InvalidInput, tt.says)
	}
	// A token is good for the listing that gave it, and for no other.
	register(t, r, svc, "a", nil)
	register(t, r, svc, "b", nil)
	_, token, err := r.Instances(svc, registry.Page{Max: ptr(int32(1))})
	if err != nil || token == "" {
		t.Fatalf("first page: %q, %v", token, err)
	}
	refused(t, list(registry.Page{Token: token}), registry.InvalidInput, "NextToken")
	must[string](t)(r.Deregister(svc, "a")) // the token names a, which is gone
	if rest, _, err := r.Instances(svc, registry.Page{Token: token}); err != nil || ids(rest) != "b" {
		t.Errorf("second page = %s, %v", ids(rest), err)
	}
	_, _, err = r.Health(svc, []string{"b", "gone"}, registry.Page{})
	refused(t, err, registry.InstanceNotFound, "gone")
	_, _, err = r.Health(svc, []string{}, registry.Page{})
	refused(t, err, registry.InvalidInput, "Instances")
}
