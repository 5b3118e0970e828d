package registry

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// ExportFile reads the registry in a file, which no other process may have
// open, and leaves it as it is. What was acknowledged is in the document: an
// operation that was still on its way has arrived, as it would have at the next
// start. A custom health status that waits for its time still waits.
func ExportFile(path string) (*Document, error) {
	s, err := openExisting(path, bbolt.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer s.close() // nothing was written
	st := newState()
	if err := s.load(st); err != nil {
		return nil, err
	}
	of, err := s.owner()
	if err != nil {
		return nil, err
	}
	st.finishAll()
	d := NewDocument(cmp.Or(of.Account, DefaultAccount), cmp.Or(of.Region, DefaultRegion), st.document())
	if damage := s.metaDamage(); damage != nil {
		d.Warning = fmt.Sprintf("%s: %s; %s", path, damage, lastWrite)
	}
	return d, nil
}

// never is further ahead than any deadline.
const never = time.Duration(math.MaxInt64)

// finishAll applies every operation at its own time.
func (s *state) finishAll() {
	s.clampDues(time.Now(), Options{OperationDelay: never, CustomHealthDelay: never})
	b := &batch{state: s, services: make(map[string]bool), operations: make(map[string]bool)}
	for _, op := range slices.Clone(s.log) {
		b.now = op.Due
		b.finish(op.ID)
	}
}

// document copies all resources of a state.
func (s *state) document() []DocumentNamespace {
	services := make(map[string][]DocumentService)
	for _, svc := range s.byService {
		of := svc.service.NamespaceID
		services[of] = append(services[of], svc.document())
	}
	list := make([]DocumentNamespace, 0, len(s.byNamespace))
	for id, ns := range s.byNamespace {
		entry := DocumentNamespace{Namespace: *ns, Services: services[id]}
		slices.SortFunc(entry.Services, func(a, b DocumentService) int { return cmp.Compare(a.Name, b.Name) })
		if entry.Services == nil {
			entry.Services = []DocumentService{}
		}
		list = append(list, entry)
	}
	slices.SortFunc(list, func(a, b DocumentNamespace) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), a.CreateDate.Compare(b.CreateDate), cmp.Compare(a.ID, b.ID))
	})
	for i := range list {
		list[i].Namespace = list[i].Namespace.portable()
	}
	return list
}

func (s *serviceState) document() DocumentService {
	entry := DocumentService{Service: s.service.portable(), Instances: make([]Instance, len(s.instances))}
	for i, inst := range s.instances {
		entry.Instances[i] = inst.portable()
	}
	return entry
}

// portable is the namespace without what means nothing elsewhere, and with its
// time written in one way.
func (n Namespace) portable() Namespace {
	n.Seq, n.ServiceCount = 0, 0
	n.CreateDate = stamp(n.CreateDate)
	return n
}

// portable is the service without what the document says by its place.
func (s Service) portable() Service {
	s.NamespaceID = ""
	s.CreateDate = stamp(s.CreateDate)
	return s
}

// portable is the instance without the operation that registered it.
func (i Instance) portable() Instance {
	i.RegisteredBy = ""
	if i.Change != nil {
		i.Change = &StatusChange{To: i.Change.To, Due: i.Change.Due.Round(0).UTC()}
	}
	return i
}
