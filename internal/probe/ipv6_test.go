package probe

import (
	"net"
	"slices"
	"testing"

	"github.com/mapwarden/mapwarden/internal/component"
)

// listen6 listens on ::1. Where the host has no such address the test is left
// out; where it has one, that it cannot be listened on is a failure.
func listen6(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp6", "[::1]:0")
	if err == nil {
		return l
	}
	addrs, bad := net.InterfaceAddrs()
	if bad != nil || slices.ContainsFunc(addrs, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(net.IPv6loopback)
	}) {
		t.Fatal(err, bad)
	}
	component.LeftOut(t, "this host has no ::1")
	return nil
}
