// Command baseline plays the simulator's stories with other checkers in
// mapwarden's place, and prints what clients made of it: whom they lost
// wrongly, how many requests failed, how soon they ceased to find what failed,
// and how soon they found it again.
//
// The others are imitated by their rule alone (when is it healthy, what is
// written when it is not), over the same registry with the same delays. What
// else they can do, and what it costs to run them, is not compared.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mapwarden/mapwarden/internal/fleetsim"
)

// scenes are the stories that are played, where they exist.
var scenes = []string{"S01", "S02", "S03", "S05", "S06", "S08", "S09", "S10", "S18", "S32"}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "baseline:", err)
		os.Exit(1)
	}
}

func run() error {
	files, err := filepath.Glob("internal/fleetsim/testdata/S*.txt")
	if err != nil {
		return err
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if scene, _, _ := strings.Cut(name, "-"); !slices.Contains(scenes, scene) || strings.Contains(name, "three-vantages") {
			continue // what three vantages make of a story is a row of each
		}
		if err := play(file, name); err != nil {
			return err
		}
	}
	return nil
}

func play(file, name string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	fmt.Println(name)
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tremoved\tfalse\trequests failed\tuntouched\tstopped\tmedian\tback\tmedian\tstill out\tleast capacity\t")
	for _, c := range contenders {
		story, err := fleetsim.Parse(file, string(text))
		if err != nil {
			return err
		}
		if c.rule != nil {
			if c.rule.places {
				three(&story)
			}
			seats := &council{minds: map[string]*mind{}}
			story.Mind = func(vantage string) fleetsim.Mind {
				if vantage != story.Settings.Vantages[0].Name && !c.rule.places {
					return idle{}
				}
				return seats.seat(vantage, c.rule)
			}
		} else {
			c.apply(&story)
		}
		story.Settings.Untraced = true
		r, err := fleetsim.Run(story)
		if err != nil {
			return err
		}
		s := r.Sums
		fmt.Fprintf(t, "%s\t%d\t%d\t%.1f %%\t%.1f %%\t%d of %d\t%s\t%d\t%s\t%d\t%.0f %%\t\n", c.name, s.Removed, s.False, s.Failed, s.Unwatched,
			len(s.Stopped), s.Faults, middle(s.Stopped), len(s.Back), middle(s.Back), s.Out, s.Capacity)
	}
	return t.Flush()
}

// middle is the median, "-" of none.
func middle(ds []time.Duration) string {
	if len(ds) == 0 {
		return "-"
	}
	return slices.Sorted(slices.Values(ds))[len(ds)/2].Round(100 * time.Millisecond).String()
}
