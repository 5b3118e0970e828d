//go:build linux

package main

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// The services that are asked, by their number of instances.
var asked = []int{10, 100, 1000}

// services of the large registry, those that are asked included.
const services = 200

func serviceName(instances int) string { return fmt.Sprintf("of%d", instances) }

func otherName(n int) string { return fmt.Sprintf("other-%03d", n) }

// othersOf is how many other services share the instances that are left.
func othersOf(left int) int {
	if left <= 0 {
		return 0
	}
	return services - len(asked)
}

// fill makes the file of a registry with the services that are asked, and as
// many others as make it that large; 0 is none.
func (st *stage) fill(name string, instances int) (path string, err error) {
	path = filepath.Join(st.dir, name+".db")
	reg, err := registry.Open(registry.Options{Path: path, NoSync: true})
	if err != nil {
		return "", err
	}
	ns, err := createNamespace(reg)
	if err != nil {
		return "", err
	}
	var g errgroup.Group
	g.SetLimit(services)
	add := func(name string, n int) error {
		svc, err := reg.CreateService(registry.NewService{Name: name, NamespaceID: ns, CustomHealth: true})
		if err != nil {
			return err
		}
		g.Go(func() error { return registerAll(reg, svc.ID, n) })
		return nil
	}
	for _, n := range asked {
		if err := add(serviceName(n), n); err != nil {
			return "", err
		}
		instances -= n
	}
	for others := othersOf(instances); others > 0; others-- {
		n := instances / others
		if err := add(otherName(others), n); err != nil {
			return "", err
		}
		instances -= n
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	return path, reg.Close()
}

func createNamespace(reg *registry.Registry) (id string, err error) {
	op, err := reg.CreateNamespace(registry.NewNamespace{Name: "bench", Type: registry.HTTPNamespace})
	if err != nil {
		return "", err
	}
	done, err := reg.Operation(op, "")
	if err != nil {
		return "", err
	}
	return done.Targets.Namespace, nil
}

func registerAll(reg *registry.Registry, service string, n int) error {
	for i := range n {
		_, err := reg.Register(registry.Registration{ServiceID: service, InstanceID: fmt.Sprintf("i-%017x", i), Attributes: attributes(i)})
		if err != nil {
			return err
		}
	}
	return nil
}

// attributes are the six that an instance has.
func attributes(i int) map[string]string {
	return map[string]string{
		registry.AttrIPv4: fmt.Sprintf("10.%d.%d.%d", i>>16&0xff, i>>8&0xff, i&0xff), registry.AttrPort: "8080",
		"availability-zone": "eu-west-1a", "version": "1.2.3", "deployment": "ecs-svc/1234567890123456789", "weight": "100",
	}
}

// discoverRequest asks for all instances of a service.
func discoverRequest(instances int) []byte {
	return request("/", "DiscoverInstances", discoverBody(instances))
}

func discoverBody(instances int) string { return discoverNamed(serviceName(instances), instances) }

func discoverNamed(service string, most int) string {
	return fmt.Sprintf(`{"NamespaceName":"bench","ServiceName":%q,"MaxResults":%d}`, service, most)
}
