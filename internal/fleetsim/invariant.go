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
func (j *judge) sends(p *process, c lever.Call) {
	svc := j.s.registry.byID(c.Service.ID)
	if svc == nil {
		j.fail("%s in a service that does not exist", c.Op)
		return
	}
	entry := p.c.disk.entry(svc.ID, c.Instance)
	cfg := j.s.config(svc)
	removes := c.Op == lever.Deregister || c.Op == lever.SetStatus && c.Status == health.Unhealthy
	drills := entry != nil && entry.Kind == lever.Drill
	if !removes && !drills {
		return
	}
	what := c.Op.String() + " of " + c.Instance
	switch {
	case cfg.Policy.Mode != policy.ModeEnforce:
		j.fail("%s in mode %s", what, cfg.Policy.Mode)
	case svc.other:
		j.fail("%s, which belongs to another account", what)
	case svc.kind == warden.Route53Check:
		j.fail("%s in a service with a Route 53 check", what)
	case svc.kind == warden.NoHealthCheck && cfg.Policy.Evidence == policy.EvidenceOwner:
		j.fail("%s, and nobody vouches for probes", what)
	case j.stopping:
		j.fail("%s while stopping", what)
	}
	if c.Op == lever.Deregister && !j.proven[svc.ID] {
		j.fail("%s before any registration of ours succeeded in its service", what)
	}
	if removes && entry != nil {
		if k := (key{svc.ID, c.Instance}); !j.sent[k] { // else it repeats a write that did not stick
			j.sent[k] = true
			j.evidence(p, svc, cfg, what, c.Instance, entry.Waiting)
			j.looks(p, svc, what, c.Instance)
		}
		j.fleet(p, svc, what)
		j.line(p, svc, cfg, what, c.Instance)
	}
}

// evidence checks what the removal of one instance rests on.
func (j *judge) evidence(p *process, svc *service, cfg warden.ServiceConfig, what, id string, waiting bool) {
	x := j.sight(key{svc.ID, id})
	held, gray := j.s.now-x.fallAt, x.grayAt > 0 && !waiting
	if gray && (x.fallAt == 0 || x.grayAt < x.fallAt) {
		held = j.s.now - x.grayAt
	}
	drains, slow := x.drains > 0 && !waiting, x.slowAt > 0 && !waiting
	seldom := gray || drains || slow // it need not fail now
	if slow {
		held = max(held, j.s.now-x.slowAt-time.Minute)
	}
	switch {
	case !drains && j.wronged(x, id):
		j.fail("%s, which has served well since before it seemed to fail", what)
	case !seldom && x.last == health.Pass:
		j.fail("%s, whose latest observation is a pass", what)
	case !seldom && (x.run < 2 || !waiting && x.run < cfg.Check.Fall):
		j.fail("%s after %d failures", what, x.run)
	case waiting:
	case svc.kind == warden.NoHealthCheck && !drains && held < cfg.Policy.Hold:
		j.fail("%s %s after the verdict, before its hold is over", what, held)
	case j.s.now-p.born < cfg.Policy.WarmUp:
		j.fail("%s within the warm-up", what)
	case x.probes < cfg.Policy.WarmUpProbes:
		j.fail("%s after %d probes of ours", what, x.probes)
	case !j.everPassed(p, svc, id):
		j.fail("%s, which never passed", what)
	}
}

// wronged reports whether an instance serves well, and did all the time in
// which it seemed to fail.
func (j *judge) wronged(x *sight, id string) bool {
	w := j.s.fleet.find(id)
	return w != nil && w.faults() == 0 && w.slow == 0 && w.since < x.since-time.Second && w.at.Addr() == x.inc.Addr
}

// everPassed reports whether the present incarnation passed, as this process
// saw it or the disk remembers it.
func (j *judge) everPassed(p *process, svc *service, id string) bool {
	x := j.sight(key{svc.ID, id})
	if x.ever {
		return true
	}
	if e := p.c.disk.entry(svc.ID, id); e != nil && (e.IsOut() && !e.Waiting || e.Restored) {
		return true
	}
	for _, m := range p.c.disk.memory.Passed {
		if m.Service == svc.ID && m.Instance == id && m.Incarnation == x.inc.Hash() {
			return true
		}
	}
	return false
}

// fleet checks what withholds removals everywhere.
func (j *judge) fleet(p *process, svc *service, what string) {
	s := j.s
	stale := s.story.config().Fleet.StaleAfter
	k := j.known[svc.ID]
	for _, other := range s.registry.services {
		if j.known[other.ID] == nil && s.weather != voided {
			j.fail("%s before %s was listed", what, other.Service)
		}
	}
	switch {
	case !j.services, k == nil:
		j.fail("%s before the registry was listed", what)
	case s.now-k.at > stale+fresh:
		j.fail("%s on a listing that is %s old", what, s.now-k.at)
	case s.now < j.doubt:
		j.fail("%s while the checker doubts itself", what)
	case s.now < j.frozen:
		j.fail("%s while frozen", what)
	case j.retiring:
		j.fail("%s while retiring", what)
	case p.c.lost:
		j.fail("%s with a lost journal", what)
	}
}

// members are the ids of all that counts in a service: registered, as the
// process was shown it (or, with all, as it is), or out because of us. What it
// was shown once and is still there counts, even if the registry denies it.
func (j *judge) members(p *process, svc *service, all bool) []string {
	ids := map[string]bool{}
	k := j.known[svc.ID]
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
	for _, e := range p.c.disk.entries {
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

func (j *judge) sums(p *process, svc *service, id string) sums {
	var c sums
	ids := j.members(p, svc, false)
	for _, other := range ids {
		x := j.sight(key{svc.ID, other})
		e := p.c.disk.entry(svc.ID, other)
		isOut := x.foreign >= 2 || e != nil && (e.IsOut() || e.Phase == lever.Intended && e.Kind != lever.Drill)
		if j.everPassed(p, svc, other) {
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
	c.n = max(len(ids), len(j.members(p, svc, true)))
	return c
}

// line checks the fail-open line (rule 6) and that somebody is left (rule 7).
func (j *judge) line(p *process, svc *service, cfg warden.ServiceConfig, what, id string) {
	c := j.sums(p, svc, id)
	if float64(c.passing)*100 < cfg.Policy.FailOpen*float64(c.ever) {
		j.fail("%s past the fail-open line: %d of %d pass", what, c.passing, c.ever)
	}
	if c.others == 0 {
		j.fail("%s, and nobody else is in and passes", what)
	}
}

// looks checks that every other instance was looked at since this one began to
// fail (rule 6).
func (j *judge) looks(p *process, svc *service, what, id string) {
	x := j.sight(key{svc.ID, id})
	since := x.since
	for _, at := range []time.Duration{x.grayAt, x.drains} {
		if at > 0 {
			since = min(since, at)
		}
	}
	for _, other := range j.members(p, svc, false) {
		if x := j.sight(key{svc.ID, other}); other != id && x.lastAt != 0 && x.lastAt < since {
			j.fail("%s, and %s was not looked at since it began to fail", what, other)
		}
	}
}

// budget checks the shares of rule 7 at the moment at which a removal is
// journalled: what it was admitted on may change while it is carried out.
func (j *judge) budget(p *process, svc *service, e *lever.Entry) {
	c, cfg := j.sums(p, svc, e.Instance), j.s.config(svc)
	share, hard := cfg.Policy.MaxOut, j.sight(key{svc.ID, e.Instance}).hard || e.Waiting || j.sight(key{svc.ID, e.Instance}).drains > 0
	if hard {
		share = cfg.Policy.MaxOutHard
	}
	allowed := int(share * float64(c.n) / 100)
	if c.n >= 2 {
		allowed = max(allowed, 1)
	}
	if c.out+1 > allowed {
		j.fail("the removal of %s is beyond the budget: %d of %d are out already, %d may be", e.Instance, c.out, c.n, allowed)
	}
	if c.n == 2 && !hard {
		j.fail("the removal of %s rests on soft evidence, one of two", e.Instance)
	}
}

// writes checks a write at the moment of its effect on the registry.
func (j *judge) writes(c *checker, svc *service, call lever.Call) {
	k := key{svc.ID, call.Instance}
	what := call.Op.String() + " of " + call.Instance
	e := c.disk.entry(svc.ID, call.Instance)
	if e == nil || e.Phase == lever.Intended {
		j.fail("%s without a journal entry that says so", what)
		return
	}
	x := svc.truth.get(call.Instance)
	seen := j.s.now - fresh - j.s.registry.lag
	if o := svc.owned.get(call.Instance); o != nil && o.spoken >= seen && o.spoken > 0 {
		j.raced[k] = true // read, then changed, then written: nothing can prevent it
	}
	if x == nil || x.spoken >= seen && x.spoken > 0 {
		return
	}
	if call.Op == lever.SetStatus && call.Status == health.Healthy && x.status == health.Healthy && x.change == nil {
		return // it changes nothing
	}
	addr, port := health.Endpoint(x.attrs)
	if addr != e.Incarnation.Addr || port != e.Incarnation.Port {
		j.fail("%s, which is another incarnation since %s", what, x.moved)
	}
	drills := e.Kind == lever.Drill
	switch {
	case call.Op == lever.Register && !drills && j.s.registry.lag == 0:
		j.fail("%s over a record that is there", what)
	case call.Op == lever.Register && !x.attrs.Equal(call.Attributes):
		j.fail("%s with other attributes", what)
	case call.Op == lever.Deregister && !x.attrs.Equal(e.Attributes):
		j.fail("%s, whose journalled attributes are others", what)
	case call.Op == lever.SetStatus && call.Status == health.Healthy && !j.accused[k] && !raisable(x):
		j.fail("%s HEALTHY over a status that is not ours", what)
	}
}

// raisable reports whether HEALTHY may be set without an UNHEALTHY in the
// journal: over our own, over that of the registration, or where it changes
// nothing.
func raisable(x *record) bool {
	switch {
	case x.change != nil && x.change.to == health.Unhealthy:
		return x.change.by == byUs
	case x.status == health.Unhealthy:
		return x.by == byUs || x.by == byOwner
	}
	return true
}

// registryChanged looks for what a change may have lost.
func (j *judge) registryChanged() { j.lost() }

// lost checks that whatever is away because of us can come back: every
// instance that its owner wants is there as it was, or in a journal.
func (j *judge) lost() {
	for _, svc := range j.s.registry.services {
		for _, o := range svc.owned {
			if j.raced[key{svc.ID, o.id}] {
				continue
			}
			if why := j.missing(svc, o); why != "" {
				j.fail("%s is lost: %s", o.id, why)
				j.raced[key{svc.ID, o.id}] = true // once is enough
			}
		}
	}
}

func (j *judge) missing(svc *service, o *record) string {
	x := svc.truth.get(o.id)
	var e *lever.Entry
	for _, c := range j.s.checkers {
		if found := c.disk.entry(svc.ID, o.id); found != nil {
			e = found
		}
	}
	held := e != nil && e.IsOut()
	switch {
	case x == nil && !held:
		return "it is not registered and no journal has it"
	case x == nil && !e.Attributes.Equal(o.attrs):
		return "the journal has other attributes"
	case x == nil:
	case !x.attrs.Equal(o.attrs):
		return "it is registered with other attributes"
	case x.status == health.Unhealthy && x.by == byUs && !held && (x.change == nil || x.change.to != health.Healthy):
		return "we set it UNHEALTHY and no journal knows"
	}
	return ""
}
