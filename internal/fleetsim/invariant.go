package fleetsim

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// fresh is how long before a write it may have been decided on what was read.
const fresh = 3 * time.Second

// sends checks a write at the moment at which the mind asks for it.
func (y *eye) sends(c lever.Call) {
	svc := y.j.s.registry.byID(c.Service.ID)
	if svc == nil {
		y.fail("%s in a service that does not exist", c.Op)
		return
	}
	entry := y.j.s.store.entry(svc.ID, c.Instance)
	cfg := y.j.s.config(svc)
	removes := c.Op == lever.Deregister || c.Op == lever.SetStatus && c.Status == health.Unhealthy
	drills := entry != nil && entry.Kind == lever.Drill
	if c.Op == lever.Register && !drills && entry != nil {
		y.restores(svc, cfg, c.Op.String()+" of "+c.Instance, entry)
	}
	if !removes && !drills {
		return
	}
	what := c.Op.String() + " of " + c.Instance
	switch {
	case !y.p.tenure.leads:
		y.fail("%s by %s, which does not lead", what, y.p.c.name)
	case cfg.Policy.Mode != policy.ModeEnforce:
		y.fail("%s in mode %s", what, cfg.Policy.Mode)
	case svc.other:
		y.fail("%s, which belongs to another account", what)
	case svc.kind == warden.Route53Check:
		y.fail("%s in a service with a Route 53 check", what)
	case svc.kind == warden.NoHealthCheck && cfg.Policy.Evidence == policy.EvidenceOwner && !y.speaks(svc):
		y.fail("%s, and nobody vouches for probes", what)
	case y.stopping:
		y.fail("%s while stopping", what)
	}
	gone := entry != nil && byItsOwner(entry)
	if c.Op == lever.Deregister && !y.j.proven[svc.ID] && !gone {
		y.fail("%s before any registration of ours succeeded in its service", what)
	}
	if removes && entry != nil {
		k := key{svc.ID, c.Instance}
		repeats := y.j.sent[k] // a write that did not stick
		if !repeats {
			y.j.sent[k] = true
			if !y.owner(svc, cfg, what, entry) {
				y.evidence(svc, cfg, what, c.Instance, entry)
				y.looks(svc, what, c.Instance)
			}
		}
		ordered := entry.Reason == policy.Drained
		y.fleet(svc, what, gone || ordered, repeats)
		if !gone && !ordered {
			y.line(svc, cfg, what, c.Instance)
		}
	}
}

// byItsOwner reports whether a removal rests on its owner's word alone, outside
// every share and pace.
func byItsOwner(e *lever.Entry) bool {
	return e.Reason == policy.OwnerGone || e.Reason == policy.UndoResurrection
}

// outsideShares reports whether no share and no pace counts a removal.
func outsideShares(e *lever.Entry) bool {
	return byItsOwner(e) || e.Reason == policy.Zone || e.Reason == policy.Drained
}

// evidence checks what the removal of one instance rests on.
func (y *eye) evidence(svc *service, cfg warden.ServiceConfig, what, id string, e *lever.Entry) {
	x, waiting, batch := y.sight(key{svc.ID, id}), e.Waiting, e.Reason == policy.Zone
	held, gray := y.now()-x.fallAt, x.grayAt > 0 && !waiting
	if gray && (x.fallAt == 0 || x.grayAt < x.fallAt) {
		held = y.now() - x.grayAt
	}
	drains, slow := x.drains > 0 && !waiting, x.slowAt > 0 && !waiting
	seldom := gray || drains || slow // it need not fail now
	if slow {
		held = max(held, y.now()-x.slowAt-time.Minute)
	}
	switch {
	case !batch && !drains && y.wronged(x, id):
		y.fail("%s, which has served well since before it seemed to fail", what)
	case !seldom && x.last == health.Pass:
		y.fail("%s, whose latest observation is a pass", what)
	case batch && !y.j.zoneDead(id):
		y.fail("%s with its zone, which no two vantages saw dead", what)
	case !seldom && (x.run < 2 || !waiting && !batch && x.run < cfg.Check.Fall):
		y.fail("%s after %d failures", what, x.run)
	case waiting:
	case !batch && !seldom && !y.j.quorum(key{svc.ID, id}, cfg):
		y.fail("%s without a quorum of vantages that saw it fail", what)
	case svc.kind == warden.NoHealthCheck && !batch && !drains && held < cfg.Policy.Hold:
		y.fail("%s %s after the verdict, before its hold is over", what, held)
	case y.now()-y.p.born < cfg.Policy.WarmUp:
		y.fail("%s within the warm-up", what)
	case x.probes < cfg.Policy.WarmUpProbes:
		y.fail("%s after %d probes of ours", what, x.probes)
	case !y.everPassed(svc, id):
		y.fail("%s, which never passed", what)
	}
}

// wronged reports whether an instance serves well, and did all the time in
// which it seemed to fail. Noise may do that, and it is counted what comes of it.
func (y *eye) wronged(x *sight, id string) bool {
	w := y.j.s.fleet.find(id)
	return w != nil && y.j.s.noise == nil && w.faults() == 0 && w.slow == 0 && w.since < x.since-time.Second && w.at.Addr() == x.inc.Addr
}

// everPassed reports whether the present incarnation passed, as this process
// saw it or the disk remembers it.
func (y *eye) everPassed(svc *service, id string) bool {
	x := y.sight(key{svc.ID, id})
	if x.ever {
		return true
	}
	if e := y.j.s.store.entry(svc.ID, id); e != nil && (e.IsOut() && !e.Waiting || e.Restored) {
		return true
	}
	for _, m := range y.j.s.store.memory.Passed {
		if m.Service == svc.ID && m.Instance == id && m.Incarnation == x.inc.Hash() {
			return true
		}
	}
	return false
}

// fleet checks what withholds removals everywhere.
func (y *eye) fleet(svc *service, what string, gone, repeats bool) {
	s := y.j.s
	stale := s.story.Settings.staleAfter()
	k := y.known[svc.ID]
	for _, other := range s.registry.services {
		if y.known[other.ID] == nil && s.weather != voided {
			y.fail("%s before %s was listed", what, other.Service)
		}
	}
	switch {
	case !y.services, k == nil:
		y.fail("%s before the registry was listed", what)
	case s.now-k.at > stale+fresh:
		y.fail("%s on a listing that is %s old", what, s.now-k.at)
	case s.now < y.doubt && !gone:
		y.fail("%s while the checker doubts itself", what)
	case s.now < y.frozen && !repeats:
		y.fail("%s while frozen", what)
	case y.retiring:
		y.fail("%s while retiring", what)
	case y.j.s.store.lost:
		y.fail("%s with a lost journal", what)
	}
}

// members are the ids of all that counts in a service: registered, as the
// process was shown it (or, with all, as it is), or out because of us. What it
// was shown once and is still there counts, even if the registry denies it.
func (y *eye) members(svc *service, all bool) []string {
	ids := map[string]bool{}
	k := y.known[svc.ID]
	for _, x := range svc.truth {
		if all || k != nil && k.ever[x.id] {
			ids[x.id] = true
		}
	}
	if k != nil && !all {
		for id := range k.ids {
			ids[id] = true
		}
	}
	for _, e := range y.j.s.store.entries {
		if e.Service.ID == svc.ID {
			ids[e.Instance] = true
		}
	}
	return sortedKeys(ids)
}

// sums are a service's, as one process was shown it and its disk has it.
type sums struct {
	n       int
	ever    int // ever passed
	passing int // of them, by their latest observation
	out     int // but for the instance in question
	others  int // in and passing, but for the instance in question
}

func (y *eye) sums(svc *service, id string) sums {
	var c sums
	ids := y.members(svc, false)
	for _, other := range ids {
		x := y.sight(key{svc.ID, other})
		e := y.j.s.store.entry(svc.ID, other)
		isOut := x.foreign >= 2 || e != nil && (e.IsOut() || e.Phase == lever.Intended && e.Kind != lever.Drill)
		if y.everPassed(svc, other) && y.word(key{svc.ID, other}) != health.OwnerGone {
			c.ever++
			if x.last == health.Pass {
				c.passing++
			}
		}
		switch {
		case other == id:
		case isOut:
			c.out++
		case x.last == health.Pass:
			c.others++
		}
	}
	c.n = max(len(ids), len(y.members(svc, true)))
	if y.speaks(svc) {
		c.n = max(c.n, y.heard.of[svc.ID].Desired)
	}
	return c
}

// line checks the fail-open line (rule 6) and that somebody is left (rule 7).
func (y *eye) line(svc *service, cfg warden.ServiceConfig, what, id string) {
	c := y.sums(svc, id)
	ever := c.ever
	if y.several() {
		ever-- // the store may know one more that passed than whoever leads
	}
	if float64(c.passing)*100 < cfg.Policy.FailOpen*float64(ever) {
		y.fail("%s past the fail-open line: %d of %d pass", what, c.passing, c.ever)
	}
	if c.others == 0 {
		y.fail("%s, and nobody else is in and passes", what)
	}
}

// looks checks that every other instance was looked at since this one began to
// fail (rule 6).
func (y *eye) looks(svc *service, what, id string) {
	x := y.sight(key{svc.ID, id})
	since := x.since
	for _, at := range []time.Duration{x.grayAt, x.drains} {
		if at > 0 {
			since = min(since, at)
		}
	}
	for _, other := range y.members(svc, false) {
		if x := y.sight(key{svc.ID, other}); other != id && x.lastAt != 0 && x.lastAt < since {
			y.fail("%s, and %s was not looked at since it began to fail", what, other)
		}
	}
}

// budget checks the shares of rule 7 at the moment at which a removal is
// journalled: what it was admitted on may change while it is carried out.
func (y *eye) budget(svc *service, e *lever.Entry) {
	if outsideShares(e) {
		return
	}
	c, cfg := y.sums(svc, e.Instance), y.j.s.config(svc)
	x := y.sight(key{svc.ID, e.Instance})
	share, hard := cfg.Policy.MaxOut, x.hard || e.Waiting || e.Reason == policy.Draining || e.Reason == policy.SaysDraining
	if hard {
		share = cfg.Policy.MaxOutHard
	}
	allowed := int(share * float64(c.n) / 100)
	if c.n >= 2 {
		allowed = max(allowed, 1)
	}
	if c.out+1 > allowed {
		y.fail("the removal of %s is beyond the budget: %d of %d are out already, %d may be", e.Instance, c.out, c.n, allowed)
	}
	if c.n == 2 && !hard {
		y.fail("the removal of %s rests on soft evidence, one of two", e.Instance)
	}
}

// begun checks the velocity of removals (rule 8) as the journal shows them.
func (y *eye) begun(k key) {
	svc := y.j.s.registry.byID(k[0])
	cfg := y.j.s.config(svc).Policy
	for _, r := range y.removals {
		every := cfg.Removals.Per / time.Duration(cfg.Removals.N)
		if r.key[0] == k[0] && y.now()-r.at < every-slack {
			y.fail("velocity: %s leaves %s after %s of the same service", k[1], (y.now() - r.at).Round(time.Millisecond), r.key[1])
		}
	}
	y.removals = append(y.removals, removal{k, y.now()})
	g := y.j.s.story.Settings.Fleet.RemovalsGlobal
	burst := max(g.Least, int(g.Percent*float64(len(y.sights))/100), 1)
	n := 0
	for _, r := range y.removals {
		if r.at > y.now()-g.Per {
			n++
		}
	}
	if n > 2*burst { // a full bucket, and what flows into it meanwhile
		y.fail("velocity: %d removals in %s, %d at a time are allowed", n, g.Per, burst)
	}
}
