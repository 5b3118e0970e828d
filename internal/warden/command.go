package warden

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// Bounds of a freeze (rule 21).
const (
	freezeDefault = time.Hour
	freezeMost    = 72 * time.Hour
	freezeAlarm   = 10 * time.Minute // before it runs out
)

type freeze struct {
	until   health.Instant
	by      string
	note    string
	alarmed bool
}

// thaw follows a freeze that ran out: no removals until the fleet is healthy.
type thaw struct {
	active bool
	well   health.Instant // since when enough passes; zero: it does not
}

func (w *Warden) freeze(e Freeze) {
	if e.For <= 0 {
		e.For = freezeDefault
	}
	e.For = min(e.For, freezeMost)
	w.frozen = freeze{until: w.now.Add(e.For), by: e.By, note: e.Note, alarmed: e.For <= freezeAlarm}
	w.thaw = thaw{}
	w.learnFreeze()
	w.record(Record{Kind: CommandRecord, Reason: policy.Frozen,
		Detail: "freeze for " + e.For.String() + by(e.By) + note(e.Note)})
	if e.CancelPending {
		for _, s := range w.services {
			if s == nil {
				continue
			}
			for _, i := range s.members {
				if j := w.slots[i].job; j != nil && j.Goal == lever.ToOut && j.Pending() {
					w.cancel(s, i, policy.Frozen)
				}
			}
		}
	}
	w.assess()
}

func (w *Warden) unfreeze(e Unfreeze) {
	w.frozen, w.thaw = freeze{}, thaw{}
	w.learnFreeze()
	w.record(Record{Kind: CommandRecord, Reason: policy.Frozen, Admitted: true, Detail: "freeze ended" + by(e.By)})
	w.assess()
}

func (w *Warden) learnFreeze() {
	f := FreezeUntil{By: w.frozen.by, Note: w.frozen.note}
	if w.frozen.until > w.now {
		f.Until = w.wall(w.frozen.until)
	}
	w.learn(Memory{Freeze: &f})
}

// keepFreeze lets a freeze run out, with an alarm before.
func (w *Warden) keepFreeze() {
	switch {
	case w.frozen.until == 0:
	case w.now >= w.frozen.until:
		w.frozen = freeze{}
		w.thaw = thaw{active: true}
		w.learnFreeze()
		w.record(Record{Kind: FleetRecord, Reason: policy.Thawing, Detail: "the freeze ran out: no removals until the fleet is healthy"})
	case !w.frozen.alarmed && w.frozen.until.Sub(w.now) <= freezeAlarm:
		w.frozen.alarmed = true
		w.record(Record{Kind: FleetRecord, Reason: policy.Frozen, Detail: "the freeze runs out in " + w.frozen.until.Sub(w.now).Round(time.Second).String()})
	}
}

// keepThaw ends the time after a freeze once enough of the fleet passes for
// long enough.
func (w *Warden) keepThaw() {
	if !w.thaw.active {
		return
	}
	ever, passing := 0, 0
	for i := range w.slots {
		if w.slots[i].used && w.states[i].Ever && w.slots[i].told != health.OwnerGone {
			ever++
			if w.states[i].Last == health.Pass {
				passing++
			}
		}
	}
	switch {
	case float64(passing)*100 < w.cfg.Fleet.ThawPercent*float64(ever):
		w.thaw.well = 0
	case w.thaw.well == 0:
		w.thaw.well = w.now
	case w.now.Sub(w.thaw.well) >= w.cfg.Fleet.ThawFor:
		w.thaw = thaw{}
	}
}

func (w *Warden) release(e Release) {
	w.bank.Storm, w.bank.Recent = false, nil
	w.record(Record{Kind: CommandRecord, Reason: policy.Storm, Admitted: true, Detail: "storm latch released" + by(e.By)})
	w.markAll()
}

// restoreAsked brings back what an operator names, whatever its health.
func (w *Warden) restoreAsked(e RestoreAsked) {
	w.record(Record{Kind: CommandRecord, Reason: policy.Operator, Instance: e.Instance, Detail: "return asked for" + by(e.By)})
	for _, s := range w.services {
		if s == nil || !e.All && e.Service != s.found.Service.ID && e.Service != s.found.Service.String() {
			continue
		}
		for _, i := range s.members {
			sl := &w.slots[i]
			if (e.All || sl.inst == e.Instance) && sl.entry != nil && sl.entry.IsOut() {
				sl.asked, sl.notUntil = true, 0
				w.mark(s)
			}
		}
	}
}

func (w *Warden) retire(e Retire) {
	w.retiring = true
	w.record(Record{Kind: CommandRecord, Reason: policy.Retiring, Detail: "mapwarden leaves: everything is returned" + by(e.By)})
	w.assess()
	w.markAll()
}

// keepRetired ends the process once nothing of ours is left out.
func (w *Warden) keepRetired() {
	if !w.retiring || w.retired || len(w.jobs) > 0 {
		return
	}
	for i := range w.slots {
		if e := w.slots[i].entry; e != nil && e.IsOut() {
			return
		}
	}
	w.retired = true
	w.record(Record{Kind: FleetRecord, Reason: policy.Retiring, Admitted: true, Detail: "everything is returned"})
	w.emit(Retired{})
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + who
}

func note(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}
