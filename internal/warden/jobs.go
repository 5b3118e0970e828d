package warden

import (
	"fmt"
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// job is a procedure under way, and the one call of it that is next or out.
type job struct {
	lever.Job
	id     uint64
	slot   int
	why    policy.Reason
	call   lever.Call
	issued bool // the call was given to the shell
}

// entryID is unique for this process and the ones after it: it becomes the
// idempotency token of the restore.
func (w *Warden) entryID(sl *slot) string {
	w.serial++
	return fmt.Sprintf("mw-%016x-%x-%d", sl.hash, w.epoch, w.serial)
}

// begin starts a job on a slot. A slot has at most one.
func (w *Warden) begin(s *service, i int, g lever.Goal, e lever.Entry, why policy.Reason) {
	var j lever.Job
	var c lever.Call
	switch {
	case g == lever.ToRelease && why == policy.OwnerGone:
		j, c = lever.Forget(e, w.cfg.Pace, w.epoch)
	case g == lever.ToRelease:
		j, c = lever.Release(e, w.cfg.Pace, w.epoch)
	default:
		j, c = lever.Start(g, e, w.cfg.Pace, w.epoch, w.now)
	}
	w.attach(i, j, c, why)
	w.mark(s)
}

func (w *Warden) attach(i int, lj lever.Job, c lever.Call, why policy.Reason) {
	w.lastJob++
	j := &job{Job: lj, id: w.lastJob, slot: i, why: why}
	w.slots[i].job = j
	w.jobs = append(w.jobs, j)
	w.next(j, c)
}

// next issues a job's call, or parks it until its time.
func (w *Warden) next(j *job, c lever.Call) {
	j.call, j.issued = c, false
	w.issue(j)
}

func (w *Warden) issue(j *job) {
	if j.issued || j.call.At > w.now {
		return
	}
	j.issued = true
	if j.call.Op == lever.Wait {
		w.step(j, lever.Result{Op: lever.Wait})
		return
	}
	w.emit(Do{Job: j.id, Call: j.call})
}

// issueDue issues the calls whose time has come.
func (w *Warden) issueDue() {
	for _, j := range slices.Clone(w.jobs) {
		w.issue(j)
	}
}

func (w *Warden) called(e Called) {
	for _, j := range w.jobs {
		if j.id == e.Job && j.issued && j.call.Op == e.Result.Op {
			w.step(j, e.Result)
			return
		}
	}
}

func (w *Warden) step(j *job, r lever.Result) {
	lj, c := lever.Step(j.Job, r, w.now)
	j.Job = lj
	w.follow(j, c)
}

// follow keeps the slot's entry true and goes on with the job's next call.
func (w *Warden) follow(j *job, c lever.Call) {
	s := w.services[w.slots[j.slot].svc]
	w.mark(s)
	if j.End != lever.Running {
		w.ended(s, j)
		return
	}
	w.next(j, c)
}

func (w *Warden) detach(j *job) {
	w.slots[j.slot].job = nil
	w.jobs = slices.DeleteFunc(w.jobs, func(x *job) bool { return x == j })
}

// retry spacing of a lever whose procedure failed: doubled each time.
const (
	failedFirst = 10 * time.Second
	failedMost  = 5 * time.Minute
)

// ended takes over what a job leaves behind.
func (w *Warden) ended(s *service, j *job) {
	sl := &w.slots[j.slot]
	w.detach(j)
	w.setEntry(sl, j)
	w.recordEnd(s, sl, j)
	if j.End == lever.NotApplied && j.Goal != lever.ToRelease {
		sl.notUntil = w.now.Add(min(failedFirst<<min(sl.fails, 10), failedMost))
		sl.fails++
	} else {
		sl.fails = 0
	}
	if j.End == lever.Gone || j.End == lever.Yielded { // the next listings tell what is there now
		sl.yield = max(sl.yield, w.now.Add(2*w.cfg.Poll))
	}
	switch j.Goal {
	case lever.ToOut:
		w.endedOut(s, sl, j)
	case lever.ToIn:
		w.endedIn(s, sl, j)
	case lever.ToProve:
		w.endedDrill(s, j)
	case lever.ToRelease:
		w.endedRelease(s, sl, j)
	}
	if sl.used && sl.moved && sl.entry == nil { // the next listing brings who lives there now
		w.leave(s, j.slot)
		w.dropSlot(s, j.slot)
	}
	w.mark(s)
}

// setEntry stores what an ended job left in the journal for a slot.
func (w *Warden) setEntry(sl *slot, j *job) {
	if sl.entry != nil {
		w.entries--
	}
	sl.entry = nil
	if e, ok := j.Left(); ok {
		sl.entry = &e
		w.entries++
	}
}

func (w *Warden) endedOut(s *service, sl *slot, j *job) {
	switch j.End {
	case lever.Applied:
		sl.outAt, sl.seenOut = w.now, 0
		if j.Entry.Kind == lever.Quarantine {
			sl.registered = false
		} else {
			sl.registry = health.Unhealthy
		}
		if !j.Entry.Waiting && !policy.ByOwner(j.Entry.Reason) && j.Entry.Reason != policy.Drained {
			w.countRemoval(s, sl)
		}
	case lever.Gone, lever.Yielded:
		sl.memo = policy.Memo{Standing: policy.In, Since: w.now}
		sl.registered = sl.registered && j.End == lever.Yielded
		if j.End == lever.Yielded && j.Sent() {
			sl.contend = w.now.Add(s.cfg.Policy.Yield)
		}
	default:
		sl.memo = policy.Memo{Standing: policy.In, Since: w.now}
	}
}

func (w *Warden) endedIn(s *service, sl *slot, j *job) {
	switch j.End {
	case lever.Applied, lever.Cancelled: // Cancelled: a status taken back before its effect
		if sl.entry != nil && sl.entry.Phase == lever.Out {
			return // a return that was called off
		}
		if !j.Sent() { // called off before it raised anything: it is as it was born
			sl.memo = policy.Memo{Standing: policy.In, Since: w.now}
			return
		}
		sl.asked, sl.stuck = false, false
		sl.outAt, sl.gone = w.now, 0
		sl.registered = true
		standing := policy.Probation
		if j.End == lever.Cancelled {
			standing = policy.In
		}
		if j.Entry.Kind == lever.CustomStatus {
			sl.registry, sl.served = health.Healthy, true
			w.learnPassed(s, j.slot)
		}
		if j.Entry.Kind == lever.Quarantine && s.owned.speaks { // asked again: it must not have stopped meanwhile (rule 15)
			sl.restored = w.now
			w.ask(s, j.slot)
		}
		sl.memo = policy.Memo{Standing: standing, Reason: j.why, Since: w.now}
	case lever.Gone:
		sl.registered = false
		sl.memo = policy.Memo{Standing: policy.In, Since: w.now}
		s.ghosts = append(s.ghosts, w.now.Add(ghostFor))
	case lever.Yielded:
		if sl.entry != nil { // it is ours still; whoever writes the opposite gets time to stop
			sl.notUntil = w.now.Add(s.cfg.Policy.Yield)
			return
		}
		w.yielded(s, sl)
	}
}

// yielded: the owner answered our removal by registering again; or somebody
// set the status back. Their word stands for a while (rule 16).
func (w *Warden) yielded(s *service, sl *slot) {
	sl.yield = w.now.Add(s.cfg.Policy.Yield)
	sl.memo = policy.Memo{Standing: policy.In, Reason: policy.OwnerAnswered, Since: w.now}
	sl.registered, sl.asked = true, false
	if i, ok := s.byID[sl.inst]; ok {
		w.states[i] = health.Restart(w.states[i])
		w.reconsider(i)
	}
}

// How long a service is observed only after its drill failed: long where the
// registry refused it, which it will do again; short where the call did not
// get through, which proves nothing.
const (
	drillAgain   = 30 * time.Minute
	drillUnheard = time.Minute
)

func (w *Warden) startDrill(s *service, i int) {
	sl := &w.slots[i]
	if sl.job != nil || sl.entry != nil {
		if sl.entry != nil && sl.entry.Restored {
			s.drill = policy.DrillDone // it was restored by us: that was the proof
			w.mark(s)
		}
		return
	}
	s.drill = policy.DrillRunning
	w.begin(s, i, lever.ToProve, lever.Entry{
		Kind: lever.Drill, ID: w.entryID(sl), Service: s.found.Service, Instance: sl.inst,
		Incarnation: sl.inc, Attributes: sl.attrs, Reason: policy.DrillPending,
	}, policy.DrillPending)
}

func (w *Warden) endedDrill(s *service, j *job) {
	switch j.End {
	case lever.Applied:
		s.drill = policy.DrillDone
	case lever.NotApplied:
		wait := drillUnheard
		if j.Refused() {
			wait = drillAgain
		}
		s.drill, s.drillUntil = policy.DrillBad, w.now.Add(wait)
	default:
		s.drill = policy.DrillNone
	}
}

func (w *Warden) endedRelease(s *service, sl *slot, j *job) {
	switch {
	case j.End == lever.Yielded && j.Entry.Kind == lever.CustomStatus:
		w.countFlip(s, sl)
		sl.memo = policy.Memo{Standing: policy.In, Since: w.now}
		if i, ok := s.byID[sl.inst]; ok {
			w.states[i] = health.Restart(w.states[i])
			w.reconsider(i)
		}
	case j.End == lever.Yielded:
		w.yielded(s, sl)
	case j.End == lever.Gone:
		if sl.memo.Standing == policy.Out && j.why != policy.OwnerGone {
			s.ghosts = append(s.ghosts, w.now.Add(ghostFor))
		}
		if i, ok := s.byID[sl.inst]; ok && !sl.registered {
			w.dropSlot(s, i)
		}
	}
}

// cancel asks a slot's job to stop or to take back what is not in effect yet.
func (w *Warden) cancel(s *service, i int, why policy.Reason) {
	j := w.slots[i].job
	if j == nil {
		return
	}
	lj, c, replaced := j.Job.Cancel(why, !j.issued, w.now)
	j.Job = lj
	if replaced {
		w.follow(j, c)
	}
}
