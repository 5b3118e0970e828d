//go:build linux

// Command registry measures the registry as processes of its own, over real
// connections on loopback: what a DiscoverInstances costs beside a bare
// net/http handler that returns as many bytes, and how that grows with the
// answer and with the registry; what durability costs a RegisterInstance; the
// memory and the start of a registry of 100,000 instances; and what idle
// connections cost.
//
// Everything that is compared runs in turns, in rounds, and a ratio is taken
// within its round, so that a busy machine disturbs both sides alike. It does
// not measure DNS, nor a network, nor clients: its own is as lean as it can be.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	rounds    int
	window    time.Duration // of one measurement
	instances int           // of the large registry
	idle      int           // connections
	only      string
}

func main() {
	var s settings
	flag.IntVar(&s.rounds, "rounds", 9, "rounds of each comparison")
	flag.DurationVar(&s.window, "for", 400*time.Millisecond, "length of each measurement in a round")
	flag.IntVar(&s.instances, "instances", 100_000, "instances of the large registry")
	flag.IntVar(&s.idle, "idle", 5000, "idle connections")
	flag.StringVar(&s.only, "only", "", "only these parts, of discover, register, size, idle")
	quick := flag.Bool("quick", false, "one short round of everything, to see that it works; its figures say nothing")
	pin := flag.Bool("pin", true, "keep the server on one core and the client on another, where taskset is there")
	role := flag.String("serve", "", "be a server: registry or bare (used by the command itself)")
	var srv serving
	flag.StringVar(&srv.path, "path", "", "the server's file")
	flag.BoolVar(&srv.noSync, "nosync", false, "the server's writes do not wait for the disk")
	flag.DurationVar(&srv.delay, "operation-delay", 0, "the server's operations take as long")
	flag.Parse()
	if *quick {
		s.rounds, s.window, s.instances, s.idle = 1, 30*time.Millisecond, 2500, 50
	}

	var err error
	switch {
	case *role == "registry":
		err = srv.registry()
	case *role == "bare":
		err = srv.bare()
	default:
		err = measure(s, placing(*pin))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/registry:", err)
		os.Exit(1)
	}
}

func measure(s settings, c cores) error {
	if err := c.enter(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mapwarden-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	st := &stage{settings: s, cores: c, dir: dir}
	defer st.close()
	fmt.Printf("%d rounds of %v; %v; %s%s\n", s.rounds, s.window, c, runtime.Version(), load())
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"discover", st.discover}, {"register", st.register}, {"size", st.size}, {"idle", st.idleConnections},
	} {
		if s.only != "" && !strings.Contains(s.only, part.name) {
			continue
		}
		if err := part.run(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		st.close()
	}
	fmt.Printf("done%s\n", load())
	return nil
}

// load says how busy the machine is.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	one, _, _ := strings.Cut(string(b), " ")
	return fmt.Sprintf("; load %s on %s CPUs", one, cmp.Or(os.Getenv(entered), strconv.Itoa(runtime.NumCPU())))
}

// cores says where the processes run.
type cores struct {
	taskset string // its path; empty: nothing is pinned
}

const (
	serverCore = "0"
	clientCore = "1"
	entered    = "MAPWARDEN_BENCH_PINNED" // in the process that is on clientCore: the number of CPUs that there are
)

func placing(pin bool) cores {
	path, err := exec.LookPath("taskset")
	if err != nil || !pin || runtime.NumCPU() < 2 && os.Getenv(entered) == "" {
		return cores{}
	}
	return cores{path}
}

// enter moves this process, which is the client, to its core: it becomes
// taskset, which becomes it again.
func (c cores) enter() error {
	if c.taskset == "" || os.Getenv(entered) != "" {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	argv := append([]string{"taskset", "-c", clientCore, self}, os.Args[1:]...)
	return fmt.Errorf("become taskset: %w", syscall.Exec(c.taskset, argv, append(os.Environ(), entered+"="+strconv.Itoa(runtime.NumCPU()))))
}

func (c cores) String() string {
	if c.taskset == "" {
		return "not pinned"
	}
	return "servers on CPU " + serverCore + ", client on CPU " + clientCore
}
