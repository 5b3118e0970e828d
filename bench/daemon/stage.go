//go:build linux || darwin

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// stage is everything that stands through all rounds.
type stage struct {
	settings
	dir      string
	cores    cores
	targets  targets
	ports    []int // of the targets
	registry *registry
	daemons  int // started so far
}

func setStage(ctx context.Context, s settings, dir string) (*stage, error) {
	st := &stage{settings: s, dir: dir, cores: placing(s.pin)}
	for _, step := range []func() error{
		func() error { return st.build(ctx) }, st.startTargets, st.startRegistry,
		func() error { return st.registry.fill(ctx, s.services, st.ports) },
	} {
		if err := step(); err != nil {
			st.close()
			return nil, err
		}
	}
	return st, nil
}

func (st *stage) close() {
	if st.registry != nil {
		st.registry.close()
	}
	if st.targets.child != nil {
		st.targets.stop()
	}
}

func (st *stage) build(ctx context.Context) error {
	if st.mapwarden != "" {
		return nil
	}
	st.mapwarden = filepath.Join(st.dir, "mapwarden")
	c := exec.CommandContext(ctx, "go", "build", "-o", st.mapwarden, "github.com/mapwarden/mapwarden/cmd/mapwarden")
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("build cmd/mapwarden: %w", err)
	}
	return nil
}

// subject is what is measured: the daemon, or the bare engine.
type subject interface {
	sample(context.Context) (sample, error)
}

// sample is what a subject says of itself so far.
type sample struct {
	CPU    float64 // seconds
	RSS    float64 // bytes: of the daemon now, of the bare engine the most so far
	Probes float64
	Bounds []float64 // of lateness, seconds
	Late   []float64 // probes by lateness, one more than bounds
}

// figures are what one measurement gave.
type figures struct {
	elapsed time.Duration
	seen    arrivals
	wanted  float64
	cpu     float64 // seconds
	probes  float64
	rss     float64
	late    sample // the difference of the histograms
	calls   map[string]int
}

func (f figures) rate() float64     { return float64(f.seen.Arrived) / f.seen.Elapsed.Seconds() }
func (f figures) share() float64    { return 100 * float64(f.seen.Arrived) / f.wanted }
func (f figures) perProbe() float64 { return 1e6 * f.cpu / f.probes }
func (f figures) ofCore() float64   { return 100 * f.cpu / f.elapsed.Seconds() }

// window measures a subject for a while.
func (st *stage) window(ctx context.Context, s subject, length time.Duration) (f figures, err error) {
	before, err := s.sample(ctx)
	if err != nil {
		return f, err
	}
	if _, err = st.targets.window(); err != nil {
		return f, err
	}
	st.registry.taken()
	begun := time.Now()
	if err := pause(ctx, length); err != nil {
		return f, err
	}
	if f.seen, err = st.targets.window(); err != nil {
		return f, err
	}
	f.calls, f.elapsed = st.registry.taken(), time.Since(begun)
	after, err := s.sample(ctx)
	if err != nil {
		return f, err
	}
	f.wanted = float64(len(st.ports)) * f.seen.Elapsed.Seconds() / st.interval.Seconds()
	f.cpu, f.probes, f.rss = after.CPU-before.CPU, after.Probes-before.Probes, after.RSS
	f.late = sample{Bounds: after.Bounds, Late: make([]float64, len(after.Late))}
	for i := range after.Late {
		f.late.Late[i] = after.Late[i] - before.Late[i]
	}
	return f, nil
}

// lateness is the upper bound of the bucket in which the quantile lies.
func (f figures) lateness(q float64) string {
	total := 0.0
	for _, n := range f.late.Late {
		total += n
	}
	below := 0.0
	for i, n := range f.late.Late {
		if below += n; n > 0 && below >= q*total {
			if i == len(f.late.Bounds) {
				return fmt.Sprintf(">%gs", f.late.Bounds[i-1])
			}
			return fmt.Sprintf("<=%gms", 1000*f.late.Bounds[i])
		}
	}
	return "-"
}
