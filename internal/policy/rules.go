package policy

import (
	"github.com/mapwarden/mapwarden/internal/health"
)

// situation is one removal under consideration.
type situation struct {
	o      *Outlook
	v      *ServiceView
	m      *Member
	c      *Counts
	action Action
	now    health.Instant
}

// rule may withhold a removal; it can never cause one.
type rule struct {
	number    int // in docs/safety.md
	reason    Reason
	gone      bool // applies to owner evidence "gone", too
	admission bool // applies to HoldOut, too
	restarts  bool // when it lifts, failure runs and holds begin anew (rule 6)
	says      string
	withholds func(situation) bool
}

// rules are asked in this order; the first that withholds gives the reason.
// Share and velocity are asked last, by Admit, because they are spent.
var rules = [...]rule{
	{1, Unsynced, true, true, true, "the registry was read completely since the start",
		func(s situation) bool { return s.o.Has(Unsynced) || !s.v.Listed }},
	{1, Stale, true, true, true, "the listing of the service is fresh",
		func(s situation) bool { return s.v.Stale }},
	{13, LostJournal, true, true, true, "the journal is there",
		func(s situation) bool { return s.o.Has(LostJournal) }},
	{21, Frozen, true, true, true, "no freeze is in force",
		func(s situation) bool { return s.o.Has(Frozen) }},
	{21, Thawing, true, true, true, "the fleet is healthy again after a freeze that ran out",
		func(s situation) bool { return s.o.Has(Thawing) }},
	{21, Stopping, true, true, false, "the process is not about to end",
		func(s situation) bool { return s.o.Has(Stopping) }},
	{19, Retiring, true, true, true, "mapwarden is not leaving",
		func(s situation) bool { return s.o.Has(Retiring) }},
	{2, SelfDoubt, false, true, true, "the checker does not doubt itself",
		func(s situation) bool { return s.o.Has(SelfDoubt) }},
	{20, OtherAccount, true, true, false, "the instance is of our own account",
		func(s situation) bool { return s.m.Other }},
	{18, Route53Check, true, true, false, "the service has no Route 53 check",
		func(s situation) bool { return s.v.Blocked == Route53Check }},
	{14, EvidenceMissing, true, true, false, "somebody vouches for probes as evidence (quarantine.evidence)",
		func(s situation) bool { return s.v.Blocked == EvidenceMissing }},
	{13, ForeignOut, true, true, false, "nobody else has set it UNHEALTHY",
		func(s situation) bool { return s.m.Foreign }},
	{16, OwnerAnswered, false, true, false, "no other writer spoke lately",
		func(s situation) bool { return s.now < s.m.Yield }},
	{16, Contended, false, true, false, "nobody else changes its status",
		func(s situation) bool { return s.now < s.m.Contended }},
	{16, CallFailed, true, true, false, "the lever's latest procedure did not fail just now",
		func(s situation) bool { return s.now < s.m.NotUntil }},
	{3, NotProbeable, false, true, false, "the instance can be probed",
		func(s situation) bool { return !s.m.probed() }},
	{3, PathUnproven, false, true, false, "the latest observation is conclusive",
		func(s situation) bool { return s.m.Last == health.Indeterminate }},
	{4, CheckUnproven, false, true, false, "the check is proven on this service",
		func(s situation) bool { return !s.v.Armed }},
	{4, NeverPassed, false, false, false, "this incarnation has passed before",
		func(s situation) bool { return !s.m.Ever }},
	{10, WarmUp, false, false, true, "the warm-up is over",
		func(s situation) bool { return s.now < s.o.WarmSince.Add(s.v.Config.WarmUp) }},
	{10, TargetWarmUp, false, false, false, "it was probed often enough since the start",
		func(s situation) bool { return s.m.Probes < s.v.Config.WarmUpProbes }},
	{6, FailOpen, false, true, true, "enough of the service passes (fail-open line)",
		func(s situation) bool { return s.c.PastLine }},
	{6, AwaitingPeers, false, true, false, "every other instance was looked at since it began to fail",
		awaitingPeers},
	{7, LastHealthy, true, true, false, "somebody healthy is left to serve",
		lastHealthy},
	{12, Flapping, false, false, false, "it was removed fewer than 4 times in 24 h",
		func(s situation) bool { return s.m.Removed >= maxRemovals }},
	{14, DrillFailed, false, true, false, "the restore drill did not fail",
		func(s situation) bool { return s.v.Quarantine && s.v.Drill == DrillBad }},
	{9, Holding, false, false, false, "the hold has passed",
		func(s situation) bool {
			return s.v.Quarantine && s.now < s.m.Memo.Holding.Add(s.v.Config.Hold)
		}},
	{14, DrillPending, false, true, false, "the restore drill is done",
		func(s situation) bool { return s.v.Quarantine && s.v.Drill != DrillDone }},
}

// maxRemovals in 24 h; the next one is Kept, with an alarm (rule 12).
const maxRemovals = 4

func awaitingPeers(s situation) bool {
	for i := range s.v.Members {
		p := &s.v.Members[i]
		if p.Target != s.m.Target && p.probed() && p.LastAt <= s.m.FailSince {
			return true
		}
	}
	return false
}

// lastHealthy is the floor of rule 7: never the only one; of two, one, only on
// hard evidence, and only while the other one is surely well; and never the
// last that passes.
func lastHealthy(s situation) bool {
	if s.m.Gone && s.v.Config.GoneLast {
		return false
	}
	left := 0
	for i := range s.v.Members {
		p := &s.v.Members[i]
		if p.Target == s.m.Target || p.isOut() || p.Last != health.Pass {
			continue
		}
		if s.c.N == 2 && (!p.LastTwo || s.now.Sub(p.LastAt) > 2*s.v.Interval) {
			continue
		}
		left++
	}
	return left == 0 || s.c.N < 2 || s.c.N == 2 && s.m.class() == health.Soft && s.action != HoldOut
}

// applies reports whether the rule is asked at all for this removal.
func (r *rule) applies(s situation) bool {
	return (r.gone || !s.m.Gone) && (r.admission || s.action != HoldOut)
}

// firstRule returns the first rule that withholds, or nil.
func firstRule(s situation) *rule {
	for i := range rules {
		if r := &rules[i]; r.applies(s) && r.withholds(s) {
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
	s := situation{o: &o, v: &v, m: m, c: &c, action: Remove, now: now}
	if a, _ := wanted(s); a != Keep {
		s.action = a
	}
	out := make([]Said, 0, len(rules)+1)
	for i := range rules {
		r := &rules[i]
		said := Said{Rule: r.number, Reason: r.reason, Applies: r.applies(s), Says: r.says}
		said.Withholds = said.Applies && r.withholds(s)
		out = append(out, said)
	}
	share := Said{Rule: 7, Reason: Budget, Applies: !m.Gone, Says: "one more fits into the share that may be out"}
	share.Withholds = share.Applies && !m.isOut() && c.Out+1 > allowance(&v.Config, m.class(), s.action, c.N)
	return append(out, share)
}
