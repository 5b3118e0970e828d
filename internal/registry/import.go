package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
)

// ImportOptions say what an import may do.
type ImportOptions struct {
	// Merge allows a registry that has something already. What the document and
	// the registry both have must then be the same.
	Merge bool
	// Adopt takes resources of another account or region in under the account
	// and region of the registry.
	Adopt bool
}

// Imported says what an import did.
type Imported struct {
	Account, Region string // of the registry
	Added           Census
	Present         Census // were there already, and the same
}

// NotEmptyError refuses an import without Merge.
type NotEmptyError struct{ Has Census }

func (e *NotEmptyError) Error() string {
	return "the registry is not empty: it has " + e.Has.String()
}

// OwnerError refuses an import without Adopt.
type OwnerError struct{ document, registry owner }

func (e *OwnerError) Error() string {
	return fmt.Sprintf("the document is of account %s in %s, the registry of account %s in %s",
		e.document.Account, e.document.Region, e.registry.Account, e.registry.Region)
}

// ImportFile adds the resources of a document to the registry in a file, which
// no other process may have open; it makes the file where there is none. All
// are added or none. Ids, dates and revisions stay as they are in the document;
// so do the account and region, where the registry is empty and nothing else is
// asked for. What is wrong with the document, and what is in the way of it, is
// returned as Mistakes.
func ImportFile(path string, d *Document, how ImportOptions) (Imported, error) {
	if err := d.Check(); err != nil {
		return Imported{}, err // and made no file
	}
	opts := Options{Path: path, CustomHealthDelay: never, Log: slog.New(slog.DiscardHandler)}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && !how.Adopt {
		opts.Account, opts.Region = d.Account, d.Region
	}
	r, err := Open(opts)
	if err != nil {
		return Imported{}, err
	}
	var done Imported
	err = r.write(func(b *batch) error {
		done, err = b.importDocument(d, how)
		return err
	})
	return done, errors.Join(err, r.Close())
}

// Check returns what of the document no registry could take, or nil.
func (d *Document) Check() error {
	p := plan{state: newState()}
	p.document(d)
	return p.err(d)
}

func (b *batch) importDocument(d *Document, how ImportOptions) (Imported, error) {
	done := Imported{Account: b.opts.Account, Region: b.opts.Region}
	has := b.census()
	if has != (Census{}) && !how.Merge {
		return Imported{}, &NotEmptyError{has}
	}
	from, to := owner{d.Account, d.Region}, owner{b.opts.Account, b.opts.Region}
	if from != to && !how.Adopt {
		if has != (Census{}) {
			return Imported{}, &OwnerError{from, to}
		}
		done.Account, done.Region = d.Account, d.Region
	}
	p := plan{state: b.state}
	p.document(d)
	if err := p.err(d); err != nil {
		return Imported{}, err
	}
	b.put(bucketMeta, ownerKey, owner{done.Account, done.Region})
	for _, ns := range p.namespaces {
		b.seq++
		ns.Seq = b.seq
		b.putNamespace(ns)
	}
	for _, svc := range p.services {
		b.byService[svc.ID] = &serviceState{service: svc}
		b.byName[nameIn(b.byNamespace[svc.NamespaceID], svc.Name)] = svc.ID
		b.countServices(svc.NamespaceID, +1)
		b.putService(svc)
	}
	for _, into := range p.instances {
		for _, inst := range into.list {
			b.putInstance(into.service, inst)
		}
		if into.grows {
			b.bumpRevision(into.service)
		}
	}
	done.Added, done.Present = p.added, p.present
	return done, nil
}

func (s *state) census() Census {
	n := Census{Namespaces: len(s.byNamespace), Services: len(s.byService)}
	for _, svc := range s.byService {
		n.Instances += len(svc.instances)
	}
	return n
}

// plan is what an import is going to add to a state, which it only reads.
type plan struct {
	state    *state
	mistakes Mistakes

	namespaces []*Namespace
	services   []*Service
	instances  []intake

	added, present Census

	httpNames, zones, serviceIDs map[string]string // -> the path that has it
}

// intake is a list of instances that a service gets.
type intake struct {
	service string
	list    []*Instance
	grows   bool // the service is there already: its revision has to show it
}

func (p *plan) err(d *Document) error {
	if len(p.mistakes) == 0 {
		return nil
	}
	return d.placed(p.mistakes)
}

// same reports whether two resources are equal in everything that they say.
func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

func (p *plan) document(d *Document) {
	if len(d.Account) != accountIDLength || !digits(d.Account) {
		p.mistakes.add("account", "%.32q does not have %d digits", d.Account, accountIDLength)
	}
	if !regionPattern.MatchString(d.Region) {
		p.mistakes.add("region", "%.32q is no name of a region", d.Region)
	}
	p.httpNames, p.zones, p.serviceIDs = make(map[string]string), make(map[string]string), make(map[string]string)
	for _, ns := range p.state.byNamespace {
		p.httpNames[ns.HTTPName] = ns.ID
		p.zones[ns.zoneKey()] = ns.ID
	}
	seen := make(map[string]bool)
	for i := range d.Namespaces {
		path := fmt.Sprintf("namespaces[%d]", i)
		entry := &d.Namespaces[i]
		if seen[entry.ID] {
			p.mistakes.add(path+".id", "%s stands twice", entry.ID)
			continue
		}
		seen[entry.ID] = true
		p.namespace(path, entry)
	}
}

func (p *plan) namespace(path string, entry *DocumentNamespace) {
	ns := entry.Namespace.portable()
	if !p.sound(path, ns.sound()) {
		return
	}
	there := p.state.byNamespace[ns.ID]
	switch {
	case there != nil && !same(there.portable(), ns):
		p.mistakes.add(path, "namespace %s is there already, and differs", ns.ID)
	case there != nil:
		p.present.Namespaces++
	default:
		p.taken(path+".httpName", p.httpNames, ns.HTTPName, "HTTP name "+ns.HTTPName)
		if key := ns.zoneKey(); key != "" {
			p.taken(path+".name", p.zones, key, "name "+ns.Name)
		}
		p.added.Namespaces++
		p.namespaces = append(p.namespaces, &ns)
	}
	names := make(map[string]string)
	for i := range entry.Services {
		p.service(fmt.Sprintf("%s.services[%d]", path, i), &ns, &entry.Services[i], names)
	}
}

// taken notes a name, and complains where something else has it.
func (p *plan) taken(path string, names map[string]string, name, what string) {
	if by, ok := names[name]; ok {
		p.mistakes.add(path, "the %s is taken by %s", what, by)
		return
	}
	names[name] = path
}

func (p *plan) service(path string, ns *Namespace, entry *DocumentService, names map[string]string) {
	svc, err := entry.Service.complete(ns)
	if !p.sound(path, err) {
		return
	}
	if at, ok := p.serviceIDs[svc.ID]; ok {
		p.mistakes.add(path+".id", "%s stands twice, also at %s", svc.ID, at)
		return
	}
	p.serviceIDs[svc.ID] = path
	p.taken(path+".name", names, nameIn(ns, svc.Name).name, "name "+svc.Name)
	there := p.state.byService[svc.ID]
	switch {
	case there != nil && (there.service.NamespaceID != ns.ID || !same(there.service.comparable(), svc.comparable())):
		p.mistakes.add(path, "service %s is there already, and differs", svc.ID)
	case there != nil:
		p.present.Services++
	default:
		if by := p.state.byName[nameIn(ns, svc.Name)]; by != "" {
			p.mistakes.add(path+".name", "the name %s is taken by %s", svc.Name, by)
		}
		p.added.Services++
		p.services = append(p.services, &svc)
	}
	p.takeIn(path, &svc, there, entry.Instances)
}

// comparable is the service without its revision, which moves on by itself.
func (s Service) comparable() Service {
	s = s.portable()
	s.Revision = 0
	return s
}

func (p *plan) takeIn(path string, svc *Service, there *serviceState, entries []Instance) {
	into := intake{service: svc.ID, grows: there != nil}
	seen := make(map[string]bool, len(entries))
	for i := range entries {
		at := fmt.Sprintf("%s.instances[%d]", path, i)
		inst := entries[i].portable()
		if !p.sound(at, inst.sound(svc)) {
			continue
		}
		if seen[inst.ID] {
			p.mistakes.add(at+".id", "%s stands twice", inst.ID)
			continue
		}
		seen[inst.ID] = true
		if there != nil {
			if had, found := there.find(inst.ID); found {
				if !same(there.instances[had].portable(), inst) {
					p.mistakes.add(at, "instance %s of service %s is there already, and differs", inst.ID, svc.ID)
				}
				p.present.Instances++
				continue
			}
		}
		p.added.Instances++
		into.list = append(into.list, &inst)
	}
	if len(into.list) > 0 {
		p.instances = append(p.instances, into)
	}
}

// sound notes what is wrong with a resource, and reports whether nothing is.
func (p *plan) sound(path string, err error) bool {
	if err == nil {
		return true
	}
	member, what := memberOf(err)
	if member != "" {
		path += "." + member
	}
	p.mistakes.add(path, "%s", what)
	return false
}
