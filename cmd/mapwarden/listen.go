package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// Default addresses, all loopback.
const (
	webAddress      = "127.0.0.1:9750"
	registryAddress = "127.0.0.1:9751"
	dnsAddress      = "127.0.0.1:9753"
)

// listen opens a TCP listener and says so. Addresses that other machines can
// reach need the operator's word (insecure) where nothing secures them.
func (a *app) listen(ctx context.Context, name, address string, insecure bool) (net.Listener, error) {
	return a.listenIf(ctx, name, address, func(at net.Addr) error { return a.secured(name, at, insecure) })
}

// listenIf is listen where something else says which addresses are secured. It
// asks before it opens anything, and opens what it asked about: a name may stand
// for another address a moment later.
func (a *app) listenIf(ctx context.Context, name, address string, secured func(net.Addr) error) (net.Listener, error) {
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, unreachablef("listen for %s on %s: %w; choose another address, or :0 for any port", name, address, err)
	}
	if err := secured(at); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at.String())
	if err != nil {
		return nil, unreachablef("listen for %s on %s: %w; choose another address, or :0 for any port", name, address, err)
	}
	a.say("listening %s %s\n", name, l.Addr())
	return l, nil
}

func (a *app) secured(name string, addr net.Addr, insecure bool) error {
	if addrPort(addr).Addr().IsLoopback() || insecure {
		return nil
	}
	return usagef("listen for %s on %s: other machines can reach that, and nothing secures it; listen on loopback, or say --insecure-listen", name, addr)
}

func addrPort(addr net.Addr) netip.AddrPort {
	switch x := addr.(type) {
	case *net.TCPAddr:
		return x.AddrPort()
	case *net.UDPAddr:
		return x.AddrPort()
	}
	return netip.AddrPort{}
}

// say writes to standard output, or to standard error where standard output
// carries one JSON document.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.out, format, args...) }
