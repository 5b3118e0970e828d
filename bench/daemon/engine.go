//go:build linux || darwin

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/probe"
)

// engine is the bare probe engine in a process of its own: the same targets
// and the same check as the daemon, and nobody who looks at what it finds.
type engine struct{ *child }

func (st *stage) startEngine() (engine, error) {
	self, err := os.Executable()
	if err != nil {
		return engine{}, err
	}
	c, err := st.spawn(true, "engine", self, "-part", "engine", "-interval", st.interval.String())
	if err != nil {
		return engine{}, err
	}
	ports, err := json.Marshal(st.ports)
	if err != nil {
		return engine{}, err
	}
	if _, err := c.in.Write(append(ports, '\n')); err != nil {
		return engine{}, fmt.Errorf("tell the engine its targets: %w", err)
	}
	return engine{c}, nil
}

func (e engine) sample(context.Context) (s sample, err error) { return s, e.ask("sample", &s) }

// runEngine is the process: the first line on standard input are the ports,
// each further one asks for a sample.
func runEngine(interval time.Duration) error {
	in := bufio.NewReaderSize(os.Stdin, 1<<16)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the ports: %w", err)
	}
	var ports []uint16
	if err := json.Unmarshal(line, &ports); err != nil {
		return fmt.Errorf("read the ports: %w", err)
	}
	origin := time.Now()
	now := func() health.Instant { return health.Instant(1 + time.Since(origin)) }
	e, err := probe.NewEngine(probe.Config{
		Options: probe.Options{Policy: probe.AddressPolicy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}},
		Now:     now,
		Deliver: func([]health.Observation) {},
	})
	if err != nil {
		return err
	}
	for i, port := range ports {
		service := health.Service{ID: fmt.Sprintf("srv-%d", i/100), Name: fmt.Sprintf("s%d", i/100), Namespace: "bench"}
		e.Watch(health.Target{
			Handle: health.NewHandle(uint32(i), 1), Service: service, Addr: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Port: port,
			Check: health.Check{Probe: health.Probe{Protocol: health.HTTP, Path: "/healthz"}, Interval: interval, Timeout: interval / 2},
		}, now().Add(time.Duration(i)*interval/time.Duration(len(ports))))
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	err = answerSamples(in, e)
	cancel()
	return errors.Join(err, <-done)
}

func answerSamples(in *bufio.Reader, e *probe.Engine) error {
	out := json.NewEncoder(os.Stdout)
	for {
		if _, err := in.ReadBytes('\n'); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return err
		}
		rss := float64(u.Maxrss)
		if runtime.GOOS == "linux" {
			rss *= 1024 // getrusage(2): kilobytes there, bytes on Darwin
		}
		stats := e.Stats()
		s := sample{CPU: float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9, RSS: rss, Bounds: stats.Lateness.Bounds, Late: make([]float64, len(stats.Lateness.Counts))}
		for i, n := range stats.Lateness.Counts {
			s.Late[i] = float64(n)
		}
		for found, n := range stats.Probes {
			if found.Cause != health.Overloaded {
				s.Probes += float64(n)
			}
		}
		if err := out.Encode(s); err != nil {
			return err
		}
	}
}
