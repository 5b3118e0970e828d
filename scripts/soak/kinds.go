package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mapwarden/mapwarden/internal/fleetsim"
)

// kind is what one seed plays.
type kind struct {
	name string
	says string
	play func(seed uint64, s *slice) (failures []string, err error)
}

var kinds = []kind{
	{"stories", "every story of internal/fleetsim/testdata, with another seed", stories},
	{"random", "a random story of that seed", random},
	{"three-custom", "noise, three vantages, custom status: 10 days of 6 instances", noise("vantages=3", "custom", "240h", "")},
	{"three-quarantine", "noise, three vantages, quarantine: 10 days of 6 instances", noise("vantages=3", "none", "240h", "")},
	{"together-custom", "the same, and two of the three stall at the same moments", noise("vantages=3", "custom", "240h", "together=2")},
	{"together-quarantine", "the same with quarantine", noise("vantages=3", "none", "240h", "together=2")},
	{"solo-custom", "noise, one vantage with its own defaults, custom status: 100 days of 6 instances", noise("profile=solo", "custom", "2400h", "")},
	{"solo-quarantine", "the same with quarantine", noise("profile=solo", "none", "2400h", "")},
}

func names() (out []string) {
	for _, k := range kinds {
		out = append(out, k.name)
	}
	return out
}

func find(name string) (kind, bool) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return kinds[i], true
}

// noise plays days of a small fleet on which nothing but noise happens. Small
// ones go fastest: the more targets there are, the less is quiet.
func noise(config, check, length, how string) func(uint64, *slice) ([]string, error) {
	return func(seed uint64, s *slice) ([]string, error) {
		text := fmt.Sprintf("config %s mode=enforce seed=%d\nservice shop/web check=%s instances=6 zones=a,b,c\nat 2m noise %s\nrun %s\n",
			config, seed, check, how, length)
		story, err := fleetsim.Parse("noise", text)
		if err != nil {
			return nil, err
		}
		return one(story, s)
	}
}

func random(seed uint64, s *slice) ([]string, error) { return one(fleetsim.Random(seed), s) }

func stories(seed uint64, s *slice) ([]string, error) {
	files, err := filepath.Glob("internal/fleetsim/testdata/[0-9S]*.txt")
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no stories here: run it at the root of the repository (%w)", err)
	}
	var failures []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		story, err := fleetsim.Parse(strings.TrimSuffix(filepath.Base(file), ".txt"), string(text))
		if err != nil {
			return nil, err
		}
		more, err := one(story.WithSeed(seed), s)
		if err != nil {
			return nil, err
		}
		failures = append(failures, more...)
	}
	return failures, nil
}

// one plays a story and adds up what came of it. The trace is off: it is a hash
// over all effects, which proves that a seed is always the same run, and it takes
// as long as the run. Every invariant is on.
func one(story fleetsim.Story, s *slice) ([]string, error) {
	story.Settings.Untraced = true
	r, err := fleetsim.Run(story)
	if err != nil {
		return nil, err
	}
	s.runs++
	s.violations += len(r.Failures)
	if n := r.Noise; n != nil {
		s.days += n.Days
		s.wrong += n.False
		s.outages += n.Outages
		s.accused += n.Accused
		s.writes += n.Writes
	}
	return r.Failures, nil
}
