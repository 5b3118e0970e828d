package awsjson

import (
	"github.com/mapwarden/mapwarden/internal/registry"
)

// operation carries out one call: JSON in, JSON out, which is appended to
// answer or is a slice of its own.
type operation func(reg *registry.Registry, body, answer []byte) ([]byte, error)

// call makes an operation of a function on the SDK's structs. A nil output is
// an empty body, which is how operations without an output shape answer.
func call[In, Out any](do func(*registry.Registry, *In) (*Out, error)) operation {
	return func(reg *registry.Registry, body, _ []byte) ([]byte, error) {
		in := new(In)
		if err := decode(body, in); err != nil {
			return nil, err
		}
		out, err := do(reg, in)
		if err != nil || out == nil {
			return nil, err
		}
		return encode(out)
	}
}

//go:generate go test . -run IsCurrent -update

// operations is the table of all operations that are offered, by the name that
// stands in X-Amz-Target.
func operations() map[string]operation {
	return map[string]operation{
		"CreateHttpNamespace":       call(createHTTPNamespace),
		"CreatePrivateDnsNamespace": call(createPrivateDNSNamespace),
		"CreatePublicDnsNamespace":  call(createPublicDNSNamespace),
		"UpdateHttpNamespace":       call(updateHTTPNamespace),
		"UpdatePrivateDnsNamespace": call(updatePrivateDNSNamespace),
		"UpdatePublicDnsNamespace":  call(updatePublicDNSNamespace),
		"DeleteNamespace":           call(deleteNamespace),
		"GetNamespace":              call(getNamespace),
		"ListNamespaces":            call(listNamespaces),

		"CreateService": call(createService),
		"DeleteService": call(deleteService),
		"GetService":    call(getService),
		"UpdateService": call(updateService),
		"ListServices":  call(listServices),

		"GetServiceAttributes":    call(getServiceAttributes),
		"UpdateServiceAttributes": call(updateServiceAttributes),
		"DeleteServiceAttributes": call(deleteServiceAttributes),

		"RegisterInstance":   call(registerInstance),
		"DeregisterInstance": call(deregisterInstance),
		"GetInstance":        call(getInstance),
		"ListInstances":      call(listInstances),

		"GetInstancesHealthStatus":         call(getInstancesHealthStatus),
		"UpdateInstanceCustomHealthStatus": call(updateInstanceCustomHealthStatus),

		"DiscoverInstances":         discoverInstances,
		"DiscoverInstancesRevision": call(discoverInstancesRevision),

		"GetOperation":   call(getOperation),
		"ListOperations": call(listOperations),

		"ListTagsForResource": call(listTagsForResource),
		"TagResource":         call(tagResource),
		"UntagResource":       call(untagResource),
	}
}

// value is what a pointer points to, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// text is nil for an empty string: AWS leaves empty members out.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// count is a number as a pointer.
func count(n int) *int32 {
	v := int32(n)
	return &v
}
