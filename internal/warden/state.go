package warden

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// service is all that is known of one service.
type service struct {
	index   int
	found   ServiceFound
	cfg     ServiceConfig
	lever   lever.Kind
	blocked policy.Reason
	members []int          // slot indexes, sorted by instance id
	byID    map[string]int // instance id to slot index

	present  bool           // in the latest complete listing of services
	late     bool           // it appeared in the registry after the first sync, and so did its instances
	listed   health.Instant // start of the latest complete listing; 0: none
	empties  int            // complete listings in a row that were empty though we know instances
	hollow   bool           // the latest complete listing was empty: nothing is concluded from it (rule 1)
	stale    bool
	pastLine bool
	lineSaid bool // that it is past the line was recorded
	warming  bool

	probe   uint64         // fingerprint of the check that armed is about
	armedAt health.Instant // since when the check is tried
	armed   bool

	drill      policy.Drill
	drillUntil health.Instant // DrillBad ends here
	ghosts     []health.Instant

	needs *needs // what its instances say of what they need; nil: nothing ever

	owners []owner        // what each source says of it
	heard  health.Instant // the latest word of an owner, on it or an instance of it
	owned  ownership      // as last looked at
	lapse  health.Instant // when the next word on an instance may lapse

	counts policy.Counts
	wake   health.Instant
	dirty  bool
}

// slot is the cold part of a target: one instance of one service.
type slot struct {
	used  bool
	gen   uint32
	svc   int
	inst  string
	inc   health.Incarnation
	hash  uint64
	attrs health.Attributes
	zone  string

	watched    bool
	registered bool
	registry   health.Status
	other      bool // registered by another account
	served     bool // was not UNHEALTHY at some time, as far as anybody remembers
	isNew      bool
	first      health.Instant // first seen
	boot       string         // the target's own boot id, "" where it names none …
	bootAt     health.Instant // … and when it was first heard
	detail     string         // of the latest outcome that differed from the one before
	parts      []health.Part  // of the latest outcome, where the check has several
	failing    bool           // counted in Warden.failing

	entry    *lever.Entry // open journal entry, as last stored
	job      *job
	outAt    health.Instant // since when it is out because of us, on our clock
	outFor   policy.Reason  // mode observe: why it would be out
	seenOut  int            // complete listings in a row that show it though it is out
	moved    bool           // the latest listing shows another incarnation
	gone     int            // complete listings in a row that lack it though it is back
	memo     policy.Memo
	said     policy.Reason    // the latest withheld reason that was recorded
	removals []health.Instant // within 24 h
	asked    bool
	fails    int            // procedures in a row that failed
	notUntil health.Instant // the lever is not tried again before this
	yield    health.Instant
	contend  health.Instant
	flips    []health.Instant // status changes that are not ours

	lists    bool                // its latest observation listed what it needs
	bad      uint64              // what it called bad, by place in the service
	words    []word              // what each owner says
	told     health.EvidenceKind // the word that was recorded last
	askedAt  health.Instant      // when its owner was asked last
	restored health.Instant      // when we registered it again
	stuck    bool                // that it is out for long was recorded
}

// initDown reports whether it was registered with AWS_INIT_HEALTH_STATUS=
// UNHEALTHY and never served since: then its first pass may raise it (rule 13),
// and only then is that it passed remembered for the next process.
func (sl *slot) initDown() bool {
	return !sl.served && sl.attrs.Get(health.AttrInitStatus) == "UNHEALTHY"
}

// leaves reports whether its removal waits for nothing but the filter before its
// lever: for that long it is looked at as often as a suspect, since one pass
// calls the removal off.
func (sl *slot) leaves() bool {
	if j := sl.job; j != nil {
		return j.Goal == lever.ToOut && j.Pending()
	}
	return sl.memo.Standing == policy.Leaving
}

func (w *Warden) handle(i int) health.Handle { return health.NewHandle(uint32(i), w.slots[i].gen) }

// at returns the slot index of a live handle.
func (w *Warden) at(h health.Handle) (int, bool) {
	i := h.Index()
	ok := i < len(w.slots) && w.slots[i].used && w.slots[i].gen == h.Generation()
	return i, ok
}

// addSlot takes a free slot for an instance of s.
func (w *Warden) addSlot(s *service, inst string, attrs health.Attributes, inc health.Incarnation) int {
	var i int
	if n := len(w.free); n > 0 {
		i = int(w.free[n-1])
		w.free = w.free[:n-1]
	} else {
		i = len(w.slots)
		w.slots = append(w.slots, slot{})
		w.states = append(w.states, health.State{})
	}
	w.slots[i] = slot{
		used: true, gen: w.slots[i].gen + 1, svc: s.index, inst: inst, inc: inc, hash: inc.Hash(),
		attrs: attrs, first: w.now,
	}
	w.setZone(i)
	w.states[i] = health.State{}
	at, _ := w.search(s, inst)
	s.members = slices.Insert(s.members, at, i)
	s.byID[inst] = i
	w.recall(s, i)
	w.greet(s, i)
	return i
}

// search is the place of an instance id among a service's sorted members.
func (w *Warden) search(s *service, inst string) (int, bool) {
	return slices.BinarySearchFunc(s.members, inst, func(i int, inst string) int {
		return cmp.Compare(w.slots[i].inst, inst)
	})
}

func (w *Warden) dropSlot(s *service, i int) {
	sl := &w.slots[i]
	w.unwatch(i)
	w.setFailing(i, false)
	w.takeBack(i)
	w.part(s, i)
	if sl.bad != 0 {
		w.setBad(s, i, 0)
	}
	if at, ok := w.search(s, sl.inst); ok {
		s.members = slices.Delete(s.members, at, at+1)
	}
	delete(s.byID, sl.inst)
	gen := sl.gen
	w.slots[i] = slot{gen: gen}
	w.states[i] = health.State{}
	w.free = append(w.free, uint32(i))
	w.mark(s)
}

func (w *Warden) setFailing(i int, failing bool) {
	if w.slots[i].failing == failing {
		return
	}
	w.slots[i].failing = failing
	if failing {
		w.failing++
	} else {
		w.failing--
	}
}

// mark notes that a service has to be judged before Handle returns.
func (w *Warden) mark(s *service) {
	if !s.dirty {
		s.dirty = true
		w.dirty = append(w.dirty, s.index)
	}
	w.pages.touch(s.index)
}

// service returns the service of that id, new if need be.
func (w *Warden) service(found ServiceFound) *service {
	if i, ok := w.byID[found.Service.ID]; ok {
		return w.services[i]
	}
	index := len(w.services)
	for i, s := range w.services {
		if s == nil {
			index = i
			break
		}
	}
	if index == len(w.services) {
		w.services = append(w.services, nil)
	}
	s := &service{index: index, found: found, byID: make(map[string]int), wake: health.Never, lapse: health.Never}
	w.services[index] = s
	w.byID[found.Service.ID] = index
	w.settle(s)
	return s
}

// settle derives what follows from a service's configuration and health check.
func (w *Warden) settle(s *service) {
	s.cfg = w.cfg.Resolve(s.found.Service)
	s.blocked = policy.NoReason
	switch s.found.HealthCheck {
	case CustomHealthCheck:
		s.lever = lever.CustomStatus
	case Route53Check:
		s.lever, s.blocked = lever.None, policy.Route53Check
	default:
		s.lever = lever.Quarantine
		if s.cfg.Policy.Evidence == policy.EvidenceOwner {
			s.blocked = policy.EvidenceMissing
		}
	}
	if s.found.OtherAccount {
		s.blocked = policy.OtherAccount
	}
	if p := s.cfg.Check.Probe.Fingerprint(); p != s.probe {
		s.probe, s.armed, s.armedAt = p, false, w.now
		w.recallArmed(s)
	}
	w.mark(s)
}

func (w *Warden) dropService(s *service) {
	for len(s.members) > 0 {
		last := s.members[len(s.members)-1]
		w.leave(s, last)
		w.dropSlot(s, last)
	}
	delete(w.byID, s.found.Service.ID)
	w.services[s.index] = nil
	w.pages.drop(s.index)
}

// phase spreads first probes over an interval. Several vantages look at a target
// at different moments: the first of them to see a failure makes the others look.
func (w *Warden) phase(sl *slot) uint64 {
	if !w.several() {
		return sl.hash
	}
	return sl.hash ^ health.Incarnation{Instance: w.cfg.Vantage.Checker}.Hash()
}

// watch starts probing a slot, or renews its check. In mode off nothing is
// probed, and what was seen before says nothing of now.
func (w *Warden) watch(s *service, i int) {
	if s.cfg.Policy.Mode == policy.ModeOff {
		w.unwatch(i)
		w.setFailing(i, false)
		w.depends(s, i, &health.Observation{})
		w.states[i] = health.Unseen(w.states[i])
		w.reconsider(i)
		return
	}
	sl := &w.slots[i]
	check := s.cfg.Check
	startup := check.Startup != nil && !w.states[i].Ready
	if startup {
		check.Probe = *check.Startup
	}
	phase := w.phase(sl)
	first := health.FirstDue(w.now, check.Interval, phase)
	if !sl.watched {
		sl.watched = true
		w.targets++
	}
	port := sl.inc.Port
	if check.Probe.Port != 0 {
		port = check.Probe.Port
	}
	w.emit(Watch{First: first, Target: health.Target{
		Handle: w.handle(i), Service: s.found.Service, Instance: sl.inst,
		Addr: sl.inc.Addr, Port: port, Zone: sl.zone, Check: check, Startup: startup, Phase: phase,
	}})
}

func (w *Warden) unwatch(i int) {
	if w.slots[i].watched {
		w.slots[i].watched = false
		w.targets--
		w.emit(Unwatch{Target: w.handle(i)})
	}
}

// paths remembers, per subnet, the two targets that passed last.
type paths map[netip.Prefix]*[2]passer

type passer struct {
	target health.Handle
	at     health.Instant
}

// subnet is the network that proves a path (safety rule 3): /24 or /64, as
// nothing here knows the real ones.
func subnet(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits)
	return p
}

func (p paths) passed(a netip.Addr, h health.Handle, at health.Instant) {
	net := subnet(a)
	two := p[net]
	if two == nil {
		two = new([2]passer)
		p[net] = two
	}
	if two[0].target != h {
		two[1] = two[0]
	}
	two[0] = passer{h, at}
}

// proven reports whether another target of the subnet passed since then.
func (p paths) proven(a netip.Addr, h health.Handle, since health.Instant) bool {
	two := p[subnet(a)]
	if two == nil {
		return false
	}
	for _, x := range two {
		if x.target != 0 && x.target != h && x.at >= since {
			return true
		}
	}
	return false
}
