// Package lever holds the dangerous procedures: setting a custom health
// status, quarantine (journal, deregister, keep), restore, and the drill that
// proves a restore before the first quarantine.
//
// Each procedure is a machine: Step(job, result, now) returns the job's next
// state and the one call to make next. Nothing here makes a call. Every call
// that writes to the registry is preceded by a journal write, and every phase
// that a crash could leave behind has a way on (Resume). Judgement is not made
// here either: a job is started by a decision of package policy and can be
// cancelled until its first call to the registry is sent.
package lever

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// Kind of lever that an entry or a job belongs to. Its String is journalled.
type Kind uint8

const (
	None Kind = iota
	// CustomStatus sets UNHEALTHY on a service with a custom health check.
	CustomStatus
	// Quarantine deregisters, and registers again exactly as before.
	Quarantine
	// Drill registers a registered instance again, unchanged, to prove that
	// permission, attributes and operation polling work (rule 14).
	Drill
)

func (k Kind) String() string {
	switch k {
	case CustomStatus:
		return "custom-status"
	case Quarantine:
		return "quarantine"
	case Drill:
		return "drill"
	}
	return "none"
}

// Phase of an entry. The strings are journalled: they never change meaning.
type Phase string

const (
	Intended  Phase = "intended"  // journalled; the registry call was surely not sent
	Sending   Phase = "sending"   // the removing call may have been sent
	Submitted Phase = "submitted" // it was accepted; not yet in effect
	Out       Phase = "out"       // in effect: deregistered, or UNHEALTHY
	Returning Phase = "returning" // the returning call may have been sent
	Accepted  Phase = "accepted"  // it was accepted; not yet in effect
	Returned  Phase = "returned"  // back in; kept until the record has gone (rule 15)
)

// Entry is one line of the journal: all that is needed to undo what was done
// to one instance. At most one entry is open per service and instance.
type Entry struct {
	ID          string // unique; also the idempotency token of the restore
	Version     int64  // the journal's; 0 means never stored
	Kind        Kind
	Phase       Phase
	Service     health.Service
	Instance    string
	Incarnation health.Incarnation
	Attributes  health.Attributes // exactly as read from the registry right before the removal
	Operation   string            // Cloud Map operation id of the latest call, if any
	Reason      policy.Reason
	Cause       string // the latest failing observation's cause
	Waiting     bool   // held out by admission: returns on its first pass
	Restored    bool   // was out and came back before; the record in the registry is our write

	// Wall clock, Unix nanoseconds.

	Opened   int64
	Updated  int64
	OutSince int64
}

// IsOut reports whether the entry's instance is, or may be, out of the
// registry (or UNHEALTHY in it) because of us.
func (e Entry) IsOut() bool {
	switch e.Phase {
	case Sending, Submitted, Out, Returning, Accepted:
		return e.Kind != Drill
	}
	return false
}

// Op is one call of a job.
type Op uint8

const (
	Nothing       Op = iota
	Wait             // until Call.At; no call is made
	PutEntry         // journal: store if no entry is open for this instance
	UpdateEntry      // journal: replace if the version is still Entry.Version
	CloseEntry       // journal: remove if the version is still Entry.Version
	ReadInstance     // GetInstance
	ReadStatus       // GetInstancesHealthStatus of one instance
	Register         // RegisterInstance
	Deregister       // DeregisterInstance
	SetStatus        // UpdateInstanceCustomHealthStatus
	PollOperation    // GetOperation
)

func (o Op) String() string {
	return [...]string{"nothing", "wait", "journal-put", "journal-update", "journal-close", "GetInstance", "GetInstancesHealthStatus",
		"RegisterInstance", "DeregisterInstance", "UpdateInstanceCustomHealthStatus", "GetOperation"}[o]
}

// Writes reports whether the call changes the registry.
func (o Op) Writes() bool { return o == Register || o == Deregister || o == SetStatus }

// Call is what to do next. Only the members that the Op needs are set.
type Call struct {
	Op         Op
	At         health.Instant // not before; zero is at once
	Entry      Entry          // journal calls
	Service    health.Service
	Instance   string
	Attributes health.Attributes // Register
	Token      string            // Register: CreatorRequestId
	Status     health.Status     // SetStatus
	Operation  string            // PollOperation
}

// Fault is how a call failed, in the terms that decide what follows.
type Fault uint8

const (
	OK        Fault = iota
	NotFound        // InstanceNotFound, ServiceNotFound, OperationNotFound, or no such entry
	NotCustom       // CustomHealthNotFound
	InFlight        // DuplicateRequest: an operation on the instance is under way; Result.Operation names it
	Throttled       // surely not carried out
	Denied          // no permission; surely not carried out
	Invalid         // refused as invalid; surely not carried out
	Conflict        // journal: an entry is open, or its version is another
	Failed          // surely not carried out, for another reason (never connected)
	Ambiguous       // may have been carried out: the answer was lost, late or a server fault
)

func (f Fault) String() string {
	return [...]string{"ok", "not-found", "not-custom", "in-flight", "throttled", "denied", "invalid", "conflict", "failed", "ambiguous"}[f]
}

// OperationStatus of Cloud Map's GetOperation.
type OperationStatus uint8

const (
	OperationUnknown OperationStatus = iota
	OperationPending                 // SUBMITTED or PENDING
	OperationSuccess
	OperationFail
)

// Result of a Call, as the edge reports it.
type Result struct {
	Op      Op
	Fault   Fault
	Message string // for people; never holds a secret

	Found           bool              // ReadInstance, ReadStatus
	Attributes      health.Attributes // ReadInstance
	Status          health.Status     // ReadStatus
	Operation       string            // Register, Deregister; InFlight: the one in the way
	OperationStatus OperationStatus   // PollOperation
	Entry           Entry             // journal calls: as stored, with its new Version
}

// Pace of a registry: how long its effects take. Real Cloud Map: the zero
// Pace after WithDefaults; a registry with shortened delays: shorter.
type Pace struct {
	CustomDelay time.Duration // 30s: from UpdateInstanceCustomHealthStatus to its effect
	Margin      time.Duration // 5s: a pending status is cancelled this long before its effect at the latest, and read back this long after
	Poll        time.Duration // 1s: between two GetOperation
	Settle      time.Duration // 30s: how long a call whose answer was lost may still take effect
	Retry       time.Duration // 1s, doubled each time: after a call that failed
	Deadline    time.Duration // 2m: an operation that takes longer is read back as if it had ended
}

// WithDefaults fills what is zero with the values for AWS.
func (p Pace) WithDefaults() Pace {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&p.CustomDelay, 30*time.Second)
	def(&p.Margin, 5*time.Second)
	def(&p.Poll, time.Second)
	def(&p.Settle, 30*time.Second)
	def(&p.Retry, time.Second)
	def(&p.Deadline, 2*time.Minute)
	return p
}
