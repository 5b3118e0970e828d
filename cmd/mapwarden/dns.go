package main

import (
	"context"
	"net"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/registry/dns"
)

// dnsFlags are the flags of the registry's DNS.
type dnsFlags struct {
	listen  string
	forward []string
	options dns.Options
}

func (f *dnsFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.listen, "dns-listen", dnsAddress, "address of the registry's DNS, UDP and TCP; empty: none")
	c.Flags().IntVar(&f.options.Values, "dns-values", 8, "how many instances a MULTIVALUE answer has at most, 1 to 100; 8 as in Route 53")
	c.Flags().IntVar(&f.options.Connections, "dns-max-connections", 256, "how many TCP connections to the registry's DNS are open at a time")
	c.Flags().StringVar(&f.options.API.Name, "dns-api-name", "", "name that the registry's DNS answers with the address of its API, and so with data- before it, which SDKs put there")
	c.Flags().StringSliceVar(&f.forward, "dns-forward", nil, "IP:PORT of a DNS server that is asked about other names, and about what aliases point to; may be given several times, the first that answers counts")
	c.Flags().BoolVar(&f.options.ForwardForAll, "dns-forward-for-all", false, "forward the questions of other machines too, not of this one alone")
	c.Flags().IntVar(&f.options.Limit.PerSecond, "dns-rate-limit", 100, "equal answers a second over UDP to a network (/24, IPv6 /56) of other machines; 0: any number")
	c.Flags().IntVar(&f.options.Limit.Slip, "dns-rate-slip", 2, "which of the answers beyond the limit sends the asker to TCP: 2 is every second, 1 each, 0 none")
}

func (f *dnsFlags) check() error {
	f.options.Forward = nil
	for _, text := range f.forward {
		at, err := netip.ParseAddrPort(text)
		if err != nil || at.Port() == 0 || at.Addr().IsUnspecified() {
			return usagef("--dns-forward %s: give an address and a port, such as 10.0.0.2:53", text)
		}
		f.options.Forward = append(f.options.Forward, at)
	}
	l := f.options.Limit
	switch {
	case f.options.Values < 1 || f.options.Values > dns.MaxValues:
		return usagef("--dns-values %d: give 1 to %d", f.options.Values, dns.MaxValues)
	case f.options.Connections < 1:
		return usagef("--dns-max-connections %d: give at least 1", f.options.Connections)
	case f.options.ForwardForAll && len(f.forward) == 0:
		return usagef("--dns-forward-for-all: say whom to ask with --dns-forward")
	case l.PerSecond < 0 || l.Slip < 0:
		return usagef("--dns-rate-limit %d --dns-rate-slip %d: give numbers that are not negative", l.PerSecond, l.Slip)
	}
	return nil
}

// servedDNS is a DNS server with its sockets open.
type servedDNS struct {
	server *dns.Server
	tcp    net.Listener
	udp    *net.UDPConn
}

// securedDNS refuses an address of the DNS that nothing secures.
func (a *app) securedDNS(f registryFlags) error {
	at, err := net.ResolveTCPAddr("tcp", f.dns.listen)
	if f.dns.listen == "" || err != nil {
		return nil // listen will say what is wrong
	}
	return a.secured("dns", at, f.insecure)
}

// openDNS opens the sockets of the registry's DNS, on one port.
func (a *app) openDNS(ctx context.Context, f registryFlags, s *servedRegistry) error {
	if f.dns.listen == "" {
		return nil
	}
	f.dns.options.API.Address = addrPort(s.api.Addr()).Addr()
	server, err := dns.New(s.reg, f.dns.options)
	if err != nil {
		return usagef("%w", err)
	}
	tcp, err := a.listen(ctx, "dns", f.dns.listen, f.insecure)
	if err != nil {
		return err
	}
	udp, err := listenUDP(ctx, tcp.Addr())
	if err == nil {
		err = f.dns.notItself(addrPort(tcp.Addr()))
	}
	if err != nil {
		tcp.Close()
		if udp != nil {
			udp.Close()
		}
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

// notItself refuses to forward in a circle.
func (f *dnsFlags) notItself(own netip.AddrPort) error {
	for _, at := range f.options.Forward {
		same := at.Addr().Unmap() == own.Addr().Unmap() || own.Addr().IsUnspecified() && at.Addr().Unmap().IsLoopback()
		if same && at.Port() == own.Port() {
			return usagef("--dns-forward %s: that is this server; give another", at)
		}
	}
	return nil
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
