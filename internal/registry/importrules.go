package registry

import (
	"cmp"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// What a document may hold is what the API lets in, and what the API would have
// made of it. These rules call those of the API, with the request that would
// have created the resource.

var (
	namespaceIDPattern = regexp.MustCompile(`^ns-[a-zA-Z0-9]{1,61}$`)
	serviceIDPattern   = regexp.MustCompile(`^srv-[a-zA-Z0-9]{1,60}$`)
	regionPattern      = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
)

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// memberNames are the members that refusals name, as they are called here.
var memberNames = map[string]string{
	"Name": "name", "Type": "type", "Description": "description", "CreatorRequestId": "creatorRequestId",
	"Vpc": "vpc", "Properties.DnsProperties.SOA.TTL": "soaTtl",
	"DnsConfig": "dns", "DnsConfig.RoutingPolicy": "dns.routingPolicy", "DnsConfig.DnsRecords": "dns.records",
	"DnsConfig.DnsRecords.Type": "dns.records", "DnsConfig.DnsRecords.TTL": "dns.records",
	"Tags": "tags", "Tags.Key": "tags", "Tags.Value": "tags",
	"InstanceId": "id", "Attributes": "attributes",
}

// memberOf splits a refusal into the member of the document that it is about,
// empty for the resource as a whole, and what is wrong with it.
func memberOf(err error) (member, what string) {
	refusal, ok := errors.AsType[*Error](err)
	if !ok {
		return "", err.Error()
	}
	named, rest, _ := strings.Cut(refusal.Message, ": ")
	if ours, ok := strings.CutPrefix(named, documentMember); ok {
		return ours, rest
	}
	if name := memberNames[named]; name != "" {
		return name, rest
	}
	return "", refusal.Message
}

// documentMember marks a member that no request has.
const documentMember = "document."

func wrong(member, format string, args ...any) error {
	return invalid(documentMember+member, format, args...)
}

// zoneKey is what only one DNS namespace may have: a name, and the type and VPC
// in which it is one; empty for HTTP namespaces.
func (n *Namespace) zoneKey() string {
	if n.Type == HTTPNamespace {
		return ""
	}
	return strings.Join([]string{string(n.Type), strings.ToLower(n.Name), n.VPC}, " ")
}

func (n *Namespace) sound() error {
	switch {
	case !namespaceIDPattern.MatchString(n.ID):
		return wrong("id", "%.80q is not ns- with letters and digits", n.ID)
	case !slices.Contains([]NamespaceType{HTTPNamespace, DNSPrivateNamespace, DNSPublicNamespace}, n.Type):
		return wrong("type", "%.32q is none of HTTP, DNS_PRIVATE, DNS_PUBLIC", n.Type)
	case n.CreateDate.IsZero():
		return wrong("createDate", "is required")
	case n.HTTPName == "" || len(n.HTTPName) > maxNameHTTP || !graphic(n.HTTPName):
		return wrong("httpName", "%.80q is not 1 to %d printable ASCII characters", n.HTTPName, maxNameHTTP)
	case len(n.HostedZoneID) > maxResourceID:
		return wrong("hostedZoneId", "has more than %d characters", maxResourceID)
	case n.Type == HTTPNamespace && n.VPC+n.HostedZoneID != "", n.Type == HTTPNamespace && n.SOATTL != 0:
		return wrong("type", "an HTTP namespace has no vpc, hostedZoneId or soaTtl")
	}
	return NewNamespace{
		Name: n.Name, Type: n.Type, VPC: n.VPC, SOATTL: &n.SOATTL, Description: n.Description,
		CreatorRequestID: n.CreatorRequestID, Tags: tagList(n.Tags),
	}.check()
}

// complete is the service as the registry holds it, in its namespace.
func (s Service) complete(ns *Namespace) (Service, error) {
	if s.NamespaceID != "" && s.NamespaceID != ns.ID {
		return s, wrong("namespaceId", "%.80q is not %s, in which the service stands; leave it out", s.NamespaceID, ns.ID)
	}
	s = s.portable()
	s.NamespaceID = ns.ID
	if err := s.sound(ns); err != nil {
		return s, err
	}
	if s.DNS != nil {
		s.DNS = &DNSConfig{RoutingPolicy: cmp.Or(s.DNS.RoutingPolicy, Multivalue), Records: s.DNS.Records}
	}
	s.Revision = cmp.Or(s.Revision, s.CreateDate.UnixMilli())
	return s, nil
}

func (s *Service) sound(ns *Namespace) error {
	fits := HTTPService
	if s.DNS != nil {
		fits = DNSHTTPService
	}
	switch {
	case !serviceIDPattern.MatchString(s.ID):
		return wrong("id", "%.80q is not srv- with letters and digits", s.ID)
	case s.Type != fits:
		return wrong("type", "%.32q is not %s, which the service is", s.Type, fits)
	case s.CreateDate.IsZero():
		return wrong("createDate", "is required")
	case s.Revision < 0:
		return wrong("revision", "is negative")
	}
	n := NewService{
		Name: s.Name, NamespaceID: ns.ID, Description: s.Description, CreatorRequestID: s.CreatorRequestID,
		DNS: s.DNS, CustomHealth: s.CustomHealth, HealthCheck: s.HealthCheck.asked(), Tags: tagList(s.Tags),
	}
	if s.DNS == nil {
		n.Type = string(HTTPService)
	}
	if len(s.Attributes) > maxServiceAttrs {
		return wrong("attributes", "%d attributes, the limit is %d", len(s.Attributes), maxServiceAttrs)
	}
	for _, key := range sortedKeys(s.Attributes) {
		if err := checkServiceAttribute(key, s.Attributes[key]); err != nil {
			return err
		}
	}
	return first(n.check(), n.fits(ns))
}

func (i *Instance) sound(svc *Service) error {
	attrs := attributesOf(i)
	if attrs[AttrEC2] != "" {
		if attrs[AttrIPv4] == "" {
			return wrong("attributes", "%s stands without the %s that Cloud Map adds to it", AttrEC2, AttrIPv4)
		}
		attrs = maps.Clone(attrs) // the API takes the one without the other
		delete(attrs, AttrEC2)
	}
	err := first(
		Registration{ServiceID: svc.ID, InstanceID: i.ID, Attributes: attrs, CreatorRequestID: i.CreatorRequestID}.check(),
		fitAttributes(attrs, svc),
	)
	switch {
	case err != nil:
		return err
	case !svc.HasCheck() && (i.Health != Unknown || i.Change != nil):
		return wrong("health", "%s: service %s has no health check, so it is UNKNOWN", i.Health, svc.ID)
	case !svc.CustomHealth && i.Change != nil:
		return wrong("change", "service %s has no custom health check", svc.ID)
	case svc.CustomHealth && i.Health == Unknown:
		return wrong("health", "is neither HEALTHY nor UNHEALTHY")
	case i.Change != nil && (i.Change.To == Unknown || i.Change.To == i.Health):
		return wrong("change", "does not lead from %s to the other status", i.Health)
	case i.Change != nil && i.Change.Due.IsZero():
		return wrong("change.due", "is required")
	}
	return nil
}

// attributesOf are the attributes of an instance as a request has them.
func attributesOf(i *Instance) map[string]string { return i.Attributes.Map() }

func tagList(tags map[string]string) []Tag {
	list := make([]Tag, 0, len(tags))
	for _, key := range sortedKeys(tags) {
		list = append(list, Tag{key, tags[key]})
	}
	return list
}
