package lever

import (
	"fmt"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
)

func (j Job) afterPut(r Result, now health.Instant) (Job, Call) {
	if r.Fault != OK {
		return j.unwritten(r, now)
	}
	j.Entry = r.Entry
	if j.cancel != "" {
		return j.retractCancelled(j.cancel, now)
	}
	return j.read(0)
}

// unwritten ends a job whose entry could not be opened or changed: the journal
// still holds what it held before, or somebody else's entry, or none.
func (j Job) unwritten(r Result, now health.Instant) (Job, Call) {
	j.Note = r.say("journal")
	j.closing = r.Fault == NotFound
	j.Entry.Phase = j.restingPhase()
	return j.done(NotApplied, now)
}

// read looks, not before at, whether the write is still the right thing.
func (j Job) read(at health.Instant) (Job, Call) {
	j.step = stepRead
	if j.Entry.Kind == CustomStatus && j.Goal == ToOut {
		j.step = stepIdentify
	}
	return j, j.lookup(at)
}

func (j Job) afterIdentify(r Result, now health.Instant) (Job, Call) {
	switch {
	case j.cancel != "" && !j.doubtful:
		return j.retractCancelled(j.cancel, now)
	case r.Fault != OK && r.Fault != NotFound:
		return j.unread(r, now)
	case !r.Found || r.Fault != OK:
		return j.drop(Gone, "no longer registered", now)
	case j.moved(r.Attributes):
		return j.drop(Yielded, "registered anew with another address", now)
	}
	if !r.Attributes.Equal(j.Entry.Attributes) {
		j.Entry.Attributes, j.marked = r.Attributes, false
	}
	j.step = stepRead
	return j, j.lookup(0)
}

// afterRead decides, on what the registry says right now, whether the write
// is still the right thing (rule 16: there is no compare-and-set).
func (j Job) afterRead(r Result, now health.Instant) (Job, Call) {
	switch {
	case j.cancel != "" && !j.doubtful:
		return j.retractCancelled(j.cancel, now)
	case r.Fault != OK && r.Fault != NotFound:
		return j.unread(r, now)
	}
	found := r.Found && r.Fault == OK
	j.readAt = now
	if j.doubtful {
		if next, c, ok := j.tookEffect(found, r, now); ok {
			return next, c
		}
	}
	switch {
	case j.spent:
		return j.retract(NotApplied, j.Note, now)
	case j.cancel != "":
		return j.calledOff(now)
	case j.Goal == ToRelease:
		return j.release(found, r, now)
	case j.Entry.Kind == CustomStatus:
		return j.judgeStatus(found, r.Status, now)
	case j.Goal == ToIn && found:
		return j.drop(Yielded, "registered again by its owner", now)
	case j.Goal == ToIn && j.lapsed(now):
		return j.retractCancelled(policy.RestoreUnproven, now)
	case j.Goal == ToIn:
		return j.mark(Returning, now)
	case !found:
		return j.drop(Gone, "no longer registered", now)
	case j.moved(r.Attributes):
		return j.retract(Yielded, "registered anew with another address", now)
	}
	if !r.Attributes.Equal(j.Entry.Attributes) {
		j.Entry.Attributes, j.marked = r.Attributes, false
	}
	return j.mark(Sending, now)
}

// unread handles a read that says nothing.
func (j Job) unread(r Result, now health.Instant) (Job, Call) {
	switch {
	case j.Goal == ToRelease:
		return j.done(NotApplied, now)
	case j.doubtful: // nothing may be concluded before a read succeeds
		j.tries++
		return j, j.lookup(j.later(now))
	case r.Fault == Denied || r.Fault == Invalid:
		return j.retract(NotApplied, r.say("read"), now)
	}
	return j.retry(r, now)
}

// tookEffect notices that an earlier call of this job, which seemed to have
// had no effect, had one after all. Without it the job would take its own
// doing for somebody else's, and forget the instance.
func (j Job) tookEffect(found bool, r Result, now health.Instant) (next Job, c Call, ok bool) {
	custom := j.Entry.Kind == CustomStatus
	switch {
	case j.Goal == ToOut && custom && found && r.Status == health.Unhealthy, j.Goal == ToOut && !custom && !found:
		next, c = j.finish(Out, now)
		return next, c, true
	case j.Goal == ToIn && !custom && found && r.Attributes.Equal(j.Entry.Attributes):
		next, c = j.finish(Returned, now)
		return next, c, true
	}
	return j, Call{}, false
}

// moved reports whether the attributes name another endpoint than the job's.
func (j Job) moved(a health.Attributes) bool {
	addr, port := health.Endpoint(a)
	return addr != j.Entry.Incarnation.Addr || port != j.Entry.Incarnation.Port
}

func (j Job) release(found bool, r Result, now health.Instant) (Job, Call) {
	out := j.Entry.Phase == Out
	switch {
	case j.forget && (!found || j.Entry.Kind == CustomStatus):
		return j.drop(Gone, "its owner has stopped it for good", now)
	case !found && (!out || j.Entry.Kind == CustomStatus):
		return j.drop(Gone, "no longer registered", now)
	case found && out && j.Entry.Kind == Quarantine:
		return j.drop(Yielded, "registered again by its owner", now)
	case found && out && r.Status == health.Healthy:
		return j.drop(Yielded, "set HEALTHY by somebody else", now)
	case found && j.Entry.Kind == Quarantine && j.moved(r.Attributes):
		return j.drop(Yielded, "registered anew with another address", now)
	}
	return j.done(NotApplied, now)
}

func (j Job) judgeStatus(found bool, s health.Status, now health.Instant) (Job, Call) {
	switch {
	case !found:
		return j.drop(Gone, "no longer registered", now)
	case s == health.Unknown:
		return j.retract(NotApplied, "the registry reports no status", now)
	case j.Goal == ToOut && s == health.Unhealthy:
		return j.retract(Yielded, "already UNHEALTHY, and not by us", now)
	case j.Goal == ToOut:
		return j.mark(Sending, now)
	case s == health.Healthy && !j.undo && !j.lagging(now): // what is to be undone is not yet to be seen
		return j.drop(Applied, "already HEALTHY", now)
	}
	return j.mark(Returning, now)
}

// lagging: the entry's own UNHEALTHY is so young that readers may not show it
// yet; a HEALTHY that they show then proves nothing, and is written once more.
func (j Job) lagging(now health.Instant) bool {
	return j.Entry.OutSince != 0 && j.wall(now)-j.Entry.OutSince < int64(j.pace.Settle)
}

// retry repeats the read-and-write from the read, a few times.
func (j Job) retry(r Result, now health.Instant) (Job, Call) {
	j.tries++
	if j.tries >= maxTries {
		if !j.doubtful {
			return j.retract(NotApplied, r.say("gave up"), now)
		}
		j.spent, j.Note = true, r.say("gave up")
	}
	return j.read(j.later(now))
}

// mark journals that the call may be sent, unless that stands there already.
func (j Job) mark(p Phase, now health.Instant) (Job, Call) {
	if j.marked {
		return j.send(now)
	}
	j.step = stepMark
	j.Entry.Phase = p
	return j.journal(now)
}

func (j Job) afterMark(r Result, now health.Instant) (Job, Call) {
	switch {
	case r.Fault == OK:
	case j.pending, r.Fault != Conflict && r.Fault != NotFound:
		return j.retract(NotApplied, r.say("journal"), now)
	default:
		return j.unwritten(r, now)
	}
	j.Entry = r.Entry
	switch {
	case j.cancel != "":
		return j.calledOff(now)
	case j.lapsed(now):
		return j.retractCancelled(policy.RestoreUnproven, now)
	case now.Sub(j.readAt) > freshFor: // a slow journal: look again, but write it no second time
		j.marked = true
		return j.read(0)
	}
	return j.send(now)
}

// restingPhase is where an entry rests when its job changes nothing: Intended
// stands for no entry at all.
func (j Job) restingPhase() Phase {
	switch {
	case j.Goal == ToIn && (j.sent || !j.opened):
		return Out
	case j.Entry.Restored && j.Goal != ToIn:
		return Returned
	}
	return Intended
}

func (j Job) send(now health.Instant) (Job, Call) {
	j.step, j.sent, j.marked, j.sentAt = stepSend, true, false, now
	j.succeeded = false
	c := Call{Service: j.Entry.Service, Instance: j.Entry.Instance}
	switch {
	case j.Entry.Kind == CustomStatus:
		c.Op, c.Status = SetStatus, health.Unhealthy
		if j.Goal == ToIn {
			c.Status = health.Healthy
		} else {
			j.outAt = now
		}
	case j.Goal == ToOut:
		c.Op = Deregister
	default:
		c.Op, c.Attributes = Register, j.Entry.Attributes.Registrable()
		c.Token = fmt.Sprintf("%s-%d", j.Entry.ID, j.Entry.Version)
	}
	return j, c
}

func (j Job) afterSend(r Result, now health.Instant) (Job, Call) {
	switch r.Fault {
	case OK:
		j.Entry.Operation = r.Operation
		j.tries, j.pending, j.acked = 0, false, true
		return j.answered(now).note(now)
	case Ambiguous:
		j.Note = r.say("the answer was lost")
		j.doubtful, j.pending, j.acked = true, false, false
		return j.answered(now).settle(now)
	case Throttled, InFlight:
		return j.retry(r, now)
	case NotFound:
		if j.Goal != ToIn || j.Entry.Kind == CustomStatus {
			return j.drop(Gone, "no longer registered", now)
		}
		return j.retract(NotApplied, r.say("register"), now)
	}
	j.refused = r.Fault != Failed
	return j.retract(NotApplied, r.say("call"), now)
}

// answered notes when the write was over: a client that paces its calls may
// have held it back, so its effect is waited for from here on.
func (j Job) answered(now health.Instant) Job {
	j.sentAt = now
	if j.Goal == ToOut {
		j.outBy = now
	}
	return j
}

func (j Job) note(now health.Instant) (Job, Call) {
	j.step = stepNote
	j.Entry.Phase = Submitted
	if j.Goal == ToIn {
		j.Entry.Phase = Accepted
	}
	return j.journal(now)
}

// afterNote goes on even when the note could not be stored: the phase before
// it is read back in the same way after a crash.
func (j Job) afterNote(r Result, now health.Instant) (Job, Call) {
	if r.Fault == OK {
		j.Entry = r.Entry
	}
	return j.awaitEffect(now)
}

func (r Result) say(what string) string {
	if r.Message == "" {
		return what + ": " + r.Fault.String()
	}
	return what + ": " + r.Message
}
