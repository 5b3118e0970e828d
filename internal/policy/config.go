package policy

import (
	"slices"
	"time"
)

// Mode is how far mapwarden may go. The zero value writes nothing.
type Mode uint8

const (
	// ModeObserve probes, judges and records what enforce would do.
	ModeObserve Mode = iota
	// ModeEnforce acts.
	ModeEnforce
	// ModeOff does not even probe.
	ModeOff
)

func (m Mode) String() string {
	switch m {
	case ModeEnforce:
		return "enforce"
	case ModeOff:
		return "off"
	}
	return "observe"
}

// Rate is N events per a duration.
type Rate struct {
	N   int
	Per time.Duration
}

// Fraction is Percent of a set within any stretch of a duration, and at least
// Least events, never none.
type Fraction struct {
	Percent float64
	Per     time.Duration
	Least   int
}

// Admission says what an incarnation is that appears after the first sync and
// has never passed (rule 11).
type Admission uint8

const (
	// Hold: it is not capacity; it is held out until its first pass.
	Hold Admission = iota
	// Trust: it is treated like any other after its grace.
	Trust
)

// QuarantineEvidence says what must know of a service's instances before one
// may be deregistered (rule 14).
type QuarantineEvidence uint8

const (
	// EvidenceOwner: an owner (ECS, EC2) that can say what is gone.
	EvidenceOwner QuarantineEvidence = iota
	// EvidenceProbe: the operator's word that probes suffice.
	EvidenceProbe
)

// Config is the safety configuration of one service. Percentages are of the
// denominator of rule 5.
type Config struct {
	Mode Mode

	MaxOut       float64 // percent, soft evidence; 20
	MaxOutHard   float64 // percent, hard evidence; 50
	FailOpen     float64 // percent of those that ever passed; 50
	Removals     Rate    // per service; 1 per 10s
	RemovalsSoft Rate    // of them on soft evidence; N 0 is no limit of its own; 1 per 5m with one vantage on AWS
	Restores     Rate    // when everything is returned at once; 1 per 1s

	WarmUp       time.Duration // since start; 5m on AWS, 60s elsewhere
	WarmUpProbes int           // own probes of the target; 5
	Prove        time.Duration // a check is armed after this long; 10m on AWS, 0s elsewhere
	Hold         time.Duration // quarantine only, after the verdict; 30s

	Admission       Admission
	Evidence        QuarantineEvidence
	RestoreUnproven time.Duration // how long probes alone may restore; 10m on AWS, 0 is unlimited
	GoneLast        bool          // may owner evidence empty a service

	ReturnPasses  int             // 3
	ReturnOver    time.Duration   // 15s
	ReturnBackoff []time.Duration // after the 2nd, 3rd, 4th removal in 24 h; 5m, 15m, 60m
	Yield         time.Duration   // after an owner answered or another writer contended; 30m
}

// FleetConfig is the safety configuration that spans all services.
type FleetConfig struct {
	RemovalsGlobal Fraction      // 1 % a minute, at least 2
	StormPercent   float64       // more than this share of all …; 3
	StormCount     int           // … and more than this many removals …; 10
	StormWindow    time.Duration // … in this time latch removals off; 10m
	StormCalm      float64       // until less than this share fails; 1
	Abstain        time.Duration // after a doubt; 60s
	StaleAfter     time.Duration // a complete listing older than this withholds removals; 3 × poll

	ThawPercent float64       // after a freeze that ran out: no removals until this share passes …; 95
	ThawFor     time.Duration // … for this long; 5m

	MassTargets  int           // rule 2: this many newly failing targets …; 5
	MassHosts    int           // … on this many hosts …; 3
	MassServices int           // … in this many services …; 3
	MassPercent  float64       // or more than this share of all …; 20
	MassLeast    int           // … and at least this many …; 20
	MassWindow   time.Duration // … within this time; 30s

	ZoneFor   time.Duration // a zone is dead after every vantage gave it up for so long; 8s; 0 is never
	ZoneLeast int           // targets that a vantage must see in a zone to say anything of it; 3; 0: no zone is read
	ZoneBad   float64       // a zone is bad from this share of failing targets …; 80
	ZoneFine  float64       // … and well up to this; 20
}

// Equal reports whether two configurations are the same in everything.
func (c Config) Equal(d Config) bool {
	return c.Mode == d.Mode &&
		c.MaxOut == d.MaxOut && c.MaxOutHard == d.MaxOutHard && c.FailOpen == d.FailOpen &&
		c.Removals == d.Removals && c.RemovalsSoft == d.RemovalsSoft && c.Restores == d.Restores &&
		c.WarmUp == d.WarmUp && c.WarmUpProbes == d.WarmUpProbes && c.Prove == d.Prove && c.Hold == d.Hold &&
		c.Admission == d.Admission && c.Evidence == d.Evidence &&
		c.RestoreUnproven == d.RestoreUnproven && c.GoneLast == d.GoneLast &&
		c.ReturnPasses == d.ReturnPasses && c.ReturnOver == d.ReturnOver &&
		slices.Equal(c.ReturnBackoff, d.ReturnBackoff) && c.Yield == d.Yield
}
