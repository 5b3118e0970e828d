package registry

import "strings"

// HasServiceBelow reports whether a DNS namespace has a service with records
// whose name ends in a dot and name, which is compared without regard to case.
// Then name itself exists in DNS, though it has no records of its own (RFC
// 8020, section 2). It looks at every service.
func (r *Registry) HasServiceBelow(ns *Namespace, name string) bool {
	suffix := "." + strings.ToLower(name)
	for _, cell := range *r.published.services.Load().sorted.Load() {
		if cell.name.namespace != ns.ID || !strings.HasSuffix(cell.name.name, suffix) {
			continue
		}
		if view := cell.view.Load(); view.DNS != nil && len(view.Instances) > 0 {
			return true
		}
	}
	return false
}
