package warden

import (
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// Evidenced brings what owners say of instances. Silence about an instance
// means nothing, and so does a word about an instance that is not known (yet):
// a source says with each of its polls what it sees.
type Evidenced struct{ Evidence []health.Evidence }

// ServiceOwned brings what an owner says of a whole service.
type ServiceOwned struct {
	Service string // service id
	Source  string // "ecs", …
	Desired int    // how many instances it wants; 0 where it does not say

	// Deployments that are alive: with more than one a deploy is under way, and
	// failing newcomers are the deploy's own business (rule 17).
	Deployments []string

	// WritesHealth: the owner sets the custom health statuses of the service
	// itself (ECS services with HealthCheckCustomConfig).
	WritesHealth bool
}

// AskOwner asks the owners of one instance for their word now. The answer
// comes as Evidenced; whoever knows no owner of it says nothing.
type AskOwner struct {
	Service  health.Service
	Instance string
}

func (Evidenced) event()    {}
func (ServiceOwned) event() {}
func (AskOwner) effect()    {}

// wordPolls is after how many polls of its source a word counts no more. That
// an instance has gone counts until the same source says otherwise.
const wordPolls = 3

// word is what one source said of an instance last.
type word struct {
	source     string
	kind       health.EvidenceKind
	version    int64
	at         health.Instant
	deployment string
}

// owner is what one source said of a service last.
type owner struct {
	ServiceOwned
	at health.Instant
}

// wordFor is how long a word counts.
func (w *Warden) wordFor() time.Duration {
	poll := w.cfg.OwnerPoll
	if poll == 0 {
		poll = w.cfg.Poll
	}
	return wordPolls * poll
}

// fresh reports whether what was said then counts still.
func (w *Warden) fresh(at health.Instant) bool { return at != 0 && w.now.Sub(at) <= w.wordFor() }

// worst is the word that counts of an instance: the worst of its sources.
func (w *Warden) worst(sl *slot) (worst word) {
	for _, x := range sl.words {
		if (x.kind == health.OwnerGone || w.fresh(x.at)) && (worst.source == "" || x.kind.Worse(worst.kind)) {
			worst = x
		}
	}
	return worst
}

// evidenced takes the words of owners. What is older than what its source said
// before is dropped, and what is about another address.
func (w *Warden) evidenced(e Evidenced) {
	for _, x := range e.Evidence {
		index, ok := w.byID[x.Service]
		if !ok {
			continue
		}
		s := w.services[index]
		w.heard(s, x.At)
		if i, ok := s.byID[x.Instance]; ok && (!x.Addr.IsValid() || x.Addr == w.slots[i].inc.Addr) {
			w.said(s, i, x)
		}
	}
}

// heard notes that an owner of a service speaks.
func (w *Warden) heard(s *service, at health.Instant) {
	s.heard = max(s.heard, min(at, w.now))
	w.keepOwned(s)
}

func (w *Warden) said(s *service, i int, e health.Evidence) {
	sl := &w.slots[i]
	x := word{e.Source, e.Kind, e.Version, min(e.At, w.now), e.Deployment}
	k := slices.IndexFunc(sl.words, func(old word) bool { return old.source == x.source })
	switch {
	case k < 0:
		sl.words = append(sl.words, x)
	case x.version < sl.words[k].version || x.version == sl.words[k].version && x.at < sl.words[k].at:
		return
	default:
		sl.words[k] = x
	}
	s.lapse = min(s.lapse, x.at.Add(w.wordFor()))
	moved := w.tellWord(s, i)
	if moved || sl.entry != nil || sl.job != nil || sl.memo.Standing != policy.In {
		w.mark(s)
	}
}

// tellWord records the word on an instance where it is another than before,
// and reports whether it is. That it runs is no news, unless something else
// was said before.
func (w *Warden) tellWord(s *service, i int) bool {
	sl := &w.slots[i]
	x := w.worst(sl)
	before := sl.told
	if x.kind == before {
		return false
	}
	sl.told = x.kind
	if before == health.NoEvidence && x.kind == health.OwnerRunning {
		return true
	}
	r := Record{Kind: EvidenceRecord, Evidence: x.kind, Source: x.source, Detail: "its owner says nothing of it any more"}
	if x.source != "" {
		r.Detail = "its owner (" + x.source + ") says: " + x.kind.String()
	}
	w.recordSlot(s, sl, r)
	return true
}

// serviceOwned takes what an owner says of a service.
func (w *Warden) serviceOwned(e ServiceOwned) {
	index, ok := w.byID[e.Service]
	if !ok {
		return
	}
	s := w.services[index]
	e.Deployments = slices.Clone(e.Deployments)
	x := owner{e, w.now}
	if k := slices.IndexFunc(s.owners, func(old owner) bool { return old.Source == e.Source }); k >= 0 {
		s.owners[k] = x
	} else {
		s.owners = append(s.owners, x)
	}
	w.heard(s, w.now)
}

// ownership is what all owners of a service say of it together.
type ownership struct {
	speaks    bool // somebody can say what is gone (rule 14)
	desired   int
	deploying bool
	writes    bool
}

func (w *Warden) ownership(s *service) (o ownership) {
	o.speaks = w.fresh(s.heard)
	for _, x := range s.owners {
		if w.fresh(x.at) {
			o.desired = max(o.desired, x.Desired)
			o.deploying = o.deploying || len(x.Deployments) > 1
			o.writes = o.writes || x.WritesHealth
		}
	}
	return o
}

// keepOwned notices what owners begin or cease to say of a service. When they
// begin to speak, and when a deploy is over, runs and holds begin anew.
func (w *Warden) keepOwned(s *service) {
	before, o := s.owned, w.ownership(s)
	if o == before {
		return
	}
	s.owned = o
	tell := func(was, is bool, r policy.Reason, begins, ends string) {
		switch {
		case is && !was:
			w.recordService(s, Record{Kind: FleetRecord, Reason: r, Detail: begins})
		case was && !is:
			w.recordService(s, Record{Kind: FleetRecord, Reason: r, Admitted: true, Detail: ends})
		}
	}
	tell(before.deploying, o.deploying, policy.Deploying, "a deploy is under way: only what has gone and newcomers may be taken out", "the deploy is over; failure runs and holds begin anew")
	tell(before.writes, o.writes, policy.OwnerWrites, "its owner sets the health statuses itself: they are left to it", "its owner sets no health statuses any more")
	if s.blocked == policy.EvidenceMissing {
		tell(!before.speaks, !o.speaks, policy.EvidenceMissing, "its owner says nothing any more", "its owner speaks: it can say what has gone")
	}
	if o.speaks && !before.speaks && s.blocked == policy.EvidenceMissing || before.deploying && !o.deploying {
		w.restart(s)
	}
	w.mark(s)
}

// lacks is why a service has no lever now: evidence is not missing while an
// owner speaks.
func (s *service) lacks() policy.Reason {
	if s.blocked == policy.EvidenceMissing && s.owned.speaks {
		return policy.NoReason
	}
	return s.blocked
}

// keepWords lets words lapse, and closes the entries of what has gone for good.
func (w *Warden) keepWords(s *service) {
	w.keepOwned(s)
	if w.now >= s.lapse {
		s.lapse = health.Never
		for _, i := range s.members {
			for _, x := range w.slots[i].words {
				if at := x.at.Add(w.wordFor()); at > w.now && x.kind != health.OwnerGone {
					s.lapse = min(s.lapse, at)
				}
			}
			if w.tellWord(s, i) {
				w.mark(s)
			}
		}
	}
}

// ask asks the owner of an instance for its word (rule 15).
func (w *Warden) ask(s *service, i int) {
	w.slots[i].askedAt = w.now
	w.emit(AskOwner{Service: s.found.Service, Instance: w.slots[i].inst})
}

// stuckAfter is how long an instance may be out until its owner, who has not
// replaced it, should know (rule 17); goneFor is how long one that has gone
// for good counts as out still (rule 5).
const (
	stuckAfter = 10 * time.Minute
	goneFor    = ghostFor
)

// keepOut looks at what is out in a service that has an owner: what has gone
// for good has nothing to come back, and what is out for long is an alarm.
func (w *Warden) keepOut(s *service) {
	for _, i := range s.members {
		sl := &w.slots[i]
		if sl.entry == nil || sl.job != nil || sl.entry.Phase != lever.Out {
			continue
		}
		out, says := w.now.Sub(sl.outAt), w.worst(sl).kind
		switch {
		case says == health.OwnerGone && (w.retiring || sl.entry.Kind == lever.Quarantine && out >= goneFor):
			w.begin(s, i, lever.ToRelease, *sl.entry, policy.OwnerGone)
		case !says.Worse(health.OwnerStarting) && !sl.stuck && out >= stuckAfter && s.owned.speaks:
			sl.stuck = true
			w.recordSlot(s, sl, Record{Kind: FleetRecord, Reason: policy.StuckOut,
				Detail: "out for " + out.Round(time.Second).String() + ", and its owner has not replaced it"})
		}
	}
}

// judged gives a member what its owners say.
func (w *Warden) judged(sl *slot, m *policy.Member) {
	x := w.worst(sl)
	there := sl.registered || sl.entry != nil || sl.job != nil // else its record has gone, too: the next listing says so
	m.Gone = x.kind == health.OwnerGone && there
	m.OwnerDraining = x.kind == health.OwnerStopping || x.kind == health.OwnerDraining
	m.OwnerStarting = x.kind == health.OwnerStarting
	m.AskedAt = sl.askedAt
	for _, x := range sl.words {
		m.Answered = m.Answered || sl.askedAt != 0 && x.at >= sl.askedAt
		m.Objected = m.Objected || x.kind.Worse(health.OwnerStarting)
		if x.deployment != "" {
			m.Deployment = x.deployment
		}
		if x.kind == health.OwnerRunning && w.fresh(x.at) && !m.Gone && !m.OwnerDraining && !m.OwnerStarting {
			m.RunningAt = max(m.RunningAt, x.at)
		}
	}
	if e := sl.entry; e != nil && e.Kind == lever.Quarantine && e.Phase == lever.Returned {
		m.RestoredAt = sl.restored
	}
}
