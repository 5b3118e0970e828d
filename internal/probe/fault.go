package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/mapwarden/mapwarden/internal/health"
)

// fault is what an error of the network means.
type fault struct {
	cause   health.Cause
	targets bool // the target's failure; otherwise it says nothing about the target
	text    string
	doubt   health.Doubt // what the checker has to think of itself
}

// faultOf reads an error from dialling or from a connection to addr. What it
// does not know is a local fault: an error that nobody thought of must not
// count against a target.
func faultOf(ctx context.Context, addr netip.Addr, err error) fault {
	var refused *AddressRefusedError
	var netErr net.Error
	switch {
	case errors.As(err, &refused):
		return fault{cause: health.AddressRefused, text: refused.Error()}
	case errors.Is(ctx.Err(), context.Canceled), errors.Is(err, context.Canceled):
		return fault{cause: health.Cancelled, text: "the probe was called off"}
	}
	if isAlert(err) {
		return fault{cause: health.TLS, targets: true, text: err.Error()}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errnoFault(addr, errno)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &netErr) && netErr.Timeout() {
		return fault{cause: health.Timeout, targets: true, text: "no answer in time"}
	}
	return fault{cause: health.LocalFault, text: err.Error()}
}

func errnoFault(addr netip.Addr, errno syscall.Errno) fault {
	f := fault{cause: health.LocalFault, text: errno.Error()}
	switch errno {
	case syscall.ECONNREFUSED:
		f.cause, f.targets = health.Refused, true
	case syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED:
		f.cause, f.targets = health.Reset, true
	case syscall.ETIMEDOUT:
		f.cause, f.targets = health.Timeout, true
	case syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENOPROTOOPT:
		// ENOPROTOOPT is how Linux reports an ICMP "protocol unreachable".
		f.cause, f.targets = health.Unreachable, true
	case syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT:
		f.cause, f.text = health.NotProbeable, "this host does not speak the target's address family"
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
		f.doubt = health.DoubtDescriptors
	case syscall.EADDRINUSE:
		f.doubt = health.DoubtPorts
	case syscall.EADDRNOTAVAIL:
		f.doubt = health.DoubtPorts
		if addr.Is6() && !addr.Is4In6() {
			// A host without any IPv6 address answers this for every IPv6
			// target. One such target must not make the checker doubt its ports.
			f.cause, f.text, f.doubt = health.NotProbeable, "no IPv6 address or port to connect from", health.NoDoubt
		}
	}
	// The rest, EACCES and EPERM of a local packet filter among them, is a
	// local fault that may concern one address only: no doubt about the whole.
	return f
}
