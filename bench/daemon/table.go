//go:build linux || darwin

package main

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// The runs of a measurement, in the order of their rows.
const (
	bareRun   = "bare engine"
	daemonRun = "daemon"
	hungRun   = "daemon, %d%% hang"
)

// table collects the figures and prints them.
type table struct {
	settings
	runs     map[string][]figures
	detected []detection
}

func newTable(s settings, c cores) *table {
	fmt.Printf("%d targets in %d services x %v, HTTP, enforcing, registry listed every 10s; %s\n", s.targets, s.services, s.interval, runtime.Version())
	fmt.Printf("daemon and bare engine: GOMAXPROCS=1, %v; %d rounds, %v of the daemon and %v of the bare engine each%s\n", c, s.rounds, s.length, s.bare, load())
	return &table{settings: s, runs: map[string][]figures{}}
}

// load says how busy the machine was before, where it tells.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	one, _, _ := strings.Cut(string(b), " ")
	return fmt.Sprintf("; load before: %s on %d CPUs", one, runtime.NumCPU())
}

func (t *table) add(run string, f figures) { t.runs[run] = append(t.runs[run], f) }

// finish prints a row for each measurement, and what they say together.
func (t *table) finish() error {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tprobes/s\tof wanted\tanswered\tlate p50\tp99\tmax\tgap p50\tp99\tmax\tCPU us/probe\tof one core\tRSS MB\tregistry calls/s\t")
	for _, run := range [...]string{bareRun, daemonRun, hungRun} {
		for _, f := range t.runs[run] {
			calls := 0
			for _, n := range f.calls {
				calls += n
			}
			name := run
			if run == hungRun {
				name = fmt.Sprintf(hungRun, t.hung)
			}
			fmt.Fprintf(w, "%s\t%.0f\t%.1f%%\t%.1f%%\t%s\t%s\t%s\t%v\t%v\t%v\t%.1f\t%.1f%%\t%.0f\t%.1f\t\n",
				name, f.rate(), f.share(), 100*float64(f.seen.Answered)/float64(max(f.seen.Arrived, 1)),
				f.lateness(0.5), f.lateness(0.99), f.lateness(1), ms(f.seen.Gaps[0]), ms(f.seen.Gaps[1]), ms(f.seen.Gaps[2]),
				f.perProbe(), f.ofCore(), f.rss/(1<<20), float64(calls)/f.elapsed.Seconds())
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	t.conclude()
	return nil
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// conclude prints medians and ranges.
func (t *table) conclude() {
	daemon, bare := t.runs[daemonRun], t.runs[bareRun]
	fmt.Println("probes: connections that the targets saw; late: start minus due, by the buckets of /metrics; gap: from arrival to arrival at one target")
	fmt.Printf("daemon: %s of the wanted probes, %s of one core, %s us a probe; bare engine: %s us a probe; daemon / bare: %s\n",
		spread(daemon, figures.share, "%.1f%%"), spread(daemon, figures.ofCore, "%.1f%%"),
		spread(daemon, figures.perProbe, "%.1f"), spread(bare, figures.perProbe, "%.1f"), t.ratio())
	t.concludeCrashes()
	if len(daemon) > 0 {
		var calls []string
		last := daemon[len(daemon)-1].calls
		for _, op := range slices.Sorted(maps.Keys(last)) {
			calls = append(calls, fmt.Sprintf("%s %d", op, last[op]))
		}
		fmt.Printf("registry calls in the last round's %v: %s\n", t.length, strings.Join(calls, ", "))
	}
}

func (t *table) concludeCrashes() {
	if len(t.detected) == 0 {
		return
	}
	var set []detection
	withheld := map[string]int{}
	for _, d := range t.detected {
		if d.set > 0 {
			set = append(set, d)
		} else {
			withheld[d.withheld]++
		}
	}
	fmt.Printf("%d crashes (connection refused; fall 4, so 3 to 4 intervals): unhealthy after %s s; registry told of %d, after %s s\n",
		len(t.detected), spread(t.detected, func(d detection) float64 { return d.verdict.Seconds() }, "%.2f"),
		len(set), spread(set, func(d detection) float64 { return d.set.Seconds() }, "%.2f"))
	for _, why := range slices.Sorted(maps.Keys(withheld)) {
		fmt.Printf("  %d withheld: %s\n", withheld[why], why)
	}
}

// ratio is that of the rounds, each to its own bare engine.
func (t *table) ratio() string {
	bare := t.runs[bareRun]
	var ratios []float64
	for i, f := range t.runs[daemonRun] {
		ratios = append(ratios, f.perProbe()/bare[i].perProbe())
	}
	return spread(ratios, func(r float64) float64 { return r }, "%.2f")
}

// spread is the median with the range of all.
func spread[T any](xs []T, of func(T) float64, format string) string {
	values := make([]float64, len(xs))
	for i, x := range xs {
		values[i] = of(x)
	}
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return "-"
	}
	median := (values[(n-1)/2] + values[n/2]) / 2
	return fmt.Sprintf(format+" ("+format+" to "+format+")", median, values[0], values[n-1])
}
