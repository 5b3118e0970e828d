package fleetsim

import (
	"fmt"
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/lever"
)

// noise is all that goes wrong on ordinary days, while nothing is broken. It is
// drawn in advance; what lies between is quiet, and left out where the story
// wants nothing else: days of a fleet take minutes.
//
// Quiet time is left out by bringing the rest of the noise forward. No process
// sees a leap, and none has anything to forget: it happens where every target
// passed so often that another pass changes no verdict (the tests of package
// health prove that), nothing is open in the journal and nothing was for as long
// as a storm is remembered. Only what is counted in hours is nearer than it would
// be: the removals of a day, by which a return is held back.
type noise struct {
	s      *sim
	rates  rates
	keeps  bool // quiet time, too
	from   time.Duration
	upsets []upset // in order
	next   int
	turn   uint64 // counts plans for the next one
	active int

	sieves  map[lane]*sieve // looked up only
	left    time.Duration   // quiet time that was left out so far
	leaps   []leap
	beats   uint64        // writes to the journal …
	beatsAt time.Duration // … and when there was one
	said    map[key]time.Duration
	pauses  map[string][]pause // by instance id
	accused []accusal
}

// rates are how much of it there is: in a day, for each checker, target, and
// pair of a checker and a zone of targets; and the share of probes that are lost.
type rates struct {
	stalls, pauses, bursts float64
	loss                   float64
	together               int // so many checkers stall at the same moments
}

// The noise of ordinary days, and how long each lasts: stalls evenly between two
// times, the others with these means.
var ordinary = rates{stalls: 6, pauses: 4, bursts: 1, loss: 0.001, together: 1}

const (
	stallLeast = 5 * time.Second
	stallMost  = 40 * time.Second
	pauseMean  = 4 * time.Second
	burstMean  = 15 * time.Second

	// A pause as long as that is an outage, and clients want to be spared it.
	outage = 30 * time.Second
)

// leap is quiet time that was left out.
type leap struct{ at, left time.Duration }

// pause is one of a target, as the story's time goes.
type pause struct{ from, to time.Duration }

// accusal is the leader's first thought of a removal.
type accusal struct {
	key
	at time.Duration
}

// begin draws everything that is to happen and waits for the first of it.
func (n *noise) begin() {
	s := n.s
	s.noise, n.from = n, s.now
	n.sieves, n.said, n.pauses = map[lane]*sieve{}, map[key]time.Duration{}, map[string][]pause{}
	n.draw(s.story.Length)
	n.keeps = n.keeps || slices.ContainsFunc(s.story.actions, func(a action) bool { return a.at > s.now }) ||
		slices.ContainsFunc(s.story.expects, func(e expectation) bool { return e.at > s.now })
	n.plan()
	if !n.keeps {
		n.look()
	}
}

// day is the time that it would be, had nothing been left out.
func (n *noise) day() time.Duration { return n.s.now + n.left }

// dayOf is the same for an earlier moment of the story.
func (n *noise) dayOf(at time.Duration) time.Duration {
	left := time.Duration(0)
	for _, l := range n.leaps {
		if l.at > at {
			break
		}
		left += l.left
	}
	return at + left
}

// plan waits for the next upset.
func (n *noise) plan() {
	if n.next == len(n.upsets) {
		return
	}
	n.turn++
	turn := n.turn
	n.s.at(n.upsets[n.next].at-n.left, func() {
		if turn != n.turn {
			return
		}
		u := n.upsets[n.next]
		n.next++
		n.s.renew(uint64(n.next))
		n.active++
		u.begins(n)
		n.s.after(u.lasts, func() { n.active-- })
		n.plan()
	})
}

// look asks now and again whether it is quiet, and for how long.
func (n *noise) look() {
	n.s.after(n.every(), n.look)
	if w := n.s.store.writes; w != n.beats {
		n.beats, n.beatsAt = w, n.s.now
	}
	until := n.s.story.Length + n.left
	for i := n.next; i < len(n.upsets); i++ {
		if !n.upsets[i].slight {
			until = min(until, n.upsets[i].wakes)
			break
		}
	}
	if left := (until - n.day()).Truncate(beat); left > 0 && n.quiet() {
		n.left += left
		n.leaps = append(n.leaps, leap{n.s.now, left})
		n.s.story.Length -= left
		for n.next < len(n.upsets) && n.upsets[n.next].at < n.day() {
			n.next++
		}
		n.plan()
	}
}

// beat is a multiple of all that recurs with the usual settings: after a leap
// everything comes due at the same moment of its round.
const beat = 30 * time.Second

// every is how often all targets are looked at.
func (n *noise) every() time.Duration { return n.s.story.Settings.Service.Check.Interval }

// quiet reports whether another round of passes would change nothing.
func (n *noise) quiet() bool {
	s := n.s
	if n.active > 0 || s.leader() == nil || s.now-n.beatsAt < s.story.Settings.Fleet.StormWindow {
		return false
	}
	for i := range s.store.entries {
		if s.store.entries[i].Phase != lever.Returned {
			return false
		}
	}
	for _, c := range s.checkers {
		p := c.proc
		if p == nil || p.paused || c.starved > 0 || s.now < p.eye.doubt || s.now-p.born < s.story.Settings.Service.Policy.WarmUp {
			return false
		}
		for _, svc := range s.registry.services {
			of := s.config(svc).Check.Gray.Of
			for _, x := range svc.truth {
				if y := p.eye.sights[key{svc.ID, x.id}]; y == nil || len(y.recent) < of || slices.Contains(y.recent, true) {
					return false
				}
			}
		}
	}
	return true
}

// thinks notes whom the one that leads thinks of removing: once, until it was
// not thought of for a time.
func (n *noise) thinks(k key) {
	if at, ok := n.said[k]; !ok || n.s.now-at > forgotten {
		n.accused = append(n.accused, accusal{k, n.s.now})
	}
	n.said[k] = n.s.now
}

const forgotten = 2 * time.Minute

// Noise is what came of a story's noise.
type Noise struct {
	Days     float64 // of one target
	Skipped  float64 // share of the time that was quiet and left out
	False    int     // removals in effect of targets that had no outage
	Outages  int     // … and of those that had
	Accused  int     // verdicts against targets that had no outage
	Writes   int     // to the registry
	Verdicts []string
}

// figures sum it up.
func (n *noise) figures() *Noise {
	s, f := n.s, &Noise{}
	length := s.story.Length + n.left - n.from
	f.Skipped = float64(n.left) / float64(length)
	for _, svc := range s.registry.services {
		f.Days += float64(len(svc.owned)) * length.Hours() / 24
		for _, x := range svc.owned {
			for _, p := range s.clients.passages[x.id] {
				switch {
				case p.by != byUs || p.in:
				case n.outage(x.id, p.at):
					f.Outages++
				default:
					f.False++
					f.Verdicts = append(f.Verdicts, fmt.Sprintf("seed %d: %s is removed at %s, day %s", s.story.Settings.Seed, x.id, p.at, n.dayOf(p.at)))
				}
			}
		}
	}
	for _, a := range n.accused {
		if !n.outage(a.key[1], a.at) {
			f.Accused++
		}
	}
	for _, c := range s.checkers {
		for op, calls := range c.calls {
			if lever.Op(op).Writes() {
				f.Writes += calls
			}
		}
	}
	return f
}

// outage reports whether a target was down for so long, then or just before,
// that its removal was right.
func (n *noise) outage(id string, at time.Duration) bool {
	return slices.ContainsFunc(n.pauses[id], func(p pause) bool {
		return p.to-p.from >= outage && at >= p.from && at <= p.to+outage
	})
}

func (f *Noise) String() string {
	return fmt.Sprintf("  noise: %.1f target-days, %.0f %% of them quiet and left out; removed %d without an outage and %d with one; %d accused without; %.3f writes a target-day\n",
		f.Days, 100*f.Skipped, f.False, f.Outages, f.Accused, float64(f.Writes)/f.Days)
}
