package warden

import (
	"fmt"

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
	if o.Startup && st.Ready {
		return // it was under way when that was over
	}
	o = o.WithPath(st.Ready, w.paths.proven(sl.inc.Addr, o.Target, proofSince(st, check, o)))
	if o.Outcome == health.Pass {
		w.paths.passed(sl.inc.Addr, o.Target, o.End)
	}
	before := *st
	var moved health.Transition
	*st, moved = health.Step(before, *check, o)
	sl.parts = o.Parts
	if o.Outcome != before.Last || o.Cause != before.Cause {
		sl.detail = o.Detail
	}
	if b := o.Identity.Boot; b != "" && b != sl.boot {
		sl.boot, sl.bootAt = b, o.End
		w.pages.touch(s.index)
	}
	w.countFailing(i, before, o)
	w.reconsider(i)
	if len(o.Dependencies) > 0 || sl.lists {
		w.depends(s, i, &o)
	}
	if st.Ever && !before.Ever && !sl.initDown() {
		w.learnPassed(s, i)
	}
	switch {
	case health.Hastened(*st):
		w.emit(Reschedule{Target: o.Target, At: health.NextDue(*st, *check, o)})
	case st.Fails > 0 && sl.leaves() && check.Confirm > 0 && check.Confirm < check.Interval:
		w.emit(Reschedule{Target: o.Target, At: max(o.Start.Add(check.Confirm), o.End)})
	}
	if o.Startup && st.Ready {
		if sl.isNew {
			w.recordSlot(s, sl, Record{Kind: FleetRecord, Detail: "passed its startup check; from now on its check is asked"})
		}
		w.watch(s, i)
	}
	if st.Degraded != before.Degraded {
		w.recordSlot(s, sl, Record{Kind: FleetRecord, Reason: policy.Slow, Admitted: !st.Degraded, Detail: slowly(*st)})
	}
	if moved == health.Changed {
		r := Record{
			Kind: TransitionRecord, From: before.Status, To: st.Status,
			Cause: o.Cause, Fails: int(st.Fails), Fall: check.Fall, Detail: o.Detail,
		}
		if st.Status == health.Unhealthy && r.Fails < r.Fall {
			r.Reason, r.Detail = policy.Gray, nowAndThen(*st, check.Gray)
		}
		w.recordSlot(s, sl, r)
	}
	if moved != health.Unchanged || st.Fails > 0 || st.Gray || st.Degraded || sl.memo.Standing != policy.In || sl.job != nil || sl.entry != nil || s.pastLine {
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
		if !w.slots[i].failing && before.Ever && !o.Draining && before.Phase != health.Draining {
			w.onsets = append(w.onsets, policy.Onset{At: w.now, Host: w.slots[i].inc.Addr, Service: w.slots[i].svc, Zone: int(w.zones.of[i])})
			w.onset = true
		}
		w.setFailing(i, true)
	}
}

// nowAndThen says how often a gray target fails.
func nowAndThen(s health.State, g health.Gray) string {
	return fmt.Sprintf("%d of its latest %d probes failed", s.Failures(g.Of), min(int(s.Window), g.Of))
}

// slowly says how long a target takes to pass.
func slowly(s health.State) string {
	word := "quick again"
	if s.Degraded {
		word = "degraded"
	}
	return fmt.Sprintf("%s: it passes in about %s, usually in %s", word, s.Level(), s.Base())
}
