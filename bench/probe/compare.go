//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// Goals are those of the design: the engine's cost by that of others.
type goal struct {
	of   string
	most float64
}

func (l load) goals() []goal {
	switch {
	case l.probe == "http" && l.targets == 10000:
		return []goal{{"floor", 1.2}, {"haproxy", 0.65}}
	case l.probe == "half" && l.targets == 10000:
		return []goal{{"haproxy", 0.65}}
	case l.targets == 1000 && l.probe != "tcp":
		return []goal{{"haproxy", 0.80}}
	}
	return nil
}

// compare measures every checker in turns and prints a table.
func (st *stage) compare(ctx context.Context, l load) error {
	runs := map[string][]run{}
	checkers := slices.Clone(st.checkers)
	if l.probe != "http" {
		checkers = slices.DeleteFunc(checkers, func(c string) bool { return c == "floor-reset" })
	}
	if l.targets > 20000 { // of 50,000 servers it checked none within 22 s
		checkers = slices.DeleteFunc(checkers, func(c string) bool { return c == "haproxy" })
	}
	for round := range st.rounds {
		for i := range checkers {
			name := checkers[(i+round)%len(checkers)]
			r, err := st.once(ctx, name, l)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			runs[name] = append(runs[name], r)
		}
	}
	fmt.Printf("\n%v: %.0f probes/s wanted\n", l, l.rate())
	table := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "checker\tCPU us/probe\tof wanted\tforeign CPU\tRSS MB\tgap p50\tp99\tmax\tstarts in 5%\tlatest\tpassed\t")
	for _, name := range checkers {
		row(table, name, runs[name], l)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	st.ratios(runs, checkers, l)
	return nil
}

func row(w *tabwriter.Writer, name string, rs []run, l load) {
	of := func(f func(run) float64) []float64 {
		var out []float64
		for _, r := range rs {
			out = append(out, f(r))
		}
		return out
	}
	gap := func(i int) time.Duration {
		return time.Duration(median(of(func(r run) float64 { return float64(r.seen.Gaps[i]) }))).Round(time.Millisecond)
	}
	gaps := fmt.Sprintf("%v\t%v\t%v", gap(0), gap(1), gap(2))
	if gap(2) == 0 {
		gaps = "-\t-\t-" // the responder did not see them
	}
	schedule := "-\t-\t-"
	if rs[0].told.Probes > 0 {
		latest := median(of(func(r run) float64 { return float64(r.told.Latest) }))
		schedule = fmt.Sprintf("%.2f%%\t%v\t%.2f%%", median(of(func(r run) float64 { return 100 * float64(r.told.OnTime) / float64(r.told.Probes+r.told.Skipped) })),
			time.Duration(latest).Round(100*time.Microsecond), median(of(func(r run) float64 { return 100 * float64(r.told.Passed) / float64(r.told.Probes) })))
	}
	fmt.Fprintf(w, "%s\t%s\t%.1f%%\t%.0f%%\t%.1f\t%s\t%s\t\n", name, spread(of(run.perProbe), "%.1f"),
		median(of(func(r run) float64 { return 100 * r.rate() / l.rate() })), median(of(func(r run) float64 { return 100 * r.foreign })),
		median(of(func(r run) float64 { return r.rss / (1 << 20) })), gaps, schedule)
}

// ratios prints the engine's cost by that of each other, of the rounds that
// count: the floor is well below HAProxy, and nobody else was on the core.
func (st *stage) ratios(runs map[string][]run, checkers []string, l load) {
	var rounds, quiet []int
	for i := range st.rounds {
		if busiest, calm := st.foreign(runs, i), st.sound(runs, i); busiest < 0.10 && calm {
			rounds = append(rounds, i)
		} else if busiest < 0.35 && calm {
			quiet = append(quiet, i)
		}
	}
	all := make([]int, st.rounds)
	for i := range all {
		all[i] = i
	}
	fmt.Printf("%d of %d rounds count (floor <= 0.75 x HAProxy, others < 10%% of the core)", len(rounds), st.rounds)
	if len(quiet) > 0 {
		fmt.Printf("; %d more had others at 10 to 35%%", len(quiet))
	}
	fmt.Println()
	for _, of := range checkers {
		if of == "engine" || len(runs["engine"]) == 0 {
			continue
		}
		ratio := func(which []int) string {
			var out []float64
			for _, i := range which {
				out = append(out, runs["engine"][i].perProbe()/runs[of][i].perProbe())
			}
			return spread(out, "%.2f")
		}
		text := ""
		for _, g := range l.goals() {
			if g.of == of {
				text = fmt.Sprintf("; goal <= %.2f", g.most)
			}
		}
		fmt.Printf("  engine / %s: %s%s; of all rounds %s\n", of, ratio(rounds), text, ratio(all))
	}
}

func (st *stage) foreign(runs map[string][]run, round int) (most float64) {
	for _, rs := range runs {
		most = max(most, rs[round].foreign)
	}
	return most
}

func (st *stage) sound(runs map[string][]run, round int) bool {
	floor, haproxy := runs["floor"], runs["haproxy"]
	return len(floor) == 0 || len(haproxy) == 0 || floor[round].perProbe() <= 0.75*haproxy[round].perProbe()
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	n := len(x)
	if n == 0 {
		return 0
	}
	return (x[(n-1)/2] + x[n/2]) / 2
}

// spread is the median with the range of all.
func spread(x []float64, format string) string {
	if len(x) == 0 {
		return "-"
	}
	return fmt.Sprintf(format+" ("+format+" to "+format+")", median(x), slices.Min(x), slices.Max(x))
}
