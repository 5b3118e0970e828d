package demo

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
)

// Servers get ports from a range below those that systems give to outgoing
// connections (Linux from 32768, macOS from 49152): a server that is started
// again must find its port free.
const (
	firstPort = 20000
	lastPort  = 31999
)

// ports hands out free loopback ports, none of them twice.
type ports struct{ next int }

func newPorts() *ports { return &ports{next: firstPort + rand.IntN(lastPort-firstPort)} }

func (p *ports) free() (netip.AddrPort, error) {
	for range lastPort - firstPort {
		if p.next++; p.next > lastPort {
			p.next = firstPort
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.next))
		if err != nil {
			continue
		}
		l.Close()
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(p.next)), nil
	}
	return netip.AddrPort{}, fmt.Errorf("no free port between %d and %d", firstPort, lastPort)
}
