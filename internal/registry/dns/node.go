package dns

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// node is a name in a namespace, and what stands there.
type node struct {
	ns   *registry.Namespace
	name name // as it was asked for
	zone name // the end of name that is the namespace

	svc   *registry.ServiceView // a service with records, or nil
	own   []*registry.Instance  // the instances of svc whose own name it is; nil at the name of svc
	empty bool                  // nothing here, but further down
}

// maxValues is how many instances a MULTIVALUE answer has at most, as in
// Route 53.
const maxValues = 8

func (n node) apex() bool   { return len(n.name) == len(n.zone) }
func (n node) exists() bool { return n.apex() || n.svc != nil || n.empty }

func (n node) soa() record {
	return record{name: n.zone, kind: kindSOA, ttl: uint32(n.ns.SOATTL)}
}

// found is what a node has for a question.
type found struct {
	records    []record
	additional []record
	alias      name // where to go on looking
}

// ask is the node's records of that type, or its alias.
func (n node) ask(k kind, pick func(int) int) found {
	switch {
	case k == kindAny:
		return n.askAny(pick)
	case n.apex() && k == kindSOA:
		return found{records: []record{n.soa()}}
	case n.apex() && k == kindNS:
		return found{records: []record{{name: n.name, kind: kindNS, ttl: nsTTL, target: soaServer}}}
	case n.own != nil:
		return found{records: n.addresses(n.own, n.name, k)}
	case n.svc == nil:
		return found{}
	case k == kindSRV:
		return n.targets(pick)
	}
	records, _ := n.draw(k, pick)
	if len(records) > 0 || k == kindCNAME || n.apex() {
		return found{records: records}
	}
	if records, _ = n.draw(kindCNAME, pick); len(records) == 0 {
		return found{}
	}
	return found{records: records, alias: records[0].target}
}

// askAny is the records of one type, which is all that ANY has to be answered
// with (RFC 8482, section 4.1).
func (n node) askAny(pick func(int) int) found {
	for _, k := range []kind{kindSOA, kindSRV, kindA, kindAAAA} {
		if f := n.ask(k, pick); len(f.records) > 0 {
			f.alias = nil
			return f
		}
	}
	return found{}
}

// targets is the SRV records of a service and the addresses they lead to.
func (n node) targets(pick func(int) int) found {
	records, from := n.draw(kindSRV, pick)
	f := found{records: records}
	for i, rec := range records {
		for _, k := range []kind{kindA, kindAAAA} {
			f.additional = append(f.additional, n.addresses(from[i:i+1], rec.target, k)...)
		}
	}
	return f
}

// addresses is the A or AAAA records of instances at a name of their own.
func (n node) addresses(instances []*registry.Instance, owner name, k kind) []record {
	var records []record
	for _, inst := range instances {
		if addr, ok := address(inst, k); ok {
			rec := record{name: owner, kind: k, ttl: ttl(n.svc, registry.RecordSRV), addr: addr}
			if !slices.ContainsFunc(records, rec.equals) {
				records = append(records, rec)
			}
		}
	}
	return records
}

// draw is a random choice, in random order, of the service's records of a type,
// and the instances that they are from: of the healthy ones, or of all where
// none is healthy (fail open).
func (n node) draw(k kind, pick func(int) int) ([]record, []*registry.Instance) {
	if !n.svc.DNS.Has(recordType(k)) {
		return nil, nil
	}
	if n.svc.HasCheck() {
		healthy := slices.DeleteFunc(slices.Clone(n.svc.Instances), func(i *registry.Instance) bool {
			return !n.svc.InPool(i)
		})
		if records, from := n.drawFrom(healthy, k, pick); len(records) > 0 {
			return records, from
		}
	}
	return n.drawFrom(slices.Clone(n.svc.Instances), k, pick)
}

// drawFrom is draw from a list, whose order it changes. Instances that have no
// record of the type do not count, and those that have the same one count once.
func (n node) drawFrom(pool []*registry.Instance, k kind, pick func(int) int) ([]record, []*registry.Instance) {
	most := maxValues
	if n.svc.DNS.RoutingPolicy == registry.Weighted {
		most = 1
	}
	var records []record
	drawn := 0
	for i := 0; i < len(pool) && len(records) < most; i++ {
		j := i + pick(len(pool)-i)
		pool[i], pool[j] = pool[j], pool[i]
		rec, ok := recordOf(n.ns, n.svc, pool[i], k)
		if !ok || slices.ContainsFunc(records, rec.equals) {
			continue
		}
		rec.name = n.name
		records = append(records, rec)
		pool[drawn] = pool[i]
		drawn++
	}
	return records, pool[:drawn]
}

// hasRecords reports whether the service has any record, which is what makes
// its name exist.
func hasRecords(ns *registry.Namespace, svc *registry.ServiceView) bool {
	return slices.ContainsFunc(svc.Instances, func(inst *registry.Instance) bool {
		if inst.Attributes[registry.AttrAlias] != "" {
			return true
		}
		return slices.ContainsFunc(svc.DNS.Records, func(r registry.DNSRecord) bool {
			_, ok := recordOf(ns, svc, inst, kindOf(r.Type))
			return ok
		})
	})
}

// recordOf is the record that an instance adds to its service, without the
// name, or false if it adds none of that type.
func recordOf(ns *registry.Namespace, svc *registry.ServiceView, inst *registry.Instance, k kind) (record, bool) {
	rec := record{kind: k, ttl: ttl(svc, recordType(k))}
	ok := false
	switch k {
	case kindA, kindAAAA:
		rec.addr, ok = address(inst, k)
	case kindCNAME:
		rec.target = splitName(inst.Attributes[registry.AttrCNAME])
		ok = len(rec.target) > 0 && rec.target.valid()
	case kindSRV:
		port, err := strconv.ParseUint(inst.Attributes[registry.AttrPort], 10, 16)
		rec.port, rec.target = uint16(port), instanceName(ns, svc, inst.ID)
		ok = err == nil && rec.target.valid()
	}
	return rec, ok
}

// address is the instance's address for an A or AAAA record.
func address(inst *registry.Instance, k kind) (netip.Addr, bool) {
	var addr netip.Addr
	var err error
	switch k {
	case kindA:
		addr, err = netip.ParseAddr(inst.Attributes[registry.AttrIPv4])
	case kindAAAA:
		addr, err = netip.ParseAddr(inst.Attributes[registry.AttrIPv6])
	default:
		return addr, false
	}
	return addr, err == nil
}

// instanceName is the own name of an instance of a service with SRV records.
func instanceName(ns *registry.Namespace, svc *registry.ServiceView, id string) name {
	n := name{id}
	if svc.Name != "." {
		n = append(n, splitName(svc.Name)...)
	}
	return append(n, splitName(ns.Name)...)
}

// ttl is how many seconds the service's records of a type may be cached.
func ttl(svc *registry.ServiceView, t registry.RecordType) uint32 {
	for _, r := range svc.DNS.Records {
		if r.Type == t {
			return uint32(r.TTL)
		}
	}
	return 0
}

func recordType(k kind) registry.RecordType {
	switch k {
	case kindA:
		return registry.RecordA
	case kindAAAA:
		return registry.RecordAAAA
	case kindSRV:
		return registry.RecordSRV
	case kindCNAME:
		return registry.RecordCNAME
	}
	return ""
}

func kindOf(t registry.RecordType) kind {
	for _, k := range []kind{kindA, kindAAAA, kindSRV, kindCNAME} {
		if recordType(k) == t {
			return k
		}
	}
	return 0
}
