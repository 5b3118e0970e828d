// Package warden is the mind: Handle takes what has happened and returns what
// is to be done. It owns all state of judgement: targets, their health,
// standings, jobs, the journal's open entries as last stored.
//
// It is a deterministic machine: no goroutine, channel, lock, context, clock,
// randomness or input and output, and no walk over a map. The same events at
// the same instants give the same effects, in production and in the simulator.
// It does not probe, does not write and does not listen; the shell around it
// (package controller) does, and returns what came of it as events.
package warden

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/quorum"
)

// housekeeping is how often what changes by time alone is looked at.
const housekeeping = time.Second

// Warden is the mind of one process. It is not safe for concurrent use: one
// owner calls Handle, Snapshot and Explain.
type Warden struct {
	cfg        Config
	configured bool
	epoch      int64 // wall time of instant 0, Unix nanoseconds; 0: not known yet
	loaded     bool
	listed     bool // all services were listed completely once
	synced     bool // … and each of their instances, too

	services []*service // by dense index; nil where free
	byID     map[string]int
	outside  map[string]bool // ids of services that are in the registry and were not in scope
	slots    []slot          // by handle index
	states   []health.State  // by handle index
	free     []uint32
	targets  int // watched
	failing  int // by latest observation
	entries  int // open journal entries

	jobs    []*job // in order of their start
	lastJob uint64
	serial  uint64 // of journal entries in this process

	badIn   map[string]int // in how many services a dependency is called bad; looked up only
	paths   paths
	onsets  []policy.Onset
	onset   bool // onsets were added since the latest assess
	bank    policy.Bank
	outlook policy.Outlook

	lost      bool
	warmSince health.Instant
	doubt     health.Doubt
	doubted   health.Instant // until
	massUntil health.Instant
	frozen    freeze
	thaw      thaw
	drains    []drain
	retiring  bool
	retired   bool
	stopping  bool

	known memory // what earlier processes learnt

	peers      []*peer // other vantages, by name
	cast       casting
	tally      []quorum.Vote
	zones      zones
	looks      int // at once, until looksUntil
	looksUntil health.Instant

	dirty    []int // services to judge
	nextKeep health.Instant
	wake     health.Instant // the latest Wake that was asked for

	now     health.Instant
	effects []Effect
	pages   snapshots
	scratch []policy.Member
}

// New returns a mind that knows nothing. It withholds every removal until it
// was told its configuration, its journal and a complete listing.
func New() *Warden {
	return &Warden{
		byID:    make(map[string]int),
		outside: make(map[string]bool),
		badIn:   make(map[string]int),
		paths:   make(paths),
		known:   newMemory(),
	}
}

// Handle takes events in the order in which they happened, at now, and
// returns the effects to carry out, in order. now must never go back.
func (w *Warden) Handle(now health.Instant, events []Event) []Effect {
	w.now = now
	w.effects = w.effects[:0:0]
	for _, e := range events {
		w.take(e)
	}
	w.issueDue()
	if now >= w.nextKeep {
		w.keep()
	}
	if w.onset {
		w.assess()
	}
	w.judge()
	w.castVotes()
	w.askWake()
	return w.effects
}

func (w *Warden) take(e Event) {
	switch e := e.(type) {
	case Clock:
		w.clock(e)
	case Configured:
		w.configure(e.Config)
	case Loaded:
		w.load(e)
	case ServicesListed:
		w.servicesListed(e)
	case InstancesListed:
		w.instancesListed(e)
	case ListingFailed: // absence of news: staleness grows by itself
	case Observed:
		for i := range e.Observations {
			w.observe(e.Observations[i])
		}
	case Voted:
		w.voted(e)
	case VotesAsked:
		w.cast.full = true
	case Evidenced:
		w.evidenced(e)
	case ServiceOwned:
		w.serviceOwned(e)
	case Doubted:
		w.doubtSelf(e.Doubt)
	case Called:
		w.called(e)
	case Freeze:
		w.freeze(e)
	case Unfreeze:
		w.unfreeze(e)
	case Release:
		w.release(e)
	case RestoreAsked:
		w.restoreAsked(e)
	case Drain:
		w.drainAsked(e)
	case Undrain:
		w.undrainAsked(e)
	case Retire:
		w.retire(e)
	case Stopping:
		w.stop()
	}
}

func (w *Warden) emit(e Effect) { w.effects = append(w.effects, e) }

func (w *Warden) wall(at health.Instant) int64 {
	if at == 0 {
		return 0
	}
	return w.epoch + int64(at)
}

// instant is the point on our clock of a wall time, never zero.
func (w *Warden) instant(wall int64) health.Instant {
	if at := health.Instant(wall - w.epoch); at != 0 {
		return at
	}
	return 1
}

// past is the point on our clock of a wall time that is not ahead: where the
// wall clock was set back, what is ahead of it happened just now at the latest.
func (w *Warden) past(wall int64) health.Instant { return min(w.instant(wall), w.now) }

// askWake asks for the next Tick, where nothing else would come earlier.
func (w *Warden) askWake() {
	at := w.nextKeep
	for _, j := range w.jobs {
		if !j.issued {
			at = min(at, j.call.At)
		}
	}
	for _, s := range w.services {
		if s != nil {
			at = min(at, s.wake)
		}
	}
	if at != w.wake || at <= w.now {
		w.wake = at
		w.emit(Wake{At: max(at, w.now+1)})
	}
}

// clock learns the wall time; a step of it against the monotonic clock is a
// reason to doubt.
func (w *Warden) clock(e Clock) {
	epoch := e.Wall - int64(w.now)
	d := time.Duration(epoch - w.epoch)
	stepped := w.epoch != 0 && (d > time.Second || d < -time.Second)
	w.epoch = epoch
	if stepped {
		w.doubtSelf(health.DoubtClock)
		w.restate()
	}
}

// restate stores anew the terms that run, which are stored by the wall clock:
// a step of it neither ends nor prolongs them for the next process.
func (w *Warden) restate() {
	for _, s := range w.services {
		if s != nil && !s.armed {
			w.learnArmed(s)
		}
	}
	if w.frozen.until > w.now {
		w.learnFreeze()
	}
}
