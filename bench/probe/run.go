//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// arrivals is what the responder saw in a stretch of time.
type arrivals struct {
	Elapsed time.Duration
	Arrived int
	Least   int // at one target
	Most    int
	Gaps    []time.Duration // of the worst of each target: p50, p99, all
}

// run is what one measurement gave.
type run struct {
	probes  float64 // that arrived
	elapsed time.Duration
	cpu     time.Duration
	foreign float64 // share of the checker's core that others had
	rss     float64 // bytes
	seen    arrivals
	told    told
}

func (r run) perProbe() float64 { return float64(r.cpu.Nanoseconds()) / 1e3 / r.probes }
func (r run) rate() float64     { return r.probes / r.elapsed.Seconds() }

// once measures one checker.
func (st *stage) once(ctx context.Context, name string, l load) (r run, err error) {
	kind := "tcp"
	if l.probe == "http" {
		kind = "http"
	}
	responder, err := st.spawn(ctx, false, filepath.Join(st.dir, "responder"), kind, strconv.Itoa(firstPort), strconv.Itoa(ports), strconv.Itoa(l.targets))
	if err != nil {
		return r, err
	}
	defer responder.stop()
	if _, err := responder.out.ReadString('\n'); err != nil {
		return r, fmt.Errorf("the responder did not start: %w", err)
	}
	checker, err := st.startChecker(ctx, name, l)
	if err != nil {
		return r, err
	}
	defer checker.stop()
	engine := name == "engine" || name == "portable"
	if err := underWay(ctx, l); err != nil {
		return r, err
	}
	begun, err := st.sample(checker, responder, engine, &r)
	if err != nil {
		return r, err
	}
	if err := pause(ctx, max(st.length, l.interval)); err != nil {
		return r, err
	}
	ended, err := st.sample(checker, responder, engine, &r)
	if err != nil {
		return r, err
	}
	r.elapsed, r.cpu = ended.at.Sub(begun.at), ended.cpu-begun.cpu
	r.foreign = max(0, float64(ended.busy-begun.busy-r.cpu)/float64(r.elapsed))
	r.probes = float64(r.seen.Arrived)
	if l.probe == "half" || name == "haproxy" && l.probe == "tcp" { // the responder cannot see them
		r.probes = float64(ended.opened - begun.opened)
	}
	r.rss, err = rss(checker.cmd.Process.Pid)
	return r, err
}

// underWay waits until a checker has begun (HAProxy takes seconds to read ten
// thousand servers), and then for an interval and a second.
func underWay(ctx context.Context, l load) error {
	before, err := opened()
	if err != nil {
		return err
	}
	for range 600 {
		if n, err := opened(); err != nil {
			return err
		} else if n > before+l.targets/20 {
			return pause(ctx, l.interval+time.Second)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("hardly a probe in a minute")
}

// sample is what counters stood at.
type sample struct {
	at     time.Time
	cpu    time.Duration // of the checker
	busy   time.Duration // its core
	opened int           // connections by this namespace
}

func (st *stage) sample(checker, responder *child, engine bool, r *run) (s sample, err error) {
	if engine {
		r.told = told{}
		if err := checker.ask(&r.told); err != nil {
			return s, fmt.Errorf("the checker does not answer: %w", err)
		}
	}
	if err := responder.ask(&r.seen); err != nil {
		return s, fmt.Errorf("the responder does not answer: %w", err)
	}
	s.at = time.Now()
	if s.cpu, err = cpuOf(checker.cmd.Process.Pid); err != nil {
		return s, err
	}
	if s.busy, err = busy(max(st.core, 0)); err != nil {
		return s, err
	}
	s.opened, err = opened()
	return s, err
}

// cpuOf is the CPU time of a process, kernel included, to the nanosecond.
func cpuOf(pid int) (sum time.Duration, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("process %d has gone", pid)
	}
	for _, t := range tasks {
		b, err := os.ReadFile(t)
		if err != nil {
			continue // a thread that has just ended
		}
		var ns int64
		if _, err := fmt.Sscan(string(b), &ns); err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// busy is how long a core was not idle.
func busy(core int) (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 9 || f[0] != fmt.Sprint("cpu", core) {
			continue
		}
		ticks := 0
		for i, x := range f[1:9] {
			if n, err := strconv.Atoi(x); err == nil && i != 3 && i != 4 { // idle, waiting for a disk
				ticks += n
			}
		}
		return time.Duration(ticks) * 10 * time.Millisecond, nil // USER_HZ is 100
	}
	return 0, fmt.Errorf("/proc/stat has no cpu%d", core)
}

// opened is how many connections were begun here.
func opened() (n int, err error) {
	b, err := os.ReadFile("/proc/self/net/snmp")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 5 && f[0] == "Tcp:" {
			n, err = strconv.Atoi(f[5]) // ActiveOpens; the first such line has the names
		}
	}
	return n, err
}

func rss(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	var kb float64
	_, err = fmt.Sscan(rest, &kb)
	return 1024 * kb, err
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
