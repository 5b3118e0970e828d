// Package health is the vocabulary of the road that a health signal travels,
// and the judgement of one target by one checker.
//
// Step takes a target's State, its Check and one Observation and returns the
// new State; NextDue says when to look again. Both are pure: the observation
// carries its own instants, and nothing here reads a clock, a network, a file
// or a random number, so the same observations always give the same states.
//
// The package does not run probes (package probe), does not combine several
// checkers (package quorum) and does not decide what happens to an instance
// (package policy): a Status is one checker's opinion and nothing more.
package health

import (
	"math"
	"time"
)

// Instant is a point on the monotonic clock of one process, in nanoseconds.
// The zero Instant means "never happened"; shells start their clock above it.
// Instants of two processes cannot be compared: what must outlive a process is
// written as wall time, in records only.
type Instant int64

// Never lies after every other instant: nothing is due at Never.
const Never Instant = math.MaxInt64

// Add returns the instant d after t. Never stays Never.
func (t Instant) Add(d time.Duration) Instant {
	if t == Never {
		return Never
	}
	return t + Instant(d)
}

// Sub returns the duration t-u.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// Seconds returns t in seconds since the clock's origin.
func (t Instant) Seconds() float64 { return time.Duration(t).Seconds() }

// Handle names one watched target inside one process: a dense slot index in
// the low 32 bits and the slot's generation in the high 32, so that an answer
// for a target that has gone is recognised after its slot was given away.
// The zero Handle names nothing.
type Handle uint64

// NewHandle composes a handle. Generations start at 1.
func NewHandle(index, generation uint32) Handle {
	return Handle(uint64(generation)<<32 | uint64(index))
}

// Index is the slot, for dense slices.
func (h Handle) Index() int { return int(uint32(h)) }

// Generation counts the owners that the slot has had.
func (h Handle) Generation() uint32 { return uint32(h >> 32) }

// Outcome is what one probe found. The zero value is the safe one.
type Outcome uint8

const (
	// Indeterminate says nothing about the target: the checker could not look,
	// or may not trust what it saw. It never counts as a failure.
	Indeterminate Outcome = iota
	Pass
	Fail
)

func (o Outcome) String() string {
	switch o {
	case Pass:
		return "pass"
	case Fail:
		return "fail"
	}
	return "indeterminate"
}

// Status is one checker's view of a target, after its thresholds.
type Status uint8

const (
	Unknown Status = iota
	Healthy
	Unhealthy
)

func (s Status) String() string {
	switch s {
	case Healthy:
		return "healthy"
	case Unhealthy:
		return "unhealthy"
	}
	return "unknown"
}

// Phase is where a target is in its life, as its checker sees it.
type Phase uint8

const (
	// Starting targets have never passed.
	Starting Phase = iota
	// Steady targets have passed and show no open question.
	Steady
	// Suspect targets failed their latest conclusive probe but have not failed
	// often enough to be Unhealthy; they are probed at the confirm spacing.
	Suspect
	// Draining targets said themselves that they are about to stop.
	Draining
)

func (p Phase) String() string {
	switch p {
	case Steady:
		return "steady"
	case Suspect:
		return "suspect"
	case Draining:
		return "draining"
	}
	return "starting"
}

// Transition says what an observation did to a State.
type Transition uint8

const (
	// Unchanged: same status, same outcome as before.
	Unchanged Transition = iota
	// Pending: the outcome differs from the one before, the status does not (yet).
	Pending
	// Changed: the status is a different one now.
	Changed
)

func (t Transition) String() string {
	switch t {
	case Pending:
		return "pending"
	case Changed:
		return "changed"
	}
	return "unchanged"
}
