package dns

import (
	"slices"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// defaultValues is how many values a MULTIVALUE answer has in Route 53.
const defaultValues = 8

// chooser draws what an answer says. It keeps its scratch between draws, so one
// goroutine at a time may use it.
type chooser struct {
	// pick returns a random number from 0 up to, not including, n.
	pick func(n int) int
	// values is how many a MULTIVALUE answer has at most.
	values int
	// aliases says that an alias can be followed, so that it may be drawn.
	aliases bool

	order []int32 // what is left to draw, as indices
}

// drawn is records and the instances that they are from.
type drawn struct {
	records []record
	from    []*registry.Instance
}

// add adds the record of an instance unless it is there already.
func (d *drawn) add(rec record, inst *registry.Instance) {
	if !slices.ContainsFunc(d.records, rec.equals) {
		d.records = append(d.records, rec)
		d.from = append(d.from, inst)
	}
}

// draw is a random choice, in random order, of the node's records of a type: of
// the healthy instances, or of all where none is healthy (fail open). Instances
// that have no record of the type do not count, and those that have the same
// one count once.
func (n node) draw(k kind, c *chooser) drawn {
	if !n.svc.DNS.Has(recordType(k)) {
		return drawn{}
	}
	most := c.values
	if n.svc.DNS.RoutingPolicy == registry.Weighted {
		most = 1
	}
	all, checked := n.svc.Instances, n.svc.HasCheck()
	room := min(most, len(all))
	healthy := drawn{records: make([]record, 0, room), from: make([]*registry.Instance, 0, room)}
	var unhealthy drawn
	c.shuffle(len(all))
	for i := 0; i < len(all) && len(healthy.records) < most; i++ {
		inst := all[c.next(i)]
		to := &healthy
		if checked && inst.Health == registry.Unhealthy {
			if to = &unhealthy; len(healthy.records) > 0 || len(unhealthy.records) >= most {
				continue
			}
		}
		if rec, ok := recordOf(n.ns, n.svc, inst, k, c.aliases); ok {
			rec.name = n.name
			to.add(rec, inst)
		}
	}
	if len(healthy.records) > 0 {
		return healthy
	}
	return unhealthy
}

// shuffle begins a draw from n.
func (c *chooser) shuffle(n int) {
	c.order = slices.Grow(c.order[:0], n)[:n]
	for i := range c.order {
		c.order[i] = int32(i)
	}
}

// next is the i-th of the draw. Only what is drawn is shuffled.
func (c *chooser) next(i int) int32 {
	j := i + c.pick(len(c.order)-i)
	c.order[i], c.order[j] = c.order[j], c.order[i]
	return c.order[i]
}
