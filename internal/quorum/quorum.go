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
	"slices"

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
	Vantage Vantage
	Status  health.Status // Unknown abstains
	Seq     uint64
	At      health.Instant
	Expires health.Instant // the vote counts before this instant; zero: it does not expire
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
func Tally(votes []Vote, r Rule, now health.Instant) Verdict {
	r.Count = max(r.Count, 1)
	var v Verdict
	for _, vote := range latest(votes) {
		if vote.Expires != 0 && vote.Expires <= now {
			continue
		}
		switch vote.Status {
		case health.Unhealthy:
			v.For++
		case health.Healthy:
			v.Against++
		}
	}
	r.Count = max(r.Count, v.For+v.Against) // more speak than are configured: a majority is one of them all
	v.Missing = r.Count - v.For - v.Against
	v.Status = r.decide(v)
	return v
}

// latest keeps one vote per checker: the one with the highest Seq; of equal
// ones the more harmless, so that a forged repeat cannot accuse.
func latest(votes []Vote) []Vote {
	out := slices.Clone(votes)
	slices.SortFunc(out, func(a, b Vote) int {
		return cmp.Or(
			cmp.Compare(a.Vantage.Checker, b.Vantage.Checker),
			-cmp.Compare(a.Seq, b.Seq),
			cmp.Compare(a.Status, b.Status),
			cmp.Compare(a.Expires, b.Expires),
		)
	})
	return slices.CompactFunc(out, func(a, b Vote) bool { return a.Vantage.Checker == b.Vantage.Checker })
}

func (r Rule) decide(v Verdict) health.Status {
	if v.For+v.Against == 0 {
		return health.Unknown
	}
	switch r.Kind {
	case Share:
		healthy := v.Against*100 > r.Percent*r.Count
		couldBe := (v.Against+v.Missing)*100 > r.Percent*r.Count
		switch {
		case healthy:
			return health.Healthy
		case couldBe:
			return health.Unknown // the silent ones could still save it
		}
		return health.Unhealthy
	case AtLeast:
		return split(v, max(r.N, 1), r.Count)
	}
	return split(v, r.Count/2+1, r.Count)
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
