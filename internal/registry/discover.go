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
	View *ServiceView
	// Drawn are the instances, in random order, by their place in the view.
	Drawn []int32
}

// Instances are the instances themselves.
func (d Discovery) Instances() []*Instance {
	instances := make([]*Instance, len(d.Drawn))
	for i, at := range d.Drawn {
		instances[i] = d.View.Instances[at]
	}
	return instances
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
	found := make([]int32, len(view.Instances))
	for i := range found {
		found[i] = int32(i)
	}
	if found, err = view.healthy(view.matching(found, q.Must), q.Health); err != nil {
		return Discovery{}, err
	}
	if preferred := view.matching(found, q.Prefer); len(preferred) > 0 {
		found = preferred
	}
	return Discovery{view, draw(found, int(most))}, nil
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

// lookup checks the part of a query that all discovery has, and finds its service.
func (r *Registry) lookup(q Query) (*ServiceView, error) {
	var view *ServiceView
	ns := r.published.namespaces.Load().byHTTPName[q.Namespace]
	if ns != nil {
		view = r.ServiceNamed(ns, q.Service)
	}
	if view == nil { // names that somebody has need no look at their shape
		if err := q.checkNames(); err != nil {
			return nil, err
		}
	}
	err := first(
		checkOwner(q.Owner),
		checkParameters("QueryParameters", q.Must),
		checkParameters("OptionalParameters", q.Prefer),
	)
	switch {
	case err != nil:
		return nil, err
	case ns == nil || !r.owns(q.Owner):
		return nil, refuse(NamespaceNotFound, "no namespace %s", q.Namespace)
	case view == nil || view.Name != q.Service:
		return nil, refuse(ServiceNotFound, "no service %s in namespace %s", q.Service, q.Namespace)
	}
	return view, nil
}

func (q Query) checkNames() error {
	err := first(required("NamespaceName", q.Namespace, maxNameHTTP), checkServiceName("ServiceName", q.Service))
	if err == nil && !graphic(q.Namespace) {
		err = invalid("NamespaceName", "%q may only have printable ASCII characters without spaces", q.Namespace)
	}
	return err
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
func (v *ServiceView) healthy(found []int32, filter HealthFilter) ([]int32, error) {
	switch filter {
	case "", OnlyHealthy, OnlyUnhealthy, AnyHealth, HealthyOrElseAll:
	default:
		return nil, invalid("HealthStatus", "%.32q is none of HEALTHY, UNHEALTHY, ALL, HEALTHY_OR_ELSE_ALL", filter)
	}
	if !v.HasCheck() {
		return found, nil
	}
	inPool := func(i *Instance) bool { return i.Health == Healthy || v.InPool(i) } // nearly all are healthy
	switch filter {
	case AnyHealth:
		return found, nil
	case OnlyUnhealthy:
		return v.sift(found, func(i *Instance) bool { return i.Health == Unhealthy }), nil
	case HealthyOrElseAll:
		if pool := v.sift(found, inPool); len(pool) > 0 {
			return pool, nil
		}
		return found, nil
	}
	return v.sift(found, inPool), nil
}

// matching returns the instances that have all of the attributes, as sift does.
func (v *ServiceView) matching(found []int32, attrs map[string]string) []int32 {
	if len(attrs) == 0 {
		return found
	}
	return v.sift(found, func(i *Instance) bool {
		for key, want := range attrs {
			if got, ok := i.Attributes.Lookup(key); !ok || got != want {
				return false
			}
		}
		return true
	})
}

// sift moves the instances that match to the front of found, and returns them.
// Where none does, found is as it was.
func (v *ServiceView) sift(found []int32, match func(*Instance) bool) []int32 {
	kept := found[:0]
	for _, at := range found {
		if match(v.Instances[at]) {
			kept = append(kept, at)
		}
	}
	return kept
}

// draw returns at most n of found in random order; it uses the list up.
func draw(found []int32, n int) []int32 {
	n = min(n, len(found))
	// One seed for each answer: a number from the shared source costs as much
	// as the copy of an instance.
	var source rand.PCG
	source.Seed(rand.Uint64(), rand.Uint64())
	for i := range n {
		below, _ := bits.Mul64(source.Uint64(), uint64(len(found)-i))
		j := i + int(below)
		found[i], found[j] = found[j], found[i]
	}
	return found[:n]
}
