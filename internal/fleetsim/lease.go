package fleetsim

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
)

// store is what outlives every process: the journal, the memory and, where
// there are several checkers, the lease of the one that leads.
type store struct {
	disk
	lost   bool // the journal was thrown away
	lease  lease
	writes uint64 // to the journal
}

// lease is held by one process at a time; who holds it may write. It carries
// no time: beats counts renewals, and whoever wants it watches on a clock of
// its own that the beats have stopped.
type lease struct {
	holder *process
	beats  uint64
	split  bool // the store is broken: it says yes to everybody
}

// A leader renews its lease three times in its life; the others look ten
// times. A successor waits half a life longer than the leader may believe in it.
const (
	renewals = 3
	looks    = 10
)

// tenure is what a process knows of the lease.
type tenure struct {
	leads bool
	until health.Instant // it leads until then, by its own clock
	beats uint64         // as it saw them last …
	since health.Instant // … first
	knows uint64         // how many writes to the journal it has read or made
}

// alone makes the only checker of a story the leader for good.
func (p *process) alone() { p.tenure = tenure{leads: true, until: health.Never} }

// lapsed ends a process whose lease ran out: it may not finish anything.
func (p *process) lapsed() bool {
	if p.dead || !p.tenure.leads || p.instant() < p.tenure.until {
		return p.dead
	}
	p.c.s.line.note(p.c, "the lease ran out; the process ends")
	p.c.kill(restartAfter)
	return true
}

// restartAfter is how long a supervisor takes to start a process that ended.
const restartAfter = 2 * time.Second

// campaign looks at the lease now and again, for as long as the process lives.
func (p *process) campaign() {
	ttl := p.c.s.story.Settings.Lease
	if p.lapsed() {
		return
	}
	p.ask()
	every := ttl / looks
	if p.tenure.leads {
		every = ttl / renewals
	}
	p.after(every, p.campaign)
	if p.tenure.leads && p.tenure.until > p.instant() {
		p.at(p.tenure.until, func() { p.lapsed() })
	}
}

// ask goes to the store and back.
func (p *process) ask() {
	s, sent := p.c.s, p.instant()
	lost, late := s.network.toService(p.c, toStore)
	if lost {
		return
	}
	wants := !p.tenure.leads && p.tenure.since != 0 && sent.Sub(p.tenure.since) >= s.story.Settings.Lease*3/2
	watched := p.tenure.beats
	s.after(late+p.c.latency(lever.PutEntry), func() {
		granted, beats := s.store.asked(p, wants, watched)
		granted = granted && (!p.tenure.leads || p.tenure.knows == s.store.writes)
		s.after(p.c.latency(lever.PutEntry), p.alive(func() { p.told(sent, granted, beats) }))
	})
}

// asked renews the holder's lease, gives a free one to whoever asks, and one
// that stood still to a process that watched it long enough.
func (st *store) asked(p *process, wants bool, watched uint64) (granted bool, beats uint64) {
	l := &st.lease
	switch {
	case p.dead:
		return false, l.beats
	case l.holder == nil, l.holder == p, l.split, wants && watched == l.beats:
		l.holder = p
		l.beats++
		return true, l.beats
	}
	return false, l.beats
}

// told is the store's answer.
func (p *process) told(sent health.Instant, granted bool, beats uint64) {
	t := &p.tenure
	switch {
	case granted && t.leads:
		t.until = sent.Add(p.c.s.story.Settings.Lease)
	case granted:
		t.leads, t.until = true, sent.Add(p.c.s.story.Settings.Lease)
		p.lead()
	case t.leads:
		p.c.s.line.note(p.c, "another leads, or wrote to the journal; the process ends")
		p.c.kill(restartAfter)
		return
	case t.since == 0 || beats != t.beats:
		t.beats, t.since = beats, sent
	}
}

// lead reads the store and takes over what the leader before left.
func (p *process) lead() {
	s := p.c.s
	s.line.note(p.c, "leads")
	if s.headless != 0 {
		s.takeovers = append(s.takeovers, s.now-s.headless)
		s.headless = 0
	}
	p.tenure.knows = s.store.writes
	p.tell(p.clock(), s.store.loaded(s.store.lost))
}

// wrote carries out a process's write to the journal. Who meets what another
// wrote meanwhile does not lead, whatever it believes.
func (st *store) wrote(p *process, c lever.Call) lever.Result {
	if p.tenure.until != health.Never && p.tenure.knows != st.writes {
		p.c.s.line.note(p.c, "another wrote to the journal; the process ends")
		p.c.kill(restartAfter)
		return lever.Result{Op: c.Op, Entry: c.Entry, Fault: lever.Conflict, Message: "another wrote to the journal"}
	}
	r := st.store(c)
	if r.Fault == lever.OK {
		st.writes++
		p.tenure.knows++
	}
	return r
}

// resign gives the lease back, as a process does that was asked to stop.
func (p *process) resign() {
	if l := &p.c.s.store.lease; p.tenure.leads && l.holder == p {
		l.holder = nil
		l.beats++
	}
	p.tenure.leads = false
}

// leader is the checker that leads, nil if nobody does.
func (s *sim) leader() *checker {
	for _, c := range s.checkers {
		if c.proc != nil && c.proc.tenure.leads {
			return c
		}
	}
	return nil
}
