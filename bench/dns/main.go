//go:build linux

// Command dns measures the registry's DNS server against Debian's dnsmasq and
// against a handler of the library that the server is built with, which says the
// same for every question. Each lives in a process of its own on a core of its
// own; another process asks, over loopback. It prints throughput and the CPU
// time of the server's process per request, kernel included, and what they are
// of each other: medians over interleaved rounds, with their range, since a
// shared machine is never twice the same.
//
// It does not measure a real network, nor TCP, nor a cache in front.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	rounds    int
	length    time.Duration // of a measurement
	instances int           // of the larger service
	dnsmasq   string
	pin       bool
	profile   string
}

func main() {
	var s settings
	flag.IntVar(&s.rounds, "rounds", 5, "rounds; each measures every server in turn")
	flag.DurationVar(&s.length, "for", 1500*time.Millisecond, "length of each measurement")
	flag.IntVar(&s.instances, "instances", 100, "instances of the larger service")
	flag.StringVar(&s.dnsmasq, "dnsmasq", "dnsmasq", "dnsmasq's binary")
	flag.BoolVar(&s.pin, "pin", true, "keep the servers on one core and the asker on another, where taskset is there")
	flag.StringVar(&s.profile, "profile", "", "write a CPU profile of the registry's server to this file")
	part := flag.String("part", "", "be a part of the measurement: mapwarden, bare or load (used by the command itself)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch *part {
	case "mapwarden":
		err = serveRegistry(ctx, s)
	case "bare":
		err = serveBare()
	case "load":
		err = answerOrders()
	default:
		err = measure(ctx, s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/dns:", err)
		os.Exit(1)
	}
}

// measure starts everything, plays the rounds and prints what they gave.
func measure(ctx context.Context, s settings) error {
	st, err := setStage(s)
	if err != nil {
		return err
	}
	defer st.close()
	out := newTable(s, st)
	for range s.rounds {
		for _, c := range cases {
			for _, server := range st.servers {
				if ctx.Err() != nil {
					return errors.New("interrupted")
				}
				f, err := st.ask(server, c)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", server.name, c.name, err)
				}
				out.add(server.name, c, f)
			}
		}
	}
	return out.print()
}
