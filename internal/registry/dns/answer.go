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

// answer answers a question. It depends on nothing but its arguments. The reply
// is good until the chooser's next answer.
func answer(v view, q question, c *chooser) reply {
	c.forget()
	if q.class != classIN || q.kind.meta() {
		return reply{code: refused}
	}
	at, ours := find(v, q.name)
	if !ours {
		return reply{code: refused, rest: rest{how: foreign, name: q.name}}
	}
	r := reply{authoritative: true}
	for range maxChain {
		got := at.ask(q.kind, c)
		if r.answers == nil {
			r.answers = got.records
		} else {
			r.answers = append(r.answers, got.records...)
		}
		r.additional = append(r.additional, got.additional...)
		if got.beyond != nil {
			r.alias(v, q.kind, at, got.beyond, c)
			return r
		}
		if got.alias == nil {
			if len(got.records) == 0 {
				r.negative(at)
			}
			return r
		}
		if r.has(got.alias) {
			return r
		}
		if at, ours = find(v, got.alias); !ours {
			r.rest = rest{how: continued, name: got.alias}
			return r
		}
	}
	return r
}

// has reports whether the answer already says something about a name.
func (r *reply) has(n name) bool {
	return slices.ContainsFunc(r.answers, func(rec record) bool { return rec.name.same(n) })
}

// alias says what addresses a node has that takes them from another name. Those
// of a name of ours are taken at once, if they stand right there.
func (r *reply) alias(v view, k kind, at node, target name, c *chooser) {
	before := len(r.answers)
	there, ours := find(v, target)
	if !ours {
		r.rest = rest{how: aliased, name: target, owner: at.name}
	} else if got := there.ask(k, c); got.alias == nil {
		for _, rec := range got.records {
			rec.name = at.name
			r.answers = append(r.answers, rec)
		}
	}
	if len(r.answers) == before {
		r.negative(at)
	}
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
	text, from := n.tail()
	for cut := from; cut < len(n); cut++ {
		if ns := v.Zone(text); ns != nil {
			return locate(v, ns, n, cut), true
		}
		text = text[min(len(n[cut])+1, len(text)):]
	}
	return node{}, false
}

// locate finds what a namespace has at a name; the labels from cut on are the
// namespace's.
func locate(v view, ns *registry.Namespace, n name, cut int) node {
	at := node{ns: ns, name: n, zone: n[cut:]}
	own, readable := n[:cut].text()
	if readable {
		if svc := serviceAt(v, ns, own); svc != nil && poolOf(ns, svc).exists {
			at.svc = svc
			return at
		}
	}
	if cut == 0 {
		return at
	}
	if above, ok := n[1:cut].text(); ok {
		if svc := serviceAt(v, ns, above); svc != nil && svc.DNS.Has(registry.RecordSRV) {
			for _, inst := range svc.Instances {
				if sameLabel(inst.ID, n[0]) {
					at.svc, at.own = svc, append(at.own, inst)
				}
			}
		}
	}
	if at.svc == nil {
		at.empty = readable && v.HasServiceBelow(ns, own)
	}
	return at
}

// serviceAt is the service of that name, if it has DNS.
func serviceAt(v view, ns *registry.Namespace, text string) *registry.ServiceView {
	if text == "" {
		text = "."
	}
	if svc := v.ServiceNamed(ns, text); svc != nil && svc.DNS != nil {
		return svc
	}
	return nil
}
