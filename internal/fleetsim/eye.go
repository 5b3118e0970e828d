package fleetsim

import (
	"cmp"
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// sight is what one process was shown of one instance.
type sight struct {
	inc     health.Incarnation
	last    health.Outcome
	lastAt  time.Duration
	run     int           // failures in a row, whatever the mind makes of them
	since   time.Duration // when the first of them began
	fallAt  time.Duration // when the run became as long as the check's fall
	hard    bool          // refused or reset in this run
	accused time.Duration // when it last failed as often in a row as the check's fall
	ever    bool
	needs   []health.Dependency // as it said last
	took    []time.Duration     // by the newest 8 passes
	slowAt  time.Duration       // since when half of them were slow, whatever is usual; 0: they were not
	drains  time.Duration       // since when it says that it is about to stop; 0: it does not
	recent  []bool              // the newest conclusive outcomes: failed
	grayAt  time.Duration       // since when they look gray; 0: they do not
	probes  int
	foreign int // listings in a row that show it UNHEALTHY without an entry of ours
}

// onset is when an instance of a zone began to fail, as one process saw it.
type onset struct {
	at   time.Duration
	zone string
}

// known is what one process was shown of one service.
type known struct {
	ids    map[string]bool // of its latest complete listing
	ever   map[string]bool // of all of them
	listed bool
	at     time.Duration
}

// eye is the judge's own note of what one process was shown. It knows the
// numbers of the configuration and calls none of the code under test.
type eye struct {
	p *process
	j *judge

	sights   map[key]*sight // looked up only
	known    map[string]*known
	services bool // they were listed completely
	doubt    time.Duration
	frozen   time.Duration // until
	stopping bool
	retiring bool
	wall     int64 // of the latest Clock, minus the monotonic time
	onsets   []onset
	removals []removal
	heard    heard                 // from owners
	drained  map[key]time.Duration // until

	second time.Duration // in which ticks are counted
	ticks  int
}

func newEye(p *process) *eye {
	j := p.c.s.judge
	j.fairFrom = p.c.s.now
	y := &eye{p: p, j: j, sights: map[key]*sight{}, known: map[string]*known{}, heard: newHeard(), drained: map[key]time.Duration{}}
	y.heard.back = j.back // what one of them did stays done
	j.eyes = append(j.eyes, y)
	return y
}

// several: there are other vantages, and what one of them was shown or told
// need not be what the one that led before it was.
func (y *eye) several() bool { return len(y.j.s.checkers) > 1 }

func (y *eye) now() time.Duration { return y.j.s.now }

func (y *eye) fail(format string, args ...any) { y.j.fail(format, args...) }

// mostTicks is how many Ticks a mind may reasonably ask for in a second.
const mostTicks = 200

// woken counts Ticks: a mind that asks for one after the other burns a core.
func (y *eye) woken() {
	if second := y.now().Truncate(time.Second); second != y.second {
		y.second, y.ticks = second, 0
	}
	if y.ticks++; y.ticks == mostTicks {
		y.fail("the mind asked to be woken %d times within a second", mostTicks)
	}
}

func (y *eye) sight(k key) *sight {
	x := y.sights[k]
	if x == nil {
		x = &sight{}
		y.sights[k] = x
	}
	return x
}

// told takes note of what the mind is about to be told.
func (y *eye) told(e warden.Event) {
	switch e := e.(type) {
	case warden.Clock:
		base := e.Wall - int64(y.p.instant())
		if d := time.Duration(base - y.wall); y.wall != 0 && (d > time.Second || d < -time.Second) {
			y.doubts()
		}
		y.wall = base
	case warden.Loaded:
		for i := range e.Entries { // where the wall clock was set back, what is ahead of it happened just now
			if x := &e.Entries[i]; x.Phase == lever.Returned && x.Updated > y.p.clock().Wall {
				y.heard.back[key{x.Service.ID, x.Instance}] = y.now()
			}
		}
		for _, d := range e.Memory.Drains {
			y.drained[key{d.Service, d.Instance}] = y.now() + time.Duration(d.Until-y.p.clock().Wall)
		}
		if f := e.Memory.Freeze; f != nil {
			y.frozen = y.now() + time.Duration(f.Until-y.p.clock().Wall)
		}
	case warden.ServicesListed:
		y.services = y.services || e.Complete
	case warden.InstancesListed:
		y.listed(e)
	case warden.Observed:
		for _, o := range e.Observations {
			y.observed(o)
		}
	case warden.Evidenced:
		y.heard.evidence(y.p, e)
	case warden.ServiceOwned:
		y.heard.owned(y.p, e)
	case warden.RestoreAsked:
		y.heard.all = y.heard.all || e.All
		y.heard.asked[key{e.Service, e.Instance}] = true
	case warden.Doubted:
		y.doubts()
	case warden.Freeze:
		if e.For == 0 {
			e.For = time.Hour
		}
		y.frozen = y.now() + min(e.For, 72*time.Hour)
	case warden.Drain:
		y.drained[key{e.Service, e.Instance}] = y.now() + cmp.Or(e.For, time.Hour)
	case warden.Undrain:
		delete(y.drained, key{e.Service, e.Instance})
	case warden.Unfreeze:
		y.frozen = 0
	case warden.Stopping:
		y.stopping = true
	case warden.Retire:
		y.retiring = true
	}
}

func (y *eye) doubts() { y.doubt = y.now() + y.j.s.story.Settings.Fleet.Abstain }

func (y *eye) listed(e warden.InstancesListed) {
	if !e.Complete {
		return
	}
	k := y.known[e.Service]
	if k == nil {
		k = &known{ever: map[string]bool{}}
		y.known[e.Service] = k
	}
	k.listed, k.at = true, y.now()
	k.ids = make(map[string]bool, len(e.Instances))
	for _, f := range e.Instances {
		k.ids[f.ID], k.ever[f.ID] = true, true
		x := y.sight(key{e.Service, f.ID})
		if f.Status == health.Unhealthy && y.j.s.store.entry(e.Service, f.ID) == nil {
			x.foreign++
		} else {
			x.foreign = 0
		}
		addr, port := health.Endpoint(f.Attributes)
		inc := health.Incarnation{Service: e.Service, Instance: f.ID, Addr: addr, Port: port}
		if y.j.s.store.entry(e.Service, f.ID) == nil && x.inc != inc {
			*x = sight{inc: inc, foreign: x.foreign}
		}
	}
}

func (y *eye) observed(o health.Observation) {
	slot := y.p.engine.live(o.Target)
	if slot == nil {
		return
	}
	t := &slot.target
	x := y.sight(key{t.Service.ID, t.Instance})
	if x.inc.Addr != t.Addr || x.inc.Port != t.Port {
		*x = sight{inc: health.Incarnation{Service: t.Service.ID, Instance: t.Instance, Addr: t.Addr, Port: t.Port}}
	}
	if o.Outcome != health.Indeterminate && !o.Startup {
		x.pace(t.Check.Slow, o, y.now())
		x.outcome(t.Check.Gray, o.Outcome == health.Fail, y.now())
	}
	switch {
	case o.Outcome == health.Pass && !o.Draining:
		x.drains = 0
	case o.Draining && x.drains == 0:
		x.drains = y.now()
	}
	before := x.last
	x.last, x.lastAt, x.needs = o.Outcome, y.now(), o.Dependencies
	switch o.Outcome {
	case health.Pass:
		x.run, x.fallAt, x.hard, x.ever = 0, 0, false, x.ever || !o.Startup
		x.probes++
	case health.Fail:
		if x.run++; x.run == 1 {
			x.since = y.p.when(o.Start)
		}
		x.probes++
		x.hard = x.hard || o.Cause == health.Refused || o.Cause == health.Reset
		if x.run == t.Check.Fall {
			x.fallAt = y.now()
		}
		if x.run >= t.Check.Fall {
			x.accused = y.now()
		}
		if before == health.Pass && o.Cause.ProvesReach() {
			y.onsets = append(y.onsets, onset{y.now(), t.Zone})
			y.mass()
		}
	}
}

// mass is the part of the mass rule that counts targets alone. What is all in
// one zone may be exempt, where several look.
func (y *eye) mass() {
	f := &y.j.s.story.Settings.Fleet
	y.onsets = slices.DeleteFunc(y.onsets, func(o onset) bool { return o.at <= y.now()-f.MassWindow })
	n, zones := 0, map[string]bool{}
	for _, o := range y.onsets {
		n++
		zones[o.zone] = true
	}
	if len(zones) == 1 && !zones[""] && len(y.j.s.story.Settings.Vantages) > 1 {
		return
	}
	if watched := len(y.sights); n >= f.MassLeast && float64(n)*100 > f.MassPercent*float64(watched) {
		y.doubts()
	}
}
