package probe

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// maxAddresses bounds how many addresses of one name Once tries.
const maxAddresses = 8

// Phases are the parts of one probe. A part that did not happen is zero.
type Phases struct {
	Addr      netip.AddrPort // dialled last
	Resolve   time.Duration  // name to addresses
	Connect   time.Duration  // TCP
	TLS       time.Duration  // handshake
	FirstByte time.Duration  // from the request to the first byte of the answer
	Total     time.Duration
	Status    int       // HTTP
	Expires   time.Time // the target's certificate
}

// Once probes t a single time, for people. Unlike the engine it resolves: a
// target without address but with a name in Check.Probe.Host is tried at the
// name's addresses, IPv4 first, until one of them accepts the connection. The
// timeout holds for all of that together. An observation's instants count from
// the start of the call.
func Once(ctx context.Context, t health.Target, policy AddressPolicy) (health.Observation, Phases) {
	return OnceAt(ctx, nameOf(t.Check.Probe.Host), t, policy)
}

// OnceAt is Once for a target without address that is found at name, whatever
// host the check names.
func OnceAt(ctx context.Context, name string, t health.Target, policy AddressPolicy) (health.Observation, Phases) {
	return NewProber(Options{Policy: policy}, nil).onceAt(ctx, name, t)
}

// Once is the function Once with p's options. It does not use p's clock.
func (p *Prober) Once(ctx context.Context, t health.Target) (health.Observation, Phases) {
	return p.onceAt(ctx, nameOf(t.Check.Probe.Host), t)
}

func (p *Prober) onceAt(ctx context.Context, name string, t health.Target) (health.Observation, Phases) {
	began := time.Now()
	q := NewProber(Options{Policy: *p.policy.Load(), UserAgent: p.agent, Roots: p.roots, Doubt: p.doubt}, func() health.Instant {
		return health.Instant(1 + time.Since(began))
	})
	var ph Phases
	o := q.resolveAndProbe(ctx, name, t, &ph)
	o.Due, o.Start = 1, 1
	ph.Total = time.Since(began)
	return o, ph
}

func (p *Prober) resolveAndProbe(ctx context.Context, name string, t health.Target, ph *Phases) health.Observation {
	deadline := time.Now().Add(timeoutOf(t.Check))
	addrs := []netip.Addr{t.Addr}
	if !t.Addr.IsValid() && name != "" {
		var o health.Observation
		if addrs, o = p.resolve(ctx, deadline, name, ph); len(addrs) == 0 {
			return o
		}
	}
	var o health.Observation
	for _, addr := range addrs {
		t.Addr = addr
		t.Check.Timeout = max(time.Until(deadline), time.Millisecond)
		*ph = Phases{Resolve: ph.Resolve, Addr: dialAddr(&t)}
		if o = p.probe(ctx, &t, ph); !anotherAddressMayDo(o.Cause) {
			return o
		}
	}
	return o
}

// anotherAddressMayDo: nobody was reached at this one.
func anotherAddressMayDo(c health.Cause) bool {
	switch c {
	case health.Refused, health.Unreachable, health.NotProbeable, health.AddressRefused, health.LocalFault:
		return true
	}
	return false
}

// nameOf is the host of a Host header, without its port.
func nameOf(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

// resolve returns host's addresses, or none and the observation that says why.
func (p *Prober) resolve(ctx context.Context, deadline time.Time, host string, ph *Phases) ([]netip.Addr, health.Observation) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	began := time.Now()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	ph.Resolve = time.Since(began)
	if err == nil {
		for i := range addrs {
			addrs[i] = addrs[i].Unmap()
		}
		slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return cmp.Compare(a.BitLen(), b.BitLen()) })
		return addrs[:min(len(addrs), maxAddresses)], health.Observation{}
	}
	o := health.Observation{Cause: health.Resolver, Detail: printable("resolve " + host + ": " + err.Error()), End: p.now()}
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		o.Outcome, o.Cause = health.Fail, health.DNS
	}
	return nil, o
}
