package registry

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// ServiceView is a service at one moment. It is immutable and shared: do not
// change what it points to.
type ServiceView struct {
	*Service
	// Instances are in order of their ids. Operations in flight do not show.
	Instances []*Instance

	unknownIsOut bool // Options.UnknownIsUnhealthy
	derived      [faces]atomic.Value
}

// Face is one of those that make more of a view than they are given.
type Face int

// The faces.
const (
	DNSFace Face = iota
	JSONFace
	faces
)

// Derived is what the face made of this view, or nil.
func (v *ServiceView) Derived(f Face) any { return v.derived[f].Load() }

// Derive keeps what the face made of this view, as long as the view. It is
// always of the same type; of several made at a time any may stay.
func (v *ServiceView) Derive(f Face, what any) { v.derived[f].Store(what) }

// Instance is the instance of that id, or nil.
func (v *ServiceView) Instance(id string) *Instance {
	if at, found := findInstance(v.Instances, id); found {
		return v.Instances[at]
	}
	return nil
}

// published is what readers see: the state as of the last commit.
type published struct {
	unknownIsOut bool // Options.UnknownIsUnhealthy; never changes

	namespaces atomic.Pointer[namespaceIndex]
	services   atomic.Pointer[serviceIndex]

	opMu sync.RWMutex
	byOp map[string]*operation
	log  []*operation // in order of Seq; private to published
}

// namespaceIndex is immutable.
type namespaceIndex struct {
	sorted     []*Namespace // by id
	byID       map[string]*Namespace
	byHTTPName map[string]*Namespace
	byZone     map[string]*Namespace // DNS namespaces by lower-case name; the oldest where several have it
}

// serviceIndex holds a cell per service. Services come and go in place; the
// index as a whole is replaced only when the state is loaded anew.
type serviceIndex struct {
	unknownIsOut bool

	byID   sync.Map                       // string -> *serviceCell
	byName sync.Map                       // serviceName -> *serviceCell
	below  sync.Map                       // serviceName -> *sync.Map of cells; see HasServiceBelow
	sorted atomic.Pointer[[]*serviceCell] // by id; the slice is immutable
}

type serviceCell struct {
	id           string
	name         serviceName
	unknownIsOut bool
	view         atomic.Pointer[ServiceView]
}

// serviceName is unique in the registry. In DNS namespaces names that differ
// only by case are the same name, and spelt in lower case here.
type serviceName struct{ namespace, name string }

func nameIn(ns *Namespace, name string) serviceName {
	if ns.Type != HTTPNamespace {
		name = strings.ToLower(name)
	}
	return serviceName{ns.ID, name}
}

func indexNamespaces(byID map[string]*Namespace) *namespaceIndex {
	ix := &namespaceIndex{
		byID:       maps.Clone(byID),
		byHTTPName: make(map[string]*Namespace, len(byID)),
		byZone:     make(map[string]*Namespace),
	}
	for _, ns := range byID {
		ix.sorted = append(ix.sorted, ns)
		ix.byHTTPName[ns.HTTPName] = ns
		if ns.Type == HTTPNamespace {
			continue
		}
		zone := strings.ToLower(ns.Name)
		if first := ix.byZone[zone]; first == nil || ns.Seq < first.Seq {
			ix.byZone[zone] = ns
		}
	}
	slices.SortFunc(ix.sorted, func(a, b *Namespace) int { return cmp.Compare(a.ID, b.ID) })
	return ix
}

// replace publishes the whole of a state.
func (p *published) replace(st *state) {
	ix := &serviceIndex{unknownIsOut: p.unknownIsOut}
	cells := make([]*serviceCell, 0, len(st.byService))
	for id, svc := range st.byService {
		cells = append(cells, ix.add(id, svc, st.byNamespace[svc.service.NamespaceID]))
	}
	slices.SortFunc(cells, func(a, b *serviceCell) int { return cmp.Compare(a.id, b.id) })
	ix.sorted.Store(&cells)
	p.namespaces.Store(indexNamespaces(st.byNamespace))
	p.services.Store(ix)

	p.opMu.Lock()
	defer p.opMu.Unlock()
	p.byOp = maps.Clone(st.byOperation)
	p.log = slices.Clone(st.log)
}

// update publishes what a batch changed.
func (p *published) update(b *batch) {
	if b.namespaces {
		p.namespaces.Store(indexNamespaces(b.byNamespace))
	}
	ix := p.services.Load()
	for id := range b.services {
		svc, exists := b.byService[id]
		known, published := ix.byID.Load(id)
		switch {
		case exists && published:
			known.(*serviceCell).show(svc)
		case exists:
			ix.insert(ix.add(id, svc, b.byNamespace[svc.service.NamespaceID]))
		case published:
			ix.delete(known.(*serviceCell))
		}
	}
	if len(b.operations) > 0 {
		p.updateOperations(b)
	}
}

// add makes the cell of a service and files it, but not in the sorted list.
func (ix *serviceIndex) add(id string, svc *serviceState, ns *Namespace) *serviceCell {
	cell := &serviceCell{id: id, name: nameIn(ns, svc.service.Name), unknownIsOut: ix.unknownIsOut}
	cell.show(svc)
	ix.byID.Store(id, cell)
	ix.byName.Store(cell.name, cell)
	ix.fileBelow(cell)
	return cell
}

func (ix *serviceIndex) insert(cell *serviceCell) {
	cells := slices.Clone(*ix.sorted.Load())
	at, _ := findCell(cells, cell.id)
	cells = slices.Insert(cells, at, cell)
	ix.sorted.Store(&cells)
}

func (ix *serviceIndex) delete(cell *serviceCell) {
	cells := slices.Clone(*ix.sorted.Load())
	at, _ := findCell(cells, cell.id)
	cells = slices.Delete(cells, at, at+1)
	ix.sorted.Store(&cells)
	ix.byID.Delete(cell.id)
	ix.byName.Delete(cell.name)
	ix.forgetBelow(cell)
}

func findCell(sorted []*serviceCell, id string) (int, bool) {
	return slices.BinarySearchFunc(sorted, id, func(c *serviceCell, id string) int { return cmp.Compare(c.id, id) })
}

// show publishes the service as it is; its instance list is shared from then on.
func (c *serviceCell) show(svc *serviceState) {
	svc.shared = true
	c.view.Store(&ServiceView{Service: svc.service, Instances: svc.instances, unknownIsOut: c.unknownIsOut})
}

// updateOperations shows the operations that the batch touched.
func (p *published) updateOperations(b *batch) {
	p.opMu.Lock()
	defer p.opMu.Unlock()
	for id := range b.operations {
		if op := b.byOperation[id]; op != nil {
			p.byOp[id] = op
		} else {
			delete(p.byOp, id)
		}
	}
	// Operations join at the end and leave from the front.
	for len(p.log) > 0 && p.byOp[p.log[0].ID] == nil {
		p.log = p.log[1:]
	}
	next := uint64(0)
	if n := len(p.log); n > 0 {
		next = p.log[n-1].Seq + 1
	}
	for id := range b.operations {
		if op := p.byOp[id]; op != nil && op.Seq < next {
			at, _ := findOperation(p.log, op.Seq)
			p.log[at] = op
		}
	}
	at, _ := findOperation(b.log, next)
	p.log = append(p.log, b.log[at:]...)
}

// View is the service of that id, or nil.
func (r *Registry) View(serviceID string) *ServiceView {
	if cell, ok := r.published.services.Load().byID.Load(serviceID); ok {
		return cell.(*serviceCell).view.Load()
	}
	return nil
}

// Zone is the DNS namespace of that name, compared without regard to case and
// written without a final dot, or nil. Where several have the name, which
// private namespaces of different VPCs may, it is the oldest.
func (r *Registry) Zone(name string) *Namespace {
	return r.published.namespaces.Load().byZone[strings.ToLower(name)]
}

// ServiceNamed is the service of that name in a namespace, or nil. In DNS
// namespaces the case of the name does not matter.
func (r *Registry) ServiceNamed(ns *Namespace, name string) *ServiceView {
	if cell, ok := r.published.services.Load().byName.Load(nameIn(ns, name)); ok {
		return cell.(*serviceCell).view.Load()
	}
	return nil
}

// Services are the services of a namespace, in order of their ids.
func (r *Registry) Services(namespaceID string) []*ServiceView {
	var views []*ServiceView
	for _, cell := range *r.published.services.Load().sorted.Load() {
		if view := cell.view.Load(); view.NamespaceID == namespaceID {
			views = append(views, view)
		}
	}
	return views
}
