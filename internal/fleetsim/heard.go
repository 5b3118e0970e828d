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
	ofAt    map[string]time.Duration       // when that was said, by service id
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
	return heard{words: map[key]told{}, of: map[string]warden.ServiceOwned{}, ofAt: map[string]time.Duration{}, at: map[string]time.Duration{},
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
	h.of[e.Service], h.at[e.Service], h.ofAt[e.Service] = e, p.c.s.now, p.c.s.now
}

// speaks reports whether an owner of a service spoke in the last three polls.
func (y *eye) speaks(svc *service) bool {
	at, ok := y.heard.at[svc.ID]
	return ok && y.now()-at <= 3*y.j.s.story.Settings.Poll+fresh
}

// word is the owner's word on an instance that counts.
func (y *eye) word(k key) health.EvidenceKind {
	x, ok := y.heard.words[k]
	if !ok || x.kind != health.OwnerGone && y.now()-x.at > 3*y.j.s.story.Settings.Poll+fresh {
		return health.NoEvidence
	}
	return x.kind
}

// owner checks a removal against what its owner says; done is true where that
// is all that it rests on.
func (y *eye) owner(svc *service, cfg warden.ServiceConfig, what string, e *lever.Entry) (done bool) {
	k := key{svc.ID, e.Instance}
	y.starves(svc, what, e)
	word := y.word(k)
	stops := word == health.OwnerDraining || word == health.OwnerStopping
	of, speaks := y.heard.of[svc.ID], y.speaks(svc)
	if speaks && of.WritesHealth {
		y.fail("%s, whose status its owner writes", what)
	}
	switch e.Reason {
	case policy.OwnerGone:
		if word != health.OwnerGone {
			y.fail("%s as gone, and its owner says %s", what, word)
		}
		if c := y.sums(svc, e.Instance); c.others == 0 && !cfg.Policy.GoneLast {
			y.fail("%s, the last one", what)
		}
		return true
	case policy.UndoResurrection:
		if back, ok := y.heard.back[k]; !stops && word != health.OwnerGone || !ok || y.now()-back > time.Minute+fresh && !y.several() {
			y.fail("%s to undo a restore, and its owner says %s", what, word)
		}
		return true
	}
	if y.now()-y.heard.ofAt[svc.ID] <= 3*y.j.s.story.Settings.Poll && len(of.Deployments) > 1 && !e.Waiting {
		y.fail("%s in a deploy", what)
	}
	if e.Reason == policy.Draining {
		if last := y.heard.words[k].kind; !stops && last != health.OwnerDraining && last != health.OwnerStopping {
			y.fail("%s as draining, and its owner says %s", what, word)
		}
		return true
	}
	if e.Reason == policy.SaysDraining && y.sight(k).drains == 0 {
		y.fail("%s as draining, which it does not say", what)
	}
	if word == health.OwnerStarting && !e.Waiting {
		y.fail("%s as failing, and it is starting", what)
	}
	return false
}

// restores checks a registration of ours: it must not bring back what stops
// (rule 15).
func (y *eye) restores(svc *service, cfg warden.ServiceConfig, what string, e *lever.Entry) {
	k := key{svc.ID, e.Instance}
	y.heard.back[k] = y.now()
	word := y.heard.words[k].kind // however long ago
	if y.several() {
		word = y.word(k) // a successor knows what the journal says, and no word from before
	}
	switch word {
	case health.OwnerDraining, health.OwnerStopping, health.OwnerGone:
		if !y.heard.asked[k] && !y.heard.all && !y.retiring || word == health.OwnerGone {
			y.fail("%s, and its owner said %s", what, word)
		}
	}
	term := cfg.Policy.RestoreUnproven
	if e.Reason == policy.OwnerGone { // only its owner's word brings it back
		term = time.Nanosecond
	}
	out := epoch.Add(y.now()).UnixNano() - e.OutSince
	if ran, ok := y.heard.running[k]; term > 0 && time.Duration(out) > term && (!ok || y.now()-ran > fresh) && !y.heard.asked[k] && !y.heard.all && !y.retiring {
		y.fail("%s, which was out for %s, and nobody says that it runs", what, time.Duration(out).Round(time.Second))
	}
}

// starves checks that a removal is not for something that half of the others
// need as badly.
func (y *eye) starves(svc *service, what string, e *lever.Entry) {
	if policy.ByOwner(e.Reason) {
		return
	}
	for _, d := range y.sight(key{svc.ID, e.Instance}).needs {
		if !d.Critical || d.Outcome != health.Fail {
			continue
		}
		bad, others := 0, 0
		for _, id := range y.members(svc, false) {
			x := y.sight(key{svc.ID, id})
			if id == e.Instance || x.last == health.Indeterminate || x.last == health.Fail && len(x.needs) == 0 {
				continue
			}
			others++
			if slices.ContainsFunc(x.needs, func(z health.Dependency) bool {
				return z.Name == d.Name && z.Critical && z.Outcome == health.Fail
			}) {
				bad++
			}
		}
		if others > 0 && bad*2 >= others {
			y.fail("%s, and %d of %d others call %s bad, too", what, bad, others, d.Name)
		}
	}
}
