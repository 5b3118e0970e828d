//go:build linux

package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// table collects the figures of all rounds and prints them.
type table struct {
	st   *stage
	runs map[run][]figures
}

// run is one server in one case.
type run struct {
	server string
	about  testCase
}

func newTable(s settings, st *stage) *table {
	load := ""
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		one, _, _ := strings.Cut(string(b), " ")
		load = "; load before: " + one
	}
	placing := "not pinned"
	if st.pinned {
		placing = "servers on one CPU, asker on another"
	}
	fmt.Printf("DNS A over UDP on loopback, %d rounds of %v, GOMAXPROCS=1, %s, %d CPUs, %s%s\n",
		s.rounds, s.length, placing, runtime.NumCPU(), runtime.Version(), load)
	if st.version == "" {
		fmt.Printf("LEFT OUT: dnsmasq is not installed (Debian: apt-get install dnsmasq-base)\n")
	} else {
		fmt.Println(st.version)
	}
	return &table{st: st, runs: make(map[run][]figures)}
}

func (t *table) add(server string, c testCase, f figures) {
	t.runs[run{server, c}] = append(t.runs[run{server, c}], f)
}

// goals are what the measurement is for.
const (
	goalCPU        = 1.0  // of dnsmasq's CPU time per request, at most; or
	goalThroughput = 1.0  // of its throughput, at least
	goalBare       = 0.85 // of the bare handler's throughput, at least
)

func (t *table) print() error {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "case\tserver\tanswers/s\tCPU us/answer\tof one core\tlost")
	for _, c := range cases {
		for _, s := range t.st.servers {
			rows := t.runs[run{s.name, c}]
			lost := 0
			for _, f := range rows {
				lost += f.lost
			}
			fmt.Fprintf(w, "%s\t%s\t%.0f\t%.2f\t%.0f%%\t%d\n", c.name, s.name,
				median(each(rows, figures.speed)), median(each(rows, figures.cost)), 100*median(each(rows, figures.share)), lost)
		}
	}
	fmt.Fprintln(w, "\ncase\tof\tthroughput\tCPU per answer\tgoal")
	for _, c := range cases {
		mine := t.runs[run{ours, c}]
		for _, other := range []string{dnsmasq, bare} {
			theirs := t.runs[run{other, c}]
			if len(theirs) == 0 {
				continue
			}
			speed, cost := ratios(mine, theirs, figures.speed), ratios(mine, theirs, figures.cost)
			reached := median(speed) >= goalBare
			if other == dnsmasq {
				reached = median(speed) >= goalThroughput || median(cost) <= goalCPU
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.name, other, spread(speed), spread(cost), verdict(reached))
		}
	}
	if t.crowded() {
		fmt.Fprintln(w, "\nA server below 90% of its core with many questions open had to wait for the core:\nother work was on it. Then CPU per answer says more than throughput.")
	}
	return w.Flush()
}

// crowded reports whether a server that never ran out of questions ran out of
// core.
func (t *table) crowded() bool {
	for r, rows := range t.runs {
		if r.about.window > 1 && median(each(rows, figures.share)) < 0.9 {
			return true
		}
	}
	return false
}

func verdict(reached bool) string {
	if reached {
		return "reached"
	}
	return "NOT REACHED"
}

func (f figures) speed() float64 { return f.perSecond }
func (f figures) cost() float64  { return f.perRequest }
func (f figures) share() float64 { return f.busy }

func each(rows []figures, of func(figures) float64) []float64 {
	var out []float64
	for _, f := range rows {
		out = append(out, of(f))
	}
	return out
}

// ratios compares round by round.
func ratios(mine, theirs []figures, of func(figures) float64) []float64 {
	var out []float64
	for i := range min(len(mine), len(theirs)) {
		out = append(out, of(mine[i])/of(theirs[i]))
	}
	return out
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func spread(values []float64) string {
	return fmt.Sprintf("%.2f [%.2f-%.2f]", median(values), slices.Min(values), slices.Max(values))
}
