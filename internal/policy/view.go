package policy

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// Member is one instance of a service as policy sees it: facts, and the Memo
// that policy itself returned the last time.
type Member struct {
	Target health.Handle
	Tie    uint64 // order among equals: a hash of the incarnation

	// What the checkers saw.

	Verdict   health.Status  // of the checkers together
	Last      health.Outcome // the latest observation
	Cause     health.Cause
	Gone      bool // the owner says that it has stopped
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

	// What the registry and the journal say.

	Registry health.Status // as the registry says
	Foreign  bool          // UNHEALTHY in the registry, and not because of us
	Other    bool          // of another account: counts, is never written
	InitDown bool          // UNHEALTHY since its registration, and never passed
	Ours     bool          // an open entry says that it is out because of us
	OutFor   Reason        // why it is out, would be (mode observe), or is being removed
	OutSince health.Instant
	HeldOut  bool // out by admission

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
	return m.takenOut() || m.Draining
}

// takenOut is isOut but for who is in and says that it drains.
func (m *Member) takenOut() bool {
	return m.Ours || m.Removing || m.Foreign || m.Registry == health.Unhealthy || m.Memo.Standing.IsOut()
}

// probed reports whether probing it can tell anything.
func (m *Member) probed() bool {
	return m.Cause != health.NotProbeable && m.Cause != health.AddressRefused
}

// class of the evidence for taking it out because of why. What its latest
// failure was says nothing of one that fails now and then.
func (m *Member) class(why Reason) health.Class {
	switch {
	case m.Gone:
		return health.Gone
	case why == Gray, why == Slow:
		return health.Soft
	case why == Draining:
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

// cleared reports whether what its removal under way rests on holds no more: a
// pass before the call, the verdict after it. A gray one passes often, so only
// the verdict clears it; one that drains has to take its word back,
// and a slow one to be quick again.
func (m *Member) cleared() bool {
	switch {
	case m.HeldOut && m.started():
		return true
	case m.OutFor == Slow:
		return !m.Degraded && m.Last == health.Pass
	case m.OutFor == Draining:
		return !m.Draining && m.Last == health.Pass
	case m.Pending, m.OutFor == Gray:
		return m.Verdict == health.Healthy
	}
	return m.Last == health.Pass
}

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
	Draining int // of Out: those that are in and say that they drain
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
		if m.isOut() {
			c.Out++
		}
		if m.Draining && !m.takenOut() {
			c.Draining++
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

// after is how many are out once one more is taken out because of why. Who says
// that it drains is out already, in what it counts for others: among its like
// only those count that were taken out.
func (c Counts) after(why Reason, taken int) int {
	if why == Draining {
		return c.Out - c.Draining + taken + 1
	}
	return c.Out + taken + 1
}

// pastLine is the fail-open line (rule 6). Where nobody ever passed there is
// nothing to measure by: past it.
func pastLine(passing, ever int, percent float64) bool {
	return ever == 0 || float64(passing)*100 < percent*float64(ever)
}
