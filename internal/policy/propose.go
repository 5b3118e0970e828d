package policy

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// Plan is what Propose makes of one service.
type Plan struct {
	Counts    Counts
	Memos     []Memo // one for each member, in order
	Proposals []Proposal
	Drill     int            // the member to drill with, -1: no drill is needed now
	Shared    uint64         // dependencies that fail for many members: not the instances
	Ask       []int          // members whose owner is to be asked for its word
	Wake      health.Instant // when to propose again if nothing changes

	needs *reports
}

// Propose says what the evidence on a service's members asks for. Withheld
// removals are proposals too; the caller records them when the reason changes.
func Propose(o Outlook, v ServiceView, now health.Instant) Plan {
	p := Plan{Counts: Count(&v), Memos: make([]Memo, len(v.Members)), Drill: -1, Wake: health.Never}
	p.needs = reported(&v)
	for i := range v.Members {
		m := &v.Members[i]
		_, which := p.needs.of(&v, m)
		p.Shared |= which
		switch {
		case m.Removing || m.Returning:
			p.underWay(o, &v, i, now)
		case m.Ours || m.Memo.Shadow || m.InitDown:
			p.out(o, &v, i, now)
		default:
			p.in(o, &v, i, now)
		}
	}
	return p
}

func (p *Plan) propose(v *ServiceView, i int, a Action, why, withheld Reason) {
	m := &v.Members[i]
	p.Proposals = append(p.Proposals, Proposal{
		Target: m.Target, Service: v.Index, Member: i, Action: a, Reason: why, Class: m.class(why), Batch: why == Zone,
		Withheld: withheld, Tie: m.Tie, Counts: p.Counts, Config: &v.Config,
	})
}

func (p *Plan) wakeAt(at health.Instant) { p.Wake = min(p.Wake, at) }

// become moves a memo to a standing, keeping Since where nothing changes.
func (m Memo) become(s Standing, why Reason, now health.Instant) Memo {
	if m.Standing != s {
		m.Since = now
	}
	m.Standing, m.Reason = s, why
	return m
}

// wanted says what the evidence against an instance asks for, before any rule.
func wanted(s situation) (Action, Reason) {
	if a, why := accused(s); a != Keep || !outlier(s) {
		return a, why
	}
	return Remove, Slow
}

// accused is wanted but for who passes slowly.
func accused(s situation) (Action, Reason) {
	m := s.m
	switch {
	case resurrected(m, s.now):
		return Remove, UndoResurrection
	case m.Gone:
		return Remove, OwnerGone
	case m.Drained:
		return Remove, Drained
	case s.zoneDead():
		return Remove, Zone
	case m.OwnerDraining:
		return Remove, Draining
	case m.Draining && m.Ever:
		return Remove, SaysDraining
	case m.Gray && m.Verdict == health.Unhealthy && m.Fails < s.v.Fall && !m.OwnerStarting:
		return Remove, Gray
	case m.Last == health.Pass || m.Fails == 0:
		return Keep, NoReason
	case m.OwnerStarting && s.v.Config.Admission == Trust:
		return Keep, NoReason
	case m.OwnerStarting, m.New && !m.Ever && !m.started() && s.v.Config.Admission == Hold:
		if m.Fails >= admissionFails && m.Cause.ProvesReach() && !m.Vouched {
			return HoldOut, NeverReady
		}
		return Keep, NoReason
	case !m.Ever && s.now < m.FirstSeen.Add(s.v.Grace):
		return Keep, NoReason
	case m.Verdict == health.Unhealthy && m.Fails >= s.v.Fall:
		return Remove, Failing
	}
	return Keep, NoReason
}

// admissionFails in a row that prove reach hold a newcomer out (rule 11).
// Silence of a target that never passed is Indeterminate and never counted.
const admissionFails = 2

// in handles a member that gets traffic.
func (p *Plan) in(o Outlook, v *ServiceView, i int, now health.Instant) {
	m := &v.Members[i]
	s := situation{o: &o, v: v, m: m, c: &p.Counts, needs: p.needs, now: now}
	memo := m.Memo
	switch {
	case !m.Degraded:
		memo.Slow = 0
	case memo.Slow == 0:
		memo.Slow = now
	}
	if at := memo.Slow.Add(slowFor); memo.Slow != 0 && at > now {
		p.wakeAt(at)
	}
	action, why := wanted(s)
	if action == Keep {
		memo.Holding = 0
		switch {
		case memo.Standing == Probation && now < memo.Since.Add(v.Config.ReturnOver):
			p.wakeAt(memo.Since.Add(v.Config.ReturnOver))
		default:
			memo = memo.become(In, NoReason, now)
		}
		p.Memos[i] = memo
		return
	}
	if memo.Holding == 0 {
		memo.Holding = now
	}
	s.action, s.why, s.holding = action, why, memo.Holding
	r := firstRule(rules[:], s)
	withheld := NoReason
	if r != nil {
		withheld = r.reason
		p.wake(s, r)
		if r.scope&restarts != 0 {
			memo.Holding = 0
		}
	}
	switch withheld {
	case NoReason: // Admit decides
	case Holding, DrillPending:
		memo = memo.become(Leaving, withheld, now)
		if v.Quarantine && v.Drill == DrillNone && p.Drill < 0 {
			p.Drill = i
		}
	default:
		memo = memo.become(Kept, withheld, now)
	}
	p.Memos[i] = memo
	p.propose(v, i, action, why, withheld)
	p.Proposals[len(p.Proposals)-1].Halved = s.halved()
}

// wake asks to be called again when a rule that withholds by time lifts. Gates
// lift when the fleet is assessed anew, and everything is judged then.
func (p *Plan) wake(s situation, r *rule) {
	switch r.reason {
	case Holding:
		p.wakeAt(s.holding.Add(s.v.Config.Hold))
	case WarmUp:
		p.wakeAt(s.o.WarmSince.Add(s.v.Config.WarmUp))
	case OwnerAnswered:
		p.wakeAt(s.m.Yield)
	case Contended:
		p.wakeAt(s.m.Contended)
	case CallFailed:
		p.wakeAt(s.m.NotUntil)
	}
}

// underWay handles a member with a job: all that can be asked for is to stop.
func (p *Plan) underWay(o Outlook, v *ServiceView, i int, now health.Instant) {
	m := &v.Members[i]
	p.Memos[i] = m.Memo
	s := situation{o: &o, v: v, m: m, c: &p.Counts, needs: p.needs, action: Remove, why: m.OutFor, now: now}
	unproven := m.Cause == health.PathUnproven && !ByOwner(m.OutFor) && !s.zoneDead()
	switch {
	case m.Returning:
		switch {
		case m.Gone:
			p.propose(v, i, Cancel, OwnerGone, NoReason)
		case m.OwnerDraining:
			p.propose(v, i, Cancel, Draining, NoReason)
		case m.Draining:
			p.propose(v, i, Cancel, SaysDraining, NoReason)
		case m.Last == health.Fail && !m.started() && (m.Memo.Reason == Recovered || m.Memo.Reason == FirstPass):
			p.propose(v, i, Cancel, Failing, NoReason)
		}
	case m.OutFor == Drained && !m.Drained:
		p.propose(v, i, Cancel, Undrained, NoReason)
	case m.OutFor == UndoResurrection && !m.Gone && !m.draining() && m.RunningAt != 0:
		p.propose(v, i, Cancel, OwnerRuns, NoReason)
	case m.Gone, m.OutFor == UndoResurrection, m.OutFor == Drained:
		if r := firstRule(gates, s); r != nil && !m.Pending {
			p.propose(v, i, Cancel, r.reason, NoReason)
		}
	case (m.OutFor == OwnerGone || m.OutFor == Draining) && m.RunningAt != 0:
		p.propose(v, i, Cancel, OwnerRuns, NoReason)
	case s.cleared():
		p.propose(v, i, Cancel, PassedInHold, NoReason)
	case m.Pending: // written: only what makes the accusation itself doubtful takes it back
		switch {
		case p.Counts.PastLine:
			p.propose(v, i, Cancel, FailOpen, NoReason)
		case o.Has(SelfDoubt):
			p.propose(v, i, Cancel, SelfDoubt, NoReason)
		case p.sharedBy(v, m) && !ByOwner(m.OutFor):
			p.propose(v, i, Cancel, SharedDependency, NoReason)
		case unproven:
			p.propose(v, i, Cancel, PathUnproven, NoReason)
		}
	case unproven:
		p.propose(v, i, Cancel, PathUnproven, NoReason)
	default: // until its call is sent, it needs open gates as it did at its start
		if m.HeldOut {
			s.action = HoldOut
		}
		if r := firstRule(gates, s); r != nil {
			p.propose(v, i, Cancel, r.reason, NoReason)
		}
	}
}

// cleared reports whether what its removal under way rests on holds no more: one
// pass, before the call and after it, for as long as the call can be taken back.
// A gray one passes often, so only the verdict clears it; one that drains has to
// take its word back, and a slow one to be quick again.
func (s *situation) cleared() bool {
	m := s.m
	// Silence leaves a status as it was: healthy says something only of who answers.
	well := (m.Verdict == health.Healthy || m.Status == health.Healthy) && m.Last != health.Indeterminate && !s.zoneDead()
	switch {
	case m.HeldOut && m.started():
		return true
	case m.OutFor == Slow:
		return !m.Degraded && m.Last == health.Pass
	case m.OutFor == SaysDraining:
		return !m.Draining && !m.Objected && m.Last == health.Pass
	case ByOwner(m.OutFor):
		return false
	case m.OutFor == Gray, m.Pending && s.zoneDead():
		return well
	}
	return m.Last == health.Pass || m.Pending && well
}

// sharedBy reports whether a member calls something bad that is a shared failure.
func (p *Plan) sharedBy(v *ServiceView, m *Member) bool {
	sp, _ := p.needs.of(v, m)
	return sp == shared
}

// out handles a member that is out because of us, or would be.
func (p *Plan) out(o Outlook, v *ServiceView, i int, now health.Instant) {
	m := &v.Members[i]
	standing := Out
	if m.HeldOut || m.InitDown {
		standing = Waiting
	}
	if m.Memo.Shadow {
		standing = m.Memo.Standing
	}
	memo := m.Memo.become(standing, m.Memo.Reason, now)
	if m.OutFor != NoReason {
		memo.Reason = m.OutFor
	}
	why, withheld, at := returning(o, v, p.Counts, m, standing, now)
	var proof proof
	if why != NoReason && withheld == NoReason && m.Ours && why != Operator && why != Retiring {
		proof = proven(v, m, Backed(&v.Config, m.Removed), now)
		withheld, at = proof.withheld, proof.at
		if proof.ask {
			p.Ask = append(p.Ask, i)
		}
	}
	p.wakeAt(at)
	if withheld != NoReason {
		memo.Reason = withheld
	}
	p.Memos[i] = memo
	if why != NoReason {
		p.propose(v, i, Bring, why, withheld)
		p.Proposals[len(p.Proposals)-1].ProvenUntil = proof.until
	}
}

// returning says whether a member may come back and why; withheld names what
// a wanted return still waits for, and at when that changes by itself. No rule
// about removals is asked here: nothing but the instance's own record, an
// operator's freeze and the lack of proof that it is still the same workload
// can delay a return.
func returning(o Outlook, v *ServiceView, c Counts, m *Member, st Standing, now health.Instant) (why, withheld Reason, at health.Instant) {
	cfg := &v.Config
	at = health.Never
	switch {
	case m.Gone: // there is nothing to bring back
		return NoReason, NoReason, at
	case o.Retiring && m.Ours:
		why = Retiring
	case m.Asked && m.Ours:
		why = Operator
	case m.Drained:
		return NoReason, NoReason, at
	case m.OutFor == Drained && m.Last == health.Pass:
		why = Undrained
	case m.draining():
		return NoReason, NoReason, at
	case st == Waiting && (m.Last == health.Pass || m.started()):
		why = FirstPass
	case st == Out && earned(m, cfg):
		why = Recovered
	case !m.InitDown && v.Listed && everythingFails(o, c):
		why = FailOpenAll
	default:
		return NoReason, NoReason, at
	}
	backoff := Backed(cfg, m.Removed)
	switch {
	case cfg.Mode == ModeOff:
		withheld = Off
	case o.Has(Frozen):
		withheld = Frozen
	case o.Has(Stopping):
		withheld = Stopping
	case o.Has(Standby):
		withheld = Standby
	case m.Busy:
		withheld = Busy
	case now < m.NotUntil:
		withheld, at = CallFailed, m.NotUntil
	case why == Recovered && now < m.LastRemoved.Add(backoff):
		withheld, at = Backoff, m.LastRemoved.Add(backoff)
	}
	return why, withheld, at
}

// earned: enough passes, and over enough time (rule 12), of one that does not
// fail now and then; of one that was slow, quick ones.
func earned(m *Member, c *Config) bool {
	return !(m.Degraded && m.OutFor == Slow) && !m.Gray && m.Last == health.Pass && m.Passes >= c.ReturnPasses && m.LastAt.Sub(m.PassSince) >= c.ReturnOver
}

// everythingFails is the readmission of rule 6: each was observed since the
// start, none passes, every one is a Fail, and we do not doubt ourselves. It
// lets newcomers in, too: where nobody else is left, whoever may pass for
// clients though not for us is better than nobody.
func everythingFails(o Outlook, c Counts) bool {
	return c.PastLine && c.Passing == 0 && c.Blind == 0 && c.Fails > 0 &&
		!o.Has(SelfDoubt) && !o.Has(Unsynced)
}

// Backed is how long an instance stays out after its n-th removal in 24 h.
func Backed(c *Config, n int) time.Duration {
	if i := n - 2; i >= 0 && len(c.ReturnBackoff) > 0 {
		return c.ReturnBackoff[min(i, len(c.ReturnBackoff)-1)]
	}
	return 0
}
