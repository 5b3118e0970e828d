package policy

import (
	"cmp"
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// Bank holds what removals have spent. The zero Bank is full.
type Bank struct {
	Services []health.Instant // by ServiceView.Index: when the next removal is free
	Soft     []health.Instant // by ServiceView.Index: when the next removal on soft evidence is free
	Returns  []health.Instant // by ServiceView.Index: when the next mass return is free
	Global   []health.Instant // removals within RemovalsGlobal.Per, oldest first
	Recent   []health.Instant // removals within StormWindow, oldest first
	Storm    bool             // latched (rule 8)
}

// Admit answers proposals: what an earlier rule withheld stays withheld; the
// others spend shares and tokens, in the order of evidence class, then of the
// service that has waited longest, then of a hash. Returns are always
// admitted, except that a mass return is paced.
//
// Admit takes the Bank over and returns it; its slices are grown in place.
func Admit(b Bank, ps []Proposal, o Outlook, f FleetConfig, now health.Instant) (Bank, []Decision) {
	b = b.Settle(o, f, now)
	order := slices.Clone(ps)
	slices.SortStableFunc(order, func(x, y Proposal) int {
		return cmp.Or(
			-cmp.Compare(x.Class, y.Class),
			cmp.Compare(b.free(b.Services, x.Service), b.free(b.Services, y.Service)),
			cmp.Compare(x.Tie, y.Tie),
			cmp.Compare(x.Target, y.Target),
		)
	})
	out := make([]Decision, 0, len(ps))
	taken := make(map[int]int, 4) // looked up only: removals admitted here, by service
	for _, p := range order {
		d := Decision{Proposal: p, Why: p.Withheld}
		if p.Withheld == NoReason {
			d.Why = b.refuse(p, taken[p.Service], o, f, now)
		}
		if d.Why == NoReason {
			d.Admitted, d.Why = true, p.Reason
			b = b.spend(p, now)
			if p.Action.Removes() {
				taken[p.Service]++
			}
		}
		out = append(out, d)
	}
	return b, out
}

// Settle forgets what is long ago, and releases the storm latch when the fleet
// is calm. Admit does so by itself; but where nothing fails nothing is put to it.
func (b Bank) Settle(o Outlook, f FleetConfig, now health.Instant) Bank {
	b.Recent = since(b.Recent, now.Add(-f.StormWindow))
	b.Global = since(b.Global, now.Add(-f.RemovalsGlobal.Per))
	if b.Storm && float64(o.Failing)*100 < f.StormCalm*float64(o.Targets) {
		b.Storm = false
		b.Recent = nil
	}
	return b
}

// since drops the instants up to then.
func since(at []health.Instant, then health.Instant) []health.Instant {
	for len(at) > 0 && at[0] <= then {
		at = at[1:]
	}
	return at
}

func (b Bank) free(at []health.Instant, i int) health.Instant {
	if i < len(at) {
		return at[i]
	}
	return 0
}

// refuse returns why a proposal cannot be paid for, or nothing.
func (b *Bank) refuse(p Proposal, taken int, o Outlook, f FleetConfig, now health.Instant) Reason {
	switch p.Action {
	case Bring:
		if p.Reason == FailOpenAll && b.free(b.Returns, p.Service) > now {
			return Velocity
		}
		return NoReason
	case Remove, HoldOut:
	default:
		return NoReason
	}
	if p.Class == health.Gone || p.Batch {
		return NoReason
	}
	if p.Counts.away(p.Reason)+taken+1 > allowance(p.Config, p.Class, p.Action, p.Halved, p.Counts.N) {
		return Budget
	}
	if p.Action == HoldOut { // was never capacity: no velocity (rule 11)
		return NoReason
	}
	if b.Storm {
		return Storm
	}
	if n := len(b.Recent) + 1; n > f.StormCount && float64(n)*100 > f.StormPercent*float64(o.Targets) {
		b.Storm = true
		return Storm
	}
	if b.free(b.Services, p.Service) > now || p.limitedSoft() && b.free(b.Soft, p.Service) > now {
		return Velocity
	}
	if len(b.Global) >= f.RemovalsGlobal.of(o.Targets) {
		return VelocityGlobal
	}
	return NoReason
}

// allowance is how many of n may be out on this class of evidence (rule 7); half
// as many, and none at all rather than one, where it may be a shared failure.
func allowance(c *Config, class health.Class, a Action, halved bool, n int) int {
	share := c.MaxOut
	if class == health.Hard || a == HoldOut {
		share = c.MaxOutHard
	}
	if halved {
		return int(share * float64(n) / 200)
	}
	k := int(share * float64(n) / 100)
	if n >= 2 { // of two, the last-healthy rule decides
		k = max(k, 1)
	}
	return k
}

// of is how many of total may be removed within Per.
func (f Fraction) of(total int) int {
	return max(f.Least, int(f.Percent*float64(total)/100), 1)
}

func (b Bank) spend(p Proposal, now health.Instant) Bank {
	grow := func(at []health.Instant) []health.Instant {
		for len(at) <= p.Service {
			at = append(at, 0)
		}
		return at
	}
	switch {
	case p.Action == Bring && p.Reason == FailOpenAll:
		b.Returns = grow(b.Returns)
		b.Returns[p.Service] = now.Add(p.Config.Restores.every())
	case p.Action == Remove && p.Class != health.Gone && !p.Batch:
		b.Services = grow(b.Services)
		b.Services[p.Service] = now.Add(p.Config.Removals.every())
		if p.limitedSoft() {
			b.Soft = grow(b.Soft)
			b.Soft[p.Service] = now.Add(p.Config.RemovalsSoft.every())
		}
		b.Global = append(b.Global, now)
		b.Recent = append(b.Recent, now)
	}
	return b
}

// limitedSoft reports whether a removal counts against the rate of those on
// soft evidence.
func (p *Proposal) limitedSoft() bool {
	return p.Action == Remove && p.Class == health.Soft && p.Config.RemovalsSoft.N > 0
}

// every is the spacing that keeps a rate.
func (r Rate) every() time.Duration {
	return r.Per / time.Duration(max(r.N, 1))
}

// NextFree is when a proposal that velocity withholds could be paid for; zero:
// now, as far as velocity goes.
func (b Bank) NextFree(p Proposal, o Outlook, f FleetConfig, now health.Instant) health.Instant {
	var at health.Instant
	if p.Action == Bring {
		at = b.free(b.Returns, p.Service)
	} else {
		at = b.free(b.Services, p.Service)
		if p.limitedSoft() {
			at = max(at, b.free(b.Soft, p.Service))
		}
		if n := len(b.Global) - f.RemovalsGlobal.of(o.Targets); n >= 0 {
			at = max(at, b.Global[n].Add(f.RemovalsGlobal.Per))
		}
	}
	if at <= now {
		return 0
	}
	return at
}
