package registry

import (
	"math/bits"
	"math/rand/v2"
)

// HealthFilter says which instances DiscoverInstances returns.
type HealthFilter string

// The filters. OnlyHealthy is the default. All of them are without effect on
// services that have no health check.
const (
	OnlyHealthy      HealthFilter = "HEALTHY"
	OnlyUnhealthy    HealthFilter = "UNHEALTHY"
	AnyHealth        HealthFilter = "ALL"
	HealthyOrElseAll HealthFilter = "HEALTHY_OR_ELSE_ALL"
)

// Query is what a client asks when it looks for instances.
type Query struct {
	Namespace string // the HTTPName
	Service   string
	Health    HealthFilter      // empty is OnlyHealthy
	Must      map[string]string // QueryParameters: attributes that have to match
	Prefer    map[string]string // OptionalParameters: ignored if they leave nothing
	Max       *int32            // 1 to 1000; nil is 100
	Owner     string            // OwnerAccount; empty is this account
}

// Discovery is the answer to a Query.
type Discovery struct {
	Instances []*Instance // in random order
	Revision  int64
}

// Discover returns instances of a service: those that match Must, then those
// with the wanted health, then, if any is left so, those that match Prefer.
// Order and choice are random.
func (r *Registry) Discover(q Query) (Discovery, error) {
	view, err := r.lookup(q)
	if err != nil {
		return Discovery{}, err
	}
	most := int64(defaultDiscover)
	if q.Max != nil {
		if most = int64(*q.Max); most < 1 || most > maxDiscover {
			return Discovery{}, between("MaxResults", most, 1, maxDiscover)
		}
	}
	if q.Health == "" && r.opts.Assume.DiscoverAll {
		q.Health = AnyHealth
	}
	found, err := view.healthy(matching(view.Instances, q.Must), q.Health)
	if err != nil {
		return Discovery{}, err
	}
	if preferred := matching(found, q.Prefer); len(preferred) > 0 {
		found = preferred
	}
	return Discovery{Instances: draw(found, int(most)), Revision: view.Revision}, nil
}

// DiscoverRevision returns the revision alone. It grows when an instance is
// registered or deregistered; health does not change it.
func (r *Registry) DiscoverRevision(q Query) (int64, error) {
	view, err := r.lookup(q)
	if err != nil {
		return 0, err
	}
	return view.Revision, nil
}

func (r *Registry) lookup(q Query) (*ServiceView, error) {
	err := first(
		required("NamespaceName", q.Namespace, maxNameHTTP),
		checkServiceName("ServiceName", q.Service),
		checkOwner(q.Owner),
		checkParameters("QueryParameters", q.Must),
		checkParameters("OptionalParameters", q.Prefer),
	)
	if err != nil {
		return nil, err
	}
	if !graphic(q.Namespace) {
		return nil, invalid("NamespaceName", "%q may only have printable ASCII characters without spaces", q.Namespace)
	}
	ns := r.published.namespaces.Load().byHTTPName[q.Namespace]
	if ns == nil || !r.owns(q.Owner) {
		return nil, refuse(NamespaceNotFound, "no namespace %s", q.Namespace)
	}
	view := r.ServiceNamed(ns, q.Service)
	if view == nil || view.Name != q.Service {
		return nil, refuse(ServiceNotFound, "no service %s in namespace %s", q.Service, q.Namespace)
	}
	return view, nil
}

func checkParameters(member string, attrs map[string]string) error {
	if len(attrs) == 0 {
		return nil
	}
	for _, key := range sortedKeys(attrs) {
		if err := checkAttribute(member, key, attrs[key]); err != nil {
			return err
		}
	}
	return nil
}

// healthy applies the filter to instances of the service.
func (v *ServiceView) healthy(instances []*Instance, filter HealthFilter) ([]*Instance, error) {
	switch filter {
	case "", OnlyHealthy, OnlyUnhealthy, AnyHealth, HealthyOrElseAll:
	default:
		return nil, invalid("HealthStatus", "%.32q is none of HEALTHY, UNHEALTHY, ALL, HEALTHY_OR_ELSE_ALL", filter)
	}
	if !v.HasCheck() {
		return instances, nil
	}
	switch filter {
	case AnyHealth:
		return instances, nil
	case OnlyUnhealthy:
		return keep(instances, func(i *Instance) bool { return i.Health == Unhealthy }), nil
	case HealthyOrElseAll:
		if healthy := keep(instances, v.InPool); len(healthy) > 0 {
			return healthy, nil
		}
		return instances, nil
	}
	return keep(instances, v.InPool), nil
}

// matching returns the instances that have all of the attributes.
func matching(instances []*Instance, attrs map[string]string) []*Instance {
	if len(attrs) == 0 {
		return instances
	}
	return keep(instances, func(i *Instance) bool {
		for key, want := range attrs {
			if got, ok := i.Attributes.Lookup(key); !ok || got != want {
				return false
			}
		}
		return true
	})
}

// draw returns at most n of the instances in random order, and leaves the list
// that it was given, which a view may own, as it is.
func draw(instances []*Instance, n int) []*Instance {
	drawn := append(make([]*Instance, 0, len(instances)), instances...)
	n = min(n, len(drawn))
	// One seed for each answer: a number from the shared source costs as much
	// as the copy of an instance.
	var source rand.PCG
	source.Seed(rand.Uint64(), rand.Uint64())
	for i := range n {
		below, _ := bits.Mul64(source.Uint64(), uint64(len(drawn)-i))
		j := i + int(below)
		drawn[i], drawn[j] = drawn[j], drawn[i]
	}
	return drawn[:n]
}
