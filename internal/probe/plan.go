package probe

import (
	"net/netip"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// plan is a check as the event loop keeps it: once for all targets that share
// it, with the request written out. It does not change.
type plan struct {
	target   health.Target // only its Check is set
	interval time.Duration
	timeout  time.Duration

	// The request is before, the target's own authority if ownHost, and after.
	before, after []byte
	ownHost       bool
	unsendable    string // why there is no request

	users int // targets; guarded by plans.mu
}

func newPlan(c health.Check, agent string) *plan {
	p := &plan{interval: intervalOf(c), timeout: timeoutOf(c)}
	p.target.Check = health.Check{Probe: c.Probe, Interval: p.interval, Timeout: p.timeout}
	if c.Probe.Protocol != health.HTTP {
		return p
	}
	pr := c.Probe
	if p.ownHost = pr.Host == ""; p.ownHost {
		pr.Host = "-"
	}
	b, err := appendRequest(nil, pr, netip.AddrPort{}, agent)
	if err != nil {
		p.unsendable = printable(err.Error())
		return p
	}
	p.before = b
	if p.ownHost {
		at := hostIn(b)
		p.before, p.after = b[:at:at], b[at+1:]
	}
	return p
}

func (p *plan) appendRequest(b []byte, addr netip.AddrPort) []byte {
	b = append(b, p.before...)
	if p.ownHost {
		b = appendHost(b, addr, p.target.Check.Probe.Protocol)
	}
	return append(b, p.after...)
}

// plans finds the plan of a check. Its methods may be called by any goroutine.
type plans struct {
	agent string

	mu     sync.Mutex
	byHash map[uint64][]*plan // by the probe's fingerprint
}

// take counts one more target in.
func (ps *plans) take(c health.Check) *plan {
	hash := c.Probe.Fingerprint()
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.byHash[hash] {
		if p.interval == intervalOf(c) && p.timeout == timeoutOf(c) && p.target.Check.Probe.Equal(c.Probe) {
			p.users++
			return p
		}
	}
	if ps.byHash == nil {
		ps.byHash = map[uint64][]*plan{}
	}
	p := newPlan(c, ps.agent)
	p.users = 1
	ps.byHash[hash] = append(ps.byHash[hash], p)
	return p
}

// give counts a target out. Probes under way may still use p.
func (ps *plans) give(p *plan) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p.users--; p.users > 0 {
		return
	}
	hash := p.target.Check.Probe.Fingerprint()
	var rest []*plan
	for _, other := range ps.byHash[hash] {
		if other != p {
			rest = append(rest, other)
		}
	}
	if len(rest) == 0 {
		delete(ps.byHash, hash)
		return
	}
	ps.byHash[hash] = rest
}

// lane is who runs a target's probes.
type lane uint8

const (
	byWorkers lane = iota // goroutines, the net package
	byCarrier             // the loop itself
	lanes
)

// place is what the engine knows of a target beside its slot.
type place struct {
	addr     netip.AddrPort
	plan     *plan          // nil where workers run the probes
	admitted *AddressPolicy // admits addr; for the carrier
	target   *health.Target // for workers, else nil
}

func (p *place) lane() lane {
	if p.plan != nil {
		return byCarrier
	}
	return byWorkers
}

func (p *place) interval() time.Duration {
	if p.plan != nil {
		return p.plan.interval
	}
	return intervalOf(p.target.Check)
}
