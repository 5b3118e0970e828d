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
	Doubt      health.Doubt   // the latest doubt
	DoubtUntil health.Instant

	Targets int     // watched
	Failing int     // by latest observation
	Onsets  []Onset // within MassWindow, oldest first
}

// Outlook is what follows from a World for every service.
type Outlook struct {
	Gates      []Reason // withhold every removal, now
	Doubt      health.Doubt
	DoubtUntil health.Instant
	WarmSince  health.Instant
	Targets    int
	Failing    int
	Retiring   bool
}

// Has reports whether a gate is closed.
func (o Outlook) Has(r Reason) bool { return slices.Contains(o.Gates, r) }

// Assess sums up the fleet. It is where the checker doubts itself: when too
// many targets on too many hosts of too many services begin to fail at once,
// it is more likely that the checker fails (safety rule 2).
func Assess(w World, c FleetConfig, now health.Instant) Outlook {
	o := Outlook{
		Doubt: w.Doubt, DoubtUntil: w.DoubtUntil, WarmSince: w.WarmSince,
		Targets: w.Targets, Failing: w.Failing, Retiring: w.Retiring,
	}
	if massive(w, c, now) {
		o.Doubt, o.DoubtUntil = health.DoubtMass, max(w.DoubtUntil, now.Add(c.Abstain))
	}
	gate := func(closed bool, r Reason) {
		if closed {
			o.Gates = append(o.Gates, r)
		}
	}
	gate(!w.Loaded || !w.Synced, Unsynced)
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

// massive is the mass rule of safety rule 2.
func massive(w World, c FleetConfig, now health.Instant) bool {
	recent := w.Onsets
	for len(recent) > 0 && recent[0].At <= now.Add(-c.MassWindow) {
		recent = recent[1:]
	}
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
