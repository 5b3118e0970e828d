package warden

import (
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// ghostFor is how long an instance that we removed and that is gone still
// counts as out (safety rule 5).
const ghostFor = 10 * time.Minute

// servicesListed takes the set of services. What is out of scope is not
// looked at; what is absent from a complete listing is dropped, unless the
// journal still holds something of it.
func (w *Warden) servicesListed(e ServicesListed) {
	if !w.configured {
		return
	}
	seen := make(map[string]bool, len(e.Services))
	outside := make(map[string]bool)
	if !e.Complete {
		outside = w.outside
	}
	for _, f := range e.Services {
		if !w.cfg.Scope.Covers(f.Service) {
			outside[f.Service.ID] = true
			continue
		}
		seen[f.Service.ID] = true
		_, known := w.byID[f.Service.ID]
		s := w.service(f)
		if !known {
			s.late = w.synced && !w.outside[f.Service.ID]
		}
		s.present = true
		if s.found != f {
			s.found = f
			w.settle(s)
		}
	}
	w.outside = outside
	if !e.Complete {
		return
	}
	w.listed = true
	for _, s := range slices.Clone(w.services) {
		switch {
		case s == nil || seen[s.found.Service.ID]:
		case w.journalled(s):
			s.present = false
		default:
			w.dropService(s)
		}
	}
	w.sync()
}

// sync notices the first moment at which everything was listed completely. A
// service that the registry does not have any more is not waited for.
func (w *Warden) sync() {
	unlisted := func(s *service) bool { return s != nil && s.present && s.listed == 0 }
	if w.synced || !w.listed || slices.ContainsFunc(w.services, unlisted) {
		return
	}
	w.synced = true
	w.record(Record{Kind: FleetRecord, Detail: "first sync: every service was listed completely"})
	w.assess()
}

// journalled reports whether a service has an open entry or a job.
func (w *Warden) journalled(s *service) bool {
	return slices.ContainsFunc(s.members, func(i int) bool { return w.slots[i].entry != nil || w.slots[i].job != nil })
}

// instancesListed takes the instances of one service. Only a complete listing
// can say that something is absent, and an empty one has to say it twice.
func (w *Warden) instancesListed(e InstancesListed) {
	index, ok := w.byID[e.Service]
	if !ok {
		return
	}
	s := w.services[index]
	seen := make(map[string]bool, len(e.Instances))
	for _, f := range e.Instances {
		seen[f.ID] = true
		w.instanceFound(s, f, e.Started)
	}
	if !e.Complete {
		return
	}
	if hollow := len(e.Instances) == 0; hollow != s.hollow {
		if s.hollow = hollow; !hollow {
			w.restart(s) // rule 6
		}
		w.mark(s)
	}
	if s.hollow && w.registered(s) > 0 {
		if s.empties++; s.empties < 2 {
			return
		}
	}
	s.empties = 0
	for _, i := range slices.Clone(s.members) {
		if !seen[w.slots[i].inst] {
			w.instanceAbsent(s, i, e.Started)
		}
	}
	s.listed = max(e.Started, 1)
	if s.stale {
		s.stale = false
		w.restart(s) // rule 6
	}
	w.mark(s)
	w.sync()
}

func (w *Warden) registered(s *service) (n int) {
	for _, i := range s.members {
		if w.slots[i].registered {
			n++
		}
	}
	return n
}

func incarnationOf(service, instance string, attrs health.Attributes) health.Incarnation {
	addr, port := health.Endpoint(attrs)
	return health.Incarnation{Service: service, Instance: instance, Addr: addr, Port: port}
}

// instanceFound takes one line of a listing that began at started.
func (w *Warden) instanceFound(s *service, f InstanceFound, started health.Instant) {
	inc := incarnationOf(s.found.Service.ID, f.ID, f.Attributes)
	i, known := s.byID[f.ID]
	if known && w.slots[i].inc != inc && w.slots[i].entry == nil && w.slots[i].job == nil {
		w.dropSlot(s, i) // somebody else lives there now
		known = false
	}
	if !known {
		fresh := s.listed != 0 || s.late
		i = w.addSlot(s, f.ID, f.Attributes, inc)
		w.slots[i].isNew = fresh && !w.states[i].Ever && w.newcomer(s, i)
		w.slots[i].registered = true
		w.slots[i].registry, w.slots[i].other = f.Status, f.OtherAccount
		w.serves(s, i, f.Status)
		w.watch(s, i)
		w.mark(s)
		return
	}
	sl := &w.slots[i]
	sl.moved = sl.inc != inc
	w.overtaken(s, i, f, inc, started)
	if sl.entry == nil {
		sl.attrs = f.Attributes
		w.setZone(i)
	}
	if !sl.registered || sl.registry != f.Status || sl.other != f.OtherAccount {
		w.flipped(s, sl, f.Status)
		sl.registered, sl.registry, sl.other = true, f.Status, f.OtherAccount
		w.mark(s)
	}
	sl.gone = 0
	w.serves(s, i, f.Status)
}

// serves notes that an instance is HEALTHY in the registry. What it passed
// before that was not remembered if it was born UNHEALTHY; now it is.
func (w *Warden) serves(s *service, i int, status health.Status) {
	sl := &w.slots[i]
	if status != health.Healthy || sl.served {
		return
	}
	held := sl.initDown() && w.states[i].Ever
	sl.served = true
	if held {
		w.learnPassed(s, i)
	}
}

// overtaken notices that the registry shows what our open entry says is away:
// its owner registered it again, or somebody set it HEALTHY. Listings that
// began before our own write, or lag behind it, say nothing; two in a row do.
func (w *Warden) overtaken(s *service, i int, f InstanceFound, inc health.Incarnation, started health.Instant) {
	sl := &w.slots[i]
	if sl.entry == nil || sl.job != nil || started <= sl.outAt {
		return
	}
	if sl.entry.Phase != lever.Out {
		if inc != sl.inc { // our restored record was replaced by another incarnation's
			w.begin(s, i, lever.ToRelease, *sl.entry, policy.OwnerAnswered)
		}
		return
	}
	if sl.entry.Kind == lever.CustomStatus && f.Status != health.Healthy {
		sl.seenOut = 0
		return
	}
	if sl.seenOut++; sl.seenOut >= 2 || inc != sl.inc {
		sl.seenOut = 0
		w.begin(s, i, lever.ToRelease, *sl.entry, policy.OwnerAnswered)
	}
}

// contendWithin and contendAt: so many status changes that are not ours, in
// that time, are another writer at work (safety rule 16).
const (
	contendWithin = 10 * time.Minute
	contendAt     = 2
)

// flipped notices a status that another listing showed otherwise. While a write
// of ours is open, or so young that a listing may lag behind it, the change may
// be our own; to a standby it may be the leader's.
func (w *Warden) flipped(s *service, sl *slot, to health.Status) {
	changed := w.loaded && s.lever == lever.CustomStatus && sl.registry != health.Unknown && to != health.Unknown && to != sl.registry
	open := sl.job != nil || sl.entry != nil
	young := sl.outAt != 0 && w.now < sl.outAt.Add(contendWithin) && len(sl.flips) == 0
	if changed && !open && !young {
		w.countFlip(s, sl)
	}
}

// countFlip counts a status change that is not ours, and yields to whoever
// makes too many of them.
func (w *Warden) countFlip(s *service, sl *slot) {
	sl.flips = slices.DeleteFunc(append(sl.flips, w.now), func(at health.Instant) bool { return at < w.now.Add(-contendWithin) })
	if len(sl.flips) < contendAt {
		return
	}
	sl.contend = w.now.Add(s.cfg.Policy.Yield)
	w.recordSlot(s, sl, Record{Kind: FleetRecord, Reason: policy.Contended,
		Detail: "its status was changed twice in 10 minutes, and not by us"})
}

// instanceAbsent handles a member that a complete listing lacks.
func (w *Warden) instanceAbsent(s *service, i int, started health.Instant) {
	sl := &w.slots[i]
	switch {
	case sl.job != nil:
	case sl.entry == nil:
		if started <= sl.outAt {
			return // the listing may be older than our own restore
		}
		if sl.memo.Standing == policy.Out {
			s.ghosts = append(s.ghosts, w.now.Add(ghostFor))
		}
		if sl.memo.Standing.IsOut() && sl.memo.Shadow { // whoever reports what would have been wants to know
			w.recordSlot(s, sl, Record{Kind: FleetRecord, Reason: policy.Moot, Detail: "it left the registry by itself"})
		}
		w.leave(s, i)
		w.dropSlot(s, i)
	case sl.entry.Phase == lever.Returned || sl.entry.Kind == lever.CustomStatus:
		if started <= sl.outAt {
			return
		}
		if sl.gone++; sl.gone >= 2 {
			sl.gone = 0
			w.begin(s, i, lever.ToRelease, *sl.entry, policy.Moot)
		}
		if sl.registered {
			sl.registered = false
			w.mark(s)
		}
	default: // quarantined: that is where it should be
		sl.registered, sl.seenOut = false, 0
		w.mark(s)
	}
}
