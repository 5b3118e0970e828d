package web

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// The shapes of the operator API, version 1, as docs/api.md describes them.
// Members are only ever added. Times are RFC 3339 in UTC; a member that does
// not apply is left out.

// Fleet is the whole picture without the services.
type Fleet struct {
	At               time.Time       `json:"at"`
	Version          string          `json:"version,omitempty"`
	Mode             string          `json:"mode"` // the default; a service may have another
	Synced           bool            `json:"synced"`
	Headline         string          `json:"headline"` // one sentence for people
	Gates            []policy.Reason `json:"gates"`    // what withholds removals everywhere
	FrozenUntil      *time.Time      `json:"frozen_until,omitempty"`
	FrozenBy         string          `json:"frozen_by,omitempty"`
	Doubt            string          `json:"doubt,omitempty"`   // why the checker doubts itself
	Storm            bool            `json:"storm"`             // removals are latched off until things calm down, or a release
	Retired          bool            `json:"retired"`           // everything was put back; the process ends
	StalenessSeconds float64         `json:"staleness_seconds"` // age of the oldest of the services' latest complete listings
	Services         int             `json:"services"`
	Totals           Totals          `json:"totals"`
}

// Totals count instances of a fleet or a service.
type Totals struct {
	Targets       int `json:"targets"` // watched
	Registered    int `json:"registered"`
	Passing       int `json:"passing"`
	Failing       int `json:"failing"`
	Indeterminate int `json:"indeterminate"` // NOT CHECKED
	Leaving       int `json:"leaving"`
	Out           int `json:"out"`
	Waiting       int `json:"waiting"`
	Kept          int `json:"kept"`
	Foreign       int `json:"foreign_out"` // UNHEALTHY in the registry, and not our doing
	Quarantined   int `json:"quarantined"`
	Jobs          int `json:"jobs"`    // procedures under way
	Flagged       int `json:"flagged"` // gray, flapping, draining or degraded
}

// Service is one service.
type Service struct {
	Namespace   string          `json:"namespace"`
	Service     string          `json:"service"`
	ServiceID   string          `json:"service_id"`
	Mode        string          `json:"mode"`
	Lever       string          `json:"lever"`
	NoLever     policy.Reason   `json:"no_lever,omitempty"` // why there is none
	HealthCheck string          `json:"health_check"`       // none, custom, route53
	Check       string          `json:"check"`              // in one line
	CheckArmed  bool            `json:"check_armed"`
	ListedAt    *time.Time      `json:"listed_at,omitempty"` // the latest complete listing
	Gates       []policy.Reason `json:"gates"`               // what withholds removals here
	N           int             `json:"n"`                   // the denominator of all shares
	Out         int             `json:"out"`                 // of n
	Ever        int             `json:"ever"`                // that ever passed
	PastLine    bool            `json:"past_line"`           // past the fail-open line
	Totals      Totals          `json:"totals"`
}

// Instance is one instance.
type Instance struct {
	Namespace  string        `json:"namespace"`
	Service    string        `json:"service"`
	ServiceID  string        `json:"service_id"`
	Instance   string        `json:"instance"`
	Address    string        `json:"address,omitempty"`
	Registered bool          `json:"registered"`
	Registry   string        `json:"registry"` // status in the registry
	Status     string        `json:"status"`   // status as we say
	Phase      string        `json:"phase"`
	Outcome    string        `json:"outcome"` // of the latest probe; indeterminate is shown as NOT CHECKED
	Cause      string        `json:"cause,omitempty"`
	Standing   string        `json:"standing"`
	Reason     policy.Reason `json:"reason,omitempty"`
	Shadow     bool          `json:"shadow"` // mode observe: the standing is what would be
	Since      *time.Time    `json:"since,omitempty"`
	Flags      []string      `json:"flags,omitempty"` // what else is worth knowing
	Problem    bool          `json:"problem"`         // worth a look: it does not simply pass and serve
}

// Services answers GET /api/v1/services.
type Services struct {
	At       time.Time `json:"at"`
	Services []Service `json:"services"`
}

// Instances answers GET /api/v1/instances.
type Instances struct {
	At        time.Time  `json:"at"`
	Total     int        `json:"total"` // that match, also beyond the limit
	Instances []Instance `json:"instances"`
}

// Explanation answers GET /api/v1/instances/…/explain.
type Explanation struct {
	Instance   Instance          `json:"instance"`
	Mode       string            `json:"mode"`
	Lever      string            `json:"lever"`
	Summary    string            `json:"summary"`
	Because    string            `json:"because,omitempty"` // the reason in words
	Check      string            `json:"check"`
	Fails      int               `json:"fails"` // in a row
	Fall       int               `json:"fall"`
	Passes     int               `json:"passes"` // in a row
	Rise       int               `json:"rise"`
	EverPassed bool              `json:"ever_passed"`
	Recent     []string          `json:"recent"`         // outcomes, newest first
	Boot       string            `json:"boot,omitempty"` // the target's own boot id …
	BootSince  *time.Time        `json:"boot_since,omitempty"`
	LastDetail string            `json:"last_detail,omitempty"`
	LastProbe  *time.Time        `json:"last_probe_at,omitempty"`
	Verdict    string            `json:"verdict"`
	Votes      []Vote            `json:"votes"`
	Rules      []Rule            `json:"rules"`
	Entry      *Entry            `json:"entry,omitempty"` // the open journal entry
	Attributes map[string]string `json:"attributes"`
	N          int               `json:"n"`
	Out        int               `json:"out"`
	Passing    int               `json:"passing"`
	Ever       int               `json:"ever"`
}

// Vote is what one vantage says.
type Vote struct {
	Checker  string `json:"checker"`
	Zone     string `json:"zone,omitempty"`
	Status   string `json:"status"`
	Latest   string `json:"latest"` // outcome of its latest probe …
	Cause    string `json:"cause,omitempty"`
	Abstains bool   `json:"abstains"` // it doubts itself: its accusations do not count
	Heard    bool   `json:"heard"`    // lately and completely; otherwise it has no vote
}

// Rule is what one safety rule says of removing the instance now.
type Rule struct {
	Rule      int           `json:"rule"`
	Reason    policy.Reason `json:"reason"`
	Withholds bool          `json:"withholds"`
	Says      string        `json:"says"`
}

// Entry is one open line of the journal.
type Entry struct {
	ID         string            `json:"id"`
	Kind       string            `json:"kind"`
	Phase      string            `json:"phase"`
	IsOut      bool              `json:"is_out"` // off the registry, or UNHEALTHY in it, because of us
	Namespace  string            `json:"namespace"`
	Service    string            `json:"service"`
	ServiceID  string            `json:"service_id"`
	Instance   string            `json:"instance"`
	Address    string            `json:"address,omitempty"`
	Operation  string            `json:"operation,omitempty"`
	Reason     policy.Reason     `json:"reason,omitempty"`
	Cause      string            `json:"cause,omitempty"`
	Waiting    bool              `json:"waiting"`
	Restored   bool              `json:"restored"`
	OpenedAt   *time.Time        `json:"opened_at,omitempty"`
	UpdatedAt  *time.Time        `json:"updated_at,omitempty"`
	OutSince   *time.Time        `json:"out_since,omitempty"`
	Attributes map[string]string `json:"attributes"`
}

// Entries answers GET /api/v1/quarantine.
type Entries struct {
	Entries []Entry `json:"entries"`
}

// Record is one line of the history: the same shape, member by member and in
// the same order, in which the store keeps it.
type Record struct {
	At        time.Time         `json:"at"`
	Kind      warden.RecordKind `json:"kind"`
	Namespace string            `json:"namespace,omitempty"`
	Service   string            `json:"service,omitempty"`
	ServiceID string            `json:"service_id,omitempty"`
	Instance  string            `json:"instance,omitempty"`
	Address   string            `json:"address,omitempty"`

	Action   string        `json:"action,omitempty"`
	Admitted bool          `json:"admitted"`
	Reason   policy.Reason `json:"reason,omitempty"`
	Shadow   bool          `json:"shadow,omitempty"`
	Lever    string        `json:"lever,omitempty"`

	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
	Cause  string `json:"cause,omitempty"`
	Fails  int    `json:"fails,omitempty"`
	Fall   int    `json:"fall,omitempty"`
	Detail string `json:"detail,omitempty"`

	Evidence string `json:"evidence,omitempty"`
	Source   string `json:"source,omitempty"`

	Passing int `json:"passing"`
	Ever    int `json:"ever"`
	Out     int `json:"out"`
	N       int `json:"n"`
}

// Records answers GET /api/v1/history, oldest first.
type Records struct {
	Records []Record `json:"records"`
}

// Change is what an event "snapshot" of the stream carries: the fleet, the
// services that changed since the one before, and the ids of those that went.
type Change struct {
	Fleet    Fleet     `json:"fleet"`
	Whole    bool      `json:"whole"` // services holds all of them
	Services []Service `json:"services"`
	Gone     []string  `json:"gone"`
}

// FreezeRequest is the body of POST /api/v1/freeze.
type FreezeRequest struct {
	For           string `json:"for,omitempty"` // a Go duration; 1h where left out, at most 72h
	Note          string `json:"note,omitempty"`
	CancelPending bool   `json:"cancel_pending,omitempty"`
	By            string `json:"by,omitempty"`
}

// ByRequest is the body of POST /api/v1/unfreeze, release and retire.
type ByRequest struct {
	By string `json:"by,omitempty"`
}

// RestoreRequest is the body of POST /api/v1/quarantine/restore: one instance,
// or all.
type RestoreRequest struct {
	Service  string `json:"service,omitempty"` // id, or "namespace/name"
	Instance string `json:"instance,omitempty"`
	All      bool   `json:"all,omitempty"`
	By       string `json:"by,omitempty"`
}

// Accepted answers a command: the mind has taken it. What comes of it is told
// by the fleet, the history and the event stream.
type Accepted struct {
	Accepted string `json:"accepted"` // the command
	By       string `json:"by"`
	Entries  int    `json:"entries,omitempty"` // restore: how many are concerned
}

// Error answers what could not be done.
type Error struct {
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
}

// Words answers GET /api/v1/words: every value that needs a sentence.
type Words struct {
	Reasons   map[policy.Reason]string `json:"reasons"`
	Causes    map[string]string        `json:"causes"`
	Standings map[string]string        `json:"standings"`
}
