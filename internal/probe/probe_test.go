package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mapwarden/mapwarden/internal/health"
)

func TestTCP(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		ended := make(chan error, 1)
		open := serveTCP(t, func(c net.Conn) {
			n, err := io.Copy(io.Discard, c)
			if n != 0 {
				err = fmt.Errorf("%d bytes came", n)
			}
			ended <- err
		})
		want{health.Pass, health.NoCause, "connected"}.check(t, k.ask(t, open, health.Probe{}, enough))
		if err := <-ended; err != nil {
			t.Errorf("the target's connection ended with %v, want an end of file and no bytes", err)
		}
		for _, p := range []health.Protocol{health.TCP, health.HTTP, health.HTTPS} {
			want{health.Fail, health.Refused, "connection refused"}.check(t, k.ask(t, closedPort(t), health.Probe{Protocol: p}, enough))
		}
	})
}

func TestCheckPortWins(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		open := serveTCP(t, func(net.Conn) {})
		target := targetAt(closedPort(t), health.Probe{Port: open.Port()}, enough)
		want{health.Pass, health.NoCause, "connected"}.check(t, k.askTarget(t, Options{Policy: loopbackOnly}, target))
	})
}

func TestNotProbeable(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		ap := closedPort(t)
		for name, target := range map[string]*health.Target{
			"no address":       targetAt(netip.AddrPortFrom(netip.Addr{}, 80), health.Probe{}, enough),
			"no port":          targetAt(netip.AddrPortFrom(ap.Addr(), 0), health.Probe{}, enough),
			"unknown protocol": targetAt(ap, health.Probe{Protocol: 250}, enough),
		} {
			t.Run(name, func(t *testing.T) {
				want{health.Indeterminate, health.NotProbeable, ""}.check(t, k.askTarget(t, Options{Policy: loopbackOnly}, target))
			})
		}
	})
}

// The policy is asked before a socket exists, and again on the dialled address.
func TestRefusedAddressIsNotDialled(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		reached := make(chan struct{}, 10)
		ap := serveTCP(t, func(net.Conn) { reached <- struct{}{} })
		o := k.askWith(t, Options{}, ap, health.Probe{}, enough)
		want{health.Indeterminate, health.AddressRefused, "loopback"}.check(t, o)
		mapped := netip.AddrPortFrom(netip.AddrFrom16(ap.Addr().As16()), ap.Port())
		want{health.Indeterminate, health.AddressRefused, "loopback"}.check(t, k.askWith(t, Options{}, mapped, health.Probe{}, enough))

		d := NewProber(Options{}, clock()).dialer(time.Now().Add(enough))
		_, err := d.Dial("tcp", ap.String())
		if f := faultOf(t.Context(), ap.Addr(), err); f.cause != health.AddressRefused || f.targets {
			t.Errorf("the dialled address was not refused: %v", err)
		}
		if len(reached) != 0 {
			t.Error("a refused address was connected to")
		}
	})
}

func TestCancelledProbe(t *testing.T) {
	t.Parallel()
	for _, p := range []health.Protocol{health.HTTP, health.HTTPS} {
		ctx, cancel := context.WithCancel(t.Context())
		ap := serveTCP(t, func(net.Conn) { cancel() })
		o := NewProber(Options{Policy: loopbackOnly}, clock()).Probe(ctx, targetAt(ap, health.Probe{Protocol: p}, enough))
		want{health.Indeterminate, health.Cancelled, ""}.check(t, o)
		if took := o.End.Sub(o.Start); took > enough/2 {
			t.Errorf("%v: took %v to notice", p, took)
		}
	}
}

// Errors of the network, in the wrapping that the net package gives them.
func TestFaults(t *testing.T) {
	t.Parallel()
	v4, v6 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	for _, c := range []struct {
		err     error
		addr    netip.Addr
		cause   health.Cause
		targets bool
		doubt   health.Doubt
	}{
		{dial(syscall.ECONNREFUSED), v4, health.Refused, true, health.NoDoubt},
		{dial(syscall.ECONNRESET), v4, health.Reset, true, health.NoDoubt},
		{dial(syscall.EPIPE), v4, health.Reset, true, health.NoDoubt},
		{dial(syscall.ECONNABORTED), v4, health.Reset, true, health.NoDoubt},
		{dial(syscall.ETIMEDOUT), v4, health.Timeout, true, health.NoDoubt},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, v4, health.Timeout, true, health.NoDoubt},
		{context.DeadlineExceeded, v4, health.Timeout, true, health.NoDoubt},
		{dial(syscall.EHOSTUNREACH), v4, health.Unreachable, true, health.NoDoubt},
		{dial(syscall.ENETUNREACH), v6, health.Unreachable, true, health.NoDoubt},
		{dial(syscall.EHOSTDOWN), v4, health.Unreachable, true, health.NoDoubt},
		{dial(syscall.ENOPROTOOPT), v4, health.Unreachable, true, health.NoDoubt},
		{dial(syscall.EAFNOSUPPORT), v6, health.NotProbeable, false, health.NoDoubt},
		{dial(syscall.EADDRNOTAVAIL), v6, health.NotProbeable, false, health.NoDoubt},
		{dial(syscall.EADDRNOTAVAIL), v4, health.LocalFault, false, health.DoubtPorts},
		{dial(syscall.EADDRINUSE), v4, health.LocalFault, false, health.DoubtPorts},
		{dial(syscall.EMFILE), v4, health.LocalFault, false, health.DoubtDescriptors},
		{dial(syscall.ENFILE), v4, health.LocalFault, false, health.DoubtDescriptors},
		{dial(syscall.ENOBUFS), v4, health.LocalFault, false, health.DoubtDescriptors},
		{dial(syscall.ENOMEM), v4, health.LocalFault, false, health.DoubtDescriptors},
		{dial(syscall.EACCES), v4, health.LocalFault, false, health.NoDoubt},
		{dial(syscall.EPERM), v4, health.LocalFault, false, health.NoDoubt},
		{dial(syscall.EINVAL), v4, health.LocalFault, false, health.NoDoubt},
		{fmt.Errorf("dial: %w", context.Canceled), v4, health.Cancelled, false, health.NoDoubt},
		{dial(&AddressRefusedError{Why: "x"}), v4, health.AddressRefused, false, health.NoDoubt},
		{io.ErrNoProgress, v4, health.LocalFault, false, health.NoDoubt},
	} {
		f := faultOf(t.Context(), c.addr, c.err)
		if f.cause != c.cause || f.targets != c.targets || f.doubt != c.doubt {
			t.Errorf("%v: got %v, target's %t, doubt %v; want %v, %t, %v", c.err, f.cause, f.targets, f.doubt, c.cause, c.targets, c.doubt)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if f := faultOf(gone, v4, dial(syscall.ECONNREFUSED)); f.cause != health.Cancelled || f.targets {
		t.Errorf("an error after the end of the context is %v", f.cause)
	}
}

func TestOnce(t *testing.T) {
	t.Parallel()
	_, ap := serveHTTP(t, true, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	o, ph := Once(t.Context(), *targetAt(ap, health.Probe{Protocol: health.HTTPS}, enough), loopbackOnly)
	want{health.Pass, health.NoCause, "HTTP 204"}.check(t, o)
	if ph.Connect <= 0 || ph.TLS <= 0 || ph.FirstByte <= 0 || ph.Total < ph.Connect+ph.TLS+ph.FirstByte || ph.Status != 204 || ph.Addr != ap || ph.Resolve != 0 {
		t.Errorf("phases %+v", ph)
	}
}

// A name is resolved, and an address of it where nobody listens is passed over.
func TestOnceResolves(t *testing.T) {
	t.Parallel()
	_, ap := serveHTTP(t, false, func(http.ResponseWriter, *http.Request) {})
	target := *targetAt(netip.AddrPortFrom(netip.Addr{}, ap.Port()), health.Probe{Protocol: health.HTTP, Host: fmt.Sprintf("localhost:%d", ap.Port())}, enough)
	o, ph := Once(t.Context(), target, AddressPolicy{Allow: prefixes("127.0.0.0/8", "::1/128")})
	want{health.Pass, health.NoCause, "HTTP 200"}.check(t, o)
	if ph.Resolve <= 0 || ph.Addr.Addr() != ap.Addr() {
		t.Errorf("phases %+v", ph)
	}
	o, _ = Once(t.Context(), target, AddressPolicy{})
	want{health.Indeterminate, health.AddressRefused, "loopback"}.check(t, o)
}

func TestOnceOfUnknownNameIsNoPass(t *testing.T) {
	t.Parallel()
	target := *targetAt(netip.AddrPortFrom(netip.Addr{}, 80), health.Probe{Protocol: health.HTTP, Host: "no-such-host.invalid"}, time.Second)
	o, _ := Once(t.Context(), target, loopbackOnly)
	// A resolver that says so makes it the name's fault; one that cannot be
	// asked, or answers late, says nothing.
	ok := o.Outcome == health.Fail && o.Cause == health.DNS || o.Outcome == health.Indeterminate && o.Cause == health.Resolver
	if !ok {
		t.Errorf("got %v %v %q", o.Outcome, o.Cause, o.Detail)
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("connection refused")
	f.Add(strings.Repeat("é", 150))
	f.Add("\x00\x1b[2J\u202e\xff")
	f.Add(strings.Repeat("\xff", 300))
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		if len(got) > maxDetail || !utf8.ValidString(got) {
			t.Fatalf("%q: %d bytes, valid %t", got, len(got), utf8.ValidString(got))
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q holds %U", got, r)
			}
		}
		if printable(got) != got {
			t.Fatalf("%q is not stable", got)
		}
	})
}
