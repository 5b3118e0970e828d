package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// ledger remembers the results of a whole run, so that one that was stopped
// goes on. It lies in the user's cache directory, one for each state of the
// code and the tests. A nil ledger remembers nothing.
type ledger struct {
	mu   sync.Mutex
	past map[string]string
	file *os.File
}

type line struct{ Mutant, Killer string }

// dependsOn is what a result depends on: the code, its tests, and this program.
var dependsOn = []string{"internal", "scripts/mutate", "go.mod"}

func openLedger() (*ledger, error) {
	state, err := fingerprint()
	if err != nil {
		return nil, err
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "mapwarden", "mutants")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	l := &ledger{past: map[string]string{}}
	path := filepath.Join(dir, state+".jsonl")
	if l.file, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644); err != nil {
		return nil, err
	}
	for s := bufio.NewScanner(l.file); s.Scan(); {
		var r line
		if json.Unmarshal(s.Bytes(), &r) == nil { // the last line may be half written
			l.past[r.Mutant] = r.Killer
		}
	}
	fmt.Printf("%d results are known, from %s\n", len(l.past), path)
	return l, nil
}

// fingerprint sums up all that results depend on.
func fingerprint() (string, error) {
	sum := sha256.New()
	for _, root := range dependsOn {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !relevant(path) {
				return err
			}
			text, err := os.ReadFile(path)
			fmt.Fprintf(sum, "%s %d\n", path, len(text))
			sum.Write(text)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// relevant: the core and the simulator, and what they read. The edges are not
// in the tests that are run.
func relevant(path string) bool {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "internal/") {
		return true
	}
	for _, s := range append([]string{"internal/fleetsim/", "internal/warden/"}, dirs()...) {
		if strings.HasPrefix(path, s) {
			return true
		}
	}
	return false
}

func dirs() []string {
	var out []string
	for _, a := range aims {
		out = append(out, a.dir+"/")
	}
	return out
}

func (l *ledger) known(name string) (killer string, ok bool) {
	if l == nil {
		return "", false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	killer, ok = l.past[name]
	return killer, ok
}

func (l *ledger) note(name, killer string) error {
	if l == nil {
		return nil
	}
	text, err := json.Marshal(line{name, killer})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.past[name] = killer
	_, err = l.file.Write(append(text, '\n'))
	return err
}

func (l *ledger) close() { l.file.Close() }
