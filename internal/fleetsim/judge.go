package fleetsim

import (
	"fmt"
	"maps"
	"time"

	"github.com/mapwarden/mapwarden/internal/lever"
)

// key names an instance: service id, instance id.
type key [2]string

// judge watches every step for what must never happen. It knows what was
// physically done and shown, and the numbers of the configuration; it calls
// none of the code under test. What one process was shown is in its eye.
type judge struct {
	s        *sim
	failures []string
	eyes     []*eye // of all processes, in the order of their start

	removals []removal // of all processes
	phases   map[key]stay
	accused  map[key]bool    // the open journal entry says that we set it UNHEALTHY
	sent     map[key]bool    // the removing call of the open entry was made before
	proven   map[string]bool // services in which a registration of ours succeeded
	raced    map[key]bool    // its owner wrote while our own write was on its way
	wrote    map[key]written
	back     map[key]time.Duration // when one of us registered it again
	fairFrom time.Duration
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
	return &judge{s: s, phases: map[key]stay{}, accused: map[key]bool{}, proven: map[string]bool{}, sent: map[key]bool{}, raced: map[key]bool{}, wrote: map[key]written{}, back: map[key]time.Duration{}}
}

// most is how many failures are worth telling.
const most = 10

func (j *judge) fail(format string, args ...any) {
	if len(j.failures) < most && !j.s.foreign() {
		where := fmt.Sprintf("%s (seed %d) at %s: ", j.s.story.Name, j.s.story.Settings.Seed, j.s.now)
		j.failures = append(j.failures, where+fmt.Sprintf(format, args...))
	}
}

// journalled looks at the journal after a process changed a service's part of it.
func (j *judge) journalled(p *process, service string) {
	open := map[key]bool{}
	for i := range j.s.store.entries {
		e := &j.s.store.entries[i]
		if e.Service.ID == service {
			open[key{service, e.Instance}] = true
			j.entry(p, e)
		}
	}
	shut := func(k key, _ bool) bool { return k[0] == service && !open[k] }
	maps.DeleteFunc(j.sent, shut)
	maps.DeleteFunc(j.accused, shut)
	j.lost(j.s.registry.byID(service))
}

func (j *judge) entry(p *process, e *lever.Entry) {
	k := key{e.Service.ID, e.Instance}
	j.accused[k] = j.accused[k] || e.Phase == lever.Sending
	switch e.Phase {
	case lever.Intended, lever.Out, lever.Returned:
		delete(j.sent, k)
	}
	old, ok := j.phases[k]
	if ok && old.phase == e.Phase {
		return
	}
	j.phases[k] = stay{e.Phase, j.s.now}
	if e.Phase != lever.Intended || e.Kind == lever.Drill || p.dead {
		return
	}
	p.eye.budget(j.s.registry.byID(k[0]), e)
	if !e.Waiting && !outsideShares(e) {
		p.eye.begun(k)
		j.begun(k)
	}
}

// begun checks that even several processes together keep to twice the pace of
// one: two of them may believe that they lead for a moment.
func (j *judge) begun(k key) {
	cfg := j.s.config(j.s.registry.byID(k[0])).Policy
	every := cfg.Removals.Per / time.Duration(cfg.Removals.N)
	n := 0
	for _, r := range j.removals {
		if r.key[0] == k[0] && j.s.now-r.at < every-slack {
			n++
		}
	}
	if n >= 2 {
		j.fail("velocity: %s leaves, and %d others of its service did so within %s", k[1], n, every)
	}
	j.removals = append(j.removals, removal{k, j.s.now})
}

// slack is what two journal writes may differ by in latency.
const slack = 10 * time.Millisecond

// tick is asked every few seconds for what must end.
func (j *judge) tick() {
	if j.s.weather != fair {
		j.fairFrom = j.s.now
	}
	if c := j.s.leader(); c == nil || c.proc.paused || c.starved > 0 || len(j.s.network.faults) > 0 {
		j.fairFrom = j.s.now
	}
	for i := range j.s.store.entries {
		e := &j.s.store.entries[i]
		since := max(j.phases[key{e.Service.ID, e.Instance}].since, j.fairFrom)
		if unrest(e.Phase) && j.s.now-since > bound {
			j.fail("the job on %s has stood in phase %s for %s", e.Instance, e.Phase, j.s.now-since)
			j.fairFrom = j.s.now
		}
	}
}

// bound is how long a phase of a job may last while the registry answers.
const bound = 6 * time.Minute

func unrest(p lever.Phase) bool { return p != lever.Out && p != lever.Returned }
