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

	order   []int32              // what is left to draw, as indices
	records []record             // drawn for this answer
	from    []*registry.Instance // whose they are
}

// drawn is records and the instances that they are from.
type drawn struct {
	records []record
	from    []*registry.Instance
}

// draw is a random choice, in random order, of the node's records of a type: of
// the healthy instances, or of all where none is healthy (fail open). Instances
// that have no record of the type do not count, and those that have the same
// one count once. Only SRV records come with their instances. What it returns is
// good until the chooser's next answer.
func (n node) draw(k kind, c *chooser) drawn {
	ttl, ok := ttl(n.svc, recordType(k))
	if !ok {
		return drawn{}
	}
	most := c.values
	if n.svc.DNS.RoutingPolicy == registry.Weighted {
		most = 1
	}
	if k == kindA || k == kindAAAA {
		p := poolOf(n.ns, n.svc)
		if !c.aliases || !p.aliases {
			at := 0
			if k == kindAAAA {
				at = 1
			}
			return drawn{records: n.drawPool(p.addresses[at], k, ttl, most, c)}
		}
	}
	all := func(*registry.Instance) bool { return true }
	if !n.svc.HasCheck() {
		return n.drawFrom(k, ttl, most, c, all)
	}
	healthy := n.drawFrom(k, ttl, most, c, n.svc.InPool)
	if len(healthy.records) > 0 {
		return healthy
	}
	return n.drawFrom(k, ttl, most, c, all)
}

// drawFrom is draw from the instances that may count.
func (n node) drawFrom(k kind, ttl uint32, most int, c *chooser, may func(*registry.Instance) bool) drawn {
	all := n.svc.Instances
	records, from := len(c.records), len(c.from)
	c.shuffle(len(all))
	for i := 0; i < len(all) && len(c.records)-records < most; i++ {
		inst := all[c.next(i)]
		if !may(inst) {
			continue
		}
		rec := record{name: n.name, kind: k, ttl: ttl}
		if recordOf(&rec, n.ns, n.svc, inst, c.aliases) && !contains(c.records[records:], &rec) {
			c.records, c.from = append(c.records, rec), append(c.from, inst)
		}
	}
	return drawn{slices.Clip(c.records[records:]), slices.Clip(c.from[from:])}
}

// forget ends what was drawn for the answer before.
func (c *chooser) forget() { c.records, c.from = c.records[:0], c.from[:0] }

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
