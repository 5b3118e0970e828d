package warden

import (
	"cmp"
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/quorum"
)

// abstainReason is the gate behind which this vantage accuses nobody.
const abstainReason = policy.SelfDoubt

// peer is another vantage and what it said.
type peer struct {
	vantage  quorum.Vantage
	epoch    uint64
	seq      uint64
	heard    health.Instant
	abstains bool
	whole    bool // no message was missed since a Full one
	live     bool // as last counted
	asked    health.Instant
	votes    []ballot // by slot index

	// Votes on instances or incarnations that no listing showed us yet. Looked
	// up, never walked; what the peer takes back is deleted, so that it holds no
	// more than the peer watches.
	early map[[2]string]TargetVote
}

// expires is when its votes cease to count, all of them at once.
func (p *peer) expires(w *Warden) health.Instant { return p.heard.Add(w.voteTTL()) }

// counts reports whether what it says counts now.
func (p *peer) counts(w *Warden) bool { return p.whole && p.expires(w) > w.now }

func (p *peer) ballot(i int) ballot {
	if i < len(p.votes) {
		return p.votes[i]
	}
	return ballot{}
}

// voted takes a message of another vantage.
func (w *Warden) voted(e Voted) {
	if !w.several() || e.Vantage.Checker == w.cfg.Vantage.Checker {
		return
	}
	p := w.peer(e.Vantage)
	switch {
	case e.Epoch < p.epoch, e.Epoch == p.epoch && e.Seq <= p.seq && p.heard != 0:
		return // old, or a repeat
	case e.Full:
		p.whole = true
	case e.Epoch != p.epoch, e.Seq != p.seq+1:
		p.whole = false
	}
	p.vantage, p.epoch, p.seq, p.heard = e.Vantage, e.Epoch, e.Seq, w.now
	if p.abstains != e.Abstains {
		p.abstains = e.Abstains
		w.markAll()
	}
	switch {
	case !p.whole:
		w.askVotes(p)
	case e.Full:
		w.replace(p, e.Votes)
	default:
		for _, v := range e.Votes {
			w.enter(p, v)
		}
	}
	w.countVantages()
}

// peer finds a vantage by its name, or makes room for a new one.
func (w *Warden) peer(v quorum.Vantage) *peer {
	at, ok := slices.BinarySearchFunc(w.peers, v.Checker, func(p *peer, name string) int {
		return cmp.Compare(p.vantage.Checker, name)
	})
	if !ok {
		w.peers = slices.Insert(w.peers, at, &peer{vantage: v, early: make(map[[2]string]TargetVote)})
	}
	return w.peers[at]
}

// replace takes a Full message: what is not in it is not said any more.
func (w *Warden) replace(p *peer, votes []TargetVote) {
	before := p.votes
	p.votes = make([]ballot, len(w.slots))
	clear(p.early)
	for _, v := range votes {
		if i, ok := w.slotOf(v); ok {
			p.votes[i] = ballotOf(v)
		} else {
			p.keepEarly(v)
		}
	}
	for i := range p.votes {
		was := ballot{}
		if i < len(before) {
			was = before[i]
		}
		w.heardOn(i, was, p.votes[i])
	}
}

// enter takes one vote.
func (w *Warden) enter(p *peer, v TargetVote) {
	key := [2]string{v.Service, v.Instance}
	delete(p.early, key)
	i, ok := w.slotOf(v)
	if !ok {
		p.keepEarly(v)
		if i < 0 {
			return
		}
		v = TargetVote{} // it speaks of another incarnation: of ours it says nothing any more
	}
	was := p.ballot(i)
	p.set(i, ballotOf(v))
	w.heardOn(i, was, ballotOf(v))
}

func (p *peer) set(i int, b ballot) {
	if i >= len(p.votes) {
		if b == (ballot{}) {
			return
		}
		p.votes = append(p.votes, make([]ballot, i+1-len(p.votes))...)
	}
	p.votes[i] = b
}

func (p *peer) keepEarly(v TargetVote) {
	if ballotOf(v) != (ballot{}) {
		p.early[[2]string{v.Service, v.Instance}] = v
	}
}

// slotOf is the slot that a vote is about. Where it is another incarnation's,
// or nobody's (-1), ok is false.
func (w *Warden) slotOf(v TargetVote) (i int, ok bool) {
	index, ok := w.byID[v.Service]
	if !ok {
		return -1, false
	}
	i, ok = w.services[index].byID[v.Instance]
	if !ok {
		return -1, false
	}
	return i, w.slots[i].hash == v.Incarnation
}

// greet gives a new slot the votes that came before it.
func (w *Warden) greet(s *service, i int) {
	key := [2]string{s.found.Service.ID, w.slots[i].inst}
	for _, p := range w.peers {
		v, ok := p.early[key]
		if ok && v.Incarnation == w.slots[i].hash {
			delete(p.early, key)
			p.set(i, ballotOf(v))
		}
	}
}

// part keeps the votes on a slot that is given away: a listing may have lacked
// what is there, and the vantages say nothing twice.
func (w *Warden) part(s *service, i int) {
	for _, p := range w.peers {
		if b := p.ballot(i); b != (ballot{}) {
			p.keepEarly(b.on(s.found.Service, &w.slots[i]))
			p.set(i, ballot{})
		}
	}
}

// heardOn weighs a changed vote: its service is judged anew, and where another
// vantage saw a failure that we did not see, we look at once.
func (w *Warden) heardOn(i int, was, is ballot) {
	if was == is || !w.slots[i].used {
		return
	}
	if was.status != is.status {
		w.mark(w.services[w.slots[i].svc])
	}
	if is.last == health.Fail && was.last != health.Fail && w.states[i].Last == health.Pass && w.slots[i].watched {
		w.look(i)
	}
}

// Looks at once are a share of the targets in each second, and always a few:
// one failure is confirmed fast, and a whole zone's does not make a burst.
const (
	lookShare = 1 // percent
	lookLeast = 10
)

func (w *Warden) look(i int) {
	if w.now >= w.looksUntil {
		w.looks, w.looksUntil = 0, w.now.Add(time.Second)
	}
	if w.looks >= max(lookLeast, w.targets*lookShare/100) {
		return
	}
	w.looks++
	w.emit(Reschedule{Target: w.handle(i), At: w.now})
}

// askAgain is how long all votes of a vantage are waited for.
const askAgain = 2 * time.Second

func (w *Warden) askVotes(p *peer) {
	if p.asked == 0 || w.now >= p.asked.Add(askAgain) {
		p.asked = w.now
		w.emit(AskVotes{Of: p.vantage})
	}
}

// countVantages notices who is heard, and who is not any more.
func (w *Warden) countVantages() {
	moved := false
	for _, p := range w.peers {
		live := p.counts(w)
		if live == p.live {
			continue
		}
		p.live, moved = live, true
		detail := "its votes count"
		switch {
		case !live && p.whole:
			detail = "not heard for " + w.voteTTL().String() + ": its votes do not count"
		case !live:
			detail = "some of its votes were missed: none counts until all have come"
		}
		w.record(Record{Kind: FleetRecord, Admitted: live, Detail: "vantage " + p.vantage.Checker + zoneText(p.vantage.Zone) + ": " + detail})
	}
	if moved {
		w.assess()
		w.markAll()
	}
}

func zoneText(zone string) string {
	if zone == "" {
		return ""
	}
	return " in " + zone
}

// keepVantages looks at what silence does to vantages, asks again for votes
// that were missed, and forgets who is away for good.
func (w *Warden) keepVantages() {
	for _, p := range w.peers {
		if !p.whole && p.expires(w) > w.now {
			w.askVotes(p)
		}
	}
	w.countVantages()
	w.peers = slices.DeleteFunc(w.peers, func(p *peer) bool { return w.now >= p.heard.Add(awayFor) })
}

// awayFor is how long a silent vantage is remembered: its zone is known so long.
const awayFor = time.Hour

// vouched reports whether another vantage says that the target is healthy.
func (w *Warden) vouched(i int) bool {
	for _, p := range w.peers {
		if p.counts(w) && p.ballot(i).status == health.Healthy {
			return true
		}
	}
	return false
}

// needs is how many vantages must be there before anybody is removed: as many as
// a verdict needs, and never less than the majority.
func (w *Warden) needs() int {
	if !w.several() {
		return 1
	}
	return max(w.cfg.Quorum.Needs(), w.cfg.Quorum.Count/2+1)
}

// accusers is how many vantages are there to accuse: heard, complete and
// without doubt of themselves. Our own doubt has a reason of its own.
func (w *Warden) accusers() int {
	n := 1
	for _, p := range w.peers {
		if p.counts(w) && !p.abstains {
			n++
		}
	}
	return n
}
