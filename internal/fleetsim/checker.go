package fleetsim

import (
	"math/rand/v2"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/quorum"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// epoch is the wall time at which every story begins.
var epoch = time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)

// checker is one mapwarden: a place to look from, and at most one process there.
type checker struct {
	s     *sim
	name  string
	zone  string
	proc  *process      // nil while it is down
	wall  time.Duration // how far its wall clock is off …
	drift float64       // … and what it gains in each second …
	since time.Duration // … since then
	lives uint64        // how many processes there were

	starved   float64      // share of the processor that it gets, 0: as much as it wants
	exhausted health.Doubt // what it has run out of

	listings int // of the whole registry

	serial  int // of calls to registry and journal, over all processes
	traps   []trap
	records []warden.Record
	calls   [lever.PollOperation + 1]int
	rng     *rand.Rand
	net     *rand.Rand // of what happens on its way to others
}

func (s *sim) newChecker(v Vantage) *checker {
	c := &checker{s: s, name: v.Name, zone: v.Zone}
	c.rng, c.net = c.stream("checker"), c.stream("network")
	return c
}

// stream is a source of random choices of this checker alone.
func (c *checker) stream(what string) *rand.Rand {
	if len(c.s.checkers) > 0 && c != c.s.checkers[0] {
		what += " " + c.name
	}
	return c.s.stream(what)
}

func (c *checker) vantage() quorum.Vantage { return quorum.Vantage{Checker: c.name, Zone: c.zone} }

// trap kills the process at a call.
type trap struct {
	number int // of the call; 0: the next one of op
	op     lever.Op
	moment moment
	down   time.Duration // 0: until it is started
}

// moment of a call.
type moment uint8

const (
	beforeEffect moment = iota
	afterEffect
	answered
)

// process is one life of a checker.
type process struct {
	c      *checker
	mind   Mind
	born   time.Duration
	dead   bool
	paused bool
	since  time.Duration // paused since
	missed []func()      // what came due while it was paused
	engine *engine
	wake   uint64 // counts Wakes: the latest one holds
	out    map[uint64]bool
	write  time.Duration // when the client's own pace lets the next write out
	epoch  uint64        // counts the lives of its checker
	tenure tenure
	post   post
	eye    *eye
}

// instant is now on the process's monotonic clock, which starts at one second.
func (p *process) instant() health.Instant { return p.at0(p.c.s.now) }

func (p *process) at0(at time.Duration) health.Instant {
	return health.Instant(at - p.born + time.Second)
}

func (p *process) when(i health.Instant) time.Duration {
	return time.Duration(i) - time.Second + p.born
}

// at does something inside the process: never after its death, and after a
// pause only when it is over.
func (p *process) at(i health.Instant, do func()) {
	p.c.s.at(p.when(i), p.alive(do))
}

func (p *process) after(d time.Duration, do func()) { p.c.s.after(d, p.alive(do)) }

func (p *process) alive(do func()) func() {
	return func() {
		switch {
		case p.dead:
		case p.paused:
			p.missed = append(p.missed, do)
		default:
			do()
		}
	}
}

// start begins a new life.
func (c *checker) start() {
	if c.proc != nil {
		return
	}
	c.lives++
	p := &process{c: c, mind: c.newMind(), born: c.s.now, out: map[uint64]bool{}, epoch: c.lives}
	p.engine = newEngine(p)
	c.proc = p
	p.eye = newEye(p)
	events := []warden.Event{p.clock(), warden.Configured{Config: c.s.story.config(c)}}
	alone := len(c.s.checkers) == 1 || c.s.foreign()
	if alone {
		p.alone()
		events = append(events, c.s.store.loaded(c.s.store.lost))
	}
	p.tell(events...)
	if !alone {
		p.campaign()
		p.repeat()
	}
	p.tick()
	p.poll()
}

// kill ends the process at once, as SIGKILL does.
func (c *checker) kill(down time.Duration) {
	if c.proc == nil {
		return
	}
	led := c.proc.tenure.leads
	c.proc.dead = true
	c.proc = nil
	if led && c.s.leader() == nil { // nobody took over while it stood still
		c.s.headless = c.s.now
	}
	if down > 0 {
		c.s.after(down, c.start)
	}
}

func (p *process) clock() warden.Clock {
	return warden.Clock{Wall: epoch.Add(p.c.s.now + p.c.off()).UnixNano()}
}

// off is how far the wall clock is off now.
func (c *checker) off() time.Duration {
	return c.wall + time.Duration(c.drift*float64(c.s.now-c.since))
}

// clockEvery is how often the shell tells the wall time.
const clockEvery = time.Second

func (p *process) tick() {
	p.after(clockEvery, func() {
		p.tell(p.clock())
		p.tick()
	})
}

// pause stops the process, as SIGSTOP does.
func (p *process) pause() {
	p.paused, p.since = true, p.c.s.now
}

// resume lets it run again. All that came due in the meantime happens at
// once; whether its own senses speak before or after that is left to chance.
func (p *process) resume() {
	p.paused = false
	missed := p.missed
	p.missed = nil
	sense := func() {
		stood := p.c.s.now - p.since
		switch shortest := p.engine.shortest(); {
		case shortest == 0:
		case stood > shortest:
			p.tell(warden.Doubted{Doubt: health.DoubtPaused})
		case stood > shortest/2:
			p.tell(warden.Doubted{Doubt: health.DoubtLate})
		}
	}
	first := p.c.rng.IntN(2) == 0
	if first {
		sense()
	}
	for _, do := range missed {
		p.alive(do)()
	}
	if !first {
		p.after(0, sense)
	}
}

// tell gives events to the mind and carries out its effects.
func (p *process) tell(events ...warden.Event) {
	if p.dead {
		return
	}
	s := p.c.s
	for _, e := range events {
		p.eye.told(e)
	}
	for _, e := range p.mind.Handle(p.instant(), events) {
		s.traceEffect(p, e)
		if !p.dead {
			p.carry(e)
		}
	}
}

func (p *process) carry(e warden.Effect) {
	switch e := e.(type) {
	case warden.Watch:
		p.engine.watch(e)
	case warden.Unwatch:
		p.engine.unwatch(e.Target)
	case warden.Reschedule:
		p.engine.reschedule(e.Target, e.At)
	case warden.Do:
		p.do(e)
	case warden.AskOwner:
		p.asked(e)
	case warden.Learn:
		wait := learnDelay
		if e.Memory.Freeze != nil {
			wait = 0 // an operator is answered when it is durable (rule 21)
		}
		if p.tenure.leads {
			p.after(wait, func() { p.c.s.store.learn(e.Memory) })
		}
	case warden.Cast:
		p.cast(e)
	case warden.AskVotes:
		p.askVotes(e.Of.Checker)
	case warden.Wake:
		p.wake++
		wake := p.wake
		p.at(max(e.At, p.instant().Add(grain)), func() {
			if p.wake == wake {
				p.eye.woken()
				p.tell(warden.Tick{})
			}
		})
	case warden.Record:
		p.c.records = append(p.c.records, e)
		p.c.s.line.record(p.c, e)
		p.c.s.clients.sees(p, e)
	case warden.Retired:
		p.c.s.line.note(p.c, "everything is returned; the process ends")
		p.after(0, func() { p.c.kill(0) })
	}
}

// grain is how exactly a timer keeps its time, at best.
const grain = time.Millisecond

// learnDelay is how long a memory takes to be durable: a death within it
// loses it.
const learnDelay = 100 * time.Millisecond
