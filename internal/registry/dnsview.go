package registry

import (
	"iter"
	"strings"
	"sync"
)

// HasServiceBelow reports whether a DNS namespace has a service with records
// whose name ends in a dot and name, which is compared without regard to case.
// Then name itself exists in DNS, though it has no records of its own (RFC
// 8020, section 2).
func (r *Registry) HasServiceBelow(ns *Namespace, name string) bool {
	cells, ok := r.published.services.Load().below.Load(nameIn(ns, name))
	if !ok {
		return false
	}
	has := false
	cells.(*sync.Map).Range(func(cell, _ any) bool {
		view := cell.(*serviceCell).view.Load()
		has = view.DNS != nil && len(view.Instances) > 0
		return !has
	})
	return has
}

// above yields the names that a service's name makes exist.
func (c *serviceCell) above() iter.Seq[serviceName] {
	return func(yield func(serviceName) bool) {
		for name := c.name.name; ; {
			_, rest, ok := strings.Cut(name, ".")
			if !ok || rest == "" || !yield(serviceName{c.name.namespace, rest}) {
				return
			}
			name = rest
		}
	}
}

// fileBelow files a cell under the names above its own. Writers come one at a
// time.
func (ix *serviceIndex) fileBelow(cell *serviceCell) {
	for name := range cell.above() {
		cells, _ := ix.below.LoadOrStore(name, new(sync.Map))
		cells.(*sync.Map).Store(cell, nil)
	}
}

// forgetBelow undoes fileBelow.
func (ix *serviceIndex) forgetBelow(cell *serviceCell) {
	for name := range cell.above() {
		cells, ok := ix.below.Load(name)
		if !ok {
			continue
		}
		cells.(*sync.Map).Delete(cell)
		empty := true
		cells.(*sync.Map).Range(func(any, any) bool { empty = false; return false })
		if empty {
			ix.below.Delete(name)
		}
	}
}
