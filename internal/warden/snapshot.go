package warden

import (
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// Snapshot is a picture of the whole mind for readers. It and all it points to
// are immutable. Pages of services that did not change are shared between
// snapshots. Details of the last probe are not in it: ask Explain.
type Snapshot struct {
	At        health.Instant
	Wall      int64 // Unix nanoseconds
	Mode      policy.Mode
	Synced    bool            // all services were listed completely since the start
	Gates     []policy.Reason // what withholds removals everywhere, now
	Storm     bool            // the storm latch holds
	Retired   bool            // everything was returned; the process may end
	Frozen    int64           // wall end of a freeze; 0: none
	FrozenBy  string
	Doubt     health.Doubt // the reason for which the checker abstains
	Staleness int64        // nanoseconds since the oldest of the services' latest complete listings
	Totals    Totals
	Services  []*ServicePage // sorted by namespace, name
}

// Totals of a fleet or a service.
type Totals struct {
	Targets       int // watched: passing, failing and NOT CHECKED together
	Registered    int // in the latest listing
	Passing       int // by latest observation
	Failing       int
	Indeterminate int // NOT CHECKED, or not yet
	Leaving       int
	Out           int // by us; in observe: would be
	Waiting       int
	Kept          int
	Foreign       int // UNHEALTHY in the registry, and not our doing
	Quarantined   int // entries whose instance is off the registry
	Jobs          int // procedures under way
	Flagged       int // gray, flapping, draining or degraded, whatever they stand for
}

// ServicePage is one service in a Snapshot.
type ServicePage struct {
	Service     health.Service
	Mode        policy.Mode
	Lever       lever.Kind
	NoLever     policy.Reason // why there is none
	HealthCheck HealthCheckKind
	Check       string // the check in one line
	CheckArmed  bool
	Listed      int64           // wall of the latest complete listing
	Gates       []policy.Reason // what withholds removals in this service, now
	N           int             // denominator
	OutCount    int             // of the denominator
	Ever        int             // that ever passed
	PastLine    bool            // the fail-open line
	Totals      Totals
	Instances   []InstanceLine // sorted by id
}

// InstanceLine is one instance in a ServicePage.
type InstanceLine struct {
	ID         string
	Addr       string // address and port
	Registered bool
	Registry   health.Status // as the registry says
	Status     health.Status // as we say
	Phase      health.Phase
	Outcome    health.Outcome // the latest observation; Indeterminate is shown as NOT CHECKED
	Cause      health.Cause
	Standing   policy.Standing
	Reason     policy.Reason // of the standing, or why a removal is withheld
	Shadow     bool          // mode observe: the standing is what would be
	Since      int64         // wall: when the standing began
	Flags      Flags         // what else is worth knowing
}

// Explanation says for one instance why it is in or out.
type Explanation struct {
	Line        InstanceLine
	Service     health.Service
	Mode        policy.Mode
	Lever       lever.Kind
	Summary     string // one sentence
	Check       string
	Fails       int
	Passes      int
	Fall        int
	Rise        int
	EverPassed  bool
	Recent      []health.Outcome // newest first
	Slowly      string           // how long it takes, where it is degraded
	NowAndThen  string           // how often it fails, where it is gray
	Parts       []health.Part    // of its latest probe, where the check has several
	Boot        string           // the target's own boot id, where it names one …
	BootSince   int64            // … wall: when it was first heard
	LastDetail  string           // of the latest outcome that differed from the one before
	LastProbe   int64            // wall
	Verdict     health.Status
	Votes       []ExplainedVote
	Rules       []ExplainedRule     // all rules, in order, with what each says now
	Entry       *lever.Entry        // the open journal entry, if any
	Owner       health.EvidenceKind // what its owner says …
	OwnerSource string              // … and which: of several, the worst
	Attributes  health.Attributes
	N, OutCount int
	Passing     int
	Ever        int
}

// ExplainedVote is one vantage's vote, our own first.
type ExplainedVote struct {
	Checker, Zone string
	Status        health.Status
	Last          health.Outcome // its latest observation
	Cause         health.Cause
	Abstains      bool // it doubts itself: its accusations do not count
	Heard         bool // lately and completely: otherwise it has no vote
}

// ExplainedRule is what one rule says of removing the instance now.
type ExplainedRule struct {
	Rule      int // number in docs/safety.md
	Reason    policy.Reason
	Withholds bool
	Says      string
}
