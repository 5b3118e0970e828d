package lever

import (
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// awaitEffect waits for the operation's end, or for the registry's own delay.
func (j Job) awaitEffect(now health.Instant) (Job, Call) {
	if j.Entry.Kind == CustomStatus {
		j.step = stepAwait
		if j.sentAt == 0 { // resumed: the whole delay may still be ahead
			j.sentAt, j.outAt, j.outBy = now, now, now
		}
		return j, Call{Op: Wait, At: j.sentAt.Add(j.pace.CustomDelay + j.margin())}
	}
	if j.Entry.Operation == "" {
		return j.settle(now)
	}
	return j.follow(now)
}

// follow polls the operation from now on.
func (j Job) follow(at health.Instant) (Job, Call) {
	j.step = stepPoll
	j.endBy = at.Add(j.pace.Deadline)
	return j, j.poll(at)
}

func (j Job) poll(at health.Instant) Call {
	return Call{Op: PollOperation, At: at, Operation: j.Entry.Operation, Service: j.Entry.Service, Instance: j.Entry.Instance}
}

func (j Job) afterPoll(r Result, now health.Instant) (Job, Call) {
	switch {
	case r.Fault == OK && r.OperationStatus == OperationFail:
		j.Note = r.say("the operation failed")
		j.refused = true
		j.Entry.Operation = ""
		return j.verify(now, now.Add(lagReads*j.pace.Poll))
	case r.Fault == OK && r.OperationStatus == OperationSuccess:
		j.succeeded = true
		j.Entry.Operation = ""
		return j.verify(now, now.Add(j.pace.Settle))
	case r.Fault == NotFound: // long over, whichever way
		j.Entry.Operation = ""
		return j.verify(now, now.Add(j.pace.Settle))
	case now >= j.endBy: // read back, and if nothing shows yet follow it further
		return j.verify(now, now)
	}
	return j, j.poll(now.Add(j.pace.Poll))
}

// settle watches, after a lost answer or a crash, whether the call took
// effect. It had Settle to do so; a removal that a crash cut loose is watched
// for longer, because nobody sends it again, and an instance that vanished
// after its entry was closed would be lost.
func (j Job) settle(now health.Instant) (Job, Call) {
	if j.Entry.Kind == CustomStatus {
		return j.awaitEffect(now)
	}
	j.step = stepSettle
	j.endBy = now.Add(j.pace.Settle)
	if j.resumed && j.Goal == ToOut {
		j.endBy = now.Add(orphanSettles * j.pace.Settle)
	}
	if j.Goal == ToProve { // the write changes nothing that a read could show
		return j, j.lookup(j.endBy)
	}
	return j, j.lookup(now)
}

func (j Job) afterSettle(r Result, now health.Instant) (Job, Call) {
	if r.Fault != OK && r.Fault != NotFound {
		j.tries++
		return j, j.lookup(j.later(now))
	}
	found := r.Found && r.Fault == OK
	switch {
	case j.Goal != ToProve && found == (j.Goal == ToIn):
		return j.afterVerify(r, now)
	case now < j.endBy:
		return j, j.lookup(min(now.Add(settleEvery*j.pace.Poll), j.endBy))
	case j.resumed && j.Goal == ToProve:
		return j.drop(Cancelled, "the process before did not see its end", now)
	case j.resumed:
		return j.retract(NotApplied, "the call of the process before had no effect", now)
	}
	return j.retry(r, now)
}

// verify reads back until the effect shows, or until then.
func (j Job) verify(now, until health.Instant) (Job, Call) {
	j.step, j.endBy = stepVerify, until
	return j, j.lookup(0)
}

func (j Job) afterVerify(r Result, now health.Instant) (Job, Call) {
	if r.Fault != OK && r.Fault != NotFound {
		j.tries++
		return j, j.lookup(j.later(now))
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
	case j.Goal == ToIn && found:
		return j.drop(Yielded, "registered by somebody else, differently", now)
	case j.Goal == ToProve && same && j.succeeded:
		return j.drop(Applied, "", now)
	case j.Goal == ToProve && found && !same:
		j.refused = true
		return j.drop(NotApplied, "the drill's record came back different", now)
	case now < j.endBy: // reads may lag behind the operation's end
		return j, j.lookup(min(now.Add(j.pace.Poll), j.endBy))
	case j.Entry.Operation != "":
		return j.follow(now.Add(j.pace.Poll))
	}
	return j.unverified(found, now)
}

// unverified ends a job whose operation is over and shows no effect.
func (j Job) unverified(found bool, now health.Instant) (Job, Call) {
	if j.Note == "" {
		j.Note = "the operation ended, and the registry shows no effect"
	}
	switch {
	case j.Goal == ToProve && !found:
		return j.drop(Gone, "no longer registered", now)
	case j.Goal == ToOut && j.succeeded:
		return j.retract(Yielded, "registered again by its owner", now)
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
		j.rewritten, j.doubtful = true, true
		return j.read(0)
	}
	if j.Goal == ToOut && j.acked { // acknowledged, and twice: ours until listings say otherwise, again and again
		j.Note = "written twice, and it does not show: it counts as out until the registry shows the opposite again"
		return j.finish(Out, now)
	}
	return j.retract(Yielded, "written twice, and something else writes the opposite", now)
}

func (j Job) finish(p Phase, now health.Instant) (Job, Call) {
	j.step = stepFinish
	j.Entry.Phase, j.Entry.Operation = p, ""
	j.ending = Applied
	switch p {
	case Out:
		j.Entry.OutSince = j.wall(now)
	case Returned:
		j.Entry.Restored = true
	}
	return j.journal(now)
}

// retract journals that the job changed nothing: a removal's entry is closed
// (or goes back to Returned, where it was), a return's entry is Out as before.
func (j Job) retract(e End, note string, now health.Instant) (Job, Call) {
	if j.pending {
		return j.stand(note, now)
	}
	rest := j.restingPhase()
	if rest == Intended {
		return j.drop(e, note, now)
	}
	j.step = stepRetract
	j.Note, j.ending = note, e
	j.Entry.Phase, j.Entry.Operation = rest, ""
	if rest == Out && j.Entry.OutSince == 0 {
		j.Entry.OutSince = j.wall(now)
	}
	return j.journal(now)
}

// stand gives up to take a removal back: it takes effect as it was meant to.
func (j Job) stand(note string, now health.Instant) (Job, Call) {
	j.Goal, j.undo, j.pending, j.cancel, j.Why = ToOut, false, false, "", ""
	j.Note, j.tries, j.spent = note, 0, false
	j.sentAt = j.outBy
	return j.awaitEffect(now)
}

// takeBack writes the opposite of a status that is not in effect yet, or of
// one that may still take effect though a read did not show it.
func (j Job) takeBack(why policy.Reason, now health.Instant) (Job, Call) {
	j.Goal, j.undo, j.pending, j.Why = ToIn, true, true, why
	j.cancel, j.doubtful, j.rewritten, j.marked = "", false, false, false
	j.tries, j.readAt = 0, now
	return j.mark(Returning, now)
}

// calledOff ends a job that was cancelled before its next write.
func (j Job) calledOff(now health.Instant) (Job, Call) {
	if j.doubtful && j.Goal == ToOut && j.Entry.Kind == CustomStatus {
		return j.takeBack(j.cancel, now)
	}
	return j.retractCancelled(j.cancel, now)
}

func (j Job) retractCancelled(why policy.Reason, now health.Instant) (Job, Call) {
	j.Why = why
	return j.retract(Cancelled, "", now)
}

// drop closes the entry: nothing of ours is left in the registry to undo.
func (j Job) drop(e End, note string, now health.Instant) (Job, Call) {
	j.step, j.closing = stepRetract, true
	j.Note, j.ending = note, e
	return j.journal(now)
}

// afterLast repeats the last journal write until it is stored: the entry must
// not tell a wrong story to the next process.
func (j Job) afterLast(r Result, now health.Instant) (Job, Call) {
	switch r.Fault {
	case OK:
		j.Entry = r.Entry
		return j.done(j.ending, now)
	case NotFound:
		j.closing = true // there is no entry to leave
		return j.done(j.ending, now)
	case Conflict:
		return j.done(j.ending, now)
	}
	return j.repeat(now)
}
