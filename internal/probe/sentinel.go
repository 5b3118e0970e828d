package probe

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// Sentinel is a target that must always answer: a listener of this very
// process. While it cannot be reached, whatever else seems to fail may be the
// fault of this host (safety rule 2).
type Sentinel struct {
	Address netip.AddrPort
	Every   time.Duration // default 5 s
	Timeout time.Duration // default 1 s
	// Doubt is told each time that the sentinel does not answer.
	Doubt func(health.Doubt)
}

// Run looks at the sentinel until ctx ends.
func (s *Sentinel) Run(ctx context.Context) error {
	every := s.Every
	if every <= 0 {
		every = 5 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if !s.answers(ctx) && ctx.Err() == nil {
				s.Doubt(health.DoubtSentinel)
			}
		}
	}
}

// answers reports whether the sentinel accepts a connection.
func (s *Sentinel) answers(ctx context.Context) bool {
	at := s.Address
	if at.Addr().IsUnspecified() {
		loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if at.Addr().Is6() {
			loopback = netip.IPv6Loopback()
		}
		at = netip.AddrPortFrom(loopback, at.Port())
	}
	timeout := s.Timeout
	if timeout <= 0 {
		timeout = time.Second
	}
	c, err := (&net.Dialer{Timeout: timeout, KeepAlive: -1}).DialContext(ctx, "tcp", at.String())
	if err != nil {
		return false
	}
	c.Close()
	return true
}
