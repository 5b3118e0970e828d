package fleetsim

import (
	"fmt"
	"maps"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// key names an instance: service id, instance id.
type key [2]string

// mostTicks is how many Ticks a mind may reasonably ask for in a second.
const mostTicks = 200

// woken counts Ticks: a mind that asks for one after the other burns a core.
func (j *judge) woken() {
	if second := j.s.now.Truncate(time.Second); second != j.second {
		j.second, j.ticks = second, 0
	}
	if j.ticks++; j.ticks == mostTicks {
		j.fail("the mind asked to be woken %d times within a second", mostTicks)
	}
}

// sight is what one process was shown of one instance.
type sight struct {
	inc     health.Incarnation
	last    health.Outcome
	lastAt  time.Duration
	run     int             // failures in a row, whatever the mind makes of them
	since   time.Duration   // when the first of them began
	fallAt  time.Duration   // when the run became as long as the check's fall
	hard    bool            // refused or reset in this run
	took    []time.Duration // by the newest 8 passes
	slowAt  time.Duration   // since when half of them were slow, whatever is usual; 0: they were not
	drains  time.Duration   // since when it says that it is about to stop; 0: it does not
	recent  []bool          // the newest conclusive outcomes: failed
	grayAt  time.Duration   // since when they look gray; 0: they do not
	ever    bool
	probes  int
	foreign int // listings in a row that show it UNHEALTHY without an entry of ours
}

// known is what one process was shown of one service.
type known struct {
	ids    map[string]bool // of its latest complete listing
	ever   map[string]bool // of all of them
	listed bool
	at     time.Duration
}

// judge watches every step for what must never happen. It knows what was
// physically done and shown, and the numbers of the configuration; it calls
// none of the code under test.
type judge struct {
	s        *sim
	failures []string

	// Of the present process.

	sights   map[key]*sight // looked up only
	known    map[string]*known
	services bool // they were listed completely
	doubt    time.Duration
	frozen   time.Duration // until
	stopping bool
	retiring bool
	wall     int64 // of the latest Clock, minus the monotonic time
	onsets   []time.Duration

	removals []removal // of all processes
	phases   map[key]stay
	accused  map[key]bool    // the open journal entry says that we set it UNHEALTHY
	sent     map[key]bool    // the removing call of the open entry was made before
	proven   map[string]bool // services in which a registration of ours succeeded
	raced    map[key]bool    // its owner wrote while our own write was on its way
	fairFrom time.Duration

	second time.Duration // in which ticks are counted
	ticks  int
}

// removal is one that was begun.
type removal struct {
	key
	at time.Duration
}

// stay is how long a journal entry has been in a phase.
type stay struct {
	phase lever.Phase
	since time.Duration
}

func newJudge(s *sim) *judge {
	return &judge{s: s, phases: map[key]stay{}, accused: map[key]bool{}, proven: map[string]bool{}, sent: map[key]bool{}, raced: map[key]bool{}}
}

// most is how many failures are worth telling.
const most = 10

func (j *judge) fail(format string, args ...any) {
	if len(j.failures) < most {
		where := fmt.Sprintf("%s (seed %d) at %s: ", j.s.story.Name, j.s.story.Settings.Seed, j.s.now)
		j.failures = append(j.failures, where+fmt.Sprintf(format, args...))
	}
}

// started forgets what the process before was shown.
func (j *judge) started(*process) {
	j.sights, j.known = map[key]*sight{}, map[string]*known{}
	j.services, j.stopping, j.retiring = false, false, false
	j.doubt, j.wall, j.onsets = 0, 0, nil
	j.removals = nil
	j.fairFrom = j.s.now
}

func (j *judge) sight(k key) *sight {
	x := j.sights[k]
	if x == nil {
		x = &sight{}
		j.sights[k] = x
	}
	return x
}

// told takes note of what the mind is about to be told.
func (j *judge) told(p *process, e warden.Event) {
	switch e := e.(type) {
	case warden.Clock:
		base := e.Wall - int64(p.instant())
		if d := time.Duration(base - j.wall); j.wall != 0 && (d > time.Second || d < -time.Second) {
			j.doubts()
		}
		j.wall = base
	case warden.Loaded:
		if f := e.Memory.Freeze; f != nil {
			j.frozen = j.s.now + time.Duration(f.Until-p.clock().Wall)
		}
	case warden.ServicesListed:
		j.services = j.services || e.Complete
	case warden.InstancesListed:
		j.listed(p, e)
	case warden.Observed:
		for _, o := range e.Observations {
			j.observed(p, o)
		}
	case warden.Doubted:
		j.doubts()
	case warden.Freeze:
		if e.For == 0 {
			e.For = time.Hour
		}
		j.frozen = j.s.now + min(e.For, 72*time.Hour)
	case warden.Unfreeze:
		j.frozen = 0
	case warden.Stopping:
		j.stopping = true
	case warden.Retire:
		j.retiring = true
	}
}

func (j *judge) doubts() { j.doubt = j.s.now + j.s.story.Settings.Fleet.Abstain }

func (j *judge) listed(p *process, e warden.InstancesListed) {
	if !e.Complete {
		return
	}
	k := j.known[e.Service]
	if k == nil {
		k = &known{ever: map[string]bool{}}
		j.known[e.Service] = k
	}
	k.listed, k.at = true, j.s.now
	k.ids = make(map[string]bool, len(e.Instances))
	for _, f := range e.Instances {
		k.ids[f.ID], k.ever[f.ID] = true, true
		x := j.sight(key{e.Service, f.ID})
		if f.Status == health.Unhealthy && p.c.disk.entry(e.Service, f.ID) == nil {
			x.foreign++
		} else {
			x.foreign = 0
		}
		addr, port := health.Endpoint(f.Attributes)
		inc := health.Incarnation{Service: e.Service, Instance: f.ID, Addr: addr, Port: port}
		if p.c.disk.entry(e.Service, f.ID) == nil && x.inc != inc {
			*x = sight{inc: inc, foreign: x.foreign}
		}
	}
}

func (j *judge) observed(p *process, o health.Observation) {
	slot := p.engine.live(o.Target)
	if slot == nil {
		return
	}
	t := &slot.target
	x := j.sight(key{t.Service.ID, t.Instance})
	if x.inc.Addr != t.Addr || x.inc.Port != t.Port {
		*x = sight{inc: health.Incarnation{Service: t.Service.ID, Instance: t.Instance, Addr: t.Addr, Port: t.Port}}
	}
	if o.Outcome != health.Indeterminate && !o.Startup {
		x.pace(t.Check.Slow, o, j.s.now)
		x.outcome(t.Check.Gray, o.Outcome == health.Fail, j.s.now)
	}
	switch {
	case o.Outcome == health.Pass && !o.Draining:
		x.drains = 0
	case o.Draining && x.drains == 0:
		x.drains = j.s.now
	}
	before := x.last
	x.last, x.lastAt = o.Outcome, j.s.now
	switch o.Outcome {
	case health.Pass:
		x.run, x.fallAt, x.hard, x.ever = 0, 0, false, x.ever || !o.Startup
		x.probes++
	case health.Fail:
		if x.run++; x.run == 1 {
			x.since = p.when(o.Start)
		}
		x.probes++
		x.hard = x.hard || o.Cause == health.Refused || o.Cause == health.Reset
		if x.run == t.Check.Fall {
			x.fallAt = j.s.now
		}
		if before == health.Pass && o.Cause.ProvesReach() {
			j.onsets = append(j.onsets, j.s.now)
			j.mass()
		}
	}
}

// mass is the part of the mass rule that counts targets alone.
func (j *judge) mass() {
	f := &j.s.story.Settings.Fleet
	n := 0
	for _, at := range j.onsets {
		if at > j.s.now-f.MassWindow {
			n++
		}
	}
	if watched := len(j.sights); n >= f.MassLeast && float64(n)*100 > f.MassPercent*float64(watched) {
		j.doubts()
	}
}

// journalled looks at the journal after it changed.
func (j *judge) journalled(c *checker) {
	open := map[key]bool{}
	for _, e := range c.disk.entries {
		k := key{e.Service.ID, e.Instance}
		open[k] = true
		j.accused[k] = j.accused[k] || e.Phase == lever.Sending
		switch e.Phase {
		case lever.Intended, lever.Out, lever.Returned:
			delete(j.sent, k)
		}
		old, ok := j.phases[k]
		if ok && old.phase == e.Phase {
			continue
		}
		j.phases[k] = stay{e.Phase, j.s.now}
		if e.Phase != lever.Intended || e.Kind == lever.Drill || c.proc == nil {
			continue
		}
		j.budget(c.proc, j.s.registry.byID(k[0]), &e)
		if !e.Waiting {
			j.begun(k)
		}
	}
	maps.DeleteFunc(j.sent, func(k key, _ bool) bool { return !open[k] })
	maps.DeleteFunc(j.accused, func(k key, _ bool) bool { return !open[k] })
	j.lost()
}

// begun checks the velocity of removals (rule 8) as the journal shows them.
func (j *judge) begun(k key) {
	svc := j.s.registry.byID(k[0])
	cfg := j.s.config(svc).Policy
	for _, r := range j.removals {
		every := cfg.Removals.Per / time.Duration(cfg.Removals.N)
		if r.key[0] == k[0] && j.s.now-r.at < every-slack {
			j.fail("velocity: %s leaves %s after %s of the same service", k[1], (j.s.now - r.at).Round(time.Millisecond), r.key[1])
		}
	}
	j.removals = append(j.removals, removal{k, j.s.now})
	g := j.s.story.Settings.Fleet.RemovalsGlobal
	burst := max(g.Least, int(g.Percent*float64(len(j.sights))/100), 1)
	n := 0
	for _, r := range j.removals {
		if r.at > j.s.now-g.Per {
			n++
		}
	}
	if n > 2*burst { // a full bucket, and what flows into it meanwhile
		j.fail("velocity: %d removals in %s, %d at a time are allowed", n, g.Per, burst)
	}
}

// slack is what two journal writes may differ by in latency.
const slack = 10 * time.Millisecond

// tick is asked every few seconds for what must end.
func (j *judge) tick() {
	if j.s.weather != fair {
		j.fairFrom = j.s.now
	}
	for _, c := range j.s.checkers {
		if c.proc == nil || c.proc.paused {
			j.fairFrom = j.s.now
			continue
		}
		for _, e := range c.disk.entries {
			since := max(j.phases[key{e.Service.ID, e.Instance}].since, j.fairFrom)
			if unrest(e.Phase) && j.s.now-since > bound {
				j.fail("the job on %s has stood in phase %s for %s", e.Instance, e.Phase, j.s.now-since)
				j.fairFrom = j.s.now
			}
		}
	}
}

// bound is how long a phase of a job may last while the registry answers.
const bound = 6 * time.Minute

func unrest(p lever.Phase) bool { return p != lever.Out && p != lever.Returned }
