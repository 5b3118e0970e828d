package dns

import (
	"fmt"
	"net/netip"
)

// APIName makes the registry's own API known by name. Clients of AWS put
// "data-" before the host of two of their calls, so that name answers too.
type APIName struct {
	// Name is the name of the API, such as cloudmap.internal.
	Name string
	// Address is where the API listens. Of one that listens everywhere an
	// asker learns the address at which it reached the DNS server.
	Address netip.Addr
}

// dataPrefix is what the clients put before the host.
const dataPrefix = "data-"

// apiTTL is how long the address of the API may be cached, in seconds.
const apiTTL = 60

// apiNames is the names that an APIName stands for; of none, it is empty.
type apiNames struct {
	names   []name
	address netip.Addr
}

func newAPINames(a APIName) (apiNames, error) {
	if a.Name == "" {
		return apiNames{}, nil
	}
	plain := splitName(a.Name)
	data := splitName(dataPrefix + a.Name)
	for _, n := range []name{plain, data} {
		if len(plain) == 0 || !n.valid() {
			return apiNames{}, fmt.Errorf("API name %q is no domain name, or none with %s before it", a.Name, dataPrefix)
		}
	}
	if !a.Address.IsValid() {
		return apiNames{}, fmt.Errorf("API name %s: no address", a.Name)
	}
	return apiNames{[]name{plain, data}, a.Address.Unmap()}, nil
}

// answer answers a question about one of the names. It is false for any other
// name.
func (a *apiNames) answer(q question, from asker) (reply, bool) {
	if !a.has(q.name) {
		return reply{}, false
	}
	if q.class != classIN || q.kind.meta() {
		return reply{code: refused}, true
	}
	addr := a.address
	if addr.IsUnspecified() {
		addr = from.at
	}
	family := kindA
	if addr.Is6() {
		family = kindAAAA
	}
	r := reply{authoritative: true}
	if addr.IsValid() && (q.kind == family || q.kind == kindAny) {
		r.answers = []record{{name: q.name, kind: family, ttl: apiTTL, addr: addr.WithZone("")}}
	} else {
		r.authority = []record{{name: q.name, kind: kindSOA, ttl: apiTTL}}
	}
	return r, true
}

func (a *apiNames) has(n name) bool {
	for _, own := range a.names {
		if own.same(n) {
			return true
		}
	}
	return false
}
