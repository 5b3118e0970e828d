package registry

import (
	"slices"
	"strings"
)

// ServiceUpdate is what UpdateService needs to know. As AWS documents it, what
// it leaves out is deleted from the service, except a custom health check,
// which never changes.
type ServiceUpdate struct {
	ID          string      // id or ARN
	Description string      // empty: none
	Records     []DNSRecord // the service's own record types, with their new TTLs; nil: no DNS any more
	HealthCheck *NewHealthCheck
}

// serviceChange is a ServiceUpdate on its way.
type serviceChange struct {
	Description string       `json:"description,omitempty"`
	Records     []DNSRecord  `json:"records,omitempty"`
	HealthCheck *HealthCheck `json:"healthCheck,omitempty"`
}

func (u ServiceUpdate) check() error {
	err := first(
		required("Id", u.ID, maxARN),
		optional("Service.Description", u.Description, maxDescription),
		u.HealthCheck.check(),
	)
	if err != nil || u.Records == nil {
		return err
	}
	if len(u.Records) == 0 {
		return invalid("Service.DnsConfig.DnsRecords", "is required")
	}
	for _, rec := range u.Records {
		if err := rec.check("Service.DnsConfig.DnsRecords"); err != nil {
			return err
		}
	}
	return nil
}

// fits refuses what cannot become of this service.
func (u ServiceUpdate) fits(ns *Namespace, svc *Service) error {
	switch {
	case ns.Type == HTTPNamespace:
		return invalid("Id", "service %s is in an HTTP namespace, where services cannot be updated", svc.ID)
	case u.Records != nil && !sameTypes(u.Records, svc.DNS):
		return invalid("Service.DnsConfig.DnsRecords", "the service has %s, the request has %s: record types cannot change",
			typesOf(svc.DNS), typesOf(&DNSConfig{Records: u.Records}))
	case u.HealthCheck == nil:
		return nil
	case svc.CustomHealth:
		return invalid("Service.HealthCheckConfig", "does not go together with HealthCheckCustomConfig, which cannot be removed")
	case svc.HealthCheck != nil && svc.HealthCheck.Type != CheckType(u.HealthCheck.Type):
		return invalid("Service.HealthCheckConfig.Type", "is %s and cannot change", svc.HealthCheck.Type)
	}
	return u.HealthCheck.fits(ns, svc.DNS)
}

func sameTypes(records []DNSRecord, has *DNSConfig) bool {
	return typesOf(&DNSConfig{Records: records}) == typesOf(has)
}

// typesOf spells the record types in order, as A+AAAA.
func typesOf(c *DNSConfig) string {
	if c == nil {
		return "no records"
	}
	var types []string
	for _, rec := range c.Records {
		types = append(types, string(rec.Type))
	}
	slices.Sort(types)
	return strings.Join(types, "+")
}

// UpdateService submits new settings for a service and returns the id of the
// operation. While another is in flight it is a DuplicateRequest.
func (r *Registry) UpdateService(u ServiceUpdate) (operationID string, err error) {
	if err := u.check(); err != nil {
		return "", err
	}
	u.ID = r.idOf("service", u.ID)
	err = r.write(func(b *batch) error {
		svc := b.byService[u.ID]
		if svc == nil {
			return noService(u.ID)
		}
		if busy := b.byOperation[b.inFlight[u.ID]]; busy != nil {
			return duplicate(busy)
		}
		if err := u.fits(b.byNamespace[svc.service.NamespaceID], svc.service); err != nil {
			return err
		}
		operationID = b.submit(&operation{
			Operation: Operation{
				Type:        UpdateServiceOp,
				Targets:     Targets{Service: u.ID},
				NamespaceID: svc.service.NamespaceID, ServiceID: u.ID,
			},
			Change: &serviceChange{Description: u.Description, Records: slices.Clone(u.Records), HealthCheck: u.HealthCheck.settings()},
		})
		return nil
	})
	return operationID, err
}

// changeService applies an update. Instances keep their status while the check
// stays; with a check that goes, it goes.
func (b *batch) changeService(id string, c *serviceChange) {
	svc := *b.byService[id].service
	before := svc.HealthCheck
	svc.Description, svc.HealthCheck = c.Description, c.HealthCheck
	if c.Records == nil {
		svc.DNS, svc.Type = nil, HTTPService
	} else {
		svc.DNS = &DNSConfig{RoutingPolicy: svc.DNS.RoutingPolicy, Records: c.Records}
	}
	b.putService(&svc)
	b.checked = b.checked || !sameCheck(before, svc.HealthCheck)
	if before == nil || svc.HealthCheck != nil {
		return
	}
	for _, inst := range b.byService[id].instances {
		if inst.Health != Unknown {
			next := *inst
			next.Health = Unknown
			b.putInstance(id, &next)
		}
	}
}
