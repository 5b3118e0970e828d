package policy

import (
	"net/netip"
	"slices"

	"github.com/mapwarden/mapwarden/internal/health"
)

// Onset is the beginning of one target's failing: it passed, now it fails.
type Onset struct {
	At      health.Instant
	Host    netip.Addr
	Service int
	Zone    int // of the target; 0 is unknown
}

// World is what is known of the whole fleet, kept up by its owner.
type World struct {
	Loaded      bool // journal and memory were read
	Synced      bool // every service was listed completely since the start
	LostJournal bool
	Standby     bool // another vantage holds the lease
	Accusers    int  // vantages that are heard and do not abstain, this one included
	Quorum      int  // how many of them it takes
	Frozen      bool
	Thawing     bool // a freeze ran out, and the fleet is not healthy yet
	Stopping    bool
	Retiring    bool

	WarmSince  health.Instant // start of the current warm-up
	Doubt      health.Doubt   // the latest doubt but for a mass of failures
	DoubtUntil health.Instant
	MassUntil  health.Instant // as Outlook said the last time

	Matrix    Matrix           // several vantages: who sees what of which zone
	ZoneSince []health.Instant // as Outlook said the last time

	Targets int     // watched
	Failing int     // by latest observation
	Onsets  []Onset // within MassWindow, oldest first
}

// Outlook is what follows from a World for every service.
type Outlook struct {
	Gates      []Reason // withhold every removal, now
	Doubt      health.Doubt
	DoubtUntil health.Instant
	MassUntil  health.Instant // the mass rule's own doubt ends; part of DoubtUntil
	WarmSince  health.Instant
	Targets    int
	Failing    int
	Retiring   bool
	Zones      []Reading        // by zone
	ZoneSince  []health.Instant // by zone: since when it is given up from elsewhere; 0: it is not
}

// Has reports whether a gate is closed.
func (o Outlook) Has(r Reason) bool { return slices.Contains(o.Gates, r) }

// Assess sums up the fleet. It is where the checker doubts itself: when too
// many targets on too many hosts of too many services begin to fail at once,
// it is more likely that the checker fails (safety rule 2).
func Assess(w World, c FleetConfig, now health.Instant) Outlook {
	o := Outlook{
		Doubt: w.Doubt, DoubtUntil: w.DoubtUntil, MassUntil: w.MassUntil, WarmSince: w.WarmSince,
		Targets: w.Targets, Failing: w.Failing, Retiring: w.Retiring,
	}
	if w.Matrix.partitioned(&c) {
		o.Doubt, o.DoubtUntil = health.DoubtPartition, max(o.DoubtUntil, now.Add(c.Abstain))
	}
	o.doubtMass(w, &c, now)
	o.readZones(w, &c, now)
	gate := func(closed bool, r Reason) {
		if closed {
			o.Gates = append(o.Gates, r)
		}
	}
	gate(!w.Loaded && !w.Standby || !w.Synced, Unsynced)
	gate(w.Standby, Standby)
	gate(w.LostJournal, LostJournal)
	gate(w.Frozen, Frozen)
	gate(w.Thawing, Thawing)
	gate(w.Stopping, Stopping)
	gate(w.Retiring, Retiring)
	gate(now < o.DoubtUntil, SelfDoubt)
	gate(w.Accusers < w.Quorum, NoQuorum)
	return o
}

// doubtMass doubts because of too many failures at once; and doubts no more as
// soon as another vantage confirms that it is one zone's.
func (o *Outlook) doubtMass(w World, c *FleetConfig, now health.Instant) {
	recent := w.Onsets
	for len(recent) > 0 && recent[0].At <= now.Add(-c.MassWindow) {
		recent = recent[1:]
	}
	switch {
	case !massive(w, c, recent):
	case w.Matrix.exempts(c, recent):
		o.MassUntil = 0
	default:
		o.MassUntil = now.Add(c.Abstain)
	}
	if o.MassUntil > now && o.MassUntil > o.DoubtUntil {
		o.Doubt, o.DoubtUntil = health.DoubtMass, o.MassUntil
	}
}

// massive is the mass rule of safety rule 2.
func massive(w World, c *FleetConfig, recent []Onset) bool {
	n := len(recent)
	if n >= c.MassLeast && float64(n)*100 > c.MassPercent*float64(w.Targets) {
		return true
	}
	return n >= c.MassTargets &&
		spread(recent, c.MassHosts, func(x Onset) netip.Addr { return x.Host }) &&
		spread(recent, c.MassServices, func(x Onset) int { return x.Service })
}

// spread reports whether xs have at least so many different keys. It looks no
// further than it must: a whole fleet may begin to fail at once.
func spread[K comparable](xs []Onset, least int, key func(Onset) K) bool {
	var seen []K
	for _, x := range xs {
		if k := key(x); !slices.Contains(seen, k) {
			seen = append(seen, k)
		}
		if len(seen) >= least {
			return true
		}
	}
	return least <= 0
}
