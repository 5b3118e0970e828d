package registry

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// ServiceType says how the instances of a service are found.
type ServiceType string

// The types of service: by API alone, or by API and DNS.
const (
	HTTPService    ServiceType = "HTTP"
	DNSHTTPService ServiceType = "DNS_HTTP"
)

// RoutingPolicy says what DNS answers when a service has several instances.
type RoutingPolicy string

// Multivalue answers up to eight instances, Weighted answers one.
const (
	Multivalue RoutingPolicy = "MULTIVALUE"
	Weighted   RoutingPolicy = "WEIGHTED"
)

// RecordType is a type of DNS record.
type RecordType string

// The types of record that a service may have.
const (
	RecordA     RecordType = "A"
	RecordAAAA  RecordType = "AAAA"
	RecordSRV   RecordType = "SRV"
	RecordCNAME RecordType = "CNAME"
)

// DNSRecord is a record that each instance of a service gets.
type DNSRecord struct {
	Type RecordType `json:"type"`
	TTL  int64      `json:"ttl"` // seconds
}

// DNSConfig is the DNS side of a service.
type DNSConfig struct {
	RoutingPolicy RoutingPolicy `json:"routingPolicy"`
	Records       []DNSRecord   `json:"records"` // A, AAAA, A and AAAA, SRV or CNAME
}

// Has reports whether instances get a record of that type.
func (c *DNSConfig) Has(t RecordType) bool {
	return c != nil && slices.ContainsFunc(c.Records, func(r DNSRecord) bool { return r.Type == t })
}

// Service is a name under which instances are registered.
type Service struct {
	ID               string      `json:"id"`
	NamespaceID      string      `json:"namespaceId,omitempty"`
	Name             string      `json:"name"`
	Type             ServiceType `json:"type"`
	Description      string      `json:"description,omitempty"`
	CreatorRequestID string      `json:"creatorRequestId,omitempty"`
	CreateDate       time.Time   `json:"createDate"`
	// DNS is nil for services that are found by API alone.
	DNS *DNSConfig `json:"dns,omitempty"`
	// CustomHealth says that a third party reports the instances' health. It is
	// set when the service is created and never changes.
	CustomHealth bool `json:"customHealth,omitempty"`
	// HealthCheck is the Route 53 check of each instance, or nil. A service has
	// one of the two kinds of check, or none.
	HealthCheck *HealthCheck      `json:"healthCheck,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	// Attributes are what clients have written down about the service.
	Attributes map[string]string `json:"attributes,omitempty"`
	// Revision grows whenever an instance is registered or deregistered.
	Revision int64 `json:"revision"`
	// Request is the fingerprint of the call that created it, by which a retry
	// is known.
	Request string `json:"request,omitempty"`
}

// HasCheck reports whether instances have a health status other than UNKNOWN.
func (s *Service) HasCheck() bool { return s.CustomHealth || s.HealthCheck != nil }

// NewService is what CreateService needs to know.
type NewService struct {
	Name             string
	NamespaceID      string // id or ARN
	DNSNamespaceID   string // an id, where NamespaceID stood before it moved; either will do
	Description      string
	CreatorRequestID string
	// Type is empty, or HTTP for a service without records in a DNS namespace.
	Type string
	DNS  *DNSConfig // RoutingPolicy empty is Multivalue
	// CustomHealth asks for health that a third party reports.
	// FailureThreshold is checked and, as on AWS, has no effect.
	CustomHealth     bool
	FailureThreshold *int32
	// HealthCheck asks for Route 53 checks of the instances.
	HealthCheck *NewHealthCheck
	Tags        []Tag
}

func (n NewService) check() error {
	err := first(
		checkServiceName("Name", n.Name),
		optional("DnsConfig.NamespaceId", n.DNSNamespaceID, maxResourceID),
		required("NamespaceId", cmp.Or(n.NamespaceID, n.DNSNamespaceID), maxARN),
		optional("Description", n.Description, maxDescription),
		optional("CreatorRequestId", n.CreatorRequestID, maxResourceID),
		checkTags(n.Name, n.Tags),
		n.HealthCheck.check(),
	)
	switch {
	case err != nil:
		return err
	case n.Type != "" && n.Type != string(HTTPService):
		return invalid("Type", "%.32q is not HTTP", n.Type)
	case n.HealthCheck != nil && n.CustomHealth:
		return invalid("HealthCheckConfig", "does not go together with HealthCheckCustomConfig")
	case n.FailureThreshold != nil:
		err = between("HealthCheckCustomConfig.FailureThreshold", int64(*n.FailureThreshold), 1, maxFailThreshold)
	}
	if err == nil && n.DNS != nil {
		err = n.DNS.check()
	}
	return err
}

func (c *DNSConfig) check() error {
	if len(c.Records) == 0 {
		return invalid("DnsConfig.DnsRecords", "is required")
	}
	if c.RoutingPolicy != "" && c.RoutingPolicy != Multivalue && c.RoutingPolicy != Weighted {
		return invalid("DnsConfig.RoutingPolicy", "%q is neither MULTIVALUE nor WEIGHTED", c.RoutingPolicy)
	}
	var types []string
	for _, rec := range c.Records {
		if err := rec.check("DnsConfig.DnsRecords"); err != nil {
			return err
		}
		types = append(types, string(rec.Type))
	}
	slices.Sort(types)
	combination := strings.Join(types, "+")
	if len(types) > 1 && combination != "A+AAAA" {
		return invalid("DnsConfig.DnsRecords", "%s do not go together; A and AAAA do", combination)
	}
	if combination == string(RecordCNAME) && c.RoutingPolicy != Weighted {
		return invalid("DnsConfig.RoutingPolicy", "must be WEIGHTED for CNAME records")
	}
	return nil
}

// check checks a record of the list that member names.
func (rec DNSRecord) check(member string) error {
	switch rec.Type {
	case "":
		return invalid(member+".Type", "is required")
	case RecordA, RecordAAAA, RecordSRV, RecordCNAME:
		return between(member+".TTL", rec.TTL, 0, maxTTL)
	}
	return invalid(member+".Type", "%.32q is none of A, AAAA, SRV, CNAME", rec.Type)
}

// fits refuses what a service of this namespace cannot have.
func (n NewService) fits(ns *Namespace) error {
	switch {
	case n.DNSNamespaceID != "" && n.DNSNamespaceID != ns.ID:
		return invalid("DnsConfig.NamespaceId", "%s is another namespace than NamespaceId %s", n.DNSNamespaceID, ns.ID)
	case ns.Type == HTTPNamespace && n.DNS != nil:
		return invalid("DnsConfig", "namespace %s is an HTTP namespace and has no DNS records", ns.ID)
	case n.Type != "" && n.DNS != nil:
		return invalid("DnsConfig", "a service of Type HTTP has no DNS records")
	case ns.Type != HTTPNamespace && n.Type == "" && n.DNS == nil:
		return invalid("DnsConfig", "is required in the DNS namespace %s, except with Type HTTP", ns.ID)
	}
	return n.HealthCheck.fits(ns, n.DNS)
}

// CreateService creates a service and returns it. A call that repeats another's
// CreatorRequestID and parameters returns the service that is there.
func (r *Registry) CreateService(n NewService) (created *Service, err error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	namespaceID := r.idOf("namespace", cmp.Or(n.NamespaceID, n.DNSNamespaceID))
	err = r.write(func(b *batch) error {
		ns := b.byNamespace[namespaceID]
		if ns == nil {
			return noNamespace(namespaceID)
		}
		if op := b.byOperation[b.inFlight[namespaceID]]; op != nil && op.Type == DeleteNamespaceOp {
			return refuse(NamespaceNotFound, "namespace %s is being deleted", namespaceID)
		}
		if err := n.fits(ns); err != nil {
			return err
		}
		svc := n.service(ns, b.now)
		if there := b.serviceNamed(ns, n.Name); there != nil {
			if n.CreatorRequestID != "" && there.Request == svc.Request {
				created = there
				return nil
			}
			return refuse(ServiceAlreadyExists, "service %s exists already: %s", n.Name, there.ID).
				with("ServiceId", there.ID).with("ServiceArn", r.ARN(there.ID)).with("CreatorRequestId", there.CreatorRequestID)
		}
		for b.byService[svc.ID] != nil { // imported, under another name
			svc.ID = "srv-" + randomName(16)
		}
		b.byService[svc.ID] = &serviceState{service: svc}
		b.byName[nameIn(ns, svc.Name)] = svc.ID
		b.countServices(namespaceID, +1)
		b.putService(svc)
		created = svc
		return nil
	})
	return created, err
}

func (n NewService) service(ns *Namespace, now time.Time) *Service {
	svc := &Service{
		ID: serviceID(ns.ID, n.Name), NamespaceID: ns.ID, Name: n.Name, Type: HTTPService,
		Description: n.Description, CreatorRequestID: n.CreatorRequestID, CreateDate: stamp(now),
		CustomHealth: n.CustomHealth, HealthCheck: n.HealthCheck.settings(), Tags: tagMap(n.Tags), Revision: now.UnixMilli(),
		Request: fingerprint(n),
	}
	if n.DNS != nil {
		svc.Type = DNSHTTPService
		svc.DNS = &DNSConfig{RoutingPolicy: n.DNS.RoutingPolicy, Records: slices.Clone(n.DNS.Records)}
		if svc.DNS.RoutingPolicy == "" {
			svc.DNS.RoutingPolicy = Multivalue
		}
	}
	return svc
}

func (b *batch) serviceNamed(ns *Namespace, name string) *Service {
	if svc := b.byService[b.byName[nameIn(ns, name)]]; svc != nil {
		return svc.service
	}
	return nil
}

// DeleteService removes a service, which must have no instances, none on their
// way in included.
func (r *Registry) DeleteService(id string) error {
	if err := required("Id", id, maxARN); err != nil {
		return err
	}
	id = r.idOf("service", id)
	return r.write(func(b *batch) error {
		svc := b.byService[id]
		if svc == nil {
			return noService(id)
		}
		if n := len(svc.instances) + svc.registering; n > 0 {
			return refuse(ResourceInUse, "service %s still has %d instances", id, n)
		}
		if busy := b.byOperation[b.inFlight[id]]; busy != nil {
			return refuse(ResourceInUse, "service %s is being updated by operation %s", id, busy.ID)
		}
		delete(b.byService, id)
		delete(b.byName, nameIn(b.byNamespace[svc.service.NamespaceID], svc.service.Name))
		b.countServices(svc.service.NamespaceID, -1)
		b.services[id] = true
		b.remove(bucketServices, id)
		return nil
	})
}

// Service returns the service of that id or ARN, with its instances.
func (r *Registry) Service(id string) (*ServiceView, error) {
	return r.service("Id", id)
}

// service looks up the service that a request member names.
func (r *Registry) service(member, id string) (*ServiceView, error) {
	if err := required(member, id, maxARN); err != nil {
		return nil, err
	}
	id = r.idOf("service", id)
	if view := r.View(id); view != nil {
		return view, nil
	}
	return nil, noService(id)
}

func noService(id string) error { return refuse(ServiceNotFound, "no service %s", id) }

// ListServices returns a page of the services, in order of their ids, without
// those that a filter (NAMESPACE_ID, RESOURCE_OWNER) excludes.
func (r *Registry) ListServices(page Page, filters []Filter) (found []*ServiceView, next string, err error) {
	ofNamespace := func(c *serviceCell) string { return c.name.namespace }
	for i, f := range filters {
		if f.Name == "NAMESPACE_ID" && len(f.Values) == 1 {
			filters = slices.Clone(filters)
			filters[i].Values = []string{r.idOf("namespace", f.Values[0])}
		}
	}
	match, err := compileFilters(filters, map[string]filterRule[*serviceCell]{
		"NAMESPACE_ID":   {eq, ofNamespace, nil},
		"RESOURCE_OWNER": {eq, func(*serviceCell) string { return self }, []string{self, otherAccounts}},
	})
	if err != nil {
		return nil, "", err
	}
	cells := *r.published.services.Load().sorted.Load()
	cut, next, err := cutPage(page, "services", cells, func(c *serviceCell) string { return c.id })
	for _, cell := range keep(cut, match) {
		found = append(found, cell.view.Load())
	}
	return found, next, err
}

// putService replaces a service, not its instances.
func (b *batch) putService(svc *Service) {
	b.byService[svc.ID].service = svc
	b.services[svc.ID] = true
	b.put(bucketServices, svc.ID, svc)
}

// bumpRevision notes that instances came or went. Revisions start at the time
// of creation, so a service that is created again does not repeat one.
func (b *batch) bumpRevision(serviceID string) {
	svc := *b.byService[serviceID].service
	svc.Revision = max(svc.Revision+1, b.now.UnixMilli())
	b.putService(&svc)
}
