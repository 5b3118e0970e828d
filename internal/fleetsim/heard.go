package fleetsim

import (
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// heard is what a process was told by owners. Stories have one for each
// service.
type heard struct {
	words   map[key]told                   // looked up only
	of      map[string]warden.ServiceOwned // by service id
	at      map[string]time.Duration       // the latest word, by service id
	running map[key]time.Duration          // when it was said last that it runs, and for when
	back    map[key]time.Duration          // when we registered it again
	asked   map[key]bool                   // an operator asked for its return
	all     bool                           // … for that of all
}

// told is one word.
type told struct {
	kind    health.EvidenceKind
	version int64
	at      time.Duration
}

func newHeard() heard {
	return heard{words: map[key]told{}, of: map[string]warden.ServiceOwned{}, at: map[string]time.Duration{},
		running: map[key]time.Duration{}, back: map[key]time.Duration{}, asked: map[key]bool{}}
}

func (h *heard) evidence(p *process, e warden.Evidenced) {
	for _, x := range e.Evidence {
		k, at := key{x.Service, x.Instance}, p.when(x.At)
		h.at[x.Service] = p.c.s.now
		if x.Version < h.words[k].version {
			continue
		}
		h.words[k] = told{x.Kind, x.Version, at}
		if x.Kind == health.OwnerRunning {
			h.running[k] = at
		}
	}
}

func (h *heard) owned(p *process, e warden.ServiceOwned) {
	h.of[e.Service], h.at[e.Service] = e, p.c.s.now
}

// speaks reports whether an owner of a service spoke in the last three polls.
func (j *judge) speaks(svc *service) bool {
	at, ok := j.heard.at[svc.ID]
	return ok && j.s.now-at <= 3*j.s.story.Settings.Poll+fresh
}

// word is the owner's word on an instance that counts.
func (j *judge) word(k key) health.EvidenceKind {
	x, ok := j.heard.words[k]
	if !ok || x.kind != health.OwnerGone && j.s.now-x.at > 3*j.s.story.Settings.Poll+fresh {
		return health.NoEvidence
	}
	return x.kind
}

// owner checks a removal against what its owner says; done is true where that
// is all that it rests on.
func (j *judge) owner(p *process, svc *service, cfg warden.ServiceConfig, what string, e *lever.Entry) (done bool) {
	k := key{svc.ID, e.Instance}
	j.starves(p, svc, what, e)
	word := j.word(k)
	stops := word == health.OwnerDraining || word == health.OwnerStopping
	of, speaks := j.heard.of[svc.ID], j.speaks(svc)
	if speaks && of.WritesHealth {
		j.fail("%s, whose status its owner writes", what)
	}
	switch e.Reason {
	case policy.OwnerGone:
		if word != health.OwnerGone {
			j.fail("%s as gone, and its owner says %s", what, word)
		}
		if c := j.sums(p, svc, e.Instance); c.others == 0 && !cfg.Policy.GoneLast {
			j.fail("%s, the last one", what)
		}
		return true
	case policy.UndoResurrection:
		if back, ok := j.heard.back[k]; !stops && word != health.OwnerGone || !ok || j.s.now-back > time.Minute+fresh {
			j.fail("%s to undo a restore, and its owner says %s", what, word)
		}
		return true
	}
	if speaks && len(of.Deployments) > 1 && !e.Waiting {
		j.fail("%s in a deploy", what)
	}
	if e.Reason == policy.Draining {
		if !stops {
			j.fail("%s as draining, and its owner says %s", what, word)
		}
		return true
	}
	if word == health.OwnerStarting && !e.Waiting {
		j.fail("%s as failing, and it is starting", what)
	}
	return false
}

// restores checks a registration of ours: it must not bring back what stops
// (rule 15).
func (j *judge) restores(svc *service, cfg warden.ServiceConfig, what string, e *lever.Entry) {
	k := key{svc.ID, e.Instance}
	j.heard.back[k] = j.s.now
	switch word := j.heard.words[k].kind; word { // however long ago
	case health.OwnerDraining, health.OwnerStopping, health.OwnerGone:
		if !j.heard.asked[k] && !j.heard.all && !j.retiring || word == health.OwnerGone {
			j.fail("%s, and its owner said %s", what, word)
		}
	}
	term := cfg.Policy.RestoreUnproven
	if e.Reason == policy.OwnerGone { // only its owner's word brings it back
		term = time.Nanosecond
	}
	out := epoch.Add(j.s.now).UnixNano() - e.OutSince
	if ran, ok := j.heard.running[k]; term > 0 && time.Duration(out) > term && (!ok || j.s.now-ran > fresh) && !j.heard.asked[k] && !j.heard.all && !j.retiring {
		j.fail("%s, which was out for %s, and nobody says that it runs", what, time.Duration(out).Round(time.Second))
	}
}

// starves checks that a removal is not for something that half of the others
// need as badly.
func (j *judge) starves(p *process, svc *service, what string, e *lever.Entry) {
	if policy.ByOwner(e.Reason) {
		return
	}
	for _, d := range j.sight(key{svc.ID, e.Instance}).needs {
		if !d.Critical || d.Outcome != health.Fail {
			continue
		}
		bad, others := 0, 0
		for _, id := range j.members(p, svc, false) {
			x := j.sight(key{svc.ID, id})
			if id == e.Instance || x.last == health.Indeterminate || x.last == health.Fail && len(x.needs) == 0 {
				continue
			}
			others++
			if slices.ContainsFunc(x.needs, func(y health.Dependency) bool {
				return y.Name == d.Name && y.Critical && y.Outcome == health.Fail
			}) {
				bad++
			}
		}
		if others > 0 && bad*2 >= others {
			j.fail("%s, and %d of %d others call %s bad, too", what, bad, others, d.Name)
		}
	}
}
