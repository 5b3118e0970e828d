//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/pprof"

	wire "github.com/miekg/dns"

	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/dns"
)

// serveRegistry is the registry's server with the services of the cases. Each
// has a custom health check, as those that mapwarden checks have.
func serveRegistry(ctx context.Context, s settings) error {
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		return err
	}
	defer reg.Close()
	op, err := reg.CreateNamespace(registry.NewNamespace{Name: "bench.internal", Type: registry.DNSPrivateNamespace, VPC: "vpc-bench"})
	if err != nil {
		return err
	}
	done, err := reg.Operation(op, "")
	if err != nil {
		return err
	}
	for name, instances := range map[string]int{"web": s.instances, "one": 1} {
		svc, err := reg.CreateService(registry.NewService{
			Name: name, NamespaceID: done.Targets.Namespace, CustomHealth: true,
			DNS: &registry.DNSConfig{RoutingPolicy: registry.Multivalue, Records: []registry.DNSRecord{{Type: registry.RecordA, TTL: 10}}},
		})
		if err != nil {
			return err
		}
		for i := range instances {
			_, err := reg.Register(registry.Registration{
				ServiceID: svc.ID, InstanceID: fmt.Sprint("i-", i),
				Attributes: map[string]string{registry.AttrIPv4: fmt.Sprintf("10.0.%d.%d", i/250, 1+i%250)},
			})
			if err != nil {
				return err
			}
		}
	}
	server, err := dns.New(reg, dns.Options{})
	if err != nil {
		return err
	}
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(udp.LocalAddr())
	if s.profile != "" {
		f, err := os.Create(s.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() { untilEOF(); cancel() }()
	return server.Serve(ctx, udp, tcp)
}

// serveBare is the smallest server that the library can be made into.
func serveBare() error {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	answers := make(map[string][]wire.RR)
	for _, c := range cases {
		answers[c.question] = nil
		for i := range c.records {
			answers[c.question] = append(answers[c.question], &wire.A{
				Hdr: wire.RR_Header{Name: c.question, Rrtype: wire.TypeA, Class: wire.ClassINET, Ttl: 10},
				A:   net.IPv4(10, 0, 0, byte(i+1)),
			})
		}
	}
	fmt.Println(udp.LocalAddr())
	go func() { untilEOF(); os.Exit(0) }()
	return (&wire.Server{PacketConn: udp, Handler: wire.HandlerFunc(func(w wire.ResponseWriter, q *wire.Msg) {
		m := new(wire.Msg)
		m.SetReply(q)
		m.Authoritative, m.Compress = true, true
		m.Answer = answers[q.Question[0].Name]
		w.WriteMsg(m)
	})}).ActivateAndServe()
}

func untilEOF() { io.Copy(io.Discard, os.Stdin) }
