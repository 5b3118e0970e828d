package policy

import "github.com/mapwarden/mapwarden/internal/health"

// Standing is what policy makes of an instance.
type Standing uint8

const (
	// In: it gets traffic, nothing is planned.
	In Standing = iota
	// Leaving: the verdict is unhealthy and its hold runs.
	Leaving
	// Out: removed by us (in observe: it would have been).
	Out
	// Probation: returned lately.
	Probation
	// Waiting: never passed; held out until its first pass.
	Waiting
	// Kept: it would be out, but a rule keeps it in. Shown with its reason.
	Kept
)

func (s Standing) String() string {
	return [...]string{"in", "leaving", "out", "probation", "waiting", "kept"}[s]
}

// IsOut reports whether the standing keeps the instance away from traffic.
func (s Standing) IsOut() bool { return s == Out || s == Waiting }

// Action is what a decision asks for.
type Action uint8

const (
	Keep    Action = iota
	Remove         // set UNHEALTHY, or quarantine
	HoldOut        // the same for an instance that never passed: admission
	Bring          // set HEALTHY, or restore
	Cancel         // take back a removal that is not yet in effect
)

func (a Action) String() string {
	return [...]string{"keep", "remove", "hold-out", "return", "cancel"}[a]
}

// Removes reports whether the action takes an instance away from traffic.
func (a Action) Removes() bool { return a == Remove || a == HoldOut }

// Proposal is what the evidence on one instance asks for.
type Proposal struct {
	Target   health.Handle
	Service  int // ServiceView.Index
	Member   int // index into ServiceView.Members
	Action   Action
	Reason   Reason       // why to act
	Class    health.Class // of the evidence
	Batch    bool         // of a dead zone: neither share nor velocity applies
	Withheld Reason       // the first rule that withholds it already; empty: Admit decides
	Tie      uint64

	Halved      bool           // removals: it gets half of the budget
	ProvenUntil health.Instant // Bring: the owner's word that it rests on holds until then; 0: it rests on none (rule 15)

	Counts Counts // of the service, before this proposal
	Config *Config
}

// Decision is a Proposal with its answer.
type Decision struct {
	Proposal
	Admitted bool
	Why      Reason // why it acts, or why it is withheld
}
