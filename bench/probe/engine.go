//go:build linux

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
	"runtime/pprof"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/probe"
)

// told is what the engine says of the time since it was last asked.
type told struct {
	Probes  int
	Passed  int
	OnTime  int           // started within a twentieth of the interval
	Latest  time.Duration // start minus due
	Skipped int           // not made: overloaded
}

// runEngine is the process of an engine: it answers lines until there are no
// more.
func runEngine(job string, portable bool, profile string) error {
	var (
		l        load
		interval string
	)
	if _, err := fmt.Sscan(job, &l.targets, &interval, &l.probe); err != nil {
		return fmt.Errorf("job %q: %w", job, err)
	}
	var err error
	if l.interval, err = time.ParseDuration(interval); err != nil {
		return err
	}
	origin := time.Now()
	now := func() health.Instant { return health.Instant(1 + time.Since(origin)) }
	var (
		mu sync.Mutex
		t  told
	)
	e, err := probe.NewEngine(probe.Config{
		Options:  probe.Options{Policy: probe.AddressPolicy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}},
		Now:      now,
		Portable: portable,
		Deliver: func(batch []health.Observation) {
			mu.Lock()
			defer mu.Unlock()
			for i := range batch {
				t.count(&batch[i], l.interval)
			}
		},
	})
	if err != nil {
		return err
	}
	if is, why := e.Portable(); is && !portable {
		return why
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	begun := now()
	for i := range l.targets {
		e.Watch(l.target(i), begun.Add(time.Duration(i)*l.interval/time.Duration(l.targets)))
		if i%1000 == 999 {
			time.Sleep(time.Millisecond) // as listings come, page by page
		}
	}
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		if _, err = in.ReadBytes('\n'); err != nil {
			break
		}
		mu.Lock()
		last := t
		t = told{}
		mu.Unlock()
		if err = out.Encode(last); err != nil {
			break
		}
	}
	cancel()
	if err == io.EOF {
		err = nil
	}
	return errors.Join(err, <-done)
}

func (t *told) count(o *health.Observation, interval time.Duration) {
	if o.Cause == health.Overloaded {
		t.Skipped++
		return
	}
	t.Probes++
	if o.Outcome == health.Pass {
		t.Passed++
	}
	late := o.Start.Sub(o.Due)
	if late <= interval/20 {
		t.OnTime++
	}
	t.Latest = max(t.Latest, late)
}

func (l load) target(i int) health.Target {
	at := netip.MustParseAddrPort(l.address(i))
	service := fmt.Sprintf("srv-%d", i/100)
	p := health.Probe{Protocol: health.TCP, HalfOpen: l.probe == "half"}
	if l.probe == "http" {
		p = health.Probe{Protocol: health.HTTP, Path: "/healthz"}
	}
	return health.Target{
		Handle:  health.NewHandle(uint32(i), 1),
		Service: health.Service{ID: service, Name: service, Namespace: "bench"},
		Addr:    at.Addr(), Port: at.Port(),
		Check: health.Check{Probe: p, Interval: l.interval, Timeout: l.interval / 2},
	}
}
