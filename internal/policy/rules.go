package policy

import (
	"slices"

	"github.com/mapwarden/mapwarden/internal/health"
)

// situation is one removal under consideration.
type situation struct {
	o      *Outlook
	v      *ServiceView
	m      *Member
	c      *Counts
	needs  *reports
	action Action
	why    Reason // to act
	now    health.Instant

	holding health.Instant // since when it is wanted and nothing forbids it
}

// rule may withhold a removal; it can never cause one.
type rule struct {
	number    int // in docs/safety.md
	reason    Reason
	scope     scope
	says      string // what it wants to be true
	withholds func(situation) bool
}

// scope is what a rule applies to, beside removals on what probes saw.
type scope uint8

const (
	gone      scope = 1 << iota // owner evidence "gone", too
	admission                   // HoldOut, too
	draining                    // of what is about to stop, too
	single                      // not members of a dead zone: that is seen as a whole
	restarts                    // when it lifts, failure runs and holds begin anew (rule 6)

	always = gone | admission | draining
)

// rules are asked in this order; the first that withholds gives the reason.
// Share and velocity are asked last, by Admit, because they are spent.
var rules = [...]rule{
	{1, Unsynced, always | restarts, "the registry was read completely since the start",
		func(s situation) bool { return s.o.Has(Unsynced) || !s.v.Listed }},
	{1, Stale, always | restarts, "the listing of the service is fresh",
		func(s situation) bool { return s.v.Stale }},
	{20, Standby, always | restarts, "this vantage holds the lease",
		func(s situation) bool { return s.o.Has(Standby) }},
	{13, LostJournal, always | restarts, "the journal is there",
		func(s situation) bool { return s.o.Has(LostJournal) }},
	{21, Frozen, always | restarts, "no freeze is in force",
		func(s situation) bool { return s.o.Has(Frozen) }},
	{21, Thawing, always | restarts, "the fleet is healthy again after a freeze that ran out",
		func(s situation) bool { return s.o.Has(Thawing) }},
	{21, Stopping, always, "the process is not about to end",
		func(s situation) bool { return s.o.Has(Stopping) }},
	{19, Retiring, always | restarts, "mapwarden is not leaving",
		func(s situation) bool { return s.o.Has(Retiring) }},
	{19, Off, always | restarts, "the mode of the service is not off",
		func(s situation) bool { return s.v.Config.Mode == ModeOff }},
	{2, SelfDoubt, admission | draining | restarts, "the checker does not doubt itself",
		func(s situation) bool { return s.o.Has(SelfDoubt) }},
	{2, NoQuorum, admission | restarts, "enough vantages are there to accuse anybody",
		func(s situation) bool { return s.o.Has(NoQuorum) }},
	{20, OtherAccount, always, "the instance is of our own account",
		func(s situation) bool { return s.m.Other }},
	{18, Route53Check, always, "the service has no Route 53 check",
		func(s situation) bool { return s.v.Blocked == Route53Check }},
	{14, EvidenceMissing, always, "somebody vouches for probes as evidence (quarantine.evidence)",
		func(s situation) bool { return s.v.Blocked == EvidenceMissing }},
	{17, OwnerWrites, always, "its owner does not set its health status itself",
		func(s situation) bool { return s.v.OwnerWrites }},
	{13, ForeignOut, always, "nobody else has set it UNHEALTHY",
		func(s situation) bool { return s.m.Foreign }},
	{16, OwnerAnswered, admission | draining, "no other writer spoke lately",
		func(s situation) bool { return s.now < s.m.Yield }},
	{16, Contended, admission | draining, "nobody else changes its status",
		func(s situation) bool { return s.now < s.m.Contended }},
	{17, Deploying, draining | restarts, "no deploy is under way",
		func(s situation) bool { return s.v.Deploying }},
	{16, CallFailed, always, "the lever's latest procedure did not fail just now",
		func(s situation) bool { return s.now < s.m.NotUntil }},
	{3, NotProbeable, admission, "the instance can be probed",
		func(s situation) bool { return !s.m.probed() }},
	{3, Isolated, admission, "its zone is not merely cut off from the others",
		func(s situation) bool { return s.o.Zone(s.m.Zone) == ZoneIsolated }},
	{3, PathFault, admission, "no other vantage finds its zone well",
		func(s situation) bool { return s.o.Zone(s.m.Zone) == ZonePath }},
	{3, PathUnproven, admission | single, "the latest observation is conclusive",
		func(s situation) bool { return s.m.Last == health.Indeterminate }},
	{4, CheckUnproven, admission | draining, "the check is proven on this service",
		func(s situation) bool { return !s.v.Armed }},
	{4, NeverPassed, 0, "this incarnation has passed before",
		func(s situation) bool { return !s.m.Ever }},
	{10, WarmUp, draining | restarts, "the warm-up is over",
		func(s situation) bool { return s.now < s.o.WarmSince.Add(s.v.Config.WarmUp) }},
	{10, TargetWarmUp, 0, "it was probed often enough since the start",
		func(s situation) bool { return s.m.Probes < s.v.Config.WarmUpProbes }},
	{6, SharedDependency, admission | restarts, "what it needs does not fail for others, too",
		func(s situation) bool { sp, _ := s.needs.of(s.v, s.m); return sp == shared }},
	{6, FailOpen, admission | draining | restarts, "enough of the service passes, and of its deployment (fail-open line)",
		func(s situation) bool { return s.c.PastLine || deploymentPastLine(s) }},
	{6, AwaitingPeers, admission, "every other instance was looked at since it began to fail",
		awaitingPeers},
	{7, LastHealthy, always, "somebody healthy is left to serve",
		lastHealthy},
	{12, Flapping, 0, "it was removed fewer than 4 times in 24 h",
		func(s situation) bool { return s.m.Removed >= maxRemovals }},
	{14, DrillFailed, admission | draining, "the restore drill did not fail",
		func(s situation) bool { return s.v.Quarantine && s.v.Drill == DrillBad }},
	{9, Holding, 0, "the hold has passed",
		func(s situation) bool {
			return s.v.Quarantine && !leaves(s.why) && s.now < s.holding.Add(s.v.Config.Hold)
		}},
	{14, DrillPending, admission | draining, "the restore drill is done",
		func(s situation) bool { return s.v.Quarantine && s.v.Drill != DrillDone }},
	{16, Busy, always, "no other procedure runs on the instance",
		func(s situation) bool { return s.m.Busy }},
}

// gates are the rules about the fleet or the service, not about the instance.
var gates = slices.DeleteFunc(slices.Clone(rules[:]), func(r rule) bool { return r.scope&restarts == 0 })

// Restarting returns the reasons of the fleet and of services after which failure
// runs and holds begin anew when they lift (rule 6), in the order of the rules.
func Restarting() []Reason {
	out := make([]Reason, 0, len(gates))
	for _, r := range gates {
		out = append(out, r.reason)
	}
	return out
}

// maxRemovals in 24 h; the next one is Kept, with an alarm (rule 12).
const maxRemovals = 4

func awaitingPeers(s situation) bool {
	since := s.m.FailSince
	if s.why == Gray { // its runs are short: what counts is when they were enough
		since = s.holding
	}
	for i := range s.v.Members {
		p := &s.v.Members[i]
		if p.Target != s.m.Target && p.probed() && p.LastAt <= since {
			return true
		}
	}
	return false
}

// lastHealthy is the floor of rule 7: never the only one; of two, one, only on
// hard evidence, and only while the other one is surely well; and never the
// last that passes.
func lastHealthy(s situation) bool {
	if s.m.Gone && s.v.Config.GoneLast || s.why == UndoResurrection {
		return false
	}
	left := 0
	for i := range s.v.Members {
		p := &s.v.Members[i]
		if p.Target == s.m.Target || p.isOut() || p.Gone || p.draining() || p.Last != health.Pass || !p.sound() {
			continue
		}
		if s.c.N == 2 && (!p.LastTwo || s.now.Sub(p.LastAt) > 2*s.v.Interval) {
			continue
		}
		left++
	}
	return left == 0 || s.c.N == 2 && s.m.class(s.why) == health.Soft && s.action != HoldOut
}

// halved reports whether the removal may be for something that others need,
// too: then it gets half of the budget.
func (s situation) halved() bool {
	sp, _ := s.needs.of(s.v, s.m)
	return sp == partly && s.why == Failing
}

// applies reports whether the rule is asked at all for this removal.
func (r *rule) applies(s situation) bool {
	switch {
	case s.m.class(s.why) == health.Gone:
		return r.scope&gone != 0
	case s.action == HoldOut:
		return r.scope&admission != 0
	case leaves(s.why):
		return r.scope&draining != 0
	}
	return s.why != Zone || r.scope&single == 0
}

// zoneDead reports whether the member goes with its whole zone: it passed once,
// and its latest probe failed like all the others there.
func (s *situation) zoneDead() bool {
	return s.m.Ever && s.m.down() && s.o.Zone(s.m.Zone) == ZoneDead
}

// firstRule returns the first of the rules that withholds, or nil.
func firstRule(rs []rule, s situation) *rule {
	for i := range rs {
		if r := &rs[i]; r.applies(s) && r.withholds(s) {
			return r
		}
	}
	return nil
}

// Said is what one rule says of one removal.
type Said struct {
	Rule      int
	Reason    Reason
	Applies   bool
	Withholds bool
	Says      string // what the rule wants to be true
}

// Ask puts the removal of one member to every rule, for explanations.
func Ask(o Outlook, v ServiceView, member int, now health.Instant) []Said {
	m := &v.Members[member]
	c := Count(&v)
	s := situation{o: &o, v: &v, m: m, c: &c, needs: reported(&v), action: Remove, now: now, holding: m.Memo.Holding}
	if a, why := wanted(s); a != Keep {
		s.action, s.why = a, why
	}
	out := make([]Said, 0, len(rules)+1)
	for i := range rules {
		r := &rules[i]
		said := Said{Rule: r.number, Reason: r.reason, Applies: r.applies(s), Says: r.says}
		said.Withholds = said.Applies && r.withholds(s)
		out = append(out, said)
	}
	share := Said{Rule: 7, Reason: Budget, Applies: m.class(s.why) != health.Gone && s.why != Zone, Says: "one more fits into the share that may be out"}
	share.Withholds = share.Applies && !m.isOut() && c.away(s.why)+1 > allowance(&v.Config, m.class(s.why), s.action, s.halved(), c.N)
	return append(out, share)
}
