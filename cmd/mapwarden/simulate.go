package main

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/config"
	"github.com/mapwarden/mapwarden/internal/fleetsim"
)

func (a *app) simulateCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "simulate FILE|SEED", Short: "Play a story on the real mind, in simulated time", GroupID: "tool", Args: one("story file or seed"),
		Long: "Play a story: a script of a fleet, its faults and what is expected, or a random one made from a seed.\n" +
			"The real judgement runs in simulated time against a simulated registry, network and fleet. The same story\n" +
			"gives the same trace. Exit 1 where an expectation does not hold.\n\n" +
			"With --config the checks, limits and modes are those of your file, whatever the story says of them; its fleet,\n" +
			"its vantages and the pace of its registry stay. Where a story has several vantages, each line begins with one\n" +
			"letter for each: the name of the one that it is about (a capital leads), # another that leads, | one that runs,\n" +
			"z one that stands still, a blank one that is down.",
		Example: "  mapwarden simulate story.txt\n  mapwarden simulate 42\n  mapwarden simulate --config mapwarden.yaml story.txt",
		RunE: func(_ *cobra.Command, args []string) error {
			story, err := readStory(args[0])
			if err != nil {
				return exitWith(exitUsage, err)
			}
			if path != "" {
				f, err := config.Load(path, config.Flags{})
				if err != nil {
					return exitWith(exitUsage, err)
				}
				story = story.Configured(f.Warden())
			}
			r, err := fleetsim.Run(story)
			if err != nil {
				return exitWith(exitUsage, err)
			}
			fmt.Fprintf(a.out, "%s\n", story.Text)
			if err := r.WriteTimeline(a.out); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "trace %s\n", r.Trace)
			for _, f := range r.Failures {
				fmt.Fprintf(a.err, "FAILED %s\n", f)
			}
			if len(r.Failures) > 0 {
				return exitWith(exitFailed, fmt.Errorf("%s: %d of its expectations do not hold", story.Name, len(r.Failures)))
			}
			return nil
		},
	}
	c.Flags().StringVarP(&path, "config", "c", "", "config file whose checks, limits and modes are played (docs/configuration.md)")
	return c
}

// readStory takes a number as a seed, anything else as a file.
func readStory(arg string) (fleetsim.Story, error) {
	if seed, err := strconv.ParseUint(arg, 10, 64); err == nil {
		return fleetsim.Random(seed), nil
	}
	f, err := os.Open(arg)
	if err != nil {
		return fleetsim.Story{}, fmt.Errorf("%w; give a story file, or a number as a seed", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return fleetsim.Story{}, err
	}
	return fleetsim.Parse(arg, string(text))
}
