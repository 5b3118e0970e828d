package warden

import (
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// Bounds of a drain (rule 21).
const (
	drainDefault = time.Hour
	drainMost    = 72 * time.Hour
)

// drain is an operator's wish to have one instance out until a time.
type drain struct {
	service, instance string // ids
	until             health.Instant
	by, note          string
}

// drainOf is the drain of an instance, nil where there is none.
func (w *Warden) drainOf(service, instance string) *drain {
	for i := range w.drains {
		if d := &w.drains[i]; d.service == service && d.instance == instance {
			return d
		}
	}
	return nil
}

// drainAsked takes an instance out on an operator's word. A second drain of it
// replaces the first.
func (w *Warden) drainAsked(e Drain) {
	s, i, ok := w.named(e.Service, e.Instance)
	if !ok {
		return
	}
	if e.For <= 0 {
		e.For = drainDefault
	}
	e.For = min(e.For, drainMost)
	d := drain{service: s.found.Service.ID, instance: e.Instance, until: w.now.Add(e.For), by: e.By, note: e.Note}
	w.forgetDrain(d.service, d.instance)
	w.drains = append(w.drains, d)
	w.learnDrain(d, w.wall(d.until))
	w.slots[i].asked = false
	w.recordSlot(s, &w.slots[i], Record{Kind: CommandRecord, Reason: policy.Drained,
		Detail: "drain for " + e.For.String() + by(e.By) + note(e.Note)})
	w.mark(s)
}

// undrainAsked ends a drain; what it took out is brought back, whatever its
// health: the operator says so.
func (w *Warden) undrainAsked(e Undrain) {
	s, i, ok := w.named(e.Service, e.Instance)
	if !ok || w.drainOf(s.found.Service.ID, e.Instance) == nil {
		return
	}
	w.endDrain(s.found.Service.ID, e.Instance)
	sl := &w.slots[i]
	if sl.entry != nil && sl.entry.IsOut() && sl.entry.Reason == policy.Drained {
		sl.asked, sl.notUntil = true, 0
	}
	w.recordSlot(s, sl, Record{Kind: CommandRecord, Reason: policy.Drained, Admitted: true, Detail: "drain ended" + by(e.By)})
	w.mark(s)
}

// named finds an instance by its service's id or "namespace/name".
func (w *Warden) named(of, instance string) (*service, int, bool) {
	for _, s := range w.services {
		if s == nil || of != s.found.Service.ID && of != s.found.Service.String() {
			continue
		}
		if i, ok := s.byID[instance]; ok {
			return s, i, true
		}
	}
	return nil, 0, false
}

// keepDrains lets drains run out. What they took out returns once it passes.
func (w *Warden) keepDrains() {
	for _, d := range slices.Clone(w.drains) {
		if w.now < d.until {
			continue
		}
		w.endDrain(d.service, d.instance)
		if s, i, ok := w.named(d.service, d.instance); ok {
			w.recordSlot(s, &w.slots[i], Record{Kind: FleetRecord, Reason: policy.Drained, Admitted: true, Detail: "the drain ran out"})
			w.mark(s)
		}
	}
}

func (w *Warden) endDrain(service, instance string) {
	w.forgetDrain(service, instance)
	w.learnDrain(drain{service: service, instance: instance}, 0)
}

func (w *Warden) forgetDrain(service, instance string) {
	w.drains = slices.DeleteFunc(w.drains, func(d drain) bool { return d.service == service && d.instance == instance })
}

func (w *Warden) learnDrain(d drain, until int64) {
	w.learn(Memory{Drains: []DrainUntil{{Service: d.service, Instance: d.instance, Until: until, By: d.by, Note: d.note}}})
}

// recallDrains takes the drains that the last process left; what ran out in
// the meantime ends at the next look.
func (w *Warden) recallDrains(from []DrainUntil) {
	for _, d := range from {
		left := min(w.instant(d.Until).Sub(w.now), drainMost)
		w.forgetDrain(d.Service, d.Instance)
		w.drains = append(w.drains, drain{service: d.Service, instance: d.Instance, until: w.now.Add(max(left, 0)), by: d.By, note: d.Note})
	}
}
