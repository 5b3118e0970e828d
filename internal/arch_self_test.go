package internal_test

import (
	"go/ast"
	"go/parser"
	"slices"
	"strings"
	"testing"
)

// The tests of the checker itself: a guard that refuses nothing looks exactly
// like a clean house.

func TestCheckerRefuses(t *testing.T) {
	tests := []struct {
		name, src, want string
	}{
		{"goroutine", `func f() { go f() }`, "start a goroutine"},
		{"select", `func f() { select {} }`, "select"},
		{"channel type", `type t struct{ c chan int }`, "hold a channel"},
		{"channel made in place", `var x = make(chan struct{}, 1)`, "hold a channel"},
		{"receive-only parameter", `func f(<-chan int) {}`, "hold a channel"},
		{"init", `func init() {}`, "init"},
		{"map range", `func f(m map[string]int) { for range m {} }`, "range over a map"},
		{"named map range", `type set map[int]bool; func (s set) f() { for k := range s { _ = k } }`, "range over a map"},
		{"map in a struct", `type t struct{ m map[int]int }; func f(x *t) { for k := range x.m { _ = k } }`, "range over a map"},
		{"generic map range", `func f[M ~map[K]V, K comparable, V any](m M) { for k := range m { _ = k } }`, "range over a map"},
		{"maps.Keys", `import "maps"; func f(m map[int]int) { for k := range maps.Keys(m) { _ = k } }`, "walk a map unsorted"},
		{"maps.Values collected", `import ("maps"; "slices"); func f(m map[int]int) []int { return slices.Collect(maps.Values(m)) }`, "walk a map unsorted"},
		{"maps.All renamed", `import m2 "maps"; func f(m map[int]int) { for k := range m2.All(m) { _ = k } }`, "walk a map unsorted"},
		{"time.Now", `import "time"; var x = time.Now()`, "time.Now"},
		{"time renamed", `import clock "time"; var x = clock.Now`, "time.Now"},
		{"time dotted", `import . "time"; func f() { Sleep(1) }`, "time.Sleep"},
		{"time.Since", `import "time"; func f(a time.Time) time.Duration { return time.Since(a) }`, "time.Since"},
		{"time.Until", `import "time"; func f(a time.Time) time.Duration { return time.Until(a) }`, "time.Until"},
		{"timer", `import "time"; var x = time.NewTimer(1)`, "time.NewTimer"},
		{"ticker", `import "time"; var x = time.NewTicker(1)`, "time.NewTicker"},
		{"after", `import "time"; var x = time.After(1)`, "time.After"},
		{"after func", `import "time"; var x = time.AfterFunc`, "time.AfterFunc"},
		{"tick", `import "time"; var x = time.Tick(1)`, "time.Tick"},
		{"the machine's zone", `import "time"; func f(a time.Time) time.Time { return a.In(time.Local) }`, "time.Local"},
	}
	c := newChecker()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := mustCheck(t, c, tt.src)
			if !slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, tt.want) }) {
				t.Errorf("found %q, want a refusal with %q", found, tt.want)
			}
		})
	}
}

func TestCheckerAllows(t *testing.T) {
	tests := []struct{ name, src string }{
		{"durations", `import "time"; const d = 3 * time.Second; func f() string { return d.String() }`},
		{"wall time handed in", `import "time"; func f(a, b time.Time) bool { return a.After(b) && a.Local().IsZero() }`},
		{"a field called Now", `type t struct{ Now int64 }; func f(x t) int64 { return x.Now }`},
		{"slice range", `func f(s []int) (n int) { for _, x := range s { n += x }; return n }`},
		{"iterator range", `import "iter"; func f(s iter.Seq[int]) { for range s {} }`},
		{"sorted keys", `import ("maps"; "slices"); func f(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }`},
		{"map look-up and copy", `import "maps"; func f(m map[string]int) int { n := maps.Clone(m); delete(n, "a"); return n["b"] }`},
	}
	c := newChecker()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if found := mustCheck(t, c, tt.src); len(found) > 0 {
				t.Errorf("refused: %q", found)
			}
		})
	}
}

func TestCheckerReportsBrokenCode(t *testing.T) {
	c := newChecker()
	if _, err := c.check("example/broken", []*ast.File{mustParse(t, c, `var x int = "no"`)}); err == nil {
		t.Error("code that does not type-check was passed as clean")
	}
	if _, err := c.check("example/foreign", []*ast.File{mustParse(t, c, `import _ "github.com/spf13/cobra"`)}); err == nil {
		t.Error("a foreign module was resolved inside core")
	}
}

func TestFindCircle(t *testing.T) {
	arrows := map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": nil}
	next := func(n string) []string { return arrows[n] }
	if got := strings.Join(findCircle(next, []string{"a", "d"}), " "); got != "b c b" {
		t.Errorf("findCircle = %q, want %q", got, "b c b")
	}
	arrows["c"] = []string{"d"}
	if got := findCircle(next, []string{"a", "b", "c", "d"}); got != nil {
		t.Errorf("findCircle in a table without one = %q", got)
	}
}

func TestWithin(t *testing.T) {
	const m = "github.com/miekg/dns"
	for path, want := range map[string]bool{m: true, m + "/dnsutil": true, m + "sec": false, "github.com/miekg": false} {
		if got := within(path, m); got != want {
			t.Errorf("within(%q) = %v, want %v", path, got, want)
		}
	}
}

func mustParse(t *testing.T, c *checker, src string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(c.fset, t.Name()+".go", "package p; "+src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mustCheck(t *testing.T, c *checker, src string) []string {
	t.Helper()
	found, err := c.check("example/p", []*ast.File{mustParse(t, c, src)})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
