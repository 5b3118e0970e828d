package warden

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
)

// Event is anything that the mind is told. All events are plain values; the
// shell that found them out sends them through one inbox, in order.
type Event interface{ event() }

// Clock tells the wall time of now. The first event of a process is a Clock;
// later ones let the mind notice a step of the wall clock (rule 2).
type Clock struct {
	Wall int64 // Unix nanoseconds
}

// Tick says only that time has passed; the shell sends one when a Wake is due.
type Tick struct{}

// Loaded brings what outlived the last process. It comes once, before any listing.
type Loaded struct {
	Entries []lever.Entry
	Memory  Memory
	Lost    bool // there was a journal, and it is not there any more (rule 13)
}

// Configured brings a new configuration: at start, and at each reload.
type Configured struct{ Config Config }

// HealthCheckKind is what GetService says of a service's health configuration.
type HealthCheckKind uint8

const (
	NoHealthCheck     HealthCheckKind = iota // neither: the only lever is quarantine
	CustomHealthCheck                        // HealthCheckCustomConfig
	Route53Check                             // HealthCheckConfig
)

func (k HealthCheckKind) String() string {
	return [...]string{"none", "custom", "route53"}[k]
}

// ServiceFound describes one service of the registry.
type ServiceFound struct {
	Service      health.Service
	HealthCheck  HealthCheckKind
	OtherAccount bool // its namespace is owned by another account
}

// ServicesListed is a whole listing of namespaces and services. Absence from
// a listing that is not Complete means nothing.
type ServicesListed struct {
	Services []ServiceFound
	Complete bool
}

// InstanceFound is one instance of a listing.
type InstanceFound struct {
	ID           string
	Attributes   health.Attributes
	Status       health.Status // GetInstancesHealthStatus; Unknown where there is none
	OtherAccount bool          // registered by another account
}

// InstancesListed is a listing of one service. Started is when its first page
// was asked for: nothing that was written after that need be in it.
type InstancesListed struct {
	Service   string // service id
	Instances []InstanceFound
	Complete  bool
	Started   health.Instant
}

// ListingFailed says that the registry could not be read. Service is empty
// where the listing of the services themselves failed.
type ListingFailed struct {
	Service string
	Message string
}

// Observed brings a batch of probe results.
type Observed struct{ Observations []health.Observation }

// Doubted brings a fault of the checker's own (rule 2).
type Doubted struct{ Doubt health.Doubt }

// Called brings the result of an effect Do.
type Called struct {
	Job    uint64
	Result lever.Result
}

// Freeze stops all writes for a time (rule 21).
type Freeze struct {
	For           time.Duration // 0 is one hour; at most 72 h
	By            string
	Note          string
	CancelPending bool // also take back statuses that are written and not yet applied
}

// Unfreeze ends a freeze.
type Unfreeze struct{ By string }

// Release ends a storm latch (rule 8).
type Release struct{ By string }

// RestoreAsked asks for the return of one quarantined instance, or of all.
type RestoreAsked struct {
	Service  string // id, or "namespace/name"; ignored with All
	Instance string
	All      bool
	By       string
}

// Drain takes one instance out on an operator's word, until a time (rule 21).
type Drain struct {
	Service  string // id, or "namespace/name"
	Instance string
	For      time.Duration // 0 is one hour; at most 72 h
	By       string
	Note     string
}

// Undrain ends a drain.
type Undrain struct {
	Service  string // id, or "namespace/name"
	Instance string
	By       string
}

// Retire asks for the return of everything and no removal ever after.
type Retire struct{ By string }

// Stopping says that the process is about to end: no job may begin.
type Stopping struct{}

func (Clock) event()           {}
func (Tick) event()            {}
func (Loaded) event()          {}
func (Configured) event()      {}
func (ServicesListed) event()  {}
func (InstancesListed) event() {}
func (ListingFailed) event()   {}
func (Observed) event()        {}
func (Doubted) event()         {}
func (Called) event()          {}
func (Freeze) event()          {}
func (Unfreeze) event()        {}
func (Release) event()         {}
func (RestoreAsked) event()    {}
func (Drain) event()           {}
func (Undrain) event()         {}
func (Retire) event()          {}
func (Stopping) event()        {}
