package fleetsim

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// onset is when an instance of a zone began to fail, as one process saw it.
type onset struct {
	at   time.Duration
	zone string
}

// batch checks what the removal of an instance with its whole zone rests on.
func (y *eye) batch(svc *service, cfg warden.ServiceConfig, what string, e *lever.Entry) {
	k := key{svc.ID, e.Instance}
	x, zone := y.sight(k), e.Attributes.Get(health.AttrZone)
	f := &y.j.s.story.Settings.Fleet
	agree, from, needs := 0, map[string]bool{}, len(y.j.s.story.Settings.Vantages)/2+1
	for _, other := range y.j.eyes {
		if other.dark(zone, y.now()-f.ZoneFor) {
			agree++
			from[other.p.c.zone] = true
		}
	}
	switch {
	case zone == "":
		y.fail("%s with its zone, and it has none", what)
	case agree < 2 || agree < needs || len(from) < 2:
		y.fail("%s with zone %s, which %d vantages of %d zones see fail wholly for %s", what, zone, agree, len(from), f.ZoneFor)
	case len(y.j.s.network.faults) == 0 && y.wronged(x, e.Instance):
		y.fail("%s, which has served well since before it seemed to fail", what)
	case svc.kind == warden.NoHealthCheck && y.now()-x.since < cfg.Policy.Hold:
		y.fail("%s before its hold is over", what)
	case y.now()-y.p.born < cfg.Policy.WarmUp || x.probes < cfg.Policy.WarmUpProbes:
		y.fail("%s within the warm-up", what)
	case !y.everPassed(svc, e.Instance):
		y.fail("%s, which never passed", what)
	}
}

// dark reports whether a process saw every instance of a zone fail since then,
// and somebody pass in another zone.
func (y *eye) dark(zone string, since time.Duration) bool {
	if y.p.dead {
		return false
	}
	there, elsewhere := 0, false
	for k, x := range y.sights {
		w := y.j.s.fleet.find(k[1])
		switch {
		case w == nil || !x.ever:
		case w.zone != zone:
			elsewhere = elsewhere || x.last == health.Pass
		case x.last == health.Pass || x.since > since+slack:
			return false
		default:
			there++
		}
	}
	return there >= y.j.s.story.Settings.Fleet.ZoneLeast && elsewhere
}
