package warden

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// restarting are the gates after which runs and holds begin anew. Those of a
// service alone are in it, too; they never close for the fleet.
var restarting = policy.Restarting()

// assess sums up the fleet anew and notices gates that close or lift.
func (w *Warden) assess() {
	w.onset = false
	for len(w.onsets) > 0 && w.onsets[0].At <= w.now.Add(-w.cfg.Fleet.MassWindow) {
		w.onsets = w.onsets[1:]
	}
	before := w.outlook
	w.outlook = policy.Assess(policy.World{
		Loaded: w.loaded, Synced: w.synced, LostJournal: w.lost,
		Frozen: w.frozen.until > w.now, Thawing: w.thaw.active, Stopping: w.stopping, Retiring: w.retiring,
		WarmSince: w.warmSince, Doubt: w.doubt, DoubtUntil: w.doubted, MassUntil: w.massUntil,
		Matrix: w.matrix(), ZoneSince: before.ZoneSince,
		Standby: w.several() && !w.loaded, Accusers: w.accusers(), Quorum: w.needs(),
		Targets: w.targets, Failing: w.failing, Onsets: w.onsets,
	}, w.cfg.Fleet, w.now)
	w.massUntil = w.outlook.MassUntil
	if w.outlook.Doubt == health.DoubtPartition && w.outlook.DoubtUntil > w.doubted {
		w.doubt, w.doubted = w.outlook.Doubt, w.outlook.DoubtUntil
	}
	w.zonesMoved(before)
	lifted := false
	for _, r := range restarting {
		was, is := before.Has(r), w.outlook.Has(r)
		if was != is {
			w.gateMoved(r, is)
			lifted = lifted || was
		}
	}
	if lifted {
		for _, s := range w.services {
			if s != nil {
				w.restart(s)
			}
		}
	}
}

func (w *Warden) gateMoved(r policy.Reason, closed bool) {
	detail := "removals are withheld everywhere"
	if r == policy.SelfDoubt {
		detail += ": the checker doubts itself (" + w.outlook.Doubt.String() + ")"
	}
	if !closed {
		detail = "lifted; failure runs and holds begin anew"
	}
	w.record(Record{Kind: FleetRecord, Reason: r, Admitted: !closed, Detail: detail})
	w.markAll()
}

func (w *Warden) markAll() {
	for _, s := range w.services {
		if s != nil {
			w.mark(s)
		}
	}
}

// restart begins the failure runs and holds of a service anew (rule 6).
func (w *Warden) restart(s *service) {
	for _, i := range s.members {
		w.states[i] = health.Restart(w.states[i])
		w.slots[i].memo.Holding, w.slots[i].memo.Slow = 0, 0
	}
	w.cast.all = true
	w.mark(s)
}

// rewarm begins the warm-up of everything anew (rule 10).
func (w *Warden) rewarm(why string) {
	w.warmSince = w.now
	w.cast.all = true
	for i := range w.slots {
		if w.slots[i].used {
			w.states[i] = health.Rewarm(w.states[i])
			w.slots[i].memo.Holding, w.slots[i].memo.Slow = 0, 0
		}
	}
	if why != "" {
		w.record(Record{Kind: FleetRecord, Reason: policy.WarmUp, Detail: "warm-up begins anew: " + why})
	}
	w.markAll()
}

// doubtSelf abstains from accusing for a while (rule 2).
func (w *Warden) doubtSelf(d health.Doubt) {
	if d == health.NoDoubt {
		return
	}
	w.doubt, w.doubted = d, w.now.Add(w.cfg.Fleet.Abstain)
	if d == health.DoubtPaused {
		w.rewarm("the process stood still")
	}
	w.assess()
}

// keep looks at what changes by time alone.
func (w *Warden) keep() {
	w.nextKeep = w.now.Add(housekeeping)
	if !w.configured {
		return
	}
	w.keepVantages()
	w.keepFreeze()
	w.keepThaw()
	w.keepDrains()
	w.assess()
	storm := w.bank.Storm
	w.bank = w.bank.Settle(w.outlook, w.cfg.Fleet, w.now)
	w.stormMoved(storm)
	for _, s := range w.services {
		if s != nil {
			w.keepService(s)
		}
	}
	w.keepLeavers()
	w.keepRetired()
}

func (w *Warden) keepService(s *service) {
	stale := s.listed != 0 && w.now.Sub(s.listed) > w.cfg.Fleet.StaleAfter
	if stale != s.stale {
		s.stale = stale
		if stale {
			w.recordService(s, Record{Kind: FleetRecord, Reason: policy.Stale,
				Detail: "no complete listing for " + w.now.Sub(s.listed).Round(time.Second).String()})
		} else {
			w.restart(s)
		}
		w.mark(s)
	}
	w.keepWarm(s)
	w.keepWords(s)
	w.keepOut(s)
	w.keepShared(s)
	n := 0
	for _, until := range s.ghosts {
		if until > w.now {
			s.ghosts[n] = until
			n++
		}
	}
	if n != len(s.ghosts) {
		s.ghosts = s.ghosts[:n]
		w.mark(s)
	}
	if s.drill == policy.DrillBad && w.now >= s.drillUntil {
		s.drill = policy.DrillNone
		w.mark(s)
	}
	if !s.armed {
		w.arm(s)
	}
}

// keepWarm notices the end of the warm-up: runs and holds begin anew, so it is
// asked before each judgement, not only once in a while.
func (w *Warden) keepWarm(s *service) {
	warming := w.now < w.warmSince.Add(s.cfg.Policy.WarmUp)
	if s.warming && !warming {
		w.restart(s)
	}
	s.warming = warming
}

// stormMoved tells of the storm latch where it is not as before.
func (w *Warden) stormMoved(before bool) {
	if w.bank.Storm == before {
		return
	}
	detail := "too many removals in a short time: no more until the fleet is calm"
	if !w.bank.Storm {
		detail = "the fleet is calm again"
	}
	w.record(Record{Kind: FleetRecord, Reason: policy.Storm, Admitted: !w.bank.Storm, Detail: detail})
	w.markAll()
}

// A check is armed for a service once so many of its instances passed it …
const armShare = 95 // percent; below armSmall instances: all but one
const armSmall = 20

// arm proves a check on a service (rule 4): 95 % of the instances pass it by
// their latest observation (all but one of fewer than 20, and at least one),
// prove after it was first tried. What has gone, as its owner says, is none.
func (w *Warden) arm(s *service) {
	n, passing := 0, 0
	for _, i := range s.members {
		if sl := &w.slots[i]; (sl.registered || sl.entry != nil) && sl.told != health.OwnerGone {
			n++
			if w.states[i].Ever && w.states[i].Last == health.Pass {
				passing++
			}
		}
	}
	enough := passing >= 1 && passing >= n-1
	if n >= armSmall {
		enough = passing*100 >= armShare*n
	}
	if !enough || w.now.Sub(s.armedAt) < s.cfg.Policy.Prove {
		return
	}
	s.armed = true
	w.learnArmed(s)
	w.recordService(s, Record{Kind: FleetRecord, Reason: policy.CheckUnproven, Admitted: true, Detail: "the check is proven on this service"})
	w.mark(s)
}
