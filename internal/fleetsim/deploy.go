package fleetsim

import (
	"fmt"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// rollout is how a deploy replaces tasks: how many new ones at a time are
// started, and whether the old ones make room before or after.
type rollout struct {
	batch  float64 // share of the desired count
	before bool    // the old ones stop first
	all    bool    // old ones stop only when every new one serves
}

var rollouts = map[string]rollout{
	"rolling":   {before: true},
	"surge":     {batch: 0.25},
	"bluegreen": {batch: 1, all: true},
}

// deploy replaces every task by one of a new deployment.
func (w *owner) deploy(r rollout) {
	w.rollout = r
	w.deployments = append(w.deployments, fmt.Sprintf("v%d", w.generation()+1))
	w.s.line.owner("%s: deployment %s begins", w.svc.Service, w.newest())
	w.speak()
	w.roll()
}

func (w *owner) newest() string { return w.deployments[len(w.deployments)-1] }

func (w *owner) generation() (n int) {
	fmt.Sscanf(w.newest(), "v%d", &n)
	return n
}

// rollEvery is how often a deploy looks at how far it is.
const rollEvery = time.Second

// roll goes one step, and again until the deploy is over.
func (w *owner) roll() {
	var old, new []*task
	ready := 0
	for _, t := range w.live() {
		if t.deployment != w.newest() {
			old = append(old, t)
			continue
		}
		new = append(new, t)
		if t.state == health.OwnerRunning && t.w.mood == serving {
			ready++
		}
	}
	if len(old) == 0 && ready >= w.desired {
		w.deployments = []string{w.newest()}
		w.speak()
		w.s.line.owner("%s: deployment %s is complete", w.svc.Service, w.newest())
		return
	}
	batch := max(1, int(w.rollout.batch*float64(w.desired)))
	starting := len(new) - ready
	switch {
	case w.rollout.before && starting == 0 && len(new) < w.desired:
		if len(old) > 0 {
			w.stop(old[0])
		}
		w.launch()
	case w.rollout.before:
	case starting == 0 && len(new) < w.desired && len(old)+len(new) <= w.desired:
		for range min(batch, w.desired-len(new)) {
			w.launch()
		}
	case len(old)+ready > w.desired && (!w.rollout.all || ready >= w.desired) && len(old) > 0:
		for _, t := range old[:min(len(old), len(old)+ready-w.desired)] {
			w.drain(t)
		}
	}
	w.s.after(rollEvery, w.roll)
}
