package warden

import (
	"cmp"
	"slices"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// configure takes a configuration, at start or after a reload. Whatever could
// make an old judgement wrong begins anew (rule 10).
func (w *Warden) configure(c Config) {
	first := !w.configured
	w.cfg, w.configured = c, true
	if !w.several() {
		w.peers = nil
	}
	if first {
		w.rewarm("")
	}
	changed := false
	for _, s := range w.services {
		if s == nil {
			continue
		}
		if !c.Scope.Covers(s.found.Service) {
			changed = changed || s.present
			if w.unscope(s); !w.journalled(s) {
				continue
			}
		}
		before, probe := s.cfg, s.probe
		w.settle(s)
		if s.probe != probe {
			w.unlearn(s)
		}
		if !before.Equal(s.cfg) {
			changed = true
			w.renew(s)
		}
	}
	w.assess()
	if !first {
		w.record(Record{Kind: FleetRecord, Detail: "configuration reloaded"})
		if changed {
			w.rewarm("the configuration changed")
		}
	}
}

// unscope looks at a service no more. What the journal still holds of it stays.
// Whoever is there when it comes back into scope was there before we looked.
func (w *Warden) unscope(s *service) {
	w.outside[s.found.Service.ID] = true
	if !w.journalled(s) {
		w.dropService(s)
		return
	}
	s.present, s.late, s.listed = false, false, 0
}

// renew gives the members of a service its new check, and forgets what would
// have been done in another mode.
func (w *Warden) renew(s *service) {
	s.drill = policy.DrillNone
	for _, i := range s.members {
		if sl := &w.slots[i]; sl.memo.Shadow {
			sl.memo = policy.Memo{Standing: policy.In, Since: w.now}
		}
		w.watch(s, i)
	}
}

// unlearn forgets what the members of a service did under another check, and
// recalls what they did under this one (rule 4). They were here before it.
func (w *Warden) unlearn(s *service) {
	for _, i := range s.members {
		w.setFailing(i, false)
		w.states[i] = health.State{}
		w.reconsider(i)
		w.slots[i].isNew = false
		w.recall(s, i)
		w.recallEntry(i)
	}
}

// load takes what outlived the last process: open entries become targets
// again at once, and what a crash cut short is continued. Neither waits for a
// listing or a warm-up (rule 13). It comes first of all; or late, to a standby
// that takes over and has its targets already.
func (w *Warden) load(e Loaded) {
	w.loaded = true
	w.remember(e.Memory)
	w.recallDrains(e.Memory.Drains)
	w.succeed(e.Memory)
	w.lost = e.Lost
	if f := e.Memory.Freeze; f != nil && f.Until > w.wall(w.now) {
		left := min(w.instant(f.Until).Sub(w.now), freezeMost)
		if until := w.now.Add(left); until > w.frozen.until {
			w.frozen = freeze{until: until, by: f.By, note: f.Note}
		}
	} else if w.frozen.until > w.now {
		w.learnFreeze()
	} else if f != nil && f.Until != 0 { // it ran out while no process was there
		w.thaw = thaw{active: true}
	}
	entries := slices.Clone(e.Entries)
	slices.SortFunc(entries, func(a, b lever.Entry) int {
		return cmp.Or(cmp.Compare(a.Service.ID, b.Service.ID), cmp.Compare(a.Instance, b.Instance))
	})
	for _, entry := range entries {
		w.adopt(entry)
	}
	w.assess()
	if e.Lost {
		w.record(Record{Kind: FleetRecord, Reason: policy.LostJournal, Detail: "the journal that was here is gone: no removals"})
	}
}

// adopt makes the instance of an open entry a target again, and resumes its job.
func (w *Warden) adopt(entry lever.Entry) {
	found := ServiceFound{Service: entry.Service}
	if entry.Kind == lever.CustomStatus {
		found.HealthCheck = CustomHealthCheck
	}
	s := w.service(found)
	i := w.adopted(s, entry)
	sl := &w.slots[i]
	sl.entry = &entry
	w.entries++
	sl.outAt = w.now
	if entry.Phase == lever.Returned {
		sl.restored = w.past(entry.Updated)
	}
	if entry.OutSince != 0 {
		sl.outAt = w.past(entry.OutSince)
	}
	if entry.IsOut() {
		sl.memo = policy.Memo{Standing: policy.Out, Reason: entry.Reason, Since: sl.outAt}
		if entry.Waiting {
			sl.memo.Standing = policy.Waiting
		}
	}
	w.recallEntry(i)
	if !sl.watched {
		w.watch(s, i)
	}
	w.recordSlot(s, sl, Record{Kind: FleetRecord, Reason: entry.Reason, Lever: entry.Kind,
		Detail: "adopted a journal entry in phase " + string(entry.Phase)})
	if j, c, ok := lever.Resume(entry, w.cfg.Pace, w.epoch, w.now); ok {
		if entry.Kind == lever.Drill {
			s.drill = policy.DrillRunning
		}
		w.attach(i, j, c, entry.Reason)
	}
}

// stop lets no job begin to write, or write once more; those that wrote are
// continued by the next process where this one does not live to see their end
// (rule 21).
func (w *Warden) stop() {
	w.stopping = true
	for _, j := range slices.Clone(w.jobs) {
		if !j.Pending() {
			lj, c, replaced := j.Job.Cancel(policy.Stopping, !j.issued, w.now)
			j.Job = lj
			if replaced {
				w.follow(j, c)
			}
		}
	}
	w.assess()
}

// Idle reports whether no job is under way: a good moment to end the process.
func (w *Warden) Idle() bool { return len(w.jobs) == 0 }

// OpenEntries is the number of open journal entries.
func (w *Warden) OpenEntries() int { return w.entries }

// Now is the instant of the latest Handle.
func (w *Warden) Now() health.Instant { return w.now }
