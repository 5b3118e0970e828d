package lever

import (
	"fmt"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
)

func (j Job) afterPut(r Result, now health.Instant) (Job, Call) {
	if r.Fault != OK {
		j.Note = r.say("journal")
		j.Entry.Phase = j.restingPhase()
		return j.done(NotApplied, now)
	}
	j.Entry = r.Entry
	if j.cancel != "" {
		return j.retractCancelled(j.cancel, now)
	}
	return j.read(now)
}

func (j Job) read(now health.Instant) (Job, Call) {
	j.step = stepRead
	return j, j.lookup(0)
}

// afterRead decides, on what the registry says right now, whether the write
// is still the right thing (rule 16: there is no compare-and-set).
func (j Job) afterRead(r Result, now health.Instant) (Job, Call) {
	if j.cancel != "" {
		return j.retractCancelled(j.cancel, now)
	}
	switch r.Fault {
	case OK, NotFound:
	default:
		if j.Goal == ToRelease {
			return j.done(NotApplied, now)
		}
		if r.Fault == Denied || r.Fault == Invalid {
			return j.retract(NotApplied, r.say("read"), now)
		}
		return j.retry(r, now)
	}
	found := r.Found && r.Fault == OK
	j.readAt = now
	if j.Goal == ToRelease {
		return j.release(found, r, now)
	}
	if j.Entry.Kind == CustomStatus {
		return j.judgeStatus(found, r.Status, now)
	}
	switch {
	case j.Goal == ToIn && found:
		return j.drop(Yielded, "registered again by its owner", now)
	case j.Goal == ToIn:
		return j.mark(Returning, now)
	case !found:
		return j.drop(Gone, "no longer registered", now)
	}
	addr, port := health.Endpoint(r.Attributes)
	if addr != j.Entry.Incarnation.Addr || port != j.Entry.Incarnation.Port {
		return j.retract(Yielded, "registered anew with another address", now)
	}
	j.Entry.Attributes = r.Attributes
	return j.mark(Sending, now)
}

func (j Job) release(found bool, r Result, now health.Instant) (Job, Call) {
	out := j.Entry.Phase == Out
	addr, port := health.Endpoint(r.Attributes)
	switch {
	case !found && (!out || j.Entry.Kind == CustomStatus):
		return j.drop(Gone, "no longer registered", now)
	case found && out && j.Entry.Kind == Quarantine:
		return j.drop(Yielded, "registered again by its owner", now)
	case found && out && r.Status == health.Healthy:
		return j.drop(Yielded, "set HEALTHY by somebody else", now)
	case found && j.Entry.Kind == Quarantine && (addr != j.Entry.Incarnation.Addr || port != j.Entry.Incarnation.Port):
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
	case j.Goal == ToOut && s == health.Unhealthy && j.rewritten:
		return j.finish(Out, now) // the first write took effect late
	case j.Goal == ToOut && s == health.Unhealthy:
		return j.retract(Yielded, "already UNHEALTHY, and not by us", now)
	case j.Goal == ToOut:
		return j.mark(Sending, now)
	case s == health.Healthy:
		return j.drop(Applied, "already HEALTHY", now)
	}
	return j.mark(Returning, now)
}

// retry repeats the read-and-write from the read, a few times.
func (j Job) retry(r Result, now health.Instant) (Job, Call) {
	j.tries++
	if j.tries >= maxTries {
		return j.retract(NotApplied, r.say("gave up"), now)
	}
	j.step = stepRead
	return j, j.lookup(j.backoff(now))
}

func (j Job) mark(p Phase, now health.Instant) (Job, Call) {
	j.step = stepMark
	j.Entry.Phase = p
	return j.journal(UpdateEntry, now)
}

func (j Job) afterMark(r Result, now health.Instant) (Job, Call) {
	if r.Fault != OK {
		j.Note = r.say("journal")
		if r.Fault == Conflict || r.Fault == NotFound {
			j.Entry.Phase = j.restingPhase()
			return j.done(NotApplied, now)
		}
		return j.retract(NotApplied, j.Note, now)
	}
	j.Entry = r.Entry
	switch {
	case j.cancel != "":
		return j.retractCancelled(j.cancel, now)
	case now.Sub(j.readAt) > freshFor:
		return j.read(now)
	}
	return j.send(now)
}

// restingPhase is the phase that the journal still holds when a job could not
// even begin.
func (j Job) restingPhase() Phase {
	switch {
	case j.Goal == ToIn:
		return Out
	case j.Entry.Restored:
		return Returned
	}
	return Intended
}

func (j Job) send(now health.Instant) (Job, Call) {
	j.step, j.sent, j.sentAt = stepSend, true, now
	c := Call{Service: j.Entry.Service, Instance: j.Entry.Instance}
	switch {
	case j.Entry.Kind == CustomStatus:
		c.Op, c.Status = SetStatus, health.Unhealthy
		if j.Goal == ToIn {
			c.Status = health.Healthy
		}
	case j.Goal == ToOut:
		c.Op = Deregister
	default:
		c.Op, c.Attributes = Register, j.Entry.Attributes
		c.Token = fmt.Sprintf("%s-%d", j.Entry.ID, j.Entry.Version)
	}
	return j, c
}

func (j Job) afterSend(r Result, now health.Instant) (Job, Call) {
	switch r.Fault {
	case OK:
		j.Entry.Operation = r.Operation
		j.tries = 0
		return j.note(now)
	case Ambiguous:
		j.Note = r.say("the answer was lost")
		return j.settle(now)
	case Throttled, InFlight:
		return j.retry(r, now)
	case NotFound:
		if j.Goal != ToIn || j.Entry.Kind == CustomStatus {
			return j.drop(Gone, "no longer registered", now)
		}
		return j.retract(NotApplied, r.say("register"), now)
	}
	return j.retract(NotApplied, r.say("call"), now)
}

func (j Job) note(now health.Instant) (Job, Call) {
	j.step = stepNote
	j.Entry.Phase = Submitted
	if j.Goal == ToIn {
		j.Entry.Phase = Accepted
	}
	return j.journal(UpdateEntry, now)
}

// afterNote goes on even when the note could not be stored: the phase before
// it is read back in the same way after a crash.
func (j Job) afterNote(r Result, now health.Instant) (Job, Call) {
	if r.Fault == OK {
		j.Entry = r.Entry
	}
	return j.awaitEffect(now)
}

// awaitEffect waits for the operation's end, or for the registry's own delay.
func (j Job) awaitEffect(now health.Instant) (Job, Call) {
	if j.Entry.Kind == CustomStatus {
		j.step = stepAwait
		if j.sentAt == 0 {
			j.sentAt = now // resumed: the whole delay may still be ahead
		}
		return j, Call{Op: Wait, At: j.sentAt.Add(j.pace.CustomDelay + j.margin())}
	}
	if j.Entry.Operation == "" {
		return j.settle(now)
	}
	j.step = stepPoll
	j.endBy = now.Add(j.pace.Deadline)
	return j, j.poll(now)
}

func (j Job) poll(at health.Instant) Call {
	return Call{Op: PollOperation, At: at, Operation: j.Entry.Operation, Service: j.Entry.Service, Instance: j.Entry.Instance}
}

func (j Job) afterPoll(r Result, now health.Instant) (Job, Call) {
	switch {
	case r.Fault == OK && r.OperationStatus == OperationFail:
		j.Note = r.say("the operation failed")
		return j.verify(now)
	case r.Fault == OK && r.OperationStatus == OperationSuccess, r.Fault == NotFound, now >= j.endBy:
		return j.verify(now)
	}
	return j, j.poll(now.Add(j.pace.Poll))
}

// settle watches, after a lost answer or a crash, whether the call took
// effect. It had Settle to do so.
func (j Job) settle(now health.Instant) (Job, Call) {
	if j.Entry.Kind == CustomStatus {
		return j.awaitEffect(now)
	}
	j.step = stepSettle
	j.endBy = now.Add(j.pace.Settle)
	if j.Goal == ToProve { // the write changes nothing that a read could show
		return j, j.lookup(j.endBy)
	}
	return j, j.lookup(now)
}

func (j Job) afterSettle(r Result, now health.Instant) (Job, Call) {
	if r.Fault != OK && r.Fault != NotFound {
		j.tries++
		return j, j.lookup(j.backoff(now))
	}
	found := r.Found && r.Fault == OK
	if j.Goal == ToProve || found == (j.Goal == ToIn) {
		return j.afterVerify(r, now)
	}
	if now < j.endBy {
		return j, j.lookup(min(now.Add(settleEvery*j.pace.Poll), j.endBy))
	}
	if j.resumed {
		return j.retract(NotApplied, "the call of the process before had no effect", now)
	}
	return j.retry(r, now)
}

func (j Job) verify(now health.Instant) (Job, Call) {
	j.step, j.reads = stepVerify, 0
	return j, j.lookup(0)
}

func (j Job) afterVerify(r Result, now health.Instant) (Job, Call) {
	j.step = stepVerify
	if r.Fault != OK && r.Fault != NotFound {
		j.tries++
		return j, j.lookup(j.backoff(now))
	}
	found := r.Found && r.Fault == OK
	if j.Entry.Kind == CustomStatus {
		return j.verifyStatus(found, r.Status, now)
	}
	same := found && r.Attributes.Equal(j.Entry.Attributes)
	switch {
	case j.Goal == ToOut && !found:
		return j.finish(Out, now)
	case j.Goal == ToIn && same:
		return j.finish(Returned, now)
	case j.Goal == ToProve && same:
		return j.retract(Applied, "", now)
	case j.Goal == ToIn && found:
		return j.drop(Yielded, "registered by somebody else, differently", now)
	case j.Goal == ToProve && found:
		return j.retract(NotApplied, "the drill's record came back different", now)
	}
	// Reads may lag behind the operation's end.
	if j.reads++; j.reads < maxReads {
		return j, j.lookup(now.Add(j.pace.Poll))
	}
	if j.Goal == ToProve {
		return j.drop(Gone, "no longer registered", now)
	}
	if j.Note == "" {
		j.Note = "the operation ended, and the registry shows no effect"
	}
	return j.retract(NotApplied, j.Note, now)
}

func (j Job) verifyStatus(found bool, s health.Status, now health.Instant) (Job, Call) {
	want := health.Unhealthy
	if j.Goal == ToIn {
		want = health.Healthy
	}
	switch {
	case !found:
		return j.drop(Gone, "no longer registered", now)
	case s == want && j.Goal == ToOut:
		return j.finish(Out, now)
	case s == want && j.undo:
		return j.drop(Cancelled, "", now)
	case s == want:
		return j.drop(Applied, "", now)
	case j.resumed && j.Goal == ToOut:
		return j.retract(NotApplied, "the call of the process before had no effect", now)
	case !j.rewritten:
		j.rewritten = true
		return j.read(now)
	}
	return j.retract(Yielded, "written twice, and something else writes the opposite", now)
}

func (j Job) finish(p Phase, now health.Instant) (Job, Call) {
	j.step, j.tries = stepFinish, 0
	j.Entry.Phase, j.Entry.Operation = p, ""
	j.ending = Applied
	switch p {
	case Out:
		j.Entry.OutSince = j.wall(now)
	case Returned:
		j.Entry.Restored = true
	}
	return j.journal(UpdateEntry, now)
}

// retract journals that the job changed nothing: a removal's entry is closed
// (or goes back to Returned, where it was), a return's entry is Out as before.
func (j Job) retract(e End, note string, now health.Instant) (Job, Call) {
	j.Note = note
	j.ending = e
	switch {
	case j.Goal == ToIn && !(j.Entry.OutSince == 0 && !j.sent):
		j.step, j.tries = stepRetract, 0
		j.Entry.Phase, j.Entry.Operation = Out, ""
		if j.Entry.OutSince == 0 {
			j.Entry.OutSince = j.wall(now)
		}
		return j.journal(UpdateEntry, now)
	case j.Entry.Restored:
		j.step, j.tries = stepRetract, 0
		j.Entry.Phase, j.Entry.Operation = Returned, ""
		return j.journal(UpdateEntry, now)
	}
	return j.drop(e, note, now)
}

func (j Job) retractCancelled(why policy.Reason, now health.Instant) (Job, Call) {
	j.Why = why
	return j.retract(Cancelled, "", now)
}

// drop closes the entry: nothing of ours is left in the registry to undo.
func (j Job) drop(e End, note string, now health.Instant) (Job, Call) {
	j.step, j.tries, j.closing = stepRetract, 0, true
	j.Note, j.ending = note, e
	return j.journal(CloseEntry, now)
}

// afterLast repeats the closing journal write until it is stored: the entry
// must not tell a wrong story to the next process.
func (j Job) afterLast(r Result, now health.Instant) (Job, Call) {
	switch r.Fault {
	case OK:
		j.Entry = r.Entry
		return j.done(j.ending, now)
	case Conflict, NotFound:
		return j.done(j.ending, now)
	}
	j.tries++
	op := UpdateEntry
	if j.closing {
		op = CloseEntry
	}
	j, c := j.journal(op, now)
	c.At = j.backoff(now)
	return j, c
}

func (r Result) say(what string) string {
	if r.Message == "" {
		return what + ": " + r.Fault.String()
	}
	return what + ": " + r.Message
}
