package warden

import (
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/quorum"
)

// judge puts every service that changed, or whose wake has come, through
// policy and carries out what is admitted.
func (w *Warden) judge() {
	if !w.configured {
		return
	}
	for _, s := range w.services {
		if s != nil && s.wake <= w.now {
			w.mark(s)
		}
	}
	var proposals []policy.Proposal
	dirty := w.dirty
	w.dirty = nil // what is marked from here on is judged the next time
	for _, index := range dirty {
		if s := w.services[index]; s != nil && s.dirty {
			proposals = append(proposals, w.propose(s)...)
		}
	}
	if len(proposals) == 0 {
		return
	}
	var decisions []policy.Decision
	storm := w.bank.Storm
	w.bank, decisions = policy.Admit(w.bank, proposals, w.outlook, w.cfg.Fleet, w.now)
	w.stormMoved(storm)
	for _, d := range decisions {
		w.decide(d)
	}
}

// propose asks policy about one service and takes over its memos.
func (w *Warden) propose(s *service) []policy.Proposal {
	w.keepWarm(s)
	s.dirty = false
	plan := policy.Propose(w.outlook, w.view(s), w.now)
	if plan.Counts.PastLine != s.pastLine {
		w.lineMoved(s, plan.Counts)
		if !s.pastLine { // the runs that led past the line count no more: ask again
			plan = policy.Propose(w.outlook, w.view(s), w.now)
		}
	}
	s.wake = plan.Wake
	s.counts = plan.Counts
	w.sayLine(s, plan.Counts)
	for k, i := range s.members {
		w.takeMemo(s, i, plan.Memos[k])
	}
	if plan.Drill >= 0 && w.acts(s) {
		w.startDrill(s, s.members[plan.Drill])
	} else if plan.Drill >= 0 {
		s.drill = policy.DrillDone // observe: nothing to prove, nothing is written
		w.mark(s)
	}
	if plan.Shared != 0 {
		w.share(s, plan.Shared)
	}
	for _, k := range plan.Ask {
		w.ask(s, s.members[k])
	}
	return plan.Proposals
}

// acts reports whether decisions on a service are carried out.
func (w *Warden) acts(s *service) bool { return s.cfg.Policy.Mode == policy.ModeEnforce }

// lineMoved begins runs and holds anew when the fail-open line lifts (rule 6).
func (w *Warden) lineMoved(s *service, c policy.Counts) {
	s.pastLine = c.PastLine
	if !c.PastLine {
		w.restart(s)
	}
}

// sayLine records which side of the line a service is on, where that is news:
// who was not looked at yet since the start is not taken for a failure.
func (w *Warden) sayLine(s *service, c policy.Counts) {
	open := s.cfg.Policy.FailOpen
	sure := c.Ever > 0 && float64(c.Passing+c.Blind)*100 < open*float64(c.Ever)
	if c.PastLine == s.lineSaid || c.PastLine && !sure {
		return
	}
	s.lineSaid = c.PastLine
	detail := "too few pass: no removals, fail open"
	if !c.PastLine {
		detail = "enough pass again; failure runs and holds begin anew"
	}
	w.recordService(s, Record{Kind: FleetRecord, Reason: policy.FailOpen, Admitted: !c.PastLine, Detail: detail})
}

// takeMemo stores a memo; one that wants nothing makes the next reason news again.
func (w *Warden) takeMemo(s *service, i int, m policy.Memo) {
	sl := &w.slots[i]
	if m != sl.memo {
		w.pages.touch(s.index)
	}
	sl.memo = m
	if m.Standing == policy.In {
		sl.said = policy.NoReason
	}
}

// view is a service as policy sees it.
func (w *Warden) view(s *service) policy.ServiceView {
	w.scratch = w.scratch[:0]
	for _, i := range s.members {
		w.scratch = append(w.scratch, w.member(s, i))
	}
	v := policy.ServiceView{
		Index: s.index, Members: w.scratch, Config: s.cfg.Policy,
		Fall: s.cfg.Check.Fall, Interval: s.cfg.Check.Interval, Grace: s.cfg.Check.Grace,
		Quarantine: s.lever == lever.Quarantine, Blocked: s.lacks(), Ghosts: len(s.ghosts),
		Listed: s.listed != 0 && !s.hollow, Stale: s.stale, Armed: s.armed, Drill: s.drill,
		Owned: s.owned.speaks, Desired: s.owned.desired, Deploying: s.owned.deploying, OwnerWrites: s.owned.writes, BadElsewhere: w.badElsewhere(s),
	}
	if s.needs != nil {
		v.SharedLately = s.needs.latched()
	}
	return v
}

func (w *Warden) member(s *service, i int) policy.Member {
	sl, st := &w.slots[i], &w.states[i]
	verdict := quorum.Tally(w.votes(i), w.cfg.Quorum, w.now)
	w.recent(sl)
	m := policy.Member{
		Target: w.handle(i), Zone: int(w.zones.of[i]), Tie: sl.hash,
		Status: st.Status, Verdict: verdict.Status, Vouched: w.vouched(i), Last: st.Last, Cause: st.Cause,
		Fails: int(st.Fails), FailSince: st.FailSince, Passes: int(st.Passes), PassSince: st.PassSince,
		LastAt: st.LastAt, LastTwo: st.Passes >= 2 && st.Last == health.Pass,
		Probes: int(st.Probes), Ready: st.Ready, Degraded: st.Degraded, Level: st.Level(), Ever: st.Ever, New: sl.isNew, FirstSeen: sl.first,
		Registry: sl.registry, Other: sl.other || s.found.OtherAccount,
		Asked: sl.asked, NotUntil: sl.notUntil, Yield: sl.yield, Contended: sl.contend,
		Removed: len(sl.removals), Memo: sl.memo,
	}
	m.Draining = st.Phase == health.Draining
	m.Drained = w.drainOf(s.found.Service.ID, sl.inst) != nil
	if n := len(sl.removals); n > 0 {
		m.LastRemoved = sl.removals[n-1]
	}
	if e := sl.entry; e != nil && e.IsOut() {
		m.Ours, m.OutFor, m.OutSince, m.HeldOut = true, e.Reason, sl.outAt, e.Waiting
	} else if sl.memo.Shadow {
		m.OutFor = sl.outFor
	}
	w.judged(sl, &m)
	w.reporting(s, i, &m)
	if j := sl.job; j != nil {
		m.Removing = j.Goal == lever.ToOut
		m.Returning = j.Goal == lever.ToIn
		m.Busy = !m.Removing && !m.Returning
		m.Pending = j.Pending()
		m.HeldOut = m.HeldOut || j.Entry.Waiting
		if m.Removing {
			m.OutFor = j.Entry.Reason
		}
	}
	// Out for failing now and then, it is well once a whole window says so.
	m.Gray = st.Gray || m.OutFor == policy.Gray && !m.Removing && int(st.Window) < s.cfg.Check.Gray.Of
	down := sl.registry == health.Unhealthy && sl.registered && !m.Ours && !m.Removing
	if down && s.lever == lever.CustomStatus {
		m.InitDown = sl.initDown() || sl.memo.Standing == policy.Waiting && !m.Memo.Shadow
		m.Foreign = !m.InitDown && !m.Returning
	}
	return m
}

// decide carries out a decision, and records it where it is news.
func (w *Warden) decide(d policy.Decision) {
	i, ok := w.at(d.Target)
	if !ok {
		return
	}
	sl := &w.slots[i]
	s := w.services[sl.svc]
	if !d.Admitted {
		w.withheld(s, i, d)
		return
	}
	if sl.job != nil && d.Action != policy.Cancel {
		return // a slot has at most one job
	}
	switch d.Action {
	case policy.Remove, policy.HoldOut:
		w.remove(s, i, d)
	case policy.Bring:
		w.bring(s, i, d)
	case policy.Cancel:
		w.cancel(s, i, d.Why)
	}
}

// withheld keeps the reason and records it when it is another than before.
func (w *Warden) withheld(s *service, i int, d policy.Decision) {
	sl := &w.slots[i]
	switch d.Why {
	case policy.Velocity, policy.VelocityGlobal:
		if at := w.bank.NextFree(d.Proposal, w.outlook, w.cfg.Fleet, w.now); at != 0 {
			s.wake = min(s.wake, at)
		}
	}
	if d.Action.Removes() && d.Withheld == policy.NoReason { // Admit's own reasons
		if sl.memo.Standing != policy.Kept {
			sl.memo.Standing, sl.memo.Since = policy.Kept, w.now
		}
		sl.memo.Reason = d.Why
	}
	if sl.said == d.Why || d.Why == policy.AskingOwner { // it is answered in a moment
		return
	}
	sl.said = d.Why
	w.recordDecision(s, i, d)
}

// remove starts the lever's procedure; in observe it only counts as done.
func (w *Warden) remove(s *service, i int, d policy.Decision) {
	sl := &w.slots[i]
	standing := policy.Out
	if d.Action == policy.HoldOut {
		standing = policy.Waiting
	}
	sl.said = ""
	w.recordDecision(s, i, d)
	sl.memo = policy.Memo{Standing: standing, Reason: d.Why, Since: w.now, Shadow: !w.acts(s)}
	w.mark(s)
	if !w.acts(s) {
		sl.outAt, sl.outFor = w.now, d.Why
		return
	}
	e := lever.Entry{Kind: s.lever}
	if sl.entry != nil { // out before, and back: the record is ours already
		e = *sl.entry
		e.OutSince = 0
	} else {
		e.ID = w.entryID(sl)
	}
	e.Service, e.Instance, e.Incarnation, e.Attributes = s.found.Service, sl.inst, sl.inc, sl.attrs
	e.Reason, e.Cause, e.Waiting = d.Why, w.states[i].Cause.String(), d.Action == policy.HoldOut
	w.begin(s, i, lever.ToOut, e, d.Why)
}

// bring starts a return; a would-be removal just ends.
func (w *Warden) bring(s *service, i int, d policy.Decision) {
	sl := &w.slots[i]
	sl.said = ""
	w.recordDecision(s, i, d)
	w.mark(s)
	if sl.memo.Shadow {
		sl.memo = policy.Memo{Standing: policy.Probation, Reason: d.Why, Since: w.now}
		return
	}
	if sl.entry == nil && !w.acts(s) {
		sl.memo = policy.Memo{Standing: policy.Probation, Reason: policy.Observing, Since: w.now}
		return
	}
	sl.memo.Reason = d.Why
	e := lever.Entry{Kind: lever.CustomStatus, ID: w.entryID(sl), Service: s.found.Service, Instance: sl.inst,
		Incarnation: sl.inc, Attributes: sl.attrs, Reason: d.Why, Waiting: true}
	if sl.entry != nil {
		e = *sl.entry
	}
	w.begin(s, i, lever.ToIn, e, d.Why)
	if j := sl.job; j != nil {
		j.Job = j.Job.Within(d.ProvenUntil)
	}
}
