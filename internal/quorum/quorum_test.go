package quorum_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/quorum"
)

const now = health.Instant(1_000)

// word turns u, h and - into votes of different checkers.
func word(w string) []quorum.Vote {
	var out []quorum.Vote
	for i, l := range w {
		v := quorum.Vote{Vantage: quorum.Vantage{Checker: "c" + strconv.Itoa(i)}, Seq: 1}
		switch l {
		case 'u':
			v.Status = health.Unhealthy
		case 'h':
			v.Status = health.Healthy
		}
		out = append(out, v)
	}
	return out
}

func TestTally(t *testing.T) {
	majority := func(n int) quorum.Rule { return quorum.Rule{Kind: quorum.Majority, Count: n} }
	atLeast := func(n, of int) quorum.Rule { return quorum.Rule{Kind: quorum.AtLeast, N: n, Count: of} }
	route53 := func(n int) quorum.Rule { return quorum.Rule{Kind: quorum.Share, Percent: 18, Count: n} }
	for _, c := range []struct {
		votes string
		rule  quorum.Rule
		want  health.Status
	}{
		{"", quorum.Rule{}, health.Unknown},
		{"u", quorum.Rule{}, health.Unhealthy},
		{"h", quorum.Rule{}, health.Healthy},
		{"-", quorum.Rule{}, health.Unknown},

		{"u", majority(3), health.Unknown},
		{"uu", majority(3), health.Unhealthy},
		{"uuh", majority(3), health.Unhealthy},
		{"h", majority(3), health.Unknown},
		{"hh", majority(3), health.Healthy},
		{"huu-", majority(4), health.Unknown},
		{"uu", majority(4), health.Unknown},
		{"hh", majority(4), health.Healthy},  // the other two cannot reach three
		{"hhu", majority(1), health.Healthy}, // more speak than are configured
		{"---", majority(3), health.Unknown},

		{"u", atLeast(1, 3), health.Unhealthy},
		{"h", atLeast(1, 3), health.Unknown},
		{"hhh", atLeast(1, 3), health.Healthy},
		{"uu", atLeast(3, 3), health.Unknown},
		{"h", atLeast(3, 3), health.Healthy},
		{"u", atLeast(0, 1), health.Unhealthy},

		// Route 53: healthy while more than 18 % of the checkers say so.
		{"huuuuuuuuuuuuuuu", route53(16), health.Unhealthy}, // 1 of 16 is 6.25 %
		{"hhuuuuuuuuuuuuuu", route53(16), health.Unhealthy}, // 12.5 %
		{"hhhuuuuuuuuuuuuu", route53(16), health.Healthy},   // 18.75 %
		{"hhuuuuuuuuuuuuu-", route53(16), health.Unknown},   // the silent one could make it three
		{"uuuuuuuuuuuuuuu-", route53(16), health.Unhealthy},
		{"huuuu", route53(5), health.Healthy},
		{"uuuuu", route53(5), health.Unhealthy},
		{"-----", route53(5), health.Unknown},

		// At the very edge: a share is to be exceeded.
		{"uh", atLeast(1, 2), health.Unhealthy},
		{"u", atLeast(5, 3), health.Unknown}, // more are wanted than there are: never, and nobody said that it is well
		{"---", quorum.Rule{Kind: quorum.Share, Percent: 100, Count: 3}, health.Unknown},
		{"huu", quorum.Rule{Kind: quorum.Share, Percent: 33, Count: 3}, health.Healthy},
		{"-uu", quorum.Rule{Kind: quorum.Share, Percent: 33, Count: 3}, health.Unknown},
		{strings.Repeat("h", 9) + strings.Repeat("u", 41), route53(50), health.Unhealthy},
		{strings.Repeat("h", 8) + "-" + strings.Repeat("u", 41), route53(50), health.Unhealthy},
	} {
		if got := quorum.Tally(word(c.votes), c.rule, now); got.Status != c.want {
			t.Errorf("%q under %+v: %s (%d for, %d against, %d missing), want %s",
				c.votes, c.rule, got.Status, got.For, got.Against, got.Missing, c.want)
		}
	}
}

func TestExpiredVotesAreSilence(t *testing.T) {
	v := word("u")
	v[0].Expires = now
	if got := quorum.Tally(v, quorum.Rule{}, now); got.Status != health.Unknown || got.Missing != 1 {
		t.Errorf("an expired vote: %+v", got)
	}
	v[0].Expires = now + 1
	if got := quorum.Tally(v, quorum.Rule{}, now); got.Status != health.Unhealthy {
		t.Errorf("a live vote: %+v", got)
	}
}

func TestTheLatestVoteCounts(t *testing.T) {
	v := append(word("u"), word("h")...)
	v[1].Seq = 2
	if got := quorum.Tally(v, quorum.Rule{}, now); got.Status != health.Healthy || got.For != 0 {
		t.Errorf("the older vote counts: %+v", got)
	}
	v[1].Seq = 1 // a contradiction under one number accuses nobody
	if got := quorum.Tally(v, quorum.Rule{}, now); got.Status != health.Healthy {
		t.Errorf("the accusation wins a tie: %+v", got)
	}
}

func anyVotes(t *rapid.T) []quorum.Vote {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) quorum.Vote {
		return quorum.Vote{
			Vantage: quorum.Vantage{
				Checker: rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "checker"),
				Zone:    rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "zone"),
			},
			Status:   health.Status(rapid.IntRange(0, 2).Draw(t, "status")),
			Abstains: rapid.Bool().Draw(t, "abstains"),
			Seq:      rapid.Uint64Range(0, 3).Draw(t, "seq"),
			Expires:  rapid.SampledFrom([]health.Instant{0, now - 1, now, now + 1}).Draw(t, "expires"),
		}
	}), 0, 12).Draw(t, "votes")
}

func anyRule(t *rapid.T) quorum.Rule {
	return quorum.Rule{
		Kind:    quorum.Kind(rapid.IntRange(0, 2).Draw(t, "kind")),
		Count:   rapid.IntRange(0, 8).Draw(t, "count"),
		N:       rapid.IntRange(0, 8).Draw(t, "n"),
		Percent: rapid.IntRange(0, 100).Draw(t, "percent"),
	}
}

func TestOrderAndRepeatsDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		votes, rule := anyVotes(t), anyRule(t)
		want := quorum.Tally(votes, rule, now)
		again := slices.Clone(votes)
		if len(votes) > 0 {
			again = append(again, rapid.SliceOfN(rapid.SampledFrom(votes), 0, 6).Draw(t, "repeats")...)
		}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		r.Shuffle(len(again), func(i, k int) { again[i], again[k] = again[k], again[i] })
		if got := quorum.Tally(again, rule, now); got != want {
			t.Fatalf("shuffled and repeated: %+v, want %+v", got, want)
		}
	})
}

// TestAgainstASimpleCount compares with the rule written the long way: a
// verdict stands when no way for the silent ones to speak could change it.
func TestAgainstASimpleCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		votes, rule := anyVotes(t), anyRule(t)
		last := map[string]quorum.Vote{}
		known, from := map[string]bool{}, map[string]bool{}
		for _, v := range votes {
			if v.Abstains && v.Status == health.Unhealthy {
				v.Status = health.Unknown
			}
			l, ok := last[v.Vantage.Checker]
			if !ok || v.Seq > l.Seq || v.Seq == l.Seq && (v.Status < l.Status || v.Status == l.Status &&
				(v.Expires < l.Expires || v.Expires == l.Expires && v.Vantage.Zone > l.Vantage.Zone)) {
				last[v.Vantage.Checker] = v
			}
			known[v.Vantage.Zone] = v.Vantage.Zone != ""
		}
		against, accusing := 0, 0
		for _, v := range last {
			live := v.Expires == 0 || v.Expires > now
			if live && v.Status == health.Healthy {
				against++
			}
			if live && v.Status == health.Unhealthy {
				accusing++
				from[v.Vantage.Zone] = v.Vantage.Zone != ""
			}
		}
		count := max(rule.Count, 1, against+accusing)
		unhealthy := func(against, accusing int) bool {
			switch rule.Kind {
			case quorum.Share:
				return against*100 <= rule.Percent*count
			case quorum.AtLeast:
				return accusing >= max(rule.N, 1)
			}
			return 2*accusing > count
		}
		silent := count - against - accusing
		always, never := true, true
		for speakFor := range silent + 1 { // so many of the silent would accuse, the others not
			u := unhealthy(against+silent-speakFor, accusing+speakFor)
			always, never = always && u, never && !u
		}
		want := health.Unknown
		switch {
		case against+accusing == 0:
		case always && rule.Kind != quorum.Share && zones(known) >= 2 && zones(from) < 2:
		case always:
			want = health.Unhealthy
		case never && against > 0:
			want = health.Healthy
		}
		got := quorum.Tally(votes, rule, now)
		if got.Status != want || got.For != accusing || got.Against != against {
			t.Fatalf("%+v, want %s with %d for, %d against of %d", got, want, accusing, against, count)
		}
	})
}

func zones(named map[string]bool) (n int) {
	for _, is := range named {
		if is {
			n++
		}
	}
	return n
}

// TestAbstaining: who doubts itself accuses nobody, and still vouches.
func TestAbstaining(t *testing.T) {
	rule := quorum.Rule{Kind: quorum.Majority, Count: 3}
	for _, c := range []struct {
		votes    string
		abstains int
		want     health.Status
	}{
		{"uuu", 2, health.Unhealthy},
		{"uu-", 1, health.Unknown},
		{"hhu", 0, health.Healthy},
		{"huu", 2, health.Unknown},
	} {
		v := word(c.votes)
		v[c.abstains].Abstains = true
		if got := quorum.Tally(v, rule, now); got.Status != c.want {
			t.Errorf("%q where %d abstains: %+v, want %s", c.votes, c.abstains, got, c.want)
		}
	}
}

// TestAccusersOfTwoZones: what one zone alone sees may be that zone's fault.
func TestAccusersOfTwoZones(t *testing.T) {
	majority := quorum.Rule{Kind: quorum.Majority, Count: 3}
	for _, c := range []struct {
		votes, zones string // - is an unknown zone
		rule         quorum.Rule
		want         health.Status
	}{
		{"uuh", "112", majority, health.Unknown},
		{"uuh", "121", majority, health.Unhealthy},
		{"uuh", "111", majority, health.Unhealthy}, // they know of one zone only
		{"uuh", "---", majority, health.Unhealthy},
		{"uuh", "1-2", majority, health.Unknown}, // an unknown zone is no second one
		{"uu-", "112", majority, health.Unknown}, // nor does silence of the other zone make it one
		{"hhu", "112", majority, health.Healthy}, // to vouch, one zone is enough
		{"uhh", "112", quorum.Rule{Kind: quorum.AtLeast, N: 1, Count: 3}, health.Unknown},
		{"uuu", "112", quorum.Rule{Kind: quorum.Share, Percent: 18, Count: 3}, health.Unhealthy},
		{"uuu", "111", quorum.Rule{Kind: quorum.Share, Percent: 18, Count: 3}, health.Unhealthy},
	} {
		v := word(c.votes)
		for i := range v {
			if z := c.zones[i : i+1]; z != "-" {
				v[i].Vantage.Zone = z
			}
		}
		if got := quorum.Tally(v, c.rule, now); got.Status != c.want {
			t.Errorf("%q from zones %q: %+v, want %s", c.votes, c.zones, got, c.want)
		}
	}
}

func TestNeedsOfEachKind(t *testing.T) {
	for _, c := range []struct {
		rule quorum.Rule
		want int
	}{
		{quorum.Rule{}, 1},
		{quorum.Rule{Count: 3}, 2},
		{quorum.Rule{Count: 4}, 3},
		{quorum.Rule{Kind: quorum.AtLeast, Count: 3}, 1},
		{quorum.Rule{Kind: quorum.AtLeast, Count: 3, N: 2}, 2},
		{quorum.Rule{Kind: quorum.Share, Count: 16, Percent: 18}, 14},
		{quorum.Rule{Kind: quorum.Share, Count: 3, Percent: 33}, 3},
		{quorum.Rule{Kind: quorum.Share, Count: 100, Percent: 50}, 50},
	} {
		if got := c.rule.Needs(); got != c.want {
			t.Errorf("%+v needs %d, want %d", c.rule, got, c.want)
		}
	}
}

// TestNeeds: one accuser fewer is never enough.
func TestNeeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := anyRule(t)
		need := rule.Needs()
		count := max(rule.Count, 1)
		for accusers := range count + 1 {
			votes := word(strings.Repeat("u", accusers) + strings.Repeat("h", count-accusers))
			is := quorum.Tally(votes, rule, now).Status == health.Unhealthy
			if is != (accusers >= need) {
				t.Fatalf("%d of %d accuse under %+v: %t, needs %d", accusers, count, rule, is, need)
			}
		}
	})
}

// TestNoVotesMeanUnknown holds for every rule.
func TestNoVotesMeanUnknown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := anyRule(t)
		silent := anyVotes(t)
		for i := range silent {
			silent[i].Status = health.Unknown
		}
		for _, votes := range [][]quorum.Vote{nil, silent} {
			if got := quorum.Tally(votes, rule, now); got.Status != health.Unknown {
				t.Fatalf("%+v of %v", got, votes)
			}
		}
	})
}

func TestWhoIsMissing(t *testing.T) {
	got := quorum.Tally(word("uuh-"), quorum.Rule{Kind: quorum.Majority, Count: 5}, now)
	if want := (quorum.Verdict{Status: health.Unknown, For: 2, Against: 1, Missing: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
