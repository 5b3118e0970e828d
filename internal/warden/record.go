package warden

import (
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

func (w *Warden) record(r Record) {
	r.At, r.Wall = w.now, w.wall(w.now)
	w.emit(r)
}

func (w *Warden) recordService(s *service, r Record) {
	r.Service = s.found.Service
	r.Passing, r.Ever, r.Out, r.N = s.counts.Passing, s.counts.Ever, s.counts.Out, s.counts.N
	w.record(r)
}

func (w *Warden) recordSlot(s *service, sl *slot, r Record) {
	r.Instance = sl.inst
	r.Addr = addrText(sl.inc)
	w.recordService(s, r)
}

func addrText(inc health.Incarnation) string {
	if !inc.Addr.IsValid() {
		return ""
	}
	return health.Target{Addr: inc.Addr, Port: inc.Port}.AddrPort().String()
}

// recordDecision tells of a decision with all that it rests on.
func (w *Warden) recordDecision(s *service, i int, d policy.Decision) {
	sl, st := &w.slots[i], &w.states[i]
	s.counts = d.Counts
	real := w.acts(s) || d.Action == policy.Bring && sl.entry != nil
	w.recordSlot(s, sl, Record{
		Kind: DecisionRecord, Action: d.Action, Admitted: d.Admitted, Reason: d.Why, Shadow: !real,
		Lever: s.lever, Cause: st.Cause, Fails: int(st.Fails), Fall: s.cfg.Check.Fall, Detail: sl.detail,
	})
}

// recordEnd tells how a procedure ended.
func (w *Warden) recordEnd(s *service, sl *slot, j *job) {
	action := policy.Remove
	switch {
	case j.Goal == lever.ToIn:
		action = policy.Bring
	case j.Goal == lever.ToProve, j.Goal == lever.ToRelease:
		action = policy.Keep
	case j.Entry.Waiting:
		action = policy.HoldOut
	}
	why := j.why
	if j.Why != policy.NoReason {
		why = j.Why
	}
	w.recordSlot(s, sl, Record{
		Kind: ActuationRecord, Action: action, Admitted: j.End == lever.Applied, Reason: why, Lever: j.Entry.Kind,
		Detail: j.Says(),
	})
}
