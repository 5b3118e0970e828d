package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/registry"
)

// readAPI reads a registry through its API, with calls that only read, and
// says on standard error what could not be taken over as it is.
func (a *app) readAPI(ctx context.Context, cfg cloudmap.Config, namespaces []string) (*registry.Document, error) {
	client, err := cloudmap.New(ctx, cfg)
	if err != nil {
		return nil, usagef("%w", err)
	}
	defer client.Close()
	inv, err := client.NewReader("").Inventory(ctx, namespaces)
	if err != nil {
		return nil, unreachablef("%w; nothing was written", err)
	}
	t := takeover{}
	d := t.document(inv)
	for _, note := range t.notes {
		fmt.Fprintf(a.err, "note: %s\n", note)
	}
	return d, nil
}

// takeover makes a document of what the API tells, and notes where it differs.
type takeover struct {
	notes  []string
	custom bool // some service has a custom health check
}

func (t *takeover) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (t *takeover) document(inv cloudmap.Inventory) *registry.Document {
	namespaces := make([]registry.DocumentNamespace, len(inv.Namespaces))
	for i, ns := range inv.Namespaces {
		namespaces[i] = t.namespace(ns)
	}
	if t.custom {
		t.note("the API does not tell of a custom health status that waits for its time, so none is in the export")
	}
	return registry.NewDocument(cmp.Or(inv.Account, registry.DefaultAccount), cmp.Or(inv.Region, registry.DefaultRegion), namespaces)
}

func (t *takeover) namespace(ns cloudmap.NamespaceDetails) registry.DocumentNamespace {
	entry := registry.DocumentNamespace{
		Namespace: registry.Namespace{
			ID: ns.ID, Name: ns.Name, Type: registry.NamespaceType(ns.Type), HTTPName: ns.HTTPName,
			Description: ns.Description, CreatorRequestID: ns.CreatorRequestID, CreateDate: ns.CreateDate,
			Tags: t.tags("namespace "+ns.Name, ns.Tags),
		},
		Services: make([]registry.DocumentService, len(ns.Services)),
	}
	if entry.Type != registry.HTTPNamespace {
		entry.HostedZoneID, entry.SOATTL = ns.HostedZoneID, ns.SOATTL
	}
	if entry.Type == registry.DNSPrivateNamespace {
		// No call tells the VPC, which matters only where two namespaces have
		// the same name.
		entry.VPC = "unknown-" + ns.ID
		t.note("namespace %s (%s): the API does not tell its VPC, so it is %s", ns.Name, ns.ID, entry.VPC)
	}
	if ns.Owner != "" {
		t.note("namespace %s (%s) is account %s's, and becomes this registry's own; its tags cannot be read", ns.Name, ns.ID, ns.Owner)
	}
	for i, svc := range ns.Services {
		entry.Services[i] = t.service(ns, svc)
	}
	return entry
}

func (t *takeover) service(ns cloudmap.NamespaceDetails, svc cloudmap.ServiceDetails) registry.DocumentService {
	name := "service " + ns.Name + "/" + svc.Name
	t.custom = t.custom || svc.CustomHealth
	entry := registry.DocumentService{
		Service: registry.Service{
			ID: svc.ID, Name: svc.Name, Type: registry.HTTPService, Description: svc.Description,
			CreatorRequestID: svc.CreatorRequestID, CreateDate: svc.CreateDate, CustomHealth: svc.CustomHealth,
			Tags: t.tags(name, svc.Tags), Attributes: svc.Attributes, Revision: svc.Revision,
		},
		Instances: make([]registry.Instance, len(svc.Instances)),
	}
	if len(svc.Records) > 0 {
		entry.Type = registry.DNSHTTPService
		entry.DNS = &registry.DNSConfig{RoutingPolicy: registry.RoutingPolicy(svc.RoutingPolicy)}
		for _, rec := range svc.Records {
			entry.DNS.Records = append(entry.DNS.Records, registry.DNSRecord{Type: registry.RecordType(rec.Type), TTL: rec.TTL})
		}
	}
	if c := svc.Check; c != nil {
		entry.HealthCheck = &registry.HealthCheck{Type: registry.CheckType(c.Type), ResourcePath: c.ResourcePath, FailureThreshold: int(c.FailureThreshold)}
		t.note("%s: its Route 53 health checks begin anew, with instances that are UNKNOWN", name)
	}
	for i, found := range svc.Instances {
		attributes := found.Attributes.Map()
		inst := registry.Instance{ID: found.ID, Attributes: registry.PackAttributes(attributes)}
		if svc.CustomHealth {
			inst.Health = customHealth(found.Status, attributes)
		}
		if found.OtherAccount && ns.Owner == "" {
			t.note("%s: instance %s was registered by another account, and becomes a plain one", name, found.ID)
		}
		entry.Instances[i] = inst
	}
	return entry
}

// customHealth is the status of an instance. One that is so new that it has
// none yet has the status that it starts with.
func customHealth(s health.Status, attributes map[string]string) registry.HealthStatus {
	if s == health.Unhealthy || s == health.Unknown && attributes[registry.AttrInitHealth] == registry.Unhealthy.String() {
		return registry.Unhealthy
	}
	return registry.Healthy
}

// tags without those that are AWS's own, which nobody else can set.
func (t *takeover) tags(of string, all map[string]string) map[string]string {
	tags := make(map[string]string, len(all))
	for key, value := range all {
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			t.note("%s: the tag %s is AWS's own, and is left out", of, key)
			continue
		}
		tags[key] = value
	}
	return tags
}
