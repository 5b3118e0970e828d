package fleetsim

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/warden"
)

// post is a process's part in the exchange of votes: it numbers what the mind
// casts and repeats its latest word.
type post struct {
	seq      uint64
	abstains bool
	sent     []warden.Voted // the latest, for those who replay them
	quiet    uint64         // the latest number when it was last time to repeat it
}

// voteEvery is how often a vantage repeats its word, at most.
const voteEvery = time.Second

// cast sends what the mind says to every peer.
func (p *process) cast(c warden.Cast) {
	p.post.abstains = c.Abstains
	p.send(warden.Voted{Full: c.Full, Votes: c.Votes})
}

// repeat says now and again that all still holds, where nothing else was said.
// One that comes late says nothing: the process stood still, and what it thought
// before that is to be thought anew first.
func (p *process) repeat() {
	every := min(voteEvery, p.c.s.story.Settings.Service.Check.Interval/5)
	due := p.instant().Add(every)
	p.after(every, func() {
		late := p.instant() > due.Add(every)
		if t := &p.post; t.seq > 0 && t.seq == t.quiet && !late {
			p.send(warden.Voted{})
		}
		p.post.quiet = p.post.seq
		p.repeat()
	})
}

const remembered = 16

func (p *process) send(m warden.Voted) {
	t := &p.post
	t.seq++
	m.Vantage, m.Epoch, m.Seq, m.Abstains = p.c.vantage(), p.epoch, t.seq, t.abstains
	t.sent = append(t.sent, m)
	if len(t.sent) > remembered {
		t.sent = t.sent[1:]
	}
	for _, peer := range p.c.s.checkers {
		if peer != p.c {
			p.c.deliver(peer, m)
			p.c.meddle(peer, t.sent)
		}
	}
}

// deliver takes one message to a peer's process, if it gets there.
func (c *checker) deliver(peer *checker, m warden.Voted) {
	s := c.s
	lost, late := s.network.toPeer(c, peer)
	late += s.story.Settings.VoteDelay + time.Duration(1+c.net.Int64N(4))*time.Millisecond
	if !lost && c.chance(s.mail.reorder) {
		late += time.Duration(c.net.Int64N(int64(2 * voteEvery)))
	}
	if !lost && c.chance(s.mail.flip) {
		s.mail.refused++ // its authentication fails: the other side drops it unread
		lost = true
	}
	if lost {
		return
	}
	s.after(late, func() {
		if peer.proc != nil {
			p := peer.proc
			p.alive(func() { p.tell(m) })()
		}
	})
}

// mail is how the votes' way misbehaves, beside loss and delay: shares of
// messages.
type mail struct {
	reorder, duplicate, replay, flip float64
	refused                          int
}

func (c *checker) chance(share float64) bool { return share > 0 && c.net.Float64() < share }

// meddle says again what was said just now, or some time ago.
func (c *checker) meddle(peer *checker, sent []warden.Voted) {
	if c.chance(c.s.mail.duplicate) {
		c.deliver(peer, sent[len(sent)-1])
	}
	if c.chance(c.s.mail.replay) {
		c.deliver(peer, sent[c.net.IntN(len(sent))])
	}
}

// askVotes takes the mind's question for everything that a peer has to say there.
func (p *process) askVotes(of string) {
	for _, peer := range p.c.s.checkers {
		if peer.name != of {
			continue
		}
		if lost, late := p.c.s.network.toPeer(p.c, peer); !lost {
			p.c.s.after(late+time.Millisecond, func() {
				if q := peer.proc; q != nil {
					q.alive(func() { q.tell(warden.VotesAsked{}) })()
				}
			})
		}
	}
}
