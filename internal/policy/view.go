package policy

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// Member is one instance of a service as policy sees it: facts, and the Memo
// that policy itself returned the last time.
type Member struct {
	Target health.Handle
	Zone   int    // dense; 0 is unknown
	Tie    uint64 // order among equals: a hash of the incarnation

	// What the checkers saw.

	Status    health.Status  // of this checker
	Verdict   health.Status  // of the checkers together
	Vouched   bool           // another checker says that it is healthy
	Last      health.Outcome // the latest observation
	Cause     health.Cause
	Gray      bool // it fails now and then, or was removed for that and is not known to be well
	Draining  bool // it says itself that it is about to stop
	Fails     int  // current failure run
	FailSince health.Instant
	Passes    int // current pass run
	PassSince health.Instant
	LastAt    health.Instant // the latest observation
	LastTwo   bool           // the latest two observations passed
	Probes    int            // own conclusive probes since the warm-up began
	Degraded  bool           // it passes, but slower than it used to
	Level     time.Duration  // that its newest passes took
	Ready     bool           // passed its startup check
	Ever      bool           // passed in this incarnation, also before a restart
	New       bool           // appeared after the first sync
	FirstSeen health.Instant

	// What it says of the things that it needs.

	Reports bool   // lately: it listed them, or passed
	Bad     uint64 // the critical ones that it calls bad, by their place in the service

	// What its owners say; nothing where they are silent.

	Gone          bool           // it has stopped for good
	OwnerDraining bool           // it is stopping, or about to
	OwnerStarting bool           // it is not meant to serve yet
	Objected      bool           // an owner's latest word, however old, is that it stops
	RunningAt     health.Instant // when it was said last that it is meant to run, and runs
	Deployment    string         // the deployment that it belongs to
	AskedAt       health.Instant // when its owner was asked last …
	Answered      bool           // … and answered since

	// What the registry and the journal say.

	Registry   health.Status // as the registry says
	Foreign    bool          // UNHEALTHY in the registry, and not because of us
	Other      bool          // of another account: counts, is never written
	InitDown   bool          // UNHEALTHY since its registration, and never passed
	Ours       bool          // an open entry says that it is out because of us
	OutFor     Reason        // why it is out, would be (mode observe), or is being removed
	OutSince   health.Instant
	HeldOut    bool           // out by admission
	RestoredAt health.Instant // when we registered it again, where the record is ours still

	// What is under way.

	Removing  bool           // a job is removing it
	Returning bool           // a job is bringing it back
	Pending   bool           // a status is written and not yet in effect
	Busy      bool           // a drill or a release runs on it
	Asked     bool           // an operator asked for its return
	NotUntil  health.Instant // the lever's latest procedure failed; not again before this
	Yield     health.Instant // its owner registered it again; not before this
	Contended health.Instant // somebody else changes its status too; not before this

	Removed     int // removals in the last 24 h
	LastRemoved health.Instant

	Memo Memo
}

// Memo is what policy remembers of an instance.
type Memo struct {
	Standing Standing
	Reason   Reason // of the standing; for Kept the rule that withholds
	Since    health.Instant
	Holding  health.Instant // since when a removal is wanted and nothing forbids it; zero: it is not
	Slow     health.Instant // since when it is degraded; zero: it is not
	Shadow   bool           // the standing is what would be: mode observe
}

// isOut: counts as out in the denominator (safety rule 5).
func (m *Member) isOut() bool {
	return m.Ours || m.Removing || m.Foreign || m.Registry == health.Unhealthy || m.Memo.Standing.IsOut()
}

// probed reports whether probing it can tell anything.
func (m *Member) probed() bool {
	return m.Cause != health.NotProbeable && m.Cause != health.AddressRefused
}

// down: its latest observation failed, or was silence.
func (m *Member) down() bool {
	return m.Last == health.Fail || m.Last == health.Indeterminate && m.Cause == health.PathUnproven
}

// draining reports whether it said, or its owner did, that it is about to stop.
func (m *Member) draining() bool { return m.OwnerDraining || m.Draining }

// class of the evidence for taking it out because of why. What its latest
// failure was says nothing of one that fails now and then.
func (m *Member) class(why Reason) health.Class {
	switch {
	case m.Gone || why == UndoResurrection:
		return health.Gone
	case why == Gray, why == Slow:
		return health.Soft
	case leaves(why) || why == Zone:
		return health.Hard
	}
	return m.Cause.Class()
}

// started: it passed its startup check, and its check not yet. It is let in, and
// what its check says so far is no reason against it.
func (m *Member) started() bool { return m.Ready && !m.Ever }

// sound reports whether a member that passes can be counted on: what may be
// taken out though it passes must not be what another removal relies on.
func (m *Member) sound() bool { return m.Ever && !m.Gray }

// ServiceView is one service as policy sees it.
type ServiceView struct {
	Index   int // dense, for the Bank
	Members []Member
	Config  Config

	Fall     int
	Interval time.Duration
	Grace    time.Duration

	Quarantine bool   // the lever is quarantine: hold and drill apply
	Blocked    Reason // the service has no lever, or may not use it
	Desired    int    // how many instances its owner wants; 0 where unknown
	Ghosts     int    // removed by us in the last 10 min and gone since, not returned (rule 5)

	BadElsewhere uint64 // what members call bad, and those of another service, too
	SharedLately uint64 // what was a shared failure within the last minute

	Owned       bool // an owner speaks of its instances
	Deploying   bool // more than one of the owner's deployments is alive (rule 17)
	OwnerWrites bool // the owner sets its custom health statuses itself

	Listed bool // completely, since the start
	Stale  bool
	Armed  bool // the check is proven (rule 4)
	Drill  Drill
}

// Drill is how far a service's drill is (rule 14).
type Drill uint8

const (
	DrillNone Drill = iota
	DrillRunning
	DrillDone
	DrillBad
)

// Counts are a service's sums.
type Counts struct {
	N        int // the denominator (rule 5)
	Out      int // of N
	Draining int // of Out: in, and about to stop
	Ever     int // ever passed, quarantined ones included
	Passing  int // of Ever, by latest observation
	Fails    int // latest observation failed, of all
	Blind    int // not observed since the start, or Indeterminate, of all
	PastLine bool
}

// Count sums up a service.
func Count(v *ServiceView) Counts {
	var c Counts
	for i := range v.Members {
		m := &v.Members[i]
		c.N++
		switch {
		case m.isOut():
			c.Out++
		case m.draining():
			c.Out++
			c.Draining++
		}
		if m.Gone { // that it fails is explained, and that it passes proves nothing
			continue
		}
		if m.Ever {
			c.Ever++
			if m.Last == health.Pass {
				c.Passing++
			}
		}
		switch {
		case m.LastAt == 0 || m.Last == health.Indeterminate:
			c.Blind++
		case m.Last == health.Fail:
			c.Fails++
		}
	}
	c.N = max(c.N+v.Ghosts, v.Desired)
	c.Out += v.Ghosts
	c.PastLine = pastLine(c.Passing, c.Ever, v.Config.FailOpen)
	return c
}

// away is how many are out, for a removal because of why: those that are about
// to stop count against everybody but their own kind, or none of them could go.
func (c Counts) away(why Reason) int {
	if leaves(why) {
		return c.Out - c.Draining
	}
	return c.Out
}

// pastLine is the fail-open line (rule 6). Where nobody ever passed there is
// nothing to measure by: past it.
func pastLine(passing, ever int, percent float64) bool {
	return ever == 0 || float64(passing)*100 < percent*float64(ever)
}
