package fleetsim

import (
	"fmt"
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// Times of an owner, as ECS has them.
const (
	launchTakes     = 5 * time.Second  // until a task has its address and is registered
	noticeTakes     = 3 * time.Second  // until the exit of a process is noticed
	stopTakes       = 2 * time.Second  // from SIGTERM until the process is gone
	deregisterTakes = 15 * time.Second // from the end of a task until its record is gone
	drainTakes      = 20 * time.Second // from its deregistration until SIGTERM, in a deploy
	forgetTakes     = time.Minute      // how long a stopped task is still described
)

// task is one run of a workload by its owner.
type task struct {
	w          *workload
	deployment string
	state      health.EvidenceKind
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
	voice       *spokesman
}

// adopt gives a service as the story begins to an owner.
func (s *sim) adopt(svc *service, n int) {
	w := &owner{s: s, svc: svc, desired: n, deployments: []string{"v1"}, next: n + 1, ready: 5 * time.Second, voice: s.spokesman(svc)}
	w.voice.of.WritesHealth = s.story.Services[svc.index].WritesHealth
	s.owners[svc.index] = w
	for _, x := range s.fleet.workloads {
		if x.svc == svc {
			w.tasks = append(w.tasks, &task{w: x, deployment: "v1", state: health.OwnerRunning})
			w.voice.words[x.id] = saying{kind: health.OwnerRunning, version: 1, deployment: "v1"}
		}
	}
	w.speak()
}

// becomes changes what the owner says of a task.
func (w *owner) becomes(t *task, k health.EvidenceKind) {
	t.state = k
	w.s.line.owner("%s: %s", t.w.id, k)
	w.voice.announce(t.w.id, saying{kind: k, deployment: t.deployment})
}

// speak says what became of the whole service.
func (w *owner) speak() {
	w.voice.of.Desired, w.voice.of.Deployments = w.desired, slices.Clone(w.deployments)
	w.voice.tasks = w.voice.tasks[:0:0]
	for _, t := range w.tasks {
		w.voice.tasks = append(w.voice.tasks, t.w.id)
	}
	w.voice.speak()
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
	w.s.fleet.leave(t.w)
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
	defer w.speak()
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
