package warden

import (
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// Effect is anything that the mind wants done. The shell carries effects out
// in order; only Do has an answer.
type Effect interface{ effect() }

// Watch starts probing a target at First and then at its check's interval. A
// target that is already watched under the same handle gets the new check.
type Watch struct {
	Target health.Target
	First  health.Instant
}

// Unwatch stops probing. Results that are under way are dropped.
type Unwatch struct{ Target health.Handle }

// Reschedule moves a target's next probe.
type Reschedule struct {
	Target health.Handle
	At     health.Instant
}

// Do carries out one call of a job; its result comes back as Called with the
// same Job. Calls of one job never overlap.
type Do struct {
	Job  uint64
	Call lever.Call
}

// Learn stores what should outlive the process. It is a difference: only what
// changed. Losing the latest ones costs time, never safety.
type Learn struct{ Memory Memory }

// Wake asks for a Tick at At, or before.
type Wake struct{ At health.Instant }

// Retired says that everything was returned after a Retire: the process may end.
type Retired struct{}

// RecordKind sorts records for readers.
type RecordKind string

const (
	DecisionRecord   RecordKind = "decision"   // admitted, or withheld for a new reason
	ActuationRecord  RecordKind = "actuation"  // a job ended
	TransitionRecord RecordKind = "transition" // a target's status changed
	FleetRecord      RecordKind = "fleet"      // something about the whole fleet, or one service, changed
	CommandRecord    RecordKind = "command"    // an operator asked for something
	EvidenceRecord   RecordKind = "evidence"   // an owner says something else of an instance than before
)

// Record is the story of one change, complete enough to be read alone. It is
// an effect: the shell logs it, counts it and appends it to the history.
type Record struct {
	Kind     RecordKind
	At       health.Instant
	Wall     int64 // Unix nanoseconds
	Service  health.Service
	Instance string // "" for records about a service or the fleet
	Addr     string // address and port, where known

	Action   policy.Action
	Admitted bool
	Reason   policy.Reason
	Shadow   bool // mode observe: nothing is written
	Lever    lever.Kind

	From, To health.Status // transitions
	Cause    health.Cause
	Fails    int
	Fall     int
	Detail   string // one sentence for people

	Evidence health.EvidenceKind // evidence: the word that counts …
	Source   string              // … and whose it is

	Passing int // of the service, by latest observation
	Ever    int // that ever passed
	Out     int // of the service's denominator, before this change
	N       int // the service's denominator
}

func (Watch) effect()      {}
func (Unwatch) effect()    {}
func (Reschedule) effect() {}
func (Do) effect()         {}
func (Learn) effect()      {}
func (Wake) effect()       {}
func (Record) effect()     {}
func (Retired) effect()    {}
