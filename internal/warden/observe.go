package warden

import (
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// observe folds one probe result into its target's state.
func (w *Warden) observe(o health.Observation) {
	i, ok := w.at(o.Target)
	if !ok || !w.slots[i].watched {
		return
	}
	sl, st := &w.slots[i], &w.states[i]
	s := w.services[sl.svc]
	check := &s.cfg.Check
	o = o.WithPath(st.Ever, w.paths.proven(sl.inc.Addr, o.Target, proofSince(st, check, o)))
	if o.Outcome == health.Pass {
		w.paths.passed(sl.inc.Addr, o.Target, o.End)
	}
	before := *st
	var moved health.Transition
	*st, moved = health.Step(before, *check, o)
	if o.Outcome != before.Last || o.Cause != before.Cause {
		sl.detail = o.Detail
	}
	w.countFailing(i, before, o)
	w.reconsider(i)
	if st.Ever && !before.Ever && !sl.initDown() {
		w.learnPassed(s, i)
	}
	if health.Hastened(*st) {
		w.emit(Reschedule{Target: o.Target, At: health.NextDue(*st, *check, o)})
	}
	if moved == health.Changed {
		w.recordSlot(s, sl, Record{
			Kind: TransitionRecord, From: before.Status, To: st.Status,
			Cause: o.Cause, Fails: int(st.Fails), Fall: check.Fall, Detail: o.Detail,
		})
	}
	if moved != health.Unchanged || st.Fails > 0 || sl.memo.Standing != policy.In || sl.job != nil || sl.entry != nil || s.pastLine {
		w.mark(s)
	}
}

// proofSince is how old a neighbour's pass may be to prove the path: two
// intervals for the first failure of a run, and younger than the run itself
// for the others. Passes from before a path was cut prove nothing about it.
func proofSince(s *health.State, c *health.Check, o health.Observation) health.Instant {
	since := o.Start.Add(-2 * c.Interval)
	if s.Fails > 0 {
		since = max(since, s.FailSince)
	}
	return since
}

// countFailing keeps the fleet's sums, and the onsets of the mass rule: a
// target that passed and now fails, counted once until it passes again.
func (w *Warden) countFailing(i int, before health.State, o health.Observation) {
	switch o.Outcome {
	case health.Pass:
		w.setFailing(i, false)
	case health.Fail:
		if !w.slots[i].failing && before.Ever {
			w.onsets = append(w.onsets, policy.Onset{At: w.now, Host: w.slots[i].inc.Addr, Service: w.slots[i].svc})
			w.onset = true
		}
		w.setFailing(i, true)
	}
}
