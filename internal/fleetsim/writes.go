package fleetsim

import (
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
)

// writes checks a write at the moment of its effect on the registry.
func (j *judge) writes(p *process, svc *service, call lever.Call) {
	k := key{svc.ID, call.Instance}
	what := call.Op.String() + " of " + call.Instance
	j.rivals(p, k, call)
	e := j.s.store.entry(svc.ID, call.Instance)
	if e == nil || e.Phase == lever.Intended {
		j.fail("%s without a journal entry that says so", what)
		return
	}
	x := svc.truth.get(call.Instance)
	seen := j.s.now - fresh - j.s.registry.lag
	if o := svc.owned.get(call.Instance); o != nil && o.spoken >= seen && o.spoken > 0 {
		j.raced[k] = true // read, then changed, then written: nothing can prevent it
	}
	if x == nil || x.spoken >= seen && x.spoken > 0 {
		return
	}
	if call.Op == lever.SetStatus && call.Status == health.Healthy && x.status == health.Healthy && x.change == nil {
		return // it changes nothing
	}
	addr, port := health.Endpoint(x.attrs)
	if addr != e.Incarnation.Addr || port != e.Incarnation.Port {
		j.fail("%s, which is another incarnation since %s", what, x.moved)
	}
	drills := e.Kind == lever.Drill
	switch {
	case call.Op == lever.Register && !drills && j.s.registry.lag == 0:
		j.fail("%s over a record that is there", what)
	case call.Op == lever.Register && !x.attrs.Equal(call.Attributes):
		j.fail("%s with other attributes", what)
	case call.Op == lever.Deregister && !x.attrs.Equal(e.Attributes):
		j.fail("%s, whose journalled attributes are others", what)
	case call.Op == lever.SetStatus && call.Status == health.Healthy && !j.accused[k] && !raisable(x):
		j.fail("%s HEALTHY over a status that is not ours", what)
	}
}

// raisable reports whether HEALTHY may be set without an UNHEALTHY in the
// journal: over our own, over that of the registration, or where it changes
// nothing.
func raisable(x *record) bool {
	switch {
	case x.change != nil && x.change.to == health.Unhealthy:
		return x.change.by == byUs
	case x.status == health.Unhealthy:
		return x.by == byUs || x.by == byOwner
	}
	return true
}

// lost checks that whatever is away because of us can come back: every
// instance of a service that its owner wants is there as it was, or in the
// journal.
func (j *judge) lost(svc *service) {
	for _, o := range svc.owned {
		if j.raced[key{svc.ID, o.id}] || j.s.said(svc, o.id) == health.OwnerGone {
			continue
		}
		if why := j.missing(svc, o); why != "" {
			j.fail("%s is lost: %s", o.id, why)
			j.raced[key{svc.ID, o.id}] = true // once is enough
		}
	}
}

func (j *judge) missing(svc *service, o *record) string {
	x := svc.truth.get(o.id)
	e := j.s.store.entry(svc.ID, o.id)
	held := e != nil && e.IsOut()
	switch {
	case x == nil && !held:
		return "it is not registered and no journal has it"
	case x == nil && !e.Attributes.Equal(o.attrs):
		return "the journal has other attributes"
	case x == nil:
	case !x.attrs.Equal(o.attrs):
		return "it is registered with other attributes"
	case x.status == health.Unhealthy && x.by == byUs && !held && (x.change == nil || x.change.to != health.Healthy):
		return "we set it UNHEALTHY and no journal knows"
	}
	return ""
}
