package warden

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/quorum"
)

// ballot is what one vantage says of one slot: no pointer, three bytes, so that
// the votes of a vantage on a hundred thousand targets are one flat slice. The
// zero ballot says nothing.
type ballot struct {
	status health.Status
	last   health.Outcome
	cause  health.Cause
}

func (b ballot) on(s health.Service, sl *slot) TargetVote {
	return TargetVote{
		Service: s.ID, Instance: sl.inst, Incarnation: sl.hash,
		Status: b.status, Last: b.last, Cause: b.cause,
	}
}

func ballotOf(v TargetVote) ballot { return ballot{v.Status, v.Last, v.Cause} }

// several reports whether other vantages are configured.
func (w *Warden) several() bool { return w.cfg.Quorum.Count > 1 }

// own is this vantage's ballot on a slot. Who warms up accuses nobody, not to
// others either (rule 10).
func (w *Warden) own(i int) ballot {
	st := &w.states[i]
	if st.LastAt == 0 {
		return ballot{}
	}
	b := ballot{st.Status, st.Last, st.Cause}
	if b.status == health.Unhealthy {
		p := &w.services[w.slots[i].svc].cfg.Policy
		if int(st.Probes) < p.WarmUpProbes || w.now < w.warmSince.Add(p.WarmUp) {
			b.status = health.Unknown
		}
	}
	return b
}

// casting is what the other vantages were told.
type casting struct {
	sent     []ballot // by slot index
	changed  []uint32 // slots to look at
	recalled []TargetVote
	all      bool // look at every slot
	full     bool // tell everything
	abstains bool
	begun    bool
}

// reconsider notes that a slot's ballot may have changed.
func (w *Warden) reconsider(i int) {
	if !w.several() {
		return
	}
	if i >= len(w.cast.sent) || w.cast.sent[i] != w.own(i) {
		w.cast.changed = append(w.cast.changed, uint32(i))
	}
}

// takeBack withdraws the ballot of a slot that is given away.
func (w *Warden) takeBack(i int) {
	if i >= len(w.cast.sent) || w.cast.sent[i] == (ballot{}) {
		return
	}
	w.cast.sent[i] = ballot{}
	sl := &w.slots[i]
	if s := w.services[sl.svc]; s != nil {
		w.cast.recalled = append(w.cast.recalled, ballot{}.on(s.found.Service, sl))
	}
}

// castVotes tells the other vantages what changed.
func (w *Warden) castVotes() {
	c := &w.cast
	if !w.configured || !w.several() {
		*c = casting{}
		return
	}
	for len(c.sent) < len(w.slots) {
		c.sent = append(c.sent, ballot{})
	}
	abstains := w.outlook.Has(abstainReason)
	full := c.full || !c.begun
	votes := c.recalled
	if full {
		votes = nil
	}
	tell := func(i int) {
		b := ballot{}
		if w.slots[i].used {
			b = w.own(i)
		}
		if b == c.sent[i] && !(full && b != ballot{}) {
			return
		}
		c.sent[i] = b
		if w.slots[i].used {
			votes = append(votes, b.on(w.services[w.slots[i].svc].found.Service, &w.slots[i]))
		}
	}
	if full || c.all {
		for i := range w.slots {
			tell(i)
		}
	} else {
		for _, i := range c.changed {
			tell(int(i))
		}
	}
	if full || len(votes) > 0 || abstains != c.abstains {
		w.emit(Cast{Abstains: abstains, Full: full, Votes: votes})
	}
	*c = casting{sent: c.sent, changed: c.changed[:0], abstains: abstains, begun: true}
}

// voteTTL is how long a vantage's votes count after it was last heard.
func (w *Warden) voteTTL() time.Duration {
	if w.cfg.VoteTTL > 0 {
		return w.cfg.VoteTTL
	}
	return 3 * w.cfg.Default.Check.Interval
}

// votes are the votes on a target: our own first, then those of the other
// vantages in the order of their names. The slice is valid until the next call.
// Whether we abstain does not enter here: a gate of its own withholds then.
func (w *Warden) votes(i int) []quorum.Vote {
	out := append(w.tally[:0], quorum.Vote{
		Vantage: w.cfg.Vantage, Status: w.states[i].Status, At: w.states[i].LastAt,
	})
	for _, p := range w.peers {
		v := quorum.Vote{Vantage: p.vantage, Abstains: p.abstains, Seq: p.seq, At: p.heard, Expires: p.expires(w)}
		if p.whole {
			v.Status = p.ballot(i).status
		}
		out = append(out, v)
	}
	w.tally = out
	return out
}

func (w *Warden) explainVotes(i int) []ExplainedVote {
	st := &w.states[i]
	out := []ExplainedVote{{
		Checker: w.cfg.Vantage.Checker, Zone: w.cfg.Vantage.Zone, Heard: true,
		Status: st.Status, Last: st.Last, Cause: st.Cause, Abstains: w.outlook.Has(abstainReason),
	}}
	for _, p := range w.peers {
		v := ExplainedVote{Checker: p.vantage.Checker, Zone: p.vantage.Zone, Abstains: p.abstains, Heard: p.counts(w)}
		if v.Heard {
			b := p.ballot(i)
			v.Status, v.Last, v.Cause = b.status, b.last, b.cause
		}
		out = append(out, v)
	}
	return out
}
