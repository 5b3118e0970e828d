package fleetsim

import (
	"slices"

	"github.com/mapwarden/mapwarden/internal/health"
)

// depends: what a deep check says of what a workload needs: "depends web db bad".
func depends(w *words) func(*sim) {
	which := w.instances()
	d := health.Dependency{Name: w.next("what it needs").text, Critical: true}
	d.Outcome = oneOf(w, "bad or ok", map[string]health.Outcome{"bad": health.Fail, "ok": health.Pass})
	if w.took("critical=no") {
		d.Critical = false
	}
	return func(s *sim) {
		s.clients.settleAll()
		for _, x := range which(s) {
			before := x.starved()
			needs := slices.DeleteFunc(slices.Clone(x.needs), func(old health.Dependency) bool { return old.Name == d.Name })
			x.needs = append(needs, d)
			if x.starved() != before {
				x.since = s.now
				s.clients.mood(x, d.Name+" bad")
			}
		}
	}
}

// starved reports whether something critical that it needs is bad: it answers
// 500, to its check and to its clients.
func (w *workload) starved() bool {
	return slices.ContainsFunc(w.needs, func(d health.Dependency) bool { return d.Critical && d.Outcome == health.Fail })
}
