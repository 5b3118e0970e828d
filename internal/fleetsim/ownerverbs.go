package fleetsim

import (
	"slices"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
)

// ownerVerbs are the statements about those who run the workloads.
var ownerVerbs = map[string]func(*words) func(*sim){
	"deploy":     deploy,
	"scale":      scale,
	"stop-task":  ofTask(func(o *owner, t *task) { o.desired--; o.stop(t) }),
	"exit":       ofTask((*owner).exits),
	"evidence":   evidenceTravels,
	"contradict": contradict,
}

// owned takes the name of a service that has an owner.
func (w *words) owned() func(*sim) *owner {
	t := w.next("a service with owner=ecs")
	k := slices.IndexFunc(w.p.story.Services, func(x ServiceStory) bool { return x.Name == t.text && x.Owned })
	if k < 0 {
		w.failAt(t.col, "%q is not a service with owner=ecs", t.text)
		return nil
	}
	return func(s *sim) *owner { return s.owners[k] }
}

// deploy: "deploy web surge ready=120s" or "deploy web rolling broken=yes".
func deploy(w *words) func(*sim) {
	of := w.owned()
	r := oneOf(w, "how", rollouts)
	ready, broken := 30*time.Second, false
	for len(w.rest) > 0 && w.p.err == nil {
		var err error
		switch key, value, col := w.pair(); {
		case key == "ready":
			if ready, err = parseSpan(value); err != nil {
				w.failAt(col, "%v", err)
			}
		case key == "broken" && value == "yes":
			broken = true
		default:
			w.failAt(col, "%q is neither ready=DURATION nor broken=yes", key+"="+value)
		}
	}
	return func(s *sim) {
		o := of(s)
		o.ready, o.broken = ready, broken
		o.deploy(r)
	}
}

func scale(w *words) func(*sim) {
	of := w.owned()
	n := w.number("how many")
	return func(s *sim) {
		o := of(s)
		o.desired = n
		o.level()
	}
}

// ofTask does something to the tasks of instances.
func ofTask(do func(*owner, *task)) func(*words) func(*sim) {
	return func(w *words) func(*sim) {
		which := w.instances()
		return func(s *sim) {
			for _, x := range which(s) {
				if o := s.owners[x.svc.index]; o != nil {
					if t := o.task(x.id); t != nil {
						do(o, t)
					}
				}
			}
		}
	}
}

// evidenceTravels: "evidence web lost=50% duplicated=10% reordered=30% delay=20s".
func evidenceTravels(w *words) func(*sim) {
	of := w.owned()
	var x travel
	for len(w.rest) > 0 && w.p.err == nil {
		key, value, col := w.pair()
		if key == "delay" {
			d, err := parseSpan(value)
			if err != nil {
				w.failAt(col, "%v", err)
			}
			x.delay = d
			continue
		}
		at := map[string]*float64{"lost": &x.lost, "duplicated": &x.duplicated, "reordered": &x.reordered}[key]
		share, err := parsePercent(value)
		switch {
		case at == nil:
			w.failAt(col, "%q is not one of %s", key, strings.Join([]string{"delay", "duplicated", "lost", "reordered"}, ", "))
		case err != nil:
			w.failAt(col, "%v", err)
		default:
			*at = share / 100
		}
	}
	return func(s *sim) {
		of(s).voice.travel = x
	}
}

// contradict: "contradict web HEALTHY every 30s for 20m": a second writer sets
// the statuses of a service, whatever they are.
func contradict(w *words) func(*sim) {
	which := w.instances()
	to := oneOf(w, "HEALTHY or UNHEALTHY", statuses)
	every := 30 * time.Second
	if w.took("every") {
		every = max(w.span("how often"), time.Second)
	}
	during := w.down()
	return func(s *sim) {
		end := s.now + during
		var again func()
		again = func() {
			for _, x := range which(s) {
				s.contradict(x, to)
			}
			if during == 0 || s.now+every < end {
				s.after(every, again)
			}
		}
		again()
	}
}

// contradict sets a status that is not what the second writer wants, or is
// about to be something else.
func (s *sim) contradict(x *workload, to health.Status) {
	r := x.svc.truth.get(x.id)
	if r == nil || r.status == to && (r.change == nil || r.change.to == to) {
		return
	}
	if fault := s.registry.setStatus(x.svc, x.id, to, byForeigner); fault != lever.OK {
		s.line.physics("refuses that: %s", fault)
	}
}
