package registry

import "fmt"

// Quotas are what one account may have. Zero is no limit.
type Quotas struct {
	Namespaces            int
	InstancesPerService   int
	InstancesPerNamespace int
}

// AWSQuotas are AWS's defaults. All but the instances of a service can be
// raised there on request.
func AWSQuotas() Quotas {
	return Quotas{Namespaces: 50, InstancesPerService: 1000, InstancesPerNamespace: 2000}
}

func (q Quotas) check() error {
	if q.Namespaces < 0 || q.InstancesPerService < 0 || q.InstancesPerNamespace < 0 {
		return fmt.Errorf("a quota is negative: %+v", q)
	}
	return nil
}

// overQuota refuses what comes on top of n where the quota is reached.
func overQuota(n, quota int, name, format string, args ...any) error {
	if quota == 0 || n < quota {
		return nil
	}
	return refuse(ResourceLimitExceeded, "%s: the quota %s is %d", fmt.Sprintf(format, args...), name, quota)
}

// roomForNamespace counts those that are on their way as well.
func (b *batch) roomForNamespace() error {
	n := len(b.byNamespace)
	for _, id := range b.inFlight {
		if b.byOperation[id].Type == CreateNamespaceOp {
			n++
		}
	}
	return overQuota(n, b.opts.Quotas.Namespaces, "namespaces", "the account has %d namespaces", n)
}

// roomForInstance counts those that are on their way as well. Registering an
// instance again takes no room.
func (b *batch) roomForInstance(svc *serviceState) error {
	n, namespace := len(svc.instances)+svc.arriving, svc.service.NamespaceID
	return first(
		overQuota(n, b.opts.Quotas.InstancesPerService, "instances-per-service", "service %s has %d instances", svc.service.ID, n),
		overQuota(b.population[namespace], b.opts.Quotas.InstancesPerNamespace, "instances-per-namespace",
			"namespace %s has %d instances", namespace, b.population[namespace]),
	)
}
