package registry

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"
	"time"
)

// state is the newest truth, durable or about to be. It is owned by whoever
// holds the commit lock. The values that it points to are immutable: a change
// replaces them, so that views may share them.
type state struct {
	byNamespace map[string]*Namespace
	byService   map[string]*serviceState
	byName      map[serviceName]string // -> id of the service
	byOperation map[string]*operation
	log         []*operation      // in order of Seq, oldest first
	seq         uint64            // of the newest operation
	inFlight    map[string]string // resource -> id of its operation not yet done
	due         dueHeap
	population  map[string]int // namespace -> instances, those on their way in included
}

// serviceState is a service and its instances, in order of their ids.
type serviceState struct {
	service     *Service
	instances   []*Instance
	shared      bool // instances belongs to a view; copy it before a change
	registering int  // register operations in flight
	arriving    int  // those of them whose instance is new
}

func newState() *state {
	return &state{
		byNamespace: make(map[string]*Namespace),
		byService:   make(map[string]*serviceState),
		byName:      make(map[serviceName]string),
		byOperation: make(map[string]*operation),
		inFlight:    make(map[string]string),
		population:  make(map[string]int),
	}
}

func (s *serviceState) find(id string) (int, bool) {
	return findInstance(s.instances, id)
}

func findInstance(sorted []*Instance, id string) (int, bool) {
	return slices.BinarySearchFunc(sorted, id, func(i *Instance, id string) int { return cmp.Compare(i.ID, id) })
}

// own makes the instance list private to the state.
func (s *serviceState) own() {
	if s.shared {
		s.instances = slices.Clone(s.instances)
		s.shared = false
	}
}

func (s *serviceState) set(i *Instance) {
	s.own()
	at, found := s.find(i.ID)
	if found {
		s.instances[at] = i
		return
	}
	s.instances = slices.Insert(s.instances, at, i)
}

func (s *serviceState) delete(id string) {
	if at, found := s.find(id); found {
		s.own()
		s.instances = slices.Delete(s.instances, at, at+1)
	}
}

// dueItem says that something changes by itself at a time: an operation, or
// else the custom health status of an instance. An item whose subject moved on
// is ignored when it comes up.
type dueItem struct {
	at                time.Time
	operation         string
	service, instance string
}

type dueHeap []dueItem

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(dueItem)) }
func (h *dueHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// expect counts a registration that is in flight.
func (s *state) expect(svc *serviceState, instanceID string) {
	svc.registering++
	if _, there := svc.find(instanceID); !there {
		svc.arriving++
		s.population[svc.service.NamespaceID]++
	}
}

// arrive counts a registration that takes effect.
func (s *serviceState) arrive(instanceID string) {
	s.registering--
	if _, there := s.find(instanceID); !there {
		s.arriving--
	}
}

func (s *state) schedule(item dueItem) { heap.Push(&s.due, item) }

func (s *state) nextDue() (time.Time, bool) {
	if len(s.due) == 0 {
		return time.Time{}, false
	}
	return s.due[0].at, true
}

// applyDue brings the state to now.
func (b *batch) applyDue() {
	for len(b.due) > 0 && !b.due[0].at.After(b.now) {
		item := heap.Pop(&b.due).(dueItem)
		if item.operation != "" {
			b.finish(item.operation)
			continue
		}
		b.settleHealth(item.service, item.instance)
	}
}

// clampDues rebuilds the schedule of a state that was just loaded. A deadline
// never lies further ahead than its full length, however the clock jumped.
func (s *state) clampDues(now time.Time, opts Options) {
	for _, svc := range s.byService {
		slices.SortFunc(svc.instances, func(a, b *Instance) int { return strings.Compare(a.ID, b.ID) })
		s.population[svc.service.NamespaceID] += len(svc.instances)
	}
	for _, op := range s.log {
		if op.done() {
			continue
		}
		clamped := *op
		clamped.Due = earlier(op.Due, now.Add(opts.OperationDelay))
		s.replaceOperation(&clamped)
		s.inFlight[clamped.resource()] = op.ID
		if svc := s.byService[op.ServiceID]; svc != nil && op.Type == RegisterInstanceOp {
			s.expect(svc, op.Targets.Instance)
		}
		s.schedule(dueItem{at: clamped.Due, operation: op.ID})
	}
	for id, svc := range s.byService {
		for at, inst := range svc.instances {
			if inst.Change == nil {
				continue
			}
			clamped := *inst
			clamped.Change = &StatusChange{To: inst.Change.To, Due: earlier(inst.Change.Due, now.Add(opts.CustomHealthDelay))}
			svc.instances[at] = &clamped
			s.schedule(dueItem{at: clamped.Change.Due, service: id, instance: inst.ID})
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
