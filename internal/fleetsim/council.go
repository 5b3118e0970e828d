package fleetsim

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// quorum checks that more than half of the vantages saw an instance fail as
// often as its check wants, in a row or now and then, from two zones where they stand in several, lately
// enough for their votes to count, and that none of those doubted itself.
func (j *judge) quorum(k key, cfg warden.ServiceConfig) bool {
	vantages := j.s.story.Settings.Vantages
	if len(vantages) == 1 {
		return true
	}
	lately := j.s.now - 5*cfg.Check.Interval
	accuses, zones, all := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, v := range vantages {
		all[v.Zone] = true
	}
	for _, y := range j.eyes {
		x := y.sights[k]
		doubts := j.s.now < y.doubt && j.s.now-(y.doubt-j.s.story.Settings.Fleet.Abstain) > fresh
		if x != nil && (x.accused > 0 && x.accused >= lately || x.grayAt > 0) && !doubts {
			accuses[y.p.c.name], zones[y.p.c.zone] = true, true
		}
	}
	return len(accuses) > len(vantages)/2 && (len(zones) > 1 || len(all) == 1)
}

// zoneDead reports whether two vantages, with enough targets in the zone of an
// instance, saw every one of them fail by its latest probe.
func (j *judge) zoneDead(id string) bool {
	const enough = 3
	zone, dead := j.s.fleet.find(id).zone, 0
	for _, p := range processes(j.s.checkers) {
		n, failing := 0, 0
		for k, x := range p.eye.sights { // counting, in any order
			w := j.s.fleet.find(k[1])
			if w == nil || w.zone != zone || x.last == health.Indeterminate {
				continue
			}
			n++
			if x.last == health.Fail {
				failing++
			}
		}
		if n >= enough && n == failing {
			dead++
		}
	}
	return dead >= 2
}

// written is the latest write of a status.
type written struct {
	by *process
	to health.Status
	at time.Duration
}

// rivals checks who writes: nobody whose lease ran out; and of two who both
// believe that they lead neither removes what the other returned. The other way
// round is a successor that takes back what it cannot confirm.
func (j *judge) rivals(p *process, k key, call lever.Call) {
	if p.tenure.until != health.Never && j.s.now > p.when(p.tenure.until)+slack*10 {
		j.fail("%s of %s by %s, %s after its lease", call.Op, k[1], p.c.name, j.s.now-p.when(p.tenure.until))
	}
	if call.Op != lever.SetStatus {
		return
	}
	if old, ok := j.wrote[k]; ok && old.by != p && !old.by.dead && old.by.tenure.leads &&
		old.to == health.Healthy && call.Status == health.Unhealthy && j.s.now-old.at < j.s.story.Settings.CustomDelay {
		j.fail("%s sets %s of %s, and %s set %s %s ago: both lead", p.c.name, call.Status, k[1], old.by.c.name, old.to, j.s.now-old.at)
	}
	j.wrote[k] = written{p, call.Status, j.s.now}
}
