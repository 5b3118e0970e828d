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
	beyond     name // whose address is the node's own, or nil
}

// ask is the node's records of that type, or its alias.
func (n node) ask(k kind, c *chooser) found {
	switch {
	case k == kindAny:
		return n.askAny(c)
	case n.apex() && k == kindSOA:
		return found{records: []record{n.soa()}}
	case n.apex() && k == kindNS:
		return found{records: []record{{name: n.name, kind: kindNS, ttl: nsTTL, target: soaServer}}}
	case n.own != nil:
		return found{records: n.addresses(n.own, n.name, k)}
	case n.svc == nil:
		return found{}
	case k == kindSRV:
		return n.targets(c)
	}
	records := n.draw(k, c).records
	switch {
	case len(records) > 0 && records[0].isAlias():
		// Aliases are for WEIGHTED services, which answer with one value.
		return found{beyond: records[0].target}
	case len(records) > 0, k == kindCNAME, n.apex():
		return found{records: records}
	}
	if records = n.draw(kindCNAME, c).records; len(records) == 0 {
		return found{}
	}
	return found{records: records, alias: records[0].target}
}

// askAny is the records of one type, which is all that ANY has to be answered
// with (RFC 8482, section 4.1).
func (n node) askAny(c *chooser) found {
	for _, k := range []kind{kindSOA, kindSRV, kindA, kindAAAA} {
		if f := n.ask(k, c); len(f.records) > 0 {
			f.alias = nil
			return f
		}
	}
	return found{}
}

// targets is the SRV records of a service and the addresses they lead to.
func (n node) targets(c *chooser) found {
	got := n.draw(kindSRV, c)
	f := found{records: got.records}
	for i, rec := range got.records {
		for _, k := range []kind{kindA, kindAAAA} {
			f.additional = append(f.additional, n.addresses(got.from[i:i+1], rec.target, k)...)
		}
	}
	return f
}

// addresses is the A or AAAA records of instances at a name of their own.
func (n node) addresses(instances []*registry.Instance, owner name, k kind) []record {
	ttl, _ := ttl(n.svc, registry.RecordSRV)
	var records []record
	for _, inst := range instances {
		if addr, ok := address(inst, k); ok {
			rec := record{name: owner, kind: k, ttl: ttl, addr: addr}
			if !contains(records, &rec) {
				records = append(records, rec)
			}
		}
	}
	return records
}

// hasRecords reports whether the service has any record, which is what makes
// its name exist.
func hasRecords(ns *registry.Namespace, svc *registry.ServiceView) bool {
	return slices.ContainsFunc(svc.Instances, func(inst *registry.Instance) bool {
		if inst.Attributes.Get(registry.AttrAlias) != "" {
			return true
		}
		return slices.ContainsFunc(svc.DNS.Records, func(r registry.DNSRecord) bool {
			return recordOf(&record{kind: kindOf(r.Type)}, ns, svc, inst, false)
		})
	})
}

// recordOf fills in what an instance says in its service's record of a kind. It
// is false for one that has none. An alias, where it may be one, is a record
// without an address, whose target has it.
func recordOf(rec *record, ns *registry.Namespace, svc *registry.ServiceView, inst *registry.Instance, aliases bool) bool {
	ok := false
	switch rec.kind {
	case kindA, kindAAAA:
		if rec.addr, ok = address(inst, rec.kind); !ok && aliases {
			rec.addr, rec.target = netip.Addr{}, splitName(inst.Attributes.Get(registry.AttrAlias))
			ok = len(rec.target) > 0 && rec.target.valid()
		}
	case kindCNAME:
		rec.target = splitName(inst.Attributes.Get(registry.AttrCNAME))
		ok = len(rec.target) > 0 && rec.target.valid()
	case kindSRV:
		port, err := strconv.ParseUint(inst.Attributes.Get(registry.AttrPort), 10, 16)
		rec.port, rec.target = uint16(port), instanceName(ns, svc, inst.ID)
		ok = err == nil && rec.target.valid()
	}
	return ok
}

// address is the instance's address for an A or AAAA record.
func address(inst *registry.Instance, k kind) (netip.Addr, bool) {
	attr := registry.AttrIPv4
	if k == kindAAAA {
		attr = registry.AttrIPv6
	} else if k != kindA {
		return netip.Addr{}, false
	}
	text := inst.Attributes.Get(attr)
	if text == "" {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(text)
	return addr, err == nil && addr.Is4() == (k == kindA)
}

// instanceName is the own name of an instance of a service with SRV records.
func instanceName(ns *registry.Namespace, svc *registry.ServiceView, id string) name {
	n := name{id}
	if svc.Name != "." {
		n = append(n, splitName(svc.Name)...)
	}
	return append(n, splitName(ns.Name)...)
}

// ttl is how many seconds the service's records of a type may be cached, or
// false where it has none.
func ttl(svc *registry.ServiceView, t registry.RecordType) (uint32, bool) {
	for i := range svc.DNS.Records {
		if r := &svc.DNS.Records[i]; r.Type == t {
			return uint32(r.TTL), true
		}
	}
	return 0, false
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
