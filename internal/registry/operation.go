package registry

import (
	"cmp"
	"slices"
	"time"
)

// OperationType is what an operation does.
type OperationType string

// The operations that run after their call has returned.
const (
	CreateNamespaceOp    OperationType = "CREATE_NAMESPACE"
	DeleteNamespaceOp    OperationType = "DELETE_NAMESPACE"
	UpdateNamespaceOp    OperationType = "UPDATE_NAMESPACE"
	UpdateServiceOp      OperationType = "UPDATE_SERVICE"
	RegisterInstanceOp   OperationType = "REGISTER_INSTANCE"
	DeregisterInstanceOp OperationType = "DEREGISTER_INSTANCE"
)

// OperationStatus is how far an operation is.
type OperationStatus string

// An operation is submitted, then pending, then done.
const (
	Submitted OperationStatus = "SUBMITTED"
	Pending   OperationStatus = "PENDING"
	Success   OperationStatus = "SUCCESS"
	Fail      OperationStatus = "FAIL"
)

// Targets are the ids of the resources that an operation works on; those that
// it does not name are empty.
type Targets struct {
	Namespace string `json:"NAMESPACE,omitempty"`
	Service   string `json:"SERVICE,omitempty"`
	Instance  string `json:"INSTANCE,omitempty"`
}

// Operation is a change that takes time.
type Operation struct {
	ID          string          `json:"id"`
	Type        OperationType   `json:"type"`
	Status      OperationStatus `json:"status"`
	Targets     Targets         `json:"targets"`
	CreateDate  time.Time       `json:"createDate"`
	UpdateDate  time.Time       `json:"updateDate"`
	NamespaceID string          `json:"namespaceId,omitempty"`
	ServiceID   string          `json:"serviceId,omitempty"`
}

// operation is an Operation with what it still has to do. It is immutable.
type operation struct {
	Operation
	Seq       uint64         `json:"seq"` // order of submission
	Due       time.Time      `json:"due"` // when its effect applies
	Namespace *Namespace     `json:"namespace,omitempty"`
	Instance  *Instance      `json:"instance,omitempty"`
	Change    *serviceChange `json:"change,omitempty"`
	// NamespaceUpdate stays when it has applied: a late retry must find it.
	NamespaceUpdate *NamespaceUpdate `json:"namespaceUpdate,omitempty"`
}

func (op *operation) done() bool { return op.Status == Success || op.Status == Fail }

// id is empty for no operation.
func (op *operation) id() string {
	if op == nil {
		return ""
	}
	return op.ID
}

// resource names what the operation changes; it can change only one at a time.
func (op *operation) resource() string {
	if op.Targets.Instance != "" {
		return instanceResource(op.ServiceID, op.Targets.Instance)
	}
	if op.ServiceID != "" {
		return op.ServiceID
	}
	return op.NamespaceID
}

func instanceResource(serviceID, instanceID string) string { return serviceID + "/" + instanceID }

// at is the operation as it looks at a time: submitted for the first quarter of
// its way, then pending until its effect has applied.
func (op *operation) at(now time.Time) *Operation {
	shown := op.Operation
	if op.done() {
		return &shown
	}
	shown.Status = Submitted
	if starts := op.CreateDate.Add(op.Due.Sub(op.CreateDate) / 4); !now.Before(starts) {
		shown.Status, shown.UpdateDate = Pending, stamp(starts)
	}
	return &shown
}

func findOperation(sorted []*operation, seq uint64) (int, bool) {
	return slices.BinarySearchFunc(sorted, seq, func(op *operation, seq uint64) int { return cmp.Compare(op.Seq, seq) })
}

// replaceOperation files an operation, new or changed.
func (s *state) replaceOperation(op *operation) {
	s.byOperation[op.ID] = op
	at, found := findOperation(s.log, op.Seq)
	if found {
		s.log[at] = op
	} else {
		s.log = slices.Insert(s.log, at, op)
	}
	s.seq = max(s.seq, op.Seq)
}

// putOperation files an operation and writes it.
func (b *batch) putOperation(op *operation) {
	b.replaceOperation(op)
	b.operations[op.ID] = true
	b.put(bucketOperations, seqKey(op.Seq), op)
}

// submit starts an operation and returns its id. With no delay its effect has
// applied when submit returns.
func (b *batch) submit(op *operation) string {
	op.ID = newOperationID(b.now)
	op.Seq = b.seq + 1
	op.Status = Submitted
	op.CreateDate, op.UpdateDate = stamp(b.now), stamp(b.now)
	op.Due = b.now.Add(b.opts.OperationDelay)
	b.putOperation(op)
	b.inFlight[op.resource()] = op.ID
	if op.Type == RegisterInstanceOp {
		b.expect(b.byService[op.ServiceID], op.Targets.Instance)
	}
	if b.opts.OperationDelay == 0 {
		b.finish(op.ID)
	} else {
		b.schedule(dueItem{at: op.Due, operation: op.ID})
	}
	return op.ID
}

// finish applies the effect of an operation.
func (b *batch) finish(id string) {
	op := b.byOperation[id]
	if op == nil || op.done() {
		return
	}
	switch op.Type {
	case CreateNamespaceOp:
		b.putNamespace(op.Namespace)
	case UpdateNamespaceOp:
		b.updateNamespace(op.NamespaceID, op.NamespaceUpdate)
	case DeleteNamespaceOp:
		delete(b.byNamespace, op.NamespaceID)
		delete(b.population, op.NamespaceID)
		b.namespaces = true
		b.remove(bucketNamespaces, op.NamespaceID)
	case UpdateServiceOp:
		b.changeService(op.ServiceID, op.Change)
	case RegisterInstanceOp:
		b.byService[op.ServiceID].arrive(op.Targets.Instance)
		inst := *op.Instance
		inst.RegisteredBy = op.ID
		b.keepStatus(op.ServiceID, &inst)
		b.putInstance(op.ServiceID, &inst)
		b.bumpRevision(op.ServiceID)
		b.noteChecked(op.ServiceID)
	case DeregisterInstanceOp:
		b.removeInstance(op.ServiceID, op.Targets.Instance)
		b.bumpRevision(op.ServiceID)
		b.noteChecked(op.ServiceID)
	}
	delete(b.inFlight, op.resource())
	finished := *op
	finished.Status, finished.UpdateDate = Success, stamp(b.now)
	finished.Namespace, finished.Instance, finished.Change = nil, nil, nil
	b.putOperation(&finished)
}

// Operations that are done are remembered for a day, and the newest only.
const (
	rememberFor = 24 * time.Hour
	remember    = 100_000
)

// forgetOperations drops the oldest operations, up to the first that is still
// in flight.
func (b *batch) forgetOperations() {
	drop := 0
	for drop < len(b.log) {
		op := b.log[drop]
		if !op.done() || len(b.log)-drop <= remember && b.now.Sub(op.UpdateDate) < rememberFor {
			break
		}
		delete(b.byOperation, op.ID)
		b.operations[op.ID] = true
		b.remove(bucketOperations, seqKey(op.Seq))
		drop++
	}
	if drop > 0 {
		b.log = slices.Clone(b.log[drop:])
	}
}

func duplicate(busy *operation) error {
	return refuse(DuplicateRequest, "operation %s on the same resource is in progress", busy.ID).
		with("DuplicateOperationId", busy.ID)
}

// Operation returns the operation of that id. The owner is the account that it
// is asked of; empty is this account.
func (r *Registry) Operation(id, owner string) (*Operation, error) {
	if err := first(required("OperationId", id, maxOperationID), checkOwner(owner)); err != nil {
		return nil, err
	}
	r.published.opMu.RLock()
	op := r.published.byOp[id]
	r.published.opMu.RUnlock()
	if op == nil || !r.owns(owner) {
		return nil, refuse(OperationNotFound, "no operation %s", id)
	}
	return op.at(time.Now()), nil
}

// Operations returns a page of the operations, oldest first, without those that
// a filter (NAMESPACE_ID, SERVICE_ID, STATUS, TYPE, UPDATE_DATE) excludes.
func (r *Registry) Operations(page Page, filters []Filter) (found []*Operation, next string, err error) {
	match, err := compileFilters(filters, map[string]filterRule[*Operation]{
		"NAMESPACE_ID": {eq, func(op *Operation) string { return op.NamespaceID }, nil},
		"SERVICE_ID":   {eq, func(op *Operation) string { return op.ServiceID }, nil},
		"STATUS":       {eq | in, func(op *Operation) string { return string(op.Status) }, names(Submitted, Pending, Success, Fail)},
		"TYPE": {eq | in, func(op *Operation) string { return string(op.Type) },
			names(CreateNamespaceOp, DeleteNamespaceOp, UpdateNamespaceOp, UpdateServiceOp, RegisterInstanceOp, DeregisterInstanceOp)},
		"UPDATE_DATE": {timeBetween, func(op *Operation) string { return epoch(op.UpdateDate) }, nil},
	})
	if err != nil {
		return nil, "", err
	}
	r.published.opMu.RLock()
	defer r.published.opMu.RUnlock()
	cut, next, err := cutPage(page, "operations", r.published.log, func(op *operation) string { return seqKey(op.Seq) })
	now := time.Now()
	for _, op := range cut {
		found = append(found, op.at(now))
	}
	return keep(found, match), next, err
}
