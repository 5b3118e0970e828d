// Command soak plays the simulator in slices and adds what came of each to the
// ledger docs/soak.md: every story and random stories with new seeds, and days
// of noise. It goes on where the ledger ends, so that slices add up however long
// each was. It exits 1 where an invariant was broken or an expectation did not
// hold.
//
//	go run ./scripts/soak -for 10m                  a share of the time for each kind
//	go run ./scripts/soak -for 5m -kind solo-custom
//	go run ./scripts/soak -sweep > docs/thresholds.md
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	during := flag.Duration("for", 10*time.Minute, "how long, over all kinds")
	only := flag.String("kind", "", "play one kind alone: "+strings.Join(names(), ", "))
	path := flag.String("ledger", "docs/soak.md", "the ledger")
	sweeps := flag.Bool("sweep", false, "write what would come of other thresholds instead")
	flag.Parse()
	chosen := kinds
	if *only != "" {
		k, ok := find(*only)
		if !ok {
			return fmt.Errorf("-kind %s: it is one of %s", *only, strings.Join(names(), ", "))
		}
		chosen = []kind{k}
	}
	debug.SetGCPercent(400) // a simulation keeps little and makes much
	if *sweeps {
		return sweep(os.Stdout)
	}
	commit, err := commit(ctx)
	if err != nil {
		return err
	}
	var wrong error
	for i, k := range chosen {
		share := *during / time.Duration(len(chosen))
		text, err := os.ReadFile(*path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		l, err := parse(string(text))
		if err != nil {
			return fmt.Errorf("read %s: %w", *path, err)
		}
		s := slice{kind: k.name, commit: commit, from: l.next(k.name)}
		s.to = s.from
		for begun := time.Now(); time.Since(begun) < share && ctx.Err() == nil; s.to++ {
			failures, err := k.play(s.to, &s)
			if err != nil {
				return fmt.Errorf("%s, seed %d: %w", k.name, s.to, err)
			}
			for _, f := range failures {
				wrong = errors.New("something did not hold")
				fmt.Fprintf(os.Stderr, "%s, seed %d: %s\n", k.name, s.to, f)
			}
		}
		if s.to == s.from {
			break
		}
		s.to--
		l.add(s)
		if err := os.WriteFile(*path, []byte(l.String()), 0o644); err != nil {
			return err
		}
		fmt.Printf("%d/%d %s\n", i+1, len(chosen), s)
	}
	return wrong
}

// commit is what is played: a ledger that does not say so proves nothing.
func commit(ctx context.Context) (string, error) {
	head, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=8", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("ask git for the commit: %w", err)
	}
	name := strings.TrimSpace(string(head))
	if err := exec.CommandContext(ctx, "git", "diff", "--quiet", "HEAD", "--", "internal").Run(); err != nil {
		name += "+"
	}
	return name, nil
}
