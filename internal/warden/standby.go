package warden

import (
	"github.com/mapwarden/mapwarden/internal/lever"
)

// learn stores what should outlive the process. Only who holds the lease
// stores anything; a standby stores it when it takes over.
func (w *Warden) learn(m Memory) {
	if w.loaded {
		w.emit(Learn{m})
	}
}

// succeed joins what the vantage that led before us stored with what this one
// learnt while it stood by: whatever one of them knows is known, and stored.
func (w *Warden) succeed(from Memory) {
	stored := make(map[[2]string]Passed, len(from.Passed))
	for _, p := range from.Passed {
		stored[[2]string{p.Service, p.Instance}] = p
	}
	for _, s := range w.services {
		if s == nil {
			continue
		}
		w.succeedArmed(s)
		for _, i := range s.members {
			sl := &w.slots[i]
			p := stored[[2]string{s.found.Service.ID, sl.inst}]
			if w.states[i].Ever && !sl.initDown() && (p.Incarnation != sl.hash || p.Probe != s.probe) {
				w.learnPassed(s, i)
			}
			w.recall(s, i)
		}
	}
}

// succeedArmed: a check that either of them proved is proven, and one on trial
// has been so since the earlier of the two began.
func (w *Warden) succeedArmed(s *service) {
	t, ok := w.known.tried[s.found.Service.ID]
	if !ok || t.probe != s.probe {
		w.learnArmed(s)
		return
	}
	ours := s.armed
	s.armed = s.armed || t.proven
	s.armedAt = min(s.armedAt, t.since)
	if ours && !t.proven {
		w.learnArmed(s)
	}
}

// adopted is the slot of an open entry: a new one, or where the instance is a
// target already, its own. Where another incarnation lives there now, the
// journal's is looked at until a listing tells what became of it.
func (w *Warden) adopted(s *service, entry lever.Entry) int {
	i, ok := s.byID[entry.Instance]
	if ok && w.slots[i].inc == entry.Incarnation {
		w.slots[i].attrs = entry.Attributes
		w.setZone(i)
		return i
	}
	if ok {
		w.dropSlot(s, i)
	}
	return w.addSlot(s, entry.Instance, entry.Attributes, entry.Incarnation)
}
