package fleetsim

import "github.com/mapwarden/mapwarden/internal/health"

// ask puts a target's whole check, from where c stands, to what answers there:
// each leaf once, and one result of them all.
func (f *fleet) ask(c *checker, t health.Target) (reply, []health.Part) {
	pr := &t.Check.Probe
	if !pr.Composite() {
		return f.answer(c, t.AddrPort(), pr.Path), nil
	}
	var r reply
	var parts []health.Part
	for _, leaf := range pr.Leaves(nil) {
		one := f.answer(c, t.AddrPort(), leaf.Path)
		r.drains, r.silent = r.drains || one.drains, r.silent || one.silent
		r.late, r.needs = max(r.late, one.late), one.needs
		parts = append(parts, health.Part{Name: leaf.Path, Outcome: one.outcome, Cause: one.cause})
	}
	whole := pr.Judge(parts)
	r.outcome, r.cause = whole.Outcome, whole.Cause
	return r, parts
}
