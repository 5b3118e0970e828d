package warden

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// memory is what earlier processes learnt, by service id and instance id. Its
// maps are looked up, never walked.
type memory struct {
	passed   map[[2]string]Passed
	tried    map[string]tried
	removals map[[2]string][]int64
	left     map[[2]string]departed
	leavers  []departed // in the order in which they left
}

// tried is a check on trial, or proven, on a service.
type tried struct {
	probe  uint64
	since  health.Instant
	proven bool
}

// departed is an instance that a listing lacked, or that an earlier process
// knew. It is remembered for a day: listings have lacked what was there, and
// then its incarnation comes back with all that it had earned.
type departed struct {
	key         [2]string
	incarnation uint64
	isNew       bool
	at          health.Instant
}

func newMemory() memory {
	return memory{
		passed:   make(map[[2]string]Passed),
		tried:    make(map[string]tried),
		removals: make(map[[2]string][]int64),
		left:     make(map[[2]string]departed),
	}
}

// remember takes what earlier processes stored. Their wall clock may have been
// ahead of ours: what began then began just now at the latest.
func (w *Warden) remember(from Memory) {
	m := &w.known
	for _, p := range from.Passed {
		key := [2]string{p.Service, p.Instance}
		m.passed[key] = p
		m.leavers = append(m.leavers, departed{key: key, incarnation: p.Incarnation, at: w.now})
	}
	for _, a := range from.Armed {
		m.tried[a.Service] = tried{probe: a.Probe, since: w.past(a.Since), proven: a.Proven}
	}
	for _, r := range from.Removals {
		m.removals[[2]string{r.Service, r.Instance}] = r.Walls
	}
}

// recall gives a new slot what is known of its incarnation.
func (w *Warden) recall(s *service, i int) {
	sl := &w.slots[i]
	key := [2]string{s.found.Service.ID, sl.inst}
	if p, ok := w.known.passed[key]; ok && p.Incarnation == sl.hash && p.Probe == s.probe {
		w.states[i].Ever, w.states[i].Ready, sl.served = true, true, true
		w.states[i].Phase = health.Steady
	}
	sl.removals = nil
	for _, wall := range w.known.removals[key] {
		sl.removals = append(sl.removals, w.past(wall))
	}
}

// recallEntry: what was removed for failing, or was restored, has passed once:
// it could not have been removed otherwise.
func (w *Warden) recallEntry(i int) {
	if e := w.slots[i].entry; e != nil && (e.IsOut() && !e.Waiting && !policy.ByOwner(e.Reason) || e.Restored) {
		w.states[i].Ever, w.states[i].Ready, w.states[i].Phase = true, true, health.Steady
		w.slots[i].served = true
	}
}

func (w *Warden) recallArmed(s *service) {
	t, ok := w.known.tried[s.found.Service.ID]
	if ok && t.probe == s.probe {
		s.armed, s.armedAt = t.proven, t.since
		return
	}
	w.learnArmed(s)
}

func (w *Warden) learnArmed(s *service) {
	a := Armed{Service: s.found.Service.ID, Probe: s.probe, Since: w.wall(s.armedAt), Proven: s.armed}
	w.known.tried[a.Service] = tried{probe: s.probe, since: s.armedAt, proven: s.armed}
	w.learn(Memory{Armed: []Armed{a}})
}

func (w *Warden) learnPassed(s *service, i int) {
	p := Passed{Service: s.found.Service.ID, Instance: w.slots[i].inst, Incarnation: w.slots[i].hash, Probe: s.probe}
	w.known.passed[[2]string{p.Service, p.Instance}] = p
	w.learn(Memory{Passed: []Passed{p}})
}

// leave remembers an instance that a listing lacks.
func (w *Warden) leave(s *service, i int) {
	sl := &w.slots[i]
	d := departed{key: [2]string{s.found.Service.ID, sl.inst}, incarnation: sl.hash, isNew: sl.isNew, at: w.now}
	w.known.left[d.key] = d
	w.known.leavers = append(w.known.leavers, d)
}

// newcomer reports whether an instance that appears now is a newcomer: it was
// not there before, or was one when it left.
func (w *Warden) newcomer(s *service, i int) bool {
	d, ok := w.known.left[[2]string{s.found.Service.ID, w.slots[i].inst}]
	return !ok || d.incarnation != w.slots[i].hash || d.isNew
}

// keepLeavers forgets who left a day ago and did not come back.
func (w *Warden) keepLeavers() {
	for len(w.known.leavers) > 0 && w.known.leavers[0].at <= w.now.Add(-removalDay) {
		d := w.known.leavers[0]
		w.known.leavers = w.known.leavers[1:]
		if left, ok := w.known.left[d.key]; ok && left.at > d.at {
			continue // it came back, and left again later
		}
		delete(w.known.left, d.key)
		if index, ok := w.byID[d.key[0]]; ok {
			if _, here := w.services[index].byID[d.key[1]]; here {
				continue
			}
		}
		delete(w.known.removals, d.key)
		if _, ok := w.known.passed[d.key]; ok {
			delete(w.known.passed, d.key)
			w.learn(Memory{
				Passed:   []Passed{{Service: d.key[0], Instance: d.key[1]}},
				Removals: []Removal{{Service: d.key[0], Instance: d.key[1]}},
			})
		}
	}
}

// removalDay is how long a removal counts for the back-off (rule 12).
const removalDay = 24 * time.Hour

// recent drops the removals of a slot that do not count any more.
func (w *Warden) recent(sl *slot) {
	for len(sl.removals) > 0 && sl.removals[0] < w.now.Add(-removalDay) {
		sl.removals = sl.removals[1:]
	}
}

func (w *Warden) countRemoval(s *service, sl *slot) {
	w.recent(sl)
	sl.removals = append(sl.removals, w.now)
	r := Removal{Service: s.found.Service.ID, Instance: sl.inst}
	for _, at := range sl.removals {
		r.Walls = append(r.Walls, w.wall(at))
	}
	w.known.removals[[2]string{r.Service, r.Instance}] = r.Walls
	w.learn(Memory{Removals: []Removal{r}})
}
