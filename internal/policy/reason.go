package policy

// Reason is why a decision is what it is. The same string stands in logs,
// metric labels, the journal, the operator API and the page; it never changes
// its meaning, and a new meaning gets a new string.
type Reason string

// Reasons to act.
const (
	NoReason     Reason = ""
	Failing      Reason = "failing"        // the verdict is unhealthy and its hold has passed
	Gray         Reason = "gray"           // the same, of one that fails now and then
	Slow         Reason = "slow"           // it passes, but far slower than its peers
	NeverReady   Reason = "never-ready"    // admission: not capacity until its first pass (rule 11)
	OwnerGone    Reason = "owner-gone"     // the owner says it has stopped
	Draining     Reason = "draining"       // it is about to stop, its owner says
	SaysDraining Reason = "says-draining"  // it says itself that it is about to stop
	OwnerRuns    Reason = "owner-running"  // the owner took that back: the removal is off
	Recovered    Reason = "recovered"      // earned its return (rule 12)
	FirstPass    Reason = "first-pass"     // admission ends (rule 11), or an initial UNHEALTHY is lifted (rule 13)
	FailOpenAll  Reason = "fail-open-all"  // nothing passes any more: everything is returned (rule 6)
	Operator     Reason = "operator"       // somebody asked for it
	Zone         Reason = "zone"           // every vantage sees its whole zone fail
	Retiring     Reason = "retiring"       // mapwarden leaves: everything is returned
	PassedInHold Reason = "passed-in-hold" // one pass before the call: the removal is off (rule 9)
	// UndoResurrection: its owner stopped it while we registered it again (rule 15).
	UndoResurrection Reason = "undo-resurrection"
	Moot             Reason = "moot" // the instance left the registry by itself
)

// Reasons to withhold a removal. Each belongs to one rule of docs/safety.md.
const (
	// Rule 1: unknown is nothing.
	Unsynced Reason = "unsynced" // the registry was not read completely since the start
	Stale    Reason = "stale"    // the latest complete listing is too old

	// Rule 2: own faults first.
	SelfDoubt Reason = "self-doubt"

	// NoQuorum: too few vantages are there to accuse anybody.
	NoQuorum Reason = "no-quorum"

	// Rule 3: reach must be proven.
	PathUnproven Reason = "path-unproven"
	NotProbeable Reason = "not-probeable"
	// Isolated: its zone is cut off from the others, and well as seen from inside.
	Isolated Reason = "zone-isolated"
	// PathFault: we do not reach its zone, and another vantage does.
	PathFault Reason = "path-fault"

	// Rule 4: the check must be proven.
	CheckUnproven Reason = "check-unproven"
	NeverPassed   Reason = "never-passed"

	// Rule 6: the fail-open line.
	FailOpen      Reason = "fail-open"
	AwaitingPeers Reason = "awaiting-peers"
	// SharedDependency: much of the service calls the same thing bad that it needs.
	SharedDependency Reason = "shared-dependency"

	// Rule 7: budgets.
	LastHealthy Reason = "last-healthy"
	Budget      Reason = "budget"

	// Rule 8: velocity.
	Velocity       Reason = "velocity"
	VelocityGlobal Reason = "velocity-global"
	Storm          Reason = "storm"

	// Rule 9: a filter before each lever.
	Holding Reason = "hold"

	// Rule 10: warm-up.
	WarmUp       Reason = "warm-up"
	TargetWarmUp Reason = "target-warm-up"

	// Rule 12: return.
	Flapping Reason = "flapping"
	Backoff  Reason = "back-off"

	// Rule 13: the journal.
	ForeignOut  Reason = "foreign-out"
	LostJournal Reason = "lost-journal"

	// Rule 14: quarantine needs a way back.
	DrillPending Reason = "drill-pending"
	DrillFailed  Reason = "drill-failed"
	// EvidenceMissing: nobody can say what is gone, and nobody vouched for probes.
	EvidenceMissing Reason = "evidence-missing"

	// Rule 15: restore never resurrects.
	RestoreUnproven Reason = "restore-unproven"
	AskingOwner     Reason = "asking-owner" // its owner was asked whether it runs

	// Rule 16: owners and other writers.
	OwnerAnswered Reason = "owner-answered"
	Contended     Reason = "contended"

	// Rule 17: deploys.
	Deploying   Reason = "deploying"    // more than one deployment is alive
	OwnerWrites Reason = "owner-writes" // the owner sets the health statuses itself
	StuckOut    Reason = "stuck-out"    // out for long, and its owner has not replaced it: an alarm

	Busy Reason = "busy" // a drill or a release runs on the instance

	// Standby: another vantage holds the lease and writes (rule 20).
	Standby Reason = "standby"

	// Rules 18, 20: who owns the record.
	Route53Check Reason = "route53-check"
	OtherAccount Reason = "other-account"

	// Rule 19 and 21: switches.
	Off       Reason = "off"     // mode off: nothing is probed, nothing is written
	Observing Reason = "observe" // mode observe: what would have been done is recorded, nothing is written
	Frozen    Reason = "frozen"
	Thawing   Reason = "thawing" // a freeze ran out, and the fleet is not healthy yet
	Stopping  Reason = "stopping"

	// A lever's procedure has failed lately.
	CallFailed Reason = "call-failed"
)
