package fleetsim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// Times of an owner, as ECS has them.
const (
	launchTakes     = 5 * time.Second  // until a task has its address and is registered
	noticeTakes     = 3 * time.Second  // until the exit of a process is noticed
	stopTakes       = 2 * time.Second  // from SIGTERM until the process is gone
	deregisterTakes = 15 * time.Second // from the end of a task until its record is gone
	drainTakes      = 20 * time.Second // from its deregistration until SIGTERM, in a deploy
	describeEvery   = 10 * time.Second // how often a checker asks for everything
	forgetTakes     = time.Minute      // how long a stopped task is still described
	eventDelay      = 500 * time.Millisecond
)

// task is one run of a workload by its owner.
type task struct {
	w          *workload
	deployment string
	state      health.EvidenceKind
	version    int64
}

// owner is whoever runs a service's workloads, as ECS does: it wants so many
// tasks, starts and stops them, registers and deregisters them, and says what
// it knows to whoever asks.
type owner struct {
	s           *sim
	svc         *service
	desired     int
	tasks       []*task // in the order of their start
	deployments []string
	next        int // number of the next instance
	ready       time.Duration
	broken      bool // new tasks never serve
	rollout     rollout

	// How its evidence travels.
	lost, duplicated, reordered float64
	delay                       time.Duration
}

// owners are all of them, and the one stream of chance that they share.
type owners struct {
	s   *sim
	all []*owner // as registry.services; nil where nobody is
	rng *rand.Rand
}

func newOwners(s *sim) *owners {
	return &owners{s: s, rng: s.stream("owners"), all: make([]*owner, len(s.story.Services))}
}

// adopt gives a service as the story begins to an owner.
func (o *owners) adopt(svc *service, n int) *owner {
	w := &owner{s: o.s, svc: svc, desired: n, deployments: []string{"v1"}, next: n + 1, ready: 5 * time.Second}
	o.all[svc.index] = w
	for _, x := range o.s.fleet.workloads {
		if x.svc == svc {
			w.tasks = append(w.tasks, &task{w: x, deployment: "v1", state: health.OwnerRunning, version: 1})
		}
	}
	return w
}

// began lets a new process ask every owner now and again.
func (o *owners) began(p *process) {
	for _, w := range o.all {
		if w != nil {
			w.describe(p)
		}
	}
}

// describe answers one process's questions, for as long as it lives.
func (w *owner) describe(p *process) {
	w.whole(p)
	p.after(describeEvery, func() { w.describe(p) })
}

// whole tells a process everything, if the answer gets there.
func (w *owner) whole(p *process) {
	if w.lost > 0 && w.s.owners.rng.Float64() < w.lost {
		return
	}
	asked := p.instant()
	e := warden.Evidenced{}
	for _, t := range w.tasks {
		e.Evidence = append(e.Evidence, w.evidence(t, asked))
	}
	owned := warden.ServiceOwned{
		Service: w.svc.ID, Source: "ecs", Desired: w.desired, Deployments: slices.Clone(w.deployments),
		WritesHealth: w.svc.kind == warden.CustomHealthCheck && w.s.story.Services[w.svc.index].WritesHealth,
	}
	w.s.after(eventDelay+w.delay, p.alive(func() { p.tell(owned, e) }))
}

func (w *owner) evidence(t *task, at health.Instant) health.Evidence {
	return health.Evidence{
		Service: w.svc.ID, Instance: t.w.id, Addr: t.w.at.Addr(), Kind: t.state, Source: "ecs",
		Version: t.version, At: at, Deployment: t.deployment,
	}
}

// becomes changes what the owner says of a task, and tells everybody.
func (w *owner) becomes(t *task, k health.EvidenceKind) {
	t.state = k
	t.version++
	w.s.line.owner("%s: %s", t.w.id, k)
	rng := w.s.owners.rng
	for _, c := range w.s.checkers {
		if c.proc == nil {
			continue
		}
		p := c.proc
		e := warden.Evidenced{Evidence: []health.Evidence{w.evidence(t, p.instant())}}
		times := 1
		if w.duplicated > 0 && rng.Float64() < w.duplicated {
			times = 2
		}
		for range times {
			if w.lost > 0 && rng.Float64() < w.lost {
				continue
			}
			late := eventDelay + w.delay
			if w.reordered > 0 && rng.Float64() < w.reordered {
				late += time.Duration(rng.Int64N(int64(30 * time.Second)))
			}
			w.s.after(late, p.alive(func() { p.tell(e) }))
		}
	}
}

// launch starts a task of the newest deployment.
func (w *owner) launch() *task {
	x := w.s.fleet.find(fmt.Sprintf("%s-%d", w.svc.Name, w.next))
	if x == nil {
		x = w.s.workload(w.svc.index, w.next)
	}
	w.next++
	x.mood, x.since = starting, w.s.now
	t := &task{w: x, deployment: w.deployments[len(w.deployments)-1]}
	w.tasks = append(w.tasks, t)
	w.becomes(t, health.OwnerStarting)
	w.s.after(launchTakes, func() {
		if t.state != health.OwnerStarting {
			return
		}
		w.becomes(t, health.OwnerRunning)
		w.s.own(w.svc, x.id, x.attributes(w.s.story.Services[w.svc.index].Init))
		if !w.broken {
			w.s.fleet.later(x, w.ready, func() { w.s.fleet.become(x, serving, "") })
		}
	})
	return t
}

// stop ends a task as ECS does: first SIGTERM, then, some time later, its record.
func (w *owner) stop(t *task) {
	w.becomes(t, health.OwnerStopping)
	w.s.after(stopTakes, func() { w.ended(t) })
	w.s.after(deregisterTakes, func() { w.s.own(w.svc, t.w.id, nil) })
}

// drain deregisters a task before it is stopped.
func (w *owner) drain(t *task) {
	w.becomes(t, health.OwnerDraining)
	w.s.own(w.svc, t.w.id, nil)
	w.s.after(drainTakes, func() {
		w.becomes(t, health.OwnerStopping)
		w.s.after(stopTakes, func() { w.ended(t) })
	})
}

func (w *owner) ended(t *task) {
	w.s.fleet.become(t.w, vanished, "stopped")
	w.becomes(t, health.OwnerGone)
	w.s.after(forgetTakes, func() {
		w.tasks = slices.DeleteFunc(w.tasks, func(x *task) bool { return x == t })
	})
}

// exits: the process of a task ended by itself. Its owner notices, deregisters
// it, and starts another in its place.
func (w *owner) exits(t *task) {
	w.s.fleet.become(t.w, crashed, "exit")
	w.s.after(noticeTakes, func() {
		w.ended(t)
		w.s.after(deregisterTakes, func() { w.s.own(w.svc, t.w.id, nil) })
		w.level()
	})
}

// live are the tasks that are meant to run.
func (w *owner) live() (out []*task) {
	for _, t := range w.tasks {
		if t.state == health.OwnerStarting || t.state == health.OwnerRunning {
			out = append(out, t)
		}
	}
	return out
}

// level starts or stops tasks until there are as many as desired.
func (w *owner) level() {
	live := w.live()
	for n := len(live); n < w.desired; n++ {
		w.launch()
	}
	for n := len(live); n > w.desired; n-- {
		w.stop(live[n-1])
	}
}

// task is the latest one of an instance.
func (w *owner) task(id string) *task {
	for i := len(w.tasks) - 1; i >= 0; i-- {
		if w.tasks[i].w.id == id {
			return w.tasks[i]
		}
	}
	return nil
}
