//go:build linux

// Command probe measures what a probe costs: CPU time of the checker's process,
// kernel included, by the probes that arrived at a responder in another
// process. It compares a floor in C (the same system calls and nothing else),
// HAProxy, the engine with its event loop and the portable engine, in turns,
// and prints medians of ratios within a round.
//
// The checker has a core to itself as far as the machine allows, and all of it
// runs in a network namespace of its own where that is allowed. It needs cc and
// haproxy and says so where they are missing. It does not measure a real
// network, nor the rest of the daemon (see bench/daemon).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// settings are what the command line says.
type settings struct {
	rounds   int
	length   time.Duration
	sizes    string
	probes   string
	peers    string
	profile  string
	pin      bool
	keep     bool
	isolated bool
}

func main() {
	var s settings
	flag.IntVar(&s.rounds, "rounds", 7, "rounds; each measures every checker once")
	flag.DurationVar(&s.length, "for", 3*time.Second, "length of a measurement, at least one interval")
	flag.StringVar(&s.sizes, "sizes", "10000x1s,1000x1s,100000x10s", "targets x interval, as many as wanted")
	flag.StringVar(&s.probes, "probes", "http,tcp,half", "http; tcp; half: a TCP check that the target's kernel answers")
	flag.StringVar(&s.peers, "checkers", "floor,floor-reset,haproxy,engine,portable", "what is measured; floor-reset spares an HTTP target the end of our side")
	flag.StringVar(&s.profile, "profile", "", "write a CPU profile of the engine measured last to this file")
	flag.BoolVar(&s.pin, "pin", true, "keep the checker on one core and all else off it")
	flag.BoolVar(&s.keep, "keep", false, "keep the directory with programs and logs")
	flag.BoolVar(&s.isolated, "isolated", false, "be in a network namespace already (used by the command itself)")
	part := flag.String("part", "", "be the engine or the portable one (used by the command itself)")
	job := flag.String("job", "", "what the engine is to probe (used by the command itself)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case *part != "":
		err = runEngine(*job, *part == "portable", s.profile)
	case !s.isolated && isolate(ctx, &err):
	default:
		err = measure(ctx, s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/probe:", err)
		os.Exit(1)
	}
}

// measure plays the rounds and prints what they gave.
func measure(ctx context.Context, s settings) error {
	dir, err := os.MkdirTemp("", "mapwarden-bench-")
	if err != nil {
		return err
	}
	if s.keep {
		fmt.Println("programs and logs:", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	st, err := setStage(ctx, s, dir)
	if err != nil {
		return err
	}
	for _, size := range strings.Split(s.sizes, ",") {
		var l load
		if l.targets, l.interval, err = parseSize(size); err != nil {
			return err
		}
		for _, l.probe = range strings.Split(s.probes, ",") {
			if err := st.compare(ctx, l); err != nil {
				return fmt.Errorf("%v: %w", l, err)
			}
		}
	}
	return nil
}

func parseSize(s string) (targets int, interval time.Duration, err error) {
	n, d, _ := strings.Cut(s, "x")
	if _, err = fmt.Sscan(n, &targets); err == nil {
		interval, err = time.ParseDuration(d)
	}
	if err != nil || targets < 1 || interval < 100*time.Millisecond {
		return 0, 0, errors.Join(fmt.Errorf("size %q is not like 1000x1s", s), err)
	}
	return targets, interval, nil
}

// isolate runs this command again in a network namespace of its own, where
// nobody else's connections are counted. It reports false where it cannot.
func isolate(ctx context.Context, result *error) bool {
	self, err := os.Executable()
	if err != nil {
		return false
	}
	const up = "ip link set lo up 2>/dev/null || ifconfig lo up || exit 99; exec \"$0\" -isolated \"$@\""
	cmd := command(ctx, "sh", append([]string{"-c", up, self}, os.Args[1:]...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err = cmd.Start(); err == nil {
		err = cmd.Wait()
	}
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 99 {
		fmt.Println("NOT in a network namespace of its own; connections of others count, too:", err)
		return false
	}
	*result = err
	return true
}
