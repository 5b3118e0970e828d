// Package quorum combines what several checkers say of one target into one
// Verdict.
//
// No votes mean Unknown, always: silence of the checkers never becomes a
// verdict about the target. The package keeps no state and knows no network:
// who the checkers are, how fresh a vote is and what follows from a verdict is
// decided elsewhere (packages peer, warden, policy).
package quorum

import (
	"cmp"

	"github.com/mapwarden/mapwarden/internal/health"
)

// Vantage is a checker and the zone it looks from.
type Vantage struct {
	Checker string
	Zone    string
}

// Vote is one vantage's status of one target. Seq orders the votes of one
// checker; At is when the receiver got it, on the receiver's clock.
type Vote struct {
	Vantage  Vantage
	Status   health.Status // Unknown abstains
	Abstains bool          // the checker doubts itself: its Unhealthy is nothing, its Healthy counts
	Seq      uint64
	At       health.Instant
	Expires  health.Instant // the vote counts before this instant; zero: it does not expire
}

// Kind of rule.
type Kind uint8

const (
	// Majority of the configured vantages must agree on Unhealthy.
	Majority Kind = iota
	// AtLeast N vantages must agree on Unhealthy.
	AtLeast
	// Share is Route 53's rule: healthy while more than Percent of the
	// configured vantages say so (Route 53 uses 18 %).
	Share
)

// Rule says how many votes make a verdict. Count is the number of configured
// vantages: those that are silent still count in the denominator.
type Rule struct {
	Kind    Kind
	Count   int // configured vantages; below 1 is 1
	N       int // AtLeast
	Percent int // Share
}

// Verdict is what the checkers together say, and how they are split.
type Verdict struct {
	Status  health.Status
	For     int // votes for Unhealthy
	Against int // votes for Healthy
	Missing int // vantages that abstain, are silent or whose vote has expired
}

// Tally counts the latest live vote of each checker. The order of votes and
// repeats of them do not matter.
//
// Where the checkers are known to look from two zones or more, also by votes
// that have expired, those who agree on Unhealthy must do so, too: what only one
// zone sees may be that zone's fault. Route 53's rule knows no zones.
func Tally(votes []Vote, r Rule, now health.Instant) Verdict {
	r.Count = max(r.Count, 1)
	var v Verdict
	var known, accusing zones
	for i := range votes {
		vote := &votes[i]
		known.add(vote.Vantage.Zone)
		if superseded(votes, i) || vote.Expires != 0 && vote.Expires <= now {
			continue
		}
		switch vote.accusation() {
		case health.Unhealthy:
			v.For++
			accusing.add(vote.Vantage.Zone)
		case health.Healthy:
			v.Against++
		}
	}
	r.Count = max(r.Count, v.For+v.Against) // more speak than are configured: a majority is one of them all
	v.Missing = r.Count - v.For - v.Against
	v.Status = r.decide(v)
	if v.Status == health.Unhealthy && r.Kind != Share && known.several && !accusing.several {
		v.Status = health.Unknown
	}
	return v
}

// zones notices whether names of zones differ. An unknown zone, "", is none.
type zones struct {
	first   string
	several bool
}

func (z *zones) add(name string) {
	switch {
	case name == "":
	case z.first == "":
		z.first = name
	case z.first != name:
		z.several = true
	}
}

// superseded reports whether another vote of the same checker counts instead of
// votes[i]: the one with the highest Seq; of equal ones the more harmless, so
// that a forged repeat cannot accuse.
func superseded(votes []Vote, i int) bool {
	for k := range votes {
		if k == i || votes[k].Vantage.Checker != votes[i].Vantage.Checker {
			continue
		}
		if c := cmp.Or(precedence(&votes[k], &votes[i]), cmp.Compare(i, k)); c > 0 {
			return true
		}
	}
	return false
}

// precedence is above zero where a counts rather than b.
func precedence(a, b *Vote) int {
	return cmp.Or(
		cmp.Compare(a.Seq, b.Seq),
		-cmp.Compare(a.accusation(), b.accusation()),
		-cmp.Compare(a.Expires, b.Expires),
		cmp.Compare(a.Vantage.Zone, b.Vantage.Zone),
	)
}

// accusation is the status that counts.
func (v *Vote) accusation() health.Status {
	if v.Abstains && v.Status == health.Unhealthy {
		return health.Unknown
	}
	return v.Status
}

// Needs is how many vantages must agree before anything is Unhealthy.
func (r Rule) Needs() int {
	count := max(r.Count, 1)
	switch r.Kind {
	case Share:
		return count - r.Percent*count/100
	case AtLeast:
		return max(r.N, 1)
	}
	return count/2 + 1
}

func (r Rule) decide(v Verdict) health.Status {
	if v.For+v.Against == 0 {
		return health.Unknown
	}
	return split(v, r.Needs(), r.Count)
}

// split: Unhealthy needs need votes; Healthy is sure once the accusers can no
// longer reach that number.
func split(v Verdict, need, count int) health.Status {
	switch {
	case v.For >= need:
		return health.Unhealthy
	case v.Against > 0 && count-v.Against < need:
		return health.Healthy
	}
	return health.Unknown
}
