package dns

import (
	"net/netip"
	"slices"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// pool is the addresses of a service at one moment, made once per view: an
// answer then costs what it says and not what the service is.
type pool struct {
	addresses [2][]netip.Addr // of A and AAAA: those that may be drawn
	aliases   bool            // some instance is an alias
	exists    bool            // some instance has a record
}

// poolOf is the pool of a view.
func poolOf(ns *registry.Namespace, svc *registry.ServiceView) *pool {
	if p, ok := svc.Derived(registry.DNSFace).(*pool); ok {
		return p
	}
	p := &pool{exists: hasRecords(ns, svc)}
	for _, inst := range svc.Instances {
		p.aliases = p.aliases || inst.Attributes.Get(registry.AttrAlias) != ""
	}
	for i, k := range []kind{kindA, kindAAAA} {
		p.addresses[i] = drawable(svc, k)
	}
	svc.Derive(registry.DNSFace, p)
	return p
}

// drawable is the addresses of the healthy instances, or of all where none of
// the healthy has one (fail open): each once, or as often as it has weight.
func drawable(svc *registry.ServiceView, k kind) []netip.Addr {
	var healthy, all []netip.Addr
	for _, inst := range svc.Instances {
		addr, ok := address(inst, k)
		if !ok {
			continue
		}
		all = append(all, addr)
		if svc.InPool(inst) {
			healthy = append(healthy, addr)
		}
	}
	if svc.HasCheck() && len(healthy) > 0 {
		all = healthy
	}
	if svc.DNS.RoutingPolicy != registry.Weighted { // where each instance has its weight
		slices.SortFunc(all, netip.Addr.Compare)
		all = slices.Compact(all)
	}
	return slices.Clip(all)
}

// drawPool is draw for addresses.
func (n node) drawPool(addresses []netip.Addr, k kind, ttl uint32, most int, c *chooser) []record {
	records := len(c.records)
	c.shuffle(len(addresses))
	for i := range min(most, len(addresses)) {
		c.records = append(c.records, record{name: n.name, kind: k, ttl: ttl, addr: addresses[c.next(i)]})
	}
	return slices.Clip(c.records[records:])
}
