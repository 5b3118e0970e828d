package registry

import (
	"net/netip"
	"slices"
	"strings"
)

// Checked is an instance that a Route 53 health check is to be made of. Two
// that are equal are the same life of the same instance under the same check.
type Checked struct {
	ServiceID, InstanceID string
	// RegisteredBy is the operation that registered it last: another one is
	// another life, whose check begins anew.
	RegisteredBy string
	Check        HealthCheck
	// Endpoint is what to ask: the IPv4 address where the instance has one.
	Endpoint netip.AddrPort
	// Host is the service's name in DNS, which Route 53 asks for; empty where it
	// has none.
	Host string
}

// Checked returns the instances that are to be checked, in order of service and
// instance. Instances without an address and port are not among them, above all
// aliases, which Cloud Map associates with no check. It looks at every service;
// CheckedChanged says when that is worth while.
func (r *Registry) Checked() []Checked {
	var found []Checked
	for _, cell := range *r.published.services.Load().sorted.Load() {
		view := cell.view.Load()
		if view.HealthCheck == nil {
			continue
		}
		host := ""
		if ns := r.published.namespaces.Load().byID[view.NamespaceID]; ns != nil && view.DNS != nil {
			host = dnsName(ns, view.Service)
		}
		for _, inst := range view.Instances {
			if endpoint, ok := inst.endpoint(); ok {
				found = append(found, Checked{
					ServiceID: view.ID, InstanceID: inst.ID, RegisteredBy: inst.RegisteredBy,
					Check: *view.HealthCheck, Endpoint: endpoint, Host: host,
				})
			}
		}
	}
	return found
}

// dnsName is the name of a service in DNS.
func dnsName(ns *Namespace, svc *Service) string {
	zone := strings.TrimSuffix(ns.Name, ".")
	if svc.Name == "." {
		return zone
	}
	return svc.Name + "." + zone
}

// CheckedChanged receives after the answer of Checked may have changed. Changes
// that nobody received yet are one. It has room for one receiver.
func (r *Registry) CheckedChanged() <-chan struct{} { return r.checkedChanged }

// Observed is what a Route 53 health check says of an instance.
type Observed struct {
	Checked
	Status HealthStatus // Healthy or Unhealthy
}

// SetObserved files the results of checks. A result is dropped, in silence,
// where the instance has gone or was registered again, or the check changed:
// it is about something that is not there any more. Like every health status,
// none of them changes a revision.
//
// Results are durable. The checkers of AWS never restart, so a status there
// outlasts everything but the instance; one that a restart of this process made
// UNKNOWN would put instances that failed back into the pool.
func (r *Registry) SetObserved(results []Observed) error {
	if !slices.ContainsFunc(results, r.news) {
		return nil
	}
	return r.write(func(b *batch) error {
		for _, o := range results {
			svc := b.byService[o.ServiceID]
			if svc == nil {
				continue
			}
			if inst := o.of(svc.service, svc.instances); inst != nil && inst.Health != o.Status {
				next := *inst
				next.Health = o.Status
				b.putInstance(o.ServiceID, &next)
			}
		}
		return nil
	})
}

// news reports whether a result would change what readers see.
func (r *Registry) news(o Observed) bool {
	view := r.View(o.ServiceID)
	if view == nil {
		return false
	}
	inst := o.of(view.Service, view.Instances)
	return inst != nil && inst.Health != o.Status
}

// of is the instance that the result is about, or nil if it is not there.
func (o Observed) of(svc *Service, sorted []*Instance) *Instance {
	at, found := findInstance(sorted, o.InstanceID)
	if !found || svc.HealthCheck == nil || *svc.HealthCheck != o.Check || sorted[at].RegisteredBy != o.RegisteredBy {
		return nil
	}
	return sorted[at]
}

// noteChecked notes that instances of the service came or went.
func (b *batch) noteChecked(serviceID string) {
	b.checked = b.checked || b.byService[serviceID].service.HealthCheck != nil
}
