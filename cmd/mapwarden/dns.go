package main

import (
	"context"
	"net"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/registry/dns"
)

// dnsFlags are the flags of the registry's DNS.
type dnsFlags struct {
	listen  string
	options dns.Options
}

func (f *dnsFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.listen, "dns-listen", dnsAddress, "address of the registry's DNS, UDP and TCP; empty: none")
	c.Flags().IntVar(&f.options.Values, "dns-values", 8, "how many instances a MULTIVALUE answer has at most, 1 to 100; 8 as in Route 53")
	c.Flags().IntVar(&f.options.Connections, "dns-max-connections", 256, "how many TCP connections to the registry's DNS are open at a time")
}

func (f *dnsFlags) check() error {
	switch {
	case f.options.Values < 1 || f.options.Values > dns.MaxValues:
		return usagef("--dns-values %d: give 1 to %d", f.options.Values, dns.MaxValues)
	case f.options.Connections < 1:
		return usagef("--dns-max-connections %d: give at least 1", f.options.Connections)
	}
	return nil
}

// servedDNS is a DNS server with its sockets open.
type servedDNS struct {
	server *dns.Server
	tcp    net.Listener
	udp    *net.UDPConn
}

// openDNS opens the sockets of the registry's DNS, on one port.
func (a *app) openDNS(ctx context.Context, f registryFlags, s *servedRegistry) error {
	if f.dns.listen == "" {
		return nil
	}
	server, err := dns.New(s.reg, f.dns.options)
	if err != nil {
		return usagef("%w", err)
	}
	tcp, err := a.listen(ctx, "dns", f.dns.listen, f.insecure)
	if err != nil {
		return err
	}
	udp, err := listenUDP(ctx, tcp.Addr())
	if err != nil {
		tcp.Close()
		return err
	}
	s.dns = &servedDNS{server: server, tcp: tcp, udp: udp}
	return nil
}

// listener is the TCP one, or nil.
func (d *servedDNS) listener() net.Listener {
	if d == nil {
		return nil
	}
	return d.tcp
}

func (d *servedDNS) close() {
	if d != nil {
		d.tcp.Close()
		d.udp.Close()
	}
}

func (d *servedDNS) run(ctx context.Context) error {
	if d == nil {
		return nil
	}
	return d.server.Serve(ctx, d.udp, d.tcp)
}

// listenUDP opens a UDP socket on the address and port of a TCP listener.
func listenUDP(ctx context.Context, at net.Addr) (*net.UDPConn, error) {
	p, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", at.String())
	if err != nil {
		return nil, unreachablef("listen for dns on udp %s: %w", at, err)
	}
	return p.(*net.UDPConn), nil
}
