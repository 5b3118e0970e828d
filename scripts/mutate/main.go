// Command mutate is the mutation gate: it changes the code that decides, one
// small thing at a time, and fails where no test notices.
//
// Every mutant of every package is compiled into one set of test binaries, and
// the environment says which one is alive; so a mutant costs a run of the
// tests and no build. It knows nothing of line numbers: what it changes is
// found by syntax and types.
//
//	go run ./scripts/mutate                     all, going on where it was stopped
//	go run ./scripts/mutate -sample 25 -seed X  25 of them, the same ones for the same X
//	go run ./scripts/mutate -only 'lever\.'     those whose name matches
//	go run ./scripts/mutate -list               what there is
//
// Survivors that are no fault are listed in docs/mutants.md, each with its
// reason. The gate fails on a survivor that is not listed, and on a line of the
// list that is no survivor (any more). It does not judge how well code is
// covered: it asks only whether a test fails.
package main

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// listFile holds the accepted survivors.
const listFile = "docs/mutants.md"

type options struct {
	only    *regexp.Regexp
	list    bool
	sample  int
	seed    string
	workers int
}

func main() {
	var o options
	only := flag.String("only", "", "run the mutants whose name or file matches this `pattern`, and believe no ledger")
	flag.BoolVar(&o.list, "list", false, "list the mutants and run none")
	flag.IntVar(&o.sample, "sample", 0, "run this many of them, drawn by -seed, and believe no ledger")
	flag.StringVar(&o.seed, "seed", time.Now().UTC().Format(time.DateOnly), "what the sample is drawn by")
	flag.IntVar(&o.workers, "p", runtime.NumCPU(), "how many run at the same time")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := func() (err error) {
		if o.only, err = regexp.Compile(*only); err != nil {
			return err
		}
		return run(ctx, o, *only != "")
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, picked bool) error {
	work, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	sources, err := load(ctx)
	if err != nil {
		return err
	}
	mutants := find(sources)
	if o.list {
		for _, m := range mutants {
			fmt.Printf("%-28s %s\n", m.place(), m.name)
		}
		fmt.Println(len(mutants), "mutants")
		return nil
	}
	accepted, err := readList(listFile)
	if err != nil {
		return err
	}
	problems := accepted.unknown(mutants)

	tests, err := build(ctx, sources, work)
	if err != nil {
		return err
	}
	chosen, book := mutants, (*ledger)(nil)
	switch {
	case o.sample > 0:
		chosen = sample(mutants, o.sample, o.seed)
		fmt.Printf("%d of %d mutants, drawn by -seed %s\n", len(chosen), len(mutants), o.seed)
	case picked:
		chosen = matching(mutants, o.only)
	default:
		if book, err = openLedger(); err != nil {
			return err
		}
		defer book.close()
	}
	results, err := tests.run(ctx, chosen, book, o.workers)
	if err != nil {
		return err
	}
	problems = append(problems, report(os.Stdout, results, accepted)...)
	if len(problems) > 0 {
		return fmt.Errorf("%d of them are wrong:\n  %s", len(problems), strings.Join(problems, "\n  "))
	}
	return nil
}

// sample draws n mutants. One seed draws the same ones from the same code.
func sample(ms []mutant, n int, seed string) []mutant {
	h := fnv.New64a()
	h.Write([]byte(seed))
	r := rand.New(rand.NewPCG(h.Sum64(), uint64(len(ms))))
	out := make([]mutant, 0, n)
	for _, i := range r.Perm(len(ms))[:min(n, len(ms))] {
		out = append(out, ms[i])
	}
	return out
}

func matching(ms []mutant, only *regexp.Regexp) []mutant {
	var out []mutant
	for _, m := range ms {
		if only.MatchString(m.name) || only.MatchString(filepath.ToSlash(m.place())) {
			out = append(out, m)
		}
	}
	return out
}
