//go:build linux || darwin

// Command daemon measures a whole enforcing mapwarden: the binary as it is
// built, against a registry process, with thousands of targets on one core.
// It tells how exactly the daemon keeps its probe schedule, what a probe costs
// it in CPU time, kernel included, and how soon a crash is a verdict. The bare
// probe engine, alone in a process, is measured beside it in every round, so
// that what judging, recording and listing cost can be read off.
//
// Arrivals are counted by the targets, which live in one process of their own
// with a port each; lateness, CPU time and memory are what /metrics of the
// daemon says. It does not measure a real network: all of it is loopback.
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
	targets, services int
	interval          time.Duration
	rounds            int
	length, bare      time.Duration // of a measurement
	hung              int           // percent
	crashes           int
	mapwarden         string
	pin, keep         bool
}

func main() {
	var s settings
	flag.IntVar(&s.targets, "targets", 2000, "number of targets")
	flag.IntVar(&s.services, "services", 20, "number of services; every other one has a custom health check")
	flag.DurationVar(&s.interval, "interval", time.Second, "interval of each target")
	flag.IntVar(&s.rounds, "rounds", 3, "rounds of bare engine and daemon")
	flag.DurationVar(&s.length, "for", 15*time.Second, "length of each measurement of the daemon")
	flag.DurationVar(&s.bare, "bare-for", 5*time.Second, "length of each measurement of the bare engine")
	flag.IntVar(&s.hung, "hung", 10, "percent of the targets that hang in the last measurement")
	flag.IntVar(&s.crashes, "crashes", 10, "crashes whose detection is timed")
	flag.StringVar(&s.mapwarden, "mapwarden", "", "binary to measure; left out: cmd/mapwarden is built")
	flag.BoolVar(&s.pin, "pin", true, "keep what is measured on one core and all else off it, where taskset is there")
	flag.BoolVar(&s.keep, "keep", false, "keep the directory with logs and data")
	part := flag.String("part", "", "be a part of the measurement: targets or engine (used by the command itself)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch *part {
	case "targets":
		err = serveTargets(s.targets)
	case "engine":
		err = runEngine(s.interval)
	default:
		err = measure(ctx, s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/daemon:", err)
		os.Exit(1)
	}
}

// measure sets the stage, plays the rounds and prints what they gave.
func measure(ctx context.Context, s settings) error {
	dir, err := os.MkdirTemp("", "mapwarden-bench-")
	if err != nil {
		return err
	}
	if s.keep {
		fmt.Println("logs and data:", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	st, err := setStage(ctx, s, dir)
	if err != nil {
		return err
	}
	defer st.close()
	out := newTable(s, st.cores)
	for round := range s.rounds {
		if err = st.round(ctx, out, round == s.rounds-1); err != nil {
			err = fmt.Errorf("round %d: %w", round+1, err)
			break
		}
	}
	return errors.Join(out.finish(), err)
}

// round measures the bare engine and then a fresh daemon; after the last one
// it times crashes and lets targets hang.
func (st *stage) round(ctx context.Context, out *table, last bool) error {
	engine, err := st.startEngine()
	if err != nil {
		return err
	}
	defer engine.stop()
	if err := pause(ctx, st.interval+time.Second); err != nil {
		return err
	}
	f, err := st.window(ctx, engine, st.bare)
	if err != nil {
		return fmt.Errorf("bare engine: %w", err)
	}
	out.add(bareRun, f)
	engine.stop()

	d, err := st.startDaemon(ctx)
	if err != nil {
		return err
	}
	defer d.stop()
	if f, err = st.window(ctx, d, st.length); err != nil {
		return fmt.Errorf("daemon: %w", err)
	}
	out.add(daemonRun, f)
	if !last {
		return nil
	}
	found, err := st.crash(ctx, d)
	if err != nil {
		return fmt.Errorf("crashes: %w", err)
	}
	out.detected = found
	if f, err = st.hang(ctx, d); err != nil {
		return fmt.Errorf("hanging targets: %w", err)
	}
	out.add(hungRun, f)
	return nil
}

// hang lets a share of the targets hang and measures while they do. They are
// spread evenly over the services.
func (st *stage) hang(ctx context.Context, d *daemon) (figures, error) {
	for i := range st.ports {
		if i*st.hung/100 != (i+1)*st.hung/100 {
			if _, err := st.targets.tell("hang", i); err != nil {
				return figures{}, err
			}
		}
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return figures{}, err
	}
	return st.window(ctx, d, st.length/2)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
