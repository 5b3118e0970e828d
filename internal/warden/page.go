package warden

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// snapshots keeps the pages that did not change since they were last drawn.
type snapshots struct {
	pages []*ServicePage // by service index; nil: to be drawn
}

func (p *snapshots) touch(i int) {
	if i < len(p.pages) {
		p.pages[i] = nil
	}
}

func (p *snapshots) drop(i int) { p.touch(i) }

// Snapshot draws the mind at now. Pages of services that did not change since
// the last one are shared with it.
func (w *Warden) Snapshot(now health.Instant) *Snapshot {
	for len(w.pages.pages) < len(w.services) {
		w.pages.pages = append(w.pages.pages, nil)
	}
	out := &Snapshot{
		At: now, Wall: w.wall(now), Mode: w.cfg.Default.Policy.Mode, Synced: w.synced,
		Gates: slices.Clone(w.outlook.Gates), Storm: w.bank.Storm, Retired: w.retired,
	}
	if w.frozen.until > now {
		out.Frozen, out.FrozenBy = w.wall(w.frozen.until), w.frozen.by
	}
	if w.outlook.DoubtUntil > now {
		out.Doubt = w.outlook.Doubt
	}
	oldest := health.Never
	for i, s := range w.services {
		if s == nil {
			continue
		}
		if w.pages.pages[i] == nil {
			w.pages.pages[i] = w.draw(s)
		}
		page := w.pages.pages[i]
		if s.present {
			oldest = min(oldest, s.listed)
		}
		out.Services = append(out.Services, page)
		out.Totals.add(page.Totals)
	}
	if oldest != health.Never {
		out.Staleness = int64(now.Sub(oldest))
	}
	slices.SortFunc(out.Services, func(a, b *ServicePage) int {
		return cmp.Or(cmp.Compare(a.Service.Namespace, b.Service.Namespace),
			cmp.Compare(a.Service.Name, b.Service.Name), cmp.Compare(a.Service.ID, b.Service.ID))
	})
	return out
}

func (t *Totals) add(u Totals) {
	t.Targets += u.Targets
	t.Registered += u.Registered
	t.Passing += u.Passing
	t.Failing += u.Failing
	t.Indeterminate += u.Indeterminate
	t.Leaving += u.Leaving
	t.Out += u.Out
	t.Waiting += u.Waiting
	t.Kept += u.Kept
	t.Foreign += u.Foreign
	t.Quarantined += u.Quarantined
	t.Jobs += u.Jobs
	t.Flagged += u.Flagged
}

// draw makes the page of one service.
func (w *Warden) draw(s *service) *ServicePage {
	v := w.view(s)
	c := policy.Count(&v)
	p := &ServicePage{
		Service: s.found.Service, Mode: s.cfg.Policy.Mode, Lever: s.lever, NoLever: s.lacks(),
		HealthCheck: s.found.HealthCheck, Check: CheckLine(s.cfg.Check), CheckArmed: s.armed,
		Listed: w.wall(s.listed), Gates: w.serviceGates(s), N: c.N, OutCount: c.Out,
		Ever: c.Ever, PastLine: c.PastLine, Instances: make([]InstanceLine, 0, len(s.members)),
	}
	for k, i := range s.members {
		line := w.line(i)
		p.Instances = append(p.Instances, line)
		p.Totals.count(line, &v.Members[k], &w.slots[i])
	}
	return p
}

func (t *Totals) count(l InstanceLine, m *policy.Member, sl *slot) {
	add := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	add(&t.Registered, l.Registered)
	add(&t.Targets, sl.watched)
	add(&t.Passing, l.Outcome == health.Pass)
	add(&t.Failing, l.Outcome == health.Fail)
	add(&t.Indeterminate, sl.watched && l.Outcome == health.Indeterminate)
	add(&t.Leaving, l.Standing == policy.Leaving)
	add(&t.Out, l.Standing == policy.Out)
	add(&t.Waiting, l.Standing == policy.Waiting)
	add(&t.Kept, l.Standing == policy.Kept)
	add(&t.Foreign, m.Foreign)
	add(&t.Quarantined, sl.entry != nil && sl.entry.IsOut() && sl.entry.Kind == lever.Quarantine)
	add(&t.Jobs, sl.job != nil)
	add(&t.Flagged, l.Flags != 0)
}

// serviceGates are the gates of one service alone.
func (w *Warden) serviceGates(s *service) (out []policy.Reason) {
	gate := func(closed bool, r policy.Reason) {
		if closed {
			out = append(out, r)
		}
	}
	gate(s.lacks() != policy.NoReason, s.lacks())
	gate(s.owned.writes, policy.OwnerWrites)
	gate(s.owned.deploying, policy.Deploying)
	gate(s.needs != nil && s.needs.latched() != 0, policy.SharedDependency)
	gate(s.listed == 0 || s.hollow && len(s.members) > 0, policy.Unsynced)
	gate(s.stale, policy.Stale)
	gate(w.now < w.warmSince.Add(s.cfg.Policy.WarmUp), policy.WarmUp)
	gate(!s.armed, policy.CheckUnproven)
	gate(s.pastLine && len(s.members) > 0, policy.FailOpen)
	gate(s.drill == policy.DrillBad, policy.DrillFailed)
	return out
}

func (w *Warden) line(i int) InstanceLine {
	sl, st := &w.slots[i], &w.states[i]
	return InstanceLine{
		ID: sl.inst, Addr: addrText(sl.inc), Registered: sl.registered, Registry: sl.registry,
		Status: st.Status, Phase: st.Phase, Outcome: st.Last, Cause: st.Cause,
		Standing: sl.memo.Standing, Reason: sl.memo.Reason, Shadow: sl.memo.Shadow, Since: w.wall(sl.memo.Since),
		Flags: flags(sl, st),
	}
}

// CheckLine is a check in one line: what is asked, and when it counts.
func CheckLine(c health.Check) string {
	var b strings.Builder
	if c.Startup != nil {
		b.WriteString("until it started " + c.Startup.String() + ", then ")
	}
	b.WriteString(c.Probe.String())
	fmt.Fprintf(&b, " every %s, timeout %s, fall %d (confirm %s), rise %d", c.Interval, c.Timeout, c.Fall, c.Confirm, c.Rise)
	return b.String()
}
