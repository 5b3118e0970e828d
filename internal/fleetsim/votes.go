package fleetsim

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/warden"
)

// post is a process's part in the exchange of votes: it numbers what the mind
// casts, repeats its latest word, and sees from the numbers of the others
// where something is missing.
type post struct {
	seq      uint64
	abstains bool
	said     []warden.TargetVote // everything that stands, in the order of first saying
	at       map[key]int         // index in said
	heard    map[string]*hearing // by the peer's name; looked up only
	sent     []warden.Voted      // the latest, for those who replay them
}

// hearing is what came from one peer.
type hearing struct {
	epoch, seq uint64
	whole      bool // nothing is missing
}

func newPost() post { return post{at: map[key]int{}, heard: map[string]*hearing{}} }

// voteEvery is how often a vantage repeats its word, at most.
const voteEvery = time.Second

// cast sends what the mind says to every peer.
func (p *process) cast(c warden.Cast) {
	t := &p.post
	t.abstains = c.Abstains
	if c.Full {
		t.said, t.at = nil, map[key]int{}
	}
	for _, v := range c.Votes {
		k := key{v.Service, v.Instance}
		if i, ok := t.at[k]; ok {
			t.said[i] = v
			continue
		}
		t.at[k] = len(t.said)
		t.said = append(t.said, v)
	}
	p.send(warden.Voted{Full: c.Full, Votes: c.Votes})
}

// repeat says now and again that all still holds.
func (p *process) repeat() {
	every := min(voteEvery, p.c.s.story.Settings.Service.Check.Interval/5)
	p.after(every, func() {
		if p.post.seq > 0 {
			p.send(warden.Voted{})
		}
		p.repeat()
	})
}

// whole sends everything that stands, to whoever misses some of it.
func (p *process) whole() {
	said := make([]warden.TargetVote, len(p.post.said))
	copy(said, p.post.said)
	p.send(warden.Voted{Full: true, Votes: said})
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
			p.alive(func() { p.hear(c, m) })()
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

// hear takes a message, and asks for everything where one is missing.
func (p *process) hear(from *checker, m warden.Voted) {
	h := p.post.heard[from.name]
	if h == nil {
		h = &hearing{}
		p.post.heard[from.name] = h
	}
	switch {
	case m.Epoch < h.epoch, m.Epoch == h.epoch && m.Seq <= h.seq: // the mind knows, too
	case m.Full:
		*h = hearing{m.Epoch, m.Seq, true}
	default:
		h.whole = h.whole && m.Epoch == h.epoch && m.Seq == h.seq+1
		h.epoch, h.seq = m.Epoch, m.Seq
		if !h.whole {
			p.c.wants(from)
		}
	}
	p.tell(m)
}

// wants asks a peer for everything: the answer to its message says so.
func (c *checker) wants(from *checker) {
	if lost, late := c.s.network.toPeer(c, from); !lost {
		c.s.after(late+time.Millisecond, func() {
			if p := from.proc; p != nil {
				p.alive(p.whole)()
			}
		})
	}
}
