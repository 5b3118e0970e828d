package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// FuzzParse: whatever the bytes, there is a configuration within all bounds or
// a list of mistakes, each with its place.
func FuzzParse(f *testing.F) {
	for _, glob := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml"} {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %d files, %v", glob, len(files), err)
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("f", data, Flags{})
		if err == nil {
			checkBounds(t, file)
			return
		}
		var mistakes Mistakes
		if !errors.As(err, &mistakes) || len(mistakes) == 0 || len(mistakes) > maxMistakes {
			t.Fatalf("error %T with %d mistakes", err, len(mistakes))
		}
		lines := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + 3*bytes.Count(data, []byte("\u2028")) + 3
		for _, m := range mistakes {
			if m.Line < 1 || m.Line > lines+bytes.Count(data, []byte("\u0085"))+bytes.Count(data, []byte("\u2029")) || m.Column < 1 {
				t.Errorf("%v: no such place", m)
			}
			if m.What == "" || m.Hint == "" || strings.ContainsAny(m.Error(), "\n\r") || len(m.Error()) > 2000 {
				t.Errorf("%q: not a line for people", m.Error())
			}
		}
	})
}

func checkBounds(t *testing.T, f File) {
	t.Helper()
	c := f.Warden()
	services := []warden.ServiceConfig{c.Default}
	for _, r := range c.Services {
		if checkMatch(r.Match) != nil {
			t.Errorf("match %q", r.Match)
		}
		services = append(services, r.Config)
	}
	for _, s := range services {
		k, p := s.Check, s.Policy
		if k.Interval < 100*time.Millisecond || k.Timeout < 10*time.Millisecond || k.Timeout > k.Interval || k.Confirm < 10*time.Millisecond || k.Confirm > k.Interval {
			t.Errorf("interval %s, timeout %s, confirm %s", k.Interval, k.Timeout, k.Confirm)
		}
		if k.Fall < 1 || k.Fall > 100 || k.Rise < 1 || k.Rise > 100 || p.ReturnPasses < 1 || len(p.ReturnBackoff) < 1 {
			t.Errorf("fall %d, rise %d, passes %d, backoff %v", k.Fall, k.Rise, p.ReturnPasses, p.ReturnBackoff)
		}
		if !(p.MaxOut >= 1 && p.MaxOut <= p.MaxOutHard && p.MaxOutHard <= 100 && p.FailOpen >= 10 && p.FailOpen <= 100) {
			t.Errorf("max_out %g, hard %g, fail_open %g", p.MaxOut, p.MaxOutHard, p.FailOpen)
		}
		if p.Removals.N < 1 || p.Removals.Per < leastPer || p.Restores.N < 1 || p.Restores.Per < leastPer || p.Hold < time.Second || p.WarmUp < time.Second {
			t.Errorf("%+v", p)
		}
		if p.Mode == policy.ModeEnforce && f.Registry.Kind == AWS {
			t.Error("it enforces on AWS")
		}
	}
	if f.Registry.Poll < 100*time.Millisecond || c.Fleet.StaleAfter != 3*c.Poll || c.Pace.Margin >= c.Pace.CustomDelay || c.Pace.Margin <= 0 {
		t.Errorf("poll %s, stale after %s, pace %+v", c.Poll, c.Fleet.StaleAfter, c.Pace)
	}
}

// Files that are small on paper and large in effect are refused for what they
// are, before anything takes long over them.
func TestHostileFiles(t *testing.T) {
	var laughs, wrong, aliased strings.Builder
	laughs.WriteString("a0: &a0 [x, x]\n")
	for i := 1; i < 100; i++ {
		fmt.Fprintf(&laughs, "a%d: &a%d [*a%d, *a%d, *a%d]\n", i, i, i-1, i-1, i-1)
	}
	laughs.WriteString("scope: {services: *a99}\n")
	aliased.WriteString("defaults: {check: {return: {backoff: &b [" + strings.Repeat("5m, ", 5000) + "]}}}\nservices:\n")
	for i := range 1000 {
		fmt.Fprintf(&wrong, "- {match: a/b%d, mode: no}\n", i)
		fmt.Fprintf(&aliased, "- {match: a/b%d, check: {return: {backoff: *b}}}\n", i)
	}
	const parts = "the file has more than 30000 lines, keys and list entries up to here; write fewer rules, or use patterns in match"
	for name, tt := range map[string]struct{ text, says string }{
		"nested aliases":      {laughs.String(), "f:1:1: unknown key"},
		"repeated aliases":    {"services:\n- &a {match: a/b, check: {interval: 5s, timeout: 1s, fall: 3}}\n" + strings.Repeat("- *a\n", 40_000), "f:14996:1: " + parts},
		"rules":               {"services:\n" + strings.Repeat("- {match: a/b}\n", 1001), "f:1002:3: services has 1001 rules, at most 1000 are read; use patterns in match, as in prod/*"},
		"rules by alias":      {"services:\n- &a {match: a/b}\n" + strings.Repeat("- *a\n", 5000), "f:1002:3: services has 5001 rules, at most 1000 are read; use patterns in match, as in prod/*"},
		"aliases that repeat": {aliased.String(), "f:1:19838: the file is too large once its aliases are followed; write fewer rules, or use patterns in match"},
		"wrong rules":         {"services:\n" + wrong.String(), "f:2:23: services[0].mode: "},
		"long list":           {"scope: {services: [" + strings.Repeat("a,", 100_000) + "]}", "f:1:60013: " + parts},
		"deep lists":          {"services: " + strings.Repeat("[", 200_000), "f:1:30010: " + parts},
		"deep mappings":       {strings.Repeat("{a: ", 50_000), "f:1:60001: " + parts},
		"deep entries":        {"services: " + strings.Repeat("- ", 100_000), "f:1:60009: " + parts},
		"unknown keys":        {unknownKeys(11_000), "f:7501:14: " + parts},
		"one long key":        {strings.Repeat("k", 200_000) + ": 1\n", "f:1:1: not YAML: "},
		"one long value":      {"mode: " + strings.Repeat("v", 200_000) + "\n", `f:1:7: mode: "vvv`},
	} {
		t.Run(name, func(t *testing.T) {
			if len(tt.text) > maxSize {
				t.Fatalf("%d bytes are refused for their size alone", len(tt.text))
			}
			_, err := Parse("f", []byte(tt.text), Flags{})
			if err == nil || !strings.Contains("\n"+err.Error(), "\n"+tt.says) || len(err.Error()) > 100_000 {
				t.Errorf("error = %.200v\nwant    %s", err, tt.says)
			}
		})
	}
}

// A large file of an honest author is read.
func TestLargeFile(t *testing.T) {
	var b strings.Builder
	b.WriteString("services:\n")
	for i := range maxRules {
		fmt.Fprintf(&b, "- match: prod-%d/service-%d\n  check:\n    http: {path: /healthz, host: service-%d.internal}\n    port: 8080\n    interval: 10s\n  safety:\n    max_out: 10%%\n", i%7, i, i)
	}
	f, err := Parse("f", []byte(b.String()), Flags{})
	if err != nil || len(f.Services) != maxRules {
		t.Errorf("%d rules, %v", len(f.Services), err)
	}
}

func unknownKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "intervall%d: {a: 5s}\n", i)
	}
	return b.String()
}
