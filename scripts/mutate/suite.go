package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// stage is a test binary with all mutants in it, and how it is run.
type stage struct {
	name  string
	dir   string // of the package
	quick bool   // next to no random tests: most mutants die here, in no time
	run   string // which tests; "" is all …
	skip  string // … and which not; "" is none
	file  string
	flags []string

	once  sync.Once // measures
	limit time.Duration
	fails error // without any mutant
}

// after a package's own tests these are run, in this order, until one fails.
var after = []stage{
	{name: "stories", dir: "internal/fleetsim", run: "^TestStories$"},
	{name: "warden", dir: "internal/warden"},
}

type suite struct {
	tables     map[string]*stage // by directory: its own tests, with next to no random ones
	properties map[string]*stage // all of its own tests
	after      []*stage
}

// build compiles the mutants into the test binaries of the suite.
func build(ctx context.Context, sources []*source, work string) (*suite, error) {
	overlay := filepath.Join(work, "overlay.json")
	if err := writeOverlay(sources, work, overlay); err != nil {
		return nil, err
	}
	t := &suite{tables: map[string]*stage{}, properties: map[string]*stage{}}
	for _, s := range sources {
		name := filepath.Base(s.dir)
		t.tables[s.dir] = &stage{name: name, dir: s.dir, skip: s.long, quick: true}
		t.properties[s.dir] = &stage{name: name + "'s properties", dir: s.dir}
	}
	for i := range after {
		t.after = append(t.after, &after[i])
	}
	for _, s := range t.stages() {
		s.file = filepath.Join(work, filepath.Base(s.dir)+".test")
		if _, err := os.Stat(s.file); err != nil {
			cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", s.file, "./"+s.dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("build the tests of %s with their mutants: %w\n%s", s.dir, err, out)
			}
		}
		flags, err := s.determined(ctx)
		if err != nil {
			return nil, err
		}
		s.flags = append(flags, "-test.failfast", "-test.run="+s.run, "-test.skip="+s.skip)
	}
	return t, nil
}

func (t *suite) stages() []*stage {
	var out []*stage
	for _, a := range aims {
		out = append(out, t.tables[a.dir], t.properties[a.dir])
	}
	return append(out, t.after...)
}

// writeOverlay writes the changed files, and the map that lays them over the tree.
func writeOverlay(sources []*source, work, overlay string) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	replace := map[string]string{}
	lay := func(path, text string) error {
		file := filepath.Join(work, strings.ReplaceAll(filepath.ToSlash(path), "/", "_"))
		replace[filepath.Join(root, path)] = file
		return os.WriteFile(file, []byte(text), 0o644)
	}
	for _, s := range sources {
		if err := lay(s.chooserFile(), chooser(s.pkg.Name())); err != nil {
			return err
		}
		for _, f := range s.files {
			if err := lay(f.path, f.render()); err != nil {
				return err
			}
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	return os.WriteFile(overlay, text, 0o644)
}

// determined returns the flags that make the random tests of a package the
// same every time: a survivor must be one on every machine.
func (s *stage) determined(ctx context.Context) ([]string, error) {
	ps, err := list(ctx, "./"+s.dir)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(append(ps[0].TestImports, ps[0].XTestImports...), "pgregory.net/rapid") {
		return nil, nil
	}
	flags := []string{"-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=1ms"}
	if s.quick {
		flags = append(flags, "-rapid.checks=1")
	}
	return flags, nil
}

// measure runs a stage without a mutant: it must pass, and it says how long it
// may take. What takes much longer is endless, and so is found out.
func (s *stage) measure(ctx context.Context) error {
	s.once.Do(func() {
		began := time.Now()
		failed, out, err := s.play(ctx, 0, 10*time.Minute)
		if err == nil && failed {
			err = fmt.Errorf("%s fails without any mutant:\n%s", s.name, out)
		}
		s.fails = err
		s.limit = 20*time.Second + 10*time.Since(began)
	})
	return s.fails
}

// play runs a stage with one mutant alive, and reports whether it fails.
func (s *stage) play(ctx context.Context, id int, limit time.Duration) (failed bool, out string, err error) {
	limited, stop := context.WithTimeout(ctx, limit)
	defer stop()
	// A mutant that eats all memory must not take the machine with it.
	args := append([]string{"-c", `ulimit -v 6000000 2>/dev/null; exec "$0" "$@"`, s.file}, s.flags...)
	cmd := exec.CommandContext(limited, "sh", args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", fmt.Sprintf("%s=%d", variable, id))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Run()
	if ctx.Err() != nil {
		return false, "", ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && limited.Err() == nil && !errors.As(err, &exit) {
		return false, "", err
	}
	return err != nil, said.String(), nil
}

// result is what became of one mutant.
type result struct {
	mutant
	Killer string // the stage that failed; "" where it survived
}

// run puts mutants to the suite, several at a time, and goes on from the book
// where there is one.
func (t *suite) run(ctx context.Context, ms []mutant, book *ledger, workers int) ([]result, error) {
	out := make([]result, len(ms))
	next := make(chan int)
	var wait sync.WaitGroup
	var mu sync.Mutex // guards failed, done and the book
	var failed error
	done := 0
	for range workers {
		wait.Go(func() {
			for i := range next {
				killer, known := book.known(ms[i].name)
				var err error
				if !known {
					killer, err = t.killer(ctx, ms[i])
				}
				out[i] = result{ms[i], killer}
				mu.Lock()
				if err == nil && !known {
					err = book.note(ms[i].name, killer)
				}
				failed = errors.Join(failed, err)
				done++
				if err == nil && !known && (killer == "" || done%100 == 0) {
					fmt.Fprintf(os.Stderr, "%d/%d %s %s: %s\n", done, len(ms), ms[i].place(), ms[i].name, verdict(killer))
				}
				mu.Unlock()
			}
		})
	}
	for i := range ms {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wait.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return out, failed
}

// killer is the first stage that a mutant does not survive.
func (t *suite) killer(ctx context.Context, m mutant) (string, error) {
	dir := filepath.Dir(m.path)
	for _, s := range slices.Concat([]*stage{t.tables[dir]}, t.after[:1], []*stage{t.properties[dir]}, t.after[1:]) {
		if err := s.measure(ctx); err != nil {
			return "", err
		}
		failed, _, err := s.play(ctx, m.id, s.limit)
		if err != nil {
			return "", err
		}
		if failed {
			return s.name, nil
		}
	}
	return "", nil
}

func verdict(killer string) string {
	if killer == "" {
		return "SURVIVED"
	}
	return "killed by " + killer
}
