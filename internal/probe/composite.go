package probe

import (
	"strings"
	"sync"

	"github.com/mapwarden/mapwarden/internal/health"
)

// composite asks all parts of the check at once, within its one timeout, and
// makes one result of theirs. A part that nobody waits for any more is asked to
// its end all the same: what it says is shown beside the others.
func (a *attempt) composite() {
	pr := &a.target.Check.Probe
	asked := pr.Leaves(nil)
	leaves := make([]attempt, len(asked))
	var wg sync.WaitGroup
	for i := range asked {
		t := *a.target
		t.Check.Probe = asked[i]
		t.Check.Probe.Combine, t.Check.Probe.Invert = health.Single, false // the whole sees to that
		leaves[i] = attempt{p: a.p, ctx: a.ctx, target: &t, phases: new(Phases), addr: dialAddr(&t), deadline: a.deadline}
		leaves[i].obs.Start = a.obs.Start
		wg.Go(leaves[i].ask)
	}
	wg.Wait()
	parts := make([]health.Part, len(asked))
	for i := range leaves {
		o := &leaves[i].obs
		parts[i] = health.Part{Name: partName(&asked[i]), Outcome: o.Outcome, Cause: o.Cause}
		a.obs.Draining = a.obs.Draining || o.Draining
		if a.obs.Identity == (health.Identity{}) || o.Cause == health.Stranger {
			a.obs.Identity = o.Identity
		}
	}
	whole := pr.Judge(parts)
	a.obs.Outcome, a.obs.Cause, a.obs.Detail = whole.Outcome, whole.Cause, printable(detailOf(parts, leaves))
	a.obs.Parts = parts
	a.obs.Draining = a.obs.Draining && whole.Cause != health.Stranger
	leaves[0].phases.Addr = a.phases.Addr
	*a.phases = *leaves[0].phases
	a.obs.End = a.p.now()
}

// partName is what the config calls a part, or what it asks.
func partName(p *health.Probe) string {
	if p.Name != "" {
		return p.Name
	}
	plain := *p
	plain.Invert = false // a part shows what it says itself
	return plain.String()
}

// detailOf tells of the parts that do not pass, or else that all do.
func detailOf(parts []health.Part, leaves []attempt) string {
	var said []string
	for i, part := range parts {
		if part.Outcome != health.Pass {
			said = append(said, part.Name+": "+leaves[i].obs.Detail)
		}
	}
	if len(said) == 0 {
		return "all parts pass"
	}
	return strings.Join(said, "; ")
}
