//go:build linux || darwin

// Command probe measures the probe engine against a responder in another
// process: how exactly it keeps its schedule, how many probes it makes, and
// what one costs in CPU time of this process, kernel included. Run it with
// GOMAXPROCS=1 to see what one core carries; it sets that by default.
//
// It does not measure a real network, nor the rest of the daemon: what judges
// and records observations is not in this process.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/probe"
)

func main() {
	var (
		targets  = flag.Int("targets", 2000, "number of targets")
		interval = flag.Duration("interval", time.Second, "interval of each target")
		length   = flag.Duration("for", 5*time.Second, "length of each measurement, after one interval of run-up")
		procs    = flag.Int("procs", 1, "GOMAXPROCS of the checker")
		respond  = flag.Bool("respond", false, "be the responder (used by the command itself)")
	)
	flag.Parse()
	if *respond {
		fatal(serve())
		return
	}
	runtime.GOMAXPROCS(*procs)
	fatal(measureAll(*targets, *interval, *length))
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/probe:", err)
		os.Exit(1)
	}
}

// scenario is one row of the table.
type scenario struct {
	name     string
	protocol health.Protocol
	hung     int // percent of the targets that accept and never answer
}

func measureAll(targets int, interval, length time.Duration) error {
	prompt, silent, stop, err := responder()
	if err != nil {
		return err
	}
	defer stop()
	fmt.Printf("%d targets x %v, %v each, GOMAXPROCS=%d of %d, %s\n", targets, interval, length, runtime.GOMAXPROCS(0), runtime.NumCPU(), runtime.Version())
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "check\tprobes/s\tof wanted\tpass\tfail\tuntold\tlate p50\tp99\tmax\tCPU us/probe\tof one core\tRSS MB\t")
	for _, s := range []scenario{
		{"tcp", health.TCP, 0},
		{"http", health.HTTP, 0},
		{"http, 10% hang", health.HTTP, 10},
	} {
		r, err := measure(s, targets, interval, length, prompt, silent)
		if err != nil {
			return err
		}
		wanted := float64(targets) * length.Seconds() / interval.Seconds()
		n := len(r.lateness)
		slices.Sort(r.lateness)
		fmt.Fprintf(w, "%s\t%.0f\t%.1f%%\t%d\t%d\t%d\t%v\t%v\t%v\t%.0f\t%.0f%%\t%d\t\n",
			s.name, float64(n)/length.Seconds(), 100*float64(n)/wanted,
			r.outcomes[health.Pass], r.outcomes[health.Fail], r.outcomes[health.Indeterminate],
			quantile(r.lateness, 0.5), quantile(r.lateness, 0.99), quantile(r.lateness, 1),
			float64(r.cpu.Microseconds())/float64(max(n, 1)), 100*r.cpu.Seconds()/length.Seconds(), r.rss>>20)
	}
	return w.Flush()
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))].Round(10 * time.Microsecond)
}

// figures are what one measurement gave.
type figures struct {
	lateness []time.Duration // start minus due
	outcomes [3]int
	cpu      time.Duration
	rss      int64 // bytes, the largest so far
}

func measure(s scenario, targets int, interval, length time.Duration, prompt, silent uint16) (figures, error) {
	origin := time.Now()
	now := func() health.Instant { return health.Instant(1 + time.Since(origin)) }
	var (
		mu  sync.Mutex
		out = figures{lateness: make([]time.Duration, 0, targets*int(length/interval+2))}
	)
	from := now().Add(interval)
	until := from.Add(length)
	engine, err := probe.NewEngine(probe.Config{
		Options: probe.Options{Policy: probe.AddressPolicy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}},
		Now:     now,
		Deliver: func(batch []health.Observation) {
			mu.Lock()
			defer mu.Unlock()
			for _, o := range batch {
				if o.Due >= from && o.Due < until {
					out.lateness = append(out.lateness, o.Start.Sub(o.Due))
					out.outcomes[o.Outcome]++
				}
			}
		},
	})
	if err != nil {
		return figures{}, err
	}
	for i := range targets {
		t := target(i, s, interval, prompt, silent)
		engine.Watch(t, now().Add(time.Duration(i)*interval/time.Duration(targets)))
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()

	time.Sleep(from.Sub(now()))
	before := usage()
	time.Sleep(until.Sub(now()))
	after := usage()
	time.Sleep(min(interval, time.Second)) // what is still under way
	cancel()
	err = <-done
	mu.Lock()
	defer mu.Unlock()
	out.cpu = cpu(after) - cpu(before)
	out.rss = after.Maxrss
	if runtime.GOOS == "linux" {
		out.rss <<= 10 // getrusage(2): kilobytes there, bytes on Darwin
	}
	return out, err
}

func target(i int, s scenario, interval time.Duration, prompt, silent uint16) health.Target {
	port := prompt
	if i%100 < s.hung {
		port = silent
	}
	service := fmt.Sprintf("srv-%d", i/20)
	return health.Target{
		Handle:  health.NewHandle(uint32(i), 1),
		Service: health.Service{ID: service, Name: service, Namespace: "bench"},
		Addr:    netip.AddrFrom4([4]byte{127, 0, 0, 1}), Port: port,
		Check: health.Check{
			Probe:    health.Probe{Protocol: s.protocol, Path: "/healthz"},
			Interval: interval, Timeout: interval / 2,
		},
	}
}

func usage() syscall.Rusage {
	var u syscall.Rusage
	fatal(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u
}

func cpu(u syscall.Rusage) time.Duration {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// responder starts this program again as the other side and returns the ports
// of its two listeners.
func responder() (prompt, silent uint16, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, 0, nil, err
	}
	cmd := exec.Command(self, "-respond")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, 0, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, nil, err
	}
	if err := cmd.Start(); err != nil {
		return 0, 0, nil, err
	}
	stop = func() { in.Close(); cmd.Wait() }
	if _, err := fmt.Fscan(out, &prompt, &silent); err != nil {
		stop()
		return 0, 0, nil, fmt.Errorf("read the responder's ports: %w", err)
	}
	return prompt, silent, stop, nil
}

// serve answers on one port and is silent on another, until stdin ends.
func serve() error {
	prompt, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	silent, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go accept(prompt, answer)
	go accept(silent, func(c net.Conn) { io.Copy(io.Discard, c); c.Close() })
	fmt.Println(port(prompt), port(silent))
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func port(l net.Listener) string {
	_, p, _ := net.SplitHostPort(l.Addr().String())
	return p
}

func accept(l net.Listener, handle func(net.Conn)) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go handle(c)
		}
	}
}

var response = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")

func answer(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 512)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(line) <= 2 {
			c.Write(response)
			return
		}
	}
}
