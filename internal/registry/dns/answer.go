package dns

import (
	"slices"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// view is what the answers come from. *registry.Registry is one.
type view interface {
	// Zone is the DNS namespace of that name, or nil.
	Zone(name string) *registry.Namespace
	// ServiceNamed is the service of that name, or nil.
	ServiceNamed(ns *registry.Namespace, name string) *registry.ServiceView
	// HasServiceBelow reports whether the name of a service with instances ends
	// in a dot and name.
	HasServiceBelow(ns *registry.Namespace, name string) bool
}

// maxChain is how many aliases an answer follows.
const maxChain = 8

// answer answers a question. It depends on nothing but its arguments; pick
// returns a random number from 0 up to, not including, n.
func answer(v view, q question, pick func(n int) int) reply {
	if q.class != classIN || q.kind.meta() {
		return reply{code: refused}
	}
	at, ours := find(v, q.name)
	if !ours {
		return reply{code: refused}
	}
	r := reply{authoritative: true}
	for range maxChain {
		got := at.ask(q.kind, pick)
		r.answers = append(r.answers, got.records...)
		r.additional = append(r.additional, got.additional...)
		if got.alias == nil {
			if len(got.records) == 0 {
				r.negative(at)
			}
			return r
		}
		if at, ours = find(v, got.alias); !ours || r.has(at.name) {
			return r
		}
	}
	return r
}

// has reports whether the answer already says something about a name.
func (r *reply) has(n name) bool {
	return slices.ContainsFunc(r.answers, func(rec record) bool { return slices.EqualFunc(rec.name, n, sameLabel) })
}

// negative says that there is no such record, or no such name. The TTL of the
// SOA is how long a resolver may believe it (RFC 2308, section 5).
func (r *reply) negative(at node) {
	if !at.exists() {
		r.code = nameError
	}
	soa := at.soa()
	soa.ttl = min(soa.ttl, soaMinimum)
	r.authority = []record{soa}
}

// find is the node of a name in the closest namespace above it, or false for a
// name that no namespace is above.
func find(v view, n name) (node, bool) {
	for cut := range len(n) {
		zone, ok := n[cut:].text()
		if !ok {
			continue
		}
		if ns := v.Zone(zone); ns != nil {
			return locate(v, ns, n, cut), true
		}
	}
	return node{}, false
}

// locate finds what a namespace has at a name; the labels from cut on are the
// namespace's.
func locate(v view, ns *registry.Namespace, n name, cut int) node {
	at := node{ns: ns, name: n, zone: n[cut:]}
	if svc := serviceAt(v, ns, n[:cut]); svc != nil && hasRecords(ns, svc) {
		at.svc = svc
		return at
	}
	if cut == 0 {
		return at
	}
	if svc := serviceAt(v, ns, n[1:cut]); svc != nil && svc.DNS.Has(registry.RecordSRV) {
		for _, inst := range svc.Instances {
			if sameLabel(inst.ID, n[0]) {
				at.svc, at.own = svc, append(at.own, inst)
			}
		}
	}
	if at.svc == nil {
		text, ok := n[:cut].text()
		at.empty = ok && v.HasServiceBelow(ns, text)
	}
	return at
}

// serviceAt is the service whose name the labels make, if it has DNS.
func serviceAt(v view, ns *registry.Namespace, labels name) *registry.ServiceView {
	text, ok := labels.text()
	if !ok {
		return nil
	}
	if text == "" {
		text = "."
	}
	if svc := v.ServiceNamed(ns, text); svc != nil && svc.DNS != nil {
		return svc
	}
	return nil
}
