// Package probe runs health checks: it connects to targets on time, asks what
// the check asks, and says in typed words what came back.
//
// An Engine keeps the schedule of all targets in one goroutine. That runs plain
// HTTP and TCP probes itself, over non-blocking sockets, where the system is
// Linux; a bounded pool of workers runs all others. A Prober speaks the
// protocols, a file each; an AddressPolicy says which addresses may be dialled
// at all. A fault
// of this process (no descriptor, no port, no time) never becomes a failure of
// a target: it is Indeterminate, and reported as a Doubt.
//
// The package does not judge: it counts no failures, knows no thresholds and
// no registry, and whether silence counts against a target (safety rule 3) is
// for its caller to decide. It resolves no names, except in Once.
package probe

import (
	"bufio"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mapwarden/mapwarden/internal/health"
)

const (
	defaultInterval = 5 * time.Second
	defaultTimeout  = 2 * time.Second
	minInterval     = 10 * time.Millisecond // whatever a check says

	maxDetail = 200 // bytes of Observation.Detail

	// maxParting bounds the connections that wait for their target to close
	// first. More are not worth their descriptors.
	maxParting = 1024
)

// Options are what probes of all protocols share. The zero value is usable.
type Options struct {
	// Policy is asked for every address, and again for the one really dialled.
	Policy AddressPolicy
	// UserAgent of HTTP probes. Default: mapwarden/ and the build's version.
	UserAgent string
	// Roots verify certificates where a check asks for it. Default: the system's.
	Roots *x509.CertPool
	// Doubt is told of local faults that concern more than one target: no
	// descriptor, no port. It is called by the goroutine that probes.
	Doubt func(health.Doubt)
}

// Prober runs single probes. Its methods may be called concurrently.
type Prober struct {
	policy  atomic.Pointer[AddressPolicy]
	agent   string
	roots   *x509.CertPool
	doubt   func(health.Doubt)
	now     func() health.Instant
	readers sync.Pool // of *bufio.Reader, 4 KiB each

	files       files
	expressions expressions

	// aside runs a farewell while the probe's observation goes its way. Nil:
	// the probe ends after it.
	aside   func(func())
	leaving atomic.Int32
}

// NewProber returns a Prober whose observations carry instants of now.
func NewProber(o Options, now func() health.Instant) *Prober {
	p := &Prober{
		agent:   cmp.Or(o.UserAgent, "mapwarden/"+buildVersion()),
		roots:   o.Roots,
		doubt:   o.Doubt,
		now:     now,
		readers: sync.Pool{New: func() any { return bufio.NewReader(nil) }},
	}
	p.SetPolicy(o.Policy)
	return p
}

// SetPolicy puts another policy into force for every connection from now on,
// those of probes under way included.
func (p *Prober) SetPolicy(policy AddressPolicy) { p.policy.Store(&policy) }

// Probe runs t's check once, within its timeout (default 2 s) for connecting,
// handshake and answer together, and fills in what it found, Start and End. It
// returns early when ctx ends, with cause Cancelled.
func (p *Prober) Probe(ctx context.Context, t *health.Target) health.Observation {
	return p.probe(ctx, t, new(Phases))
}

func (p *Prober) probe(ctx context.Context, t *health.Target, ph *Phases) health.Observation {
	a := attempt{
		p: p, ctx: ctx, target: t, phases: ph,
		addr: dialAddr(t),
		obs:  health.Observation{Target: t.Handle, Start: p.now(), Startup: t.Startup},
	}
	a.deadline = time.Now().Add(timeoutOf(t.Check)) // after Start: whoever times out had the whole of it
	a.ask()
	return a.obs
}

// ask runs the check and completes the observation.
func (a *attempt) ask() {
	pr := &a.target.Check.Probe
	switch {
	case pr.Composite():
		a.composite()
	case !a.addr.IsValid() || a.addr.Port() == 0:
		a.cannotTell(health.NotProbeable, "the instance has no address or no port to probe")
	case pr.Protocol == health.TCP:
		a.tcp()
	case pr.Protocol == health.HTTP, pr.Protocol == health.HTTPS:
		a.http()
	case pr.Protocol == health.Handshake:
		a.tlsCheck()
	case pr.Protocol == health.GRPC, pr.Protocol == health.GRPCS:
		a.grpc()
	default:
		a.cannotTell(health.NotProbeable, "the check's protocol is not known")
	}
	if a.obs.End == 0 {
		a.obs.End = a.p.now()
	}
}

// farewell runs leave, beside the caller while not too many others are left.
func (p *Prober) farewell(leave func()) {
	if p.aside == nil || p.leaving.Load() >= maxParting {
		leave()
		return
	}
	p.leaving.Add(1)
	p.aside(func() {
		defer p.leaving.Add(-1)
		leave()
	})
}

// dialAddr applies the check's port over the instance's.
func dialAddr(t *health.Target) netip.AddrPort {
	return netip.AddrPortFrom(t.Addr, cmp.Or(t.Check.Probe.Port, t.Port))
}

func timeoutOf(c health.Check) time.Duration {
	if c.Timeout <= 0 {
		return defaultTimeout
	}
	return c.Timeout
}

func intervalOf(c health.Check) time.Duration {
	if c.Interval <= 0 {
		return defaultInterval
	}
	return max(c.Interval, minInterval)
}

// attempt is one probe on its way; it is used by one goroutine.
type attempt struct {
	p        *Prober
	ctx      context.Context
	target   *health.Target
	phases   *Phases
	addr     netip.AddrPort
	deadline time.Time
	obs      health.Observation

	warning  string // goes with a pass
	location string // where the answer redirects to, if that is to be followed
	hops     int    // redirects followed
	frames   *frames
}

func (a *attempt) pass(detail string) {
	if a.warning != "" {
		detail += "; " + a.warning
	}
	a.obs.Outcome, a.obs.Cause, a.obs.Detail = health.Pass, health.NoCause, detail
	a.obs.End = a.p.now()
}

func (a *attempt) fail(c health.Cause, detail string) {
	a.obs.Outcome, a.obs.Cause, a.obs.Detail = health.Fail, c, printable(detail)
	a.obs.End = a.p.now()
}

func (a *attempt) cannotTell(c health.Cause, detail string) {
	a.obs.Outcome, a.obs.Cause, a.obs.Detail = health.Indeterminate, c, printable(detail)
	a.obs.End = a.p.now()
}

// broke turns the error of a network call into the observation: what is the
// target's doing fails it, everything else is Indeterminate.
func (a *attempt) broke(doing string, err error) {
	f := faultOf(a.ctx, a.addr.Addr(), err)
	if f.doubt != health.NoDoubt && a.p.doubt != nil {
		a.p.doubt(f.doubt)
	}
	detail := doing + ": " + f.text
	if f.targets {
		a.fail(f.cause, detail)
		return
	}
	a.cannotTell(f.cause, detail)
}

// dial connects to the target. On failure the observation is complete and the
// returned connection is nil. The connection ends at the attempt's deadline,
// or when its context does; the caller calls stop, then closes it.
func (a *attempt) dial() (conn *net.TCPConn, stop func() bool) {
	if err := a.p.policy.Load().Admits(a.addr); err != nil {
		a.cannotTell(health.AddressRefused, err.Error())
		return nil, nil
	}
	d := a.p.dialer(a.deadline)
	pr := &a.target.Check.Probe
	if pr.Source.IsValid() {
		if plain(pr.Source).BitLen() != plain(a.addr.Addr()).BitLen() {
			a.cannotTell(health.NotProbeable, "the source address and the target's are of two families")
			return nil, nil
		}
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(pr.Source, 0))
	}
	if pr.HalfOpen && pr.Protocol == health.TCP {
		d.ControlContext = a.p.admitDialledHalfOpen
	}
	began := time.Now()
	c, err := d.DialContext(a.ctx, "tcp", a.addr.String())
	a.phases.Connect = time.Since(began)
	switch {
	case err == nil:
	case pr.Source.IsValid() && errors.Is(err, syscall.EADDRNOTAVAIL):
		a.cannotTell(health.LocalFault, "connect: "+pr.Source.String()+" is no address of this host")
		return nil, nil
	default:
		a.broke("connect", err)
		return nil, nil
	}
	conn = c.(*net.TCPConn)
	conn.SetDeadline(a.deadline)
	if pr.ProxyProtocol != 0 {
		if _, err := conn.Write(proxyHeader(pr.ProxyProtocol, conn)); err != nil {
			a.broke("send", err)
			abandon(conn)
			return nil, nil
		}
	}
	return conn, context.AfterFunc(a.ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
}

func (p *Prober) dialer(deadline time.Time) net.Dialer {
	return net.Dialer{
		Deadline:       deadline,
		KeepAlive:      -1, // no connection lives longer than its probe
		ControlContext: p.admitDialled,
	}
}

// admitDialled is the policy's last word, on the address that the kernel is
// about to be given: nothing between the first question and the socket can
// have changed it unseen.
func (p *Prober) admitDialled(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &AddressRefusedError{Why: "cannot be read: " + address}
	}
	return p.policy.Load().Admits(ap)
}

// admitDialledHalfOpen also keeps the handshake's last word back, where the
// system can.
func (p *Prober) admitDialledHalfOpen(ctx context.Context, network, address string, c syscall.RawConn) error {
	if err := p.admitDialled(ctx, network, address, c); err != nil {
		return err
	}
	return c.Control(holdACK)
}

// part ends a connection after an answer that is complete, or that needs to be
// no longer: first the end of our side, which the target reads as an end of
// file, then a reset. No TIME-WAIT state (RFC 9293, section 3.6) stays behind
// on the checker, where thousands of them per second would use up ports, and
// a target that only reads notices no reset. (PostgreSQL, for one, logs a
// reset, but not an end of file where a connection's first message should be.)
func part(conn *net.TCPConn) {
	conn.CloseWrite()
	abandon(conn)
}

// abandon closes conn with a reset alone.
func abandon(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}

// printable makes any text fit for Observation.Detail: at most 200 bytes, and
// no control or otherwise unprintable characters, whoever wrote them.
func printable(s string) string {
	if n := maxDetail; len(s) > n {
		for n > maxDetail-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// buildVersion is the main module's version, "dev" for a build from a tree.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "dev"
	}
	return strings.TrimPrefix(info.Main.Version, "v")
}
