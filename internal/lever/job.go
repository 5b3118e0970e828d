package lever

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// Goal of a job.
type Goal uint8

const (
	ToOut     Goal = iota // remove: deregister, or set UNHEALTHY
	ToIn                  // bring back: register as before, or set HEALTHY
	ToProve               // drill: register as it is
	ToRelease             // close an entry that the registry has overtaken
)

func (g Goal) String() string { return [...]string{"out", "in", "prove", "release"}[g] }

// End is how a job ended.
type End uint8

const (
	Running    End = iota
	Applied        // the registry shows what was wanted
	Cancelled      // taken back before it had any effect
	Gone           // the instance left the registry by itself, or its service did
	Yielded        // somebody else wrote there: their word stands
	NotApplied     // the call failed, or had no effect; nothing has changed
)

func (e End) String() string {
	return [...]string{"running", "applied", "cancelled", "gone", "yielded", "not-applied"}[e]
}

// step is where a job stands: which call's result it is waiting for.
type step uint8

const (
	stepPut      step = iota // the entry is being opened
	stepIdentify             // is it the same incarnation still? (its status does not tell)
	stepRead                 // re-reading right before the write
	stepMark                 // journalling that the call may be sent
	stepSend                 // the call to the registry
	stepNote                 // journalling that it was accepted
	stepPoll                 // waiting for the operation to end
	stepAwait                // waiting for a custom status to take effect
	stepSettle               // the answer was lost: watching whether the call took effect
	stepVerify               // reading back
	stepFinish               // journalling the effect
	stepRetract              // journalling that there was none
	stepDone
)

const (
	maxTries      = 5               // of a call that had no effect
	lagReads      = 2               // polls that a read may lag behind an operation that failed
	freshFor      = 2 * time.Second // a read older than this is repeated before a write
	maxBackoff    = 30 * time.Second
	settleEvery   = 2 // polls between two looks while settling
	orphanSettles = 3 // how many Settle a removal of an earlier process is watched
)

// Job is one procedure under way. It is a value: Step returns the next one.
// Only the calls that Step and its siblings return may be made for it, one at
// a time.
type Job struct {
	Goal  Goal
	Entry Entry
	End   End
	Why   policy.Reason // why it was cancelled
	Note  string        // for people: what went wrong

	pace  Pace
	epoch int64 // wall time of instant 0, Unix nanoseconds
	step  step
	tries int // of the registry call
	puts  int // of the journal write

	until     health.Instant // the returning call may be made until then; 0: whenever
	forget    bool           // the instance has gone for good
	cancel    policy.Reason  // asked for, and not yet acted on
	undo      bool           // ToIn that takes back a status not yet in effect
	pending   bool           // … and its HEALTHY was not sent yet: the removal stands
	opened    bool           // this job opened the entry: nothing of ours was in effect before
	resumed   bool           // continued from the journal of an earlier process
	sent      bool           // a call that changes the registry was made
	marked    bool           // the journal says that the call may be sent; only the read grew old
	doubtful  bool           // an earlier call of ours may take effect yet, though we go on
	spent     bool           // no call is made any more: the next read decides
	succeeded bool           // the operation did
	rewritten bool           // a status that did not stick was written a second time
	closing   bool           // the last journal write closes the entry
	ending    End            // what End becomes when that write is through

	readAt  health.Instant
	sentAt  health.Instant // the latest write
	outAt   health.Instant // the latest write that removes
	outBy   health.Instant // when that write was answered
	acked   bool           // the latest write was acknowledged
	refused bool           // see Refused
	endBy   health.Instant // of an operation, of settling, or of reading back
}

// Start begins a procedure. For ToOut and ToProve the entry is opened (or, for
// an instance that was out before, opened again); for ToIn it must be stored,
// unless it has Version 0: then it is opened first.
func Start(g Goal, e Entry, p Pace, epoch int64, now health.Instant) (Job, Call) {
	j := Job{Goal: g, Entry: e, pace: p.WithDefaults(), epoch: epoch}
	if g == ToIn && e.Version != 0 {
		return j.read(0)
	}
	j.step, j.opened = stepPut, e.Version == 0
	j.Entry.Phase = Intended
	if j.Entry.Opened == 0 {
		j.Entry.Opened = j.wall(now)
	}
	return j.journal(now)
}

// Release closes an entry at rest that the registry seems to have overtaken:
// out, and yet there (somebody else's word: the job Yielded); or back, and
// gone again (Gone). The registry is read once more; where it does not bear
// that out, nothing changes (NotApplied). Nothing but the journal is written.
func Release(e Entry, p Pace, epoch int64) (Job, Call) {
	return Job{Goal: ToRelease, Entry: e, pace: p.WithDefaults(), epoch: epoch}.read(0)
}

// Forget closes the entry of an instance that is out and has stopped for good,
// as its owner says: there is nothing to bring back any more. A status is left
// as it is; it goes with its record. Like Release it writes nothing but the
// journal.
func Forget(e Entry, p Pace, epoch int64) (Job, Call) {
	return Job{Goal: ToRelease, Entry: e, forget: true, pace: p.WithDefaults(), epoch: epoch}.read(0)
}

// Within bounds a return that rests on its owner's word: the call is made until
// then, or not at all. Zero bounds nothing.
func (j Job) Within(until health.Instant) Job {
	j.until = until
	return j
}

// lapsed reports whether the word that a return rests on is too old. Once a
// call of it may have been carried out, what has come of it must be found out.
func (j Job) lapsed(now health.Instant) bool {
	return j.until != 0 && now > j.until && !j.doubtful
}

// Resume continues what an earlier process left in the journal. A phase whose
// call was surely not sent is retracted unwritten; one whose call may have
// been sent is read back and finished. ok is false for phases at rest.
func Resume(e Entry, p Pace, epoch int64, now health.Instant) (j Job, c Call, ok bool) {
	j = Job{Entry: e, pace: p.WithDefaults(), epoch: epoch, resumed: true}
	switch e.Phase {
	case Returning, Accepted:
		j.Goal = ToIn
	}
	if e.Kind == Drill {
		j.Goal = ToProve
	}
	switch e.Phase {
	case Intended:
		if e.Reason == policy.FirstPass {
			j.Goal, j.opened = ToIn, true
		}
		j, c = j.retract(Cancelled, "the process ended before anything was sent", now)
	case Sending, Returning:
		j.sent, j.doubtful = true, true
		j, c = j.settle(now)
	case Submitted, Accepted:
		j.sent, j.doubtful = true, true
		j, c = j.awaitEffect(now)
	default:
		return j, Call{}, false
	}
	return j, c, true
}

// Sent reports whether the job has made a call that changes the registry.
func (j Job) Sent() bool { return j.sent }

// Says tells in a few words for people how the job ended.
func (j Job) Says() string {
	if j.End == Applied {
		done := [...][2]string{
			ToOut:     {"deregistered", "set UNHEALTHY"},
			ToIn:      {"registered again as it was", "set HEALTHY"},
			ToProve:   {"registered as it is: the way back works", ""},
			ToRelease: {"", ""},
		}[j.Goal]
		text := done[0]
		if j.Entry.Kind == CustomStatus {
			text = done[1]
		}
		return with(text, j.Note)
	}
	text := map[End]string{
		Running: "under way", Cancelled: "called off before it had an effect", Gone: "moot",
		Yielded: "left to others", NotApplied: "without effect",
	}[j.End]
	if j.Goal == ToRelease && j.End != NotApplied {
		text = "entry closed"
	}
	return with(text, j.Note)
}

func with(text, note string) string {
	if note == "" {
		return text
	}
	return text + ": " + note
}

// Left is the entry that an ended job leaves in the journal; ok is false where
// it leaves none.
func (j Job) Left() (e Entry, ok bool) {
	return j.Entry, !j.closing && j.Entry.Version > 0
}

// Refused reports whether the registry would not carry the call out, or carried
// it out differently: it will do so again. A throttle or a lost answer is no
// refusal.
func (j Job) Refused() bool { return j.refused }

// Pending reports whether a status was written that is not yet in effect.
func (j Job) Pending() bool { return j.Entry.Kind == CustomStatus && j.step == stepAwait }

// Cancel asks the job to stop, or to take back what is not yet in effect.
// parked says that its latest call has not been issued yet (it waits for its
// At); then the call returned takes its place if replaced is true. A job that
// can no longer be cancelled goes on unchanged. A release cannot be: it writes
// nothing but the truth.
func (j Job) Cancel(why policy.Reason, parked bool, now health.Instant) (next Job, c Call, replaced bool) {
	switch {
	case j.Goal == ToRelease:
	case j.step == stepAwait && parked && j.Goal == ToOut && j.beforeEffect(now):
		j, c = j.takeBack(why, now)
		return j, c, true
	case (j.step == stepIdentify || j.step == stepRead) && parked && !j.doubtful:
		j, c = j.retractCancelled(why, now)
		return j, c, true
	case j.step < stepSend:
		j.cancel = why
	}
	return j, Call{}, false
}

// beforeEffect: Cloud Map drops a pending change when the opposite value
// arrives inside the window; the margin is for the way there.
func (j Job) beforeEffect(now health.Instant) bool {
	return now.Sub(j.outAt) <= j.pace.CustomDelay-j.margin()
}

func (j Job) margin() time.Duration { return min(j.pace.Margin, j.pace.CustomDelay/2) }

func (j Job) wall(now health.Instant) int64 { return j.epoch + int64(now) }

// Step takes the result of the job's latest call and returns the next one.
// When End is no longer Running the call is Nothing and the job is over.
func Step(j Job, r Result, now health.Instant) (Job, Call) {
	if j.journalling() && j.unsure(r.Fault) {
		return j.repeat(now)
	}
	switch j.step {
	case stepPut:
		return j.afterPut(r, now)
	case stepIdentify:
		return j.afterIdentify(r, now)
	case stepRead:
		return j.afterRead(r, now)
	case stepMark:
		return j.afterMark(r, now)
	case stepSend:
		return j.afterSend(r, now)
	case stepNote:
		return j.afterNote(r, now)
	case stepPoll:
		return j.afterPoll(r, now)
	case stepAwait:
		return j.verify(now, now)
	case stepSettle:
		return j.afterSettle(r, now)
	case stepVerify:
		return j.afterVerify(r, now)
	case stepFinish, stepRetract:
		return j.afterLast(r, now)
	}
	return j, Call{}
}

// journalling reports whether the job waits for the journal.
func (j Job) journalling() bool {
	switch j.step {
	case stepPut, stepMark, stepNote, stepFinish, stepRetract:
		return true
	}
	return false
}

// unsure reports whether it is not known what the journal holds now: this
// write of the entry was lost, or one before it and this one says nothing.
func (j Job) unsure(f Fault) bool {
	switch f {
	case OK, Conflict, NotFound:
		return false
	}
	return f == Ambiguous || j.puts > 0
}

// journal writes the entry as the present step wants it.
func (j Job) journal(now health.Instant) (Job, Call) {
	j.Entry.Updated = j.wall(now)
	j.puts = 0
	return j, j.write()
}

// repeat makes a journal write whose answer was lost once more, exactly as it
// was: the journal knows its own repeats. Going on without knowing what is
// stored would leave an entry that no later write fits.
func (j Job) repeat(now health.Instant) (Job, Call) {
	c := j.write()
	c.At = now.Add(backoff(j.pace.Retry, j.puts))
	j.puts++
	return j, c
}

func (j Job) write() Call {
	op := UpdateEntry
	switch {
	case j.step == stepPut && j.Entry.Version == 0:
		op = PutEntry
	case j.step == stepRetract && j.closing:
		op = CloseEntry
	}
	return Call{Op: op, Entry: j.Entry, Service: j.Entry.Service, Instance: j.Entry.Instance}
}

// lookup is the call that shows the present state of what the job changes.
func (j Job) lookup(at health.Instant) Call {
	op := ReadInstance
	if j.Entry.Kind == CustomStatus && j.step != stepIdentify {
		op = ReadStatus
	}
	return Call{Op: op, At: at, Service: j.Entry.Service, Instance: j.Entry.Instance}
}

// later is when a registry call may be tried again.
func (j Job) later(now health.Instant) health.Instant {
	return now.Add(backoff(j.pace.Retry, j.tries))
}

// backoff is d, doubled with each try, at most maxBackoff.
func backoff(d time.Duration, tries int) time.Duration {
	return min(d<<min(tries, 10), maxBackoff)
}

func (j Job) done(e End, now health.Instant) (Job, Call) {
	j.End, j.step = e, stepDone
	return j, Call{}
}
