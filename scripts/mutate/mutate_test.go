package main

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"slices"
	"strings"
	"testing"
)

const sample1 = `package play

type rule struct {
	reason string
	holds  func(int) bool
}

var rules = [...]rule{{"even", func(n int) bool { return n%2 == 0 }}}

func Most(n int) (most int) {
	if n >= 3 && n != 7 {
		most = n
		return most
	}
	switch n {
	case 1:
		most++
	}
	return most + len(rules)
}
`

// made finds the mutants of a text, and proves that they compile together.
func made(t *testing.T, text string) []string {
	t.Helper()
	s := &source{fset: token.NewFileSet(), info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
	}}
	f := &file{path: "play.go", text: []byte(text), names: map[string]string{}, added: map[string]string{}}
	compile := func(info *types.Info, texts ...string) *types.Package {
		var trees []*ast.File
		for i, text := range texts {
			tree, err := parser.ParseFile(s.fset, []string{"play.go", "chooser.go"}[i], text, parser.SkipObjectResolution)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			trees = append(trees, tree)
		}
		f.tree = trees[0]
		c := types.Config{Importer: importer.ForCompiler(s.fset, "source", nil)}
		pkg, err := c.Check("play", s.fset, trees, info)
		if err != nil {
			t.Fatalf("%v\n%s", err, texts)
		}
		return pkg
	}
	s.pkg = compile(s.info, text)
	s.files = []*file{f}
	var names []string
	for _, m := range find([]*source{s}) {
		names = append(names, m.name)
	}
	compile(nil, f.render(), chooser("play"))
	return names
}

func TestFind(t *testing.T) {
	got := made(t, sample1)
	for _, want := range []string{
		`rules["even"]: the rule is dropped`, `rules["even"]: the rule is inverted`, `rules["even"]: n%2 == 0 becomes n%2 != 0`,
		`Most: n >= 3 && n != 7 becomes n >= 3 || n != 7`, `Most: if n >= 3 && n != 7 never is`, `Most: n >= 3 becomes n > 3`,
		`Most: n >= 3 becomes n < 3`, `Most: 3 becomes 2`, `Most: n != 7 becomes n == 7`, `Most: most = n is left out`,
		`Most: case 1 never is`, `Most: most++ is left out`, `Most: most + len(rules) becomes most - len(rules)`, `Most: does nothing`,
	} {
		if !slices.ContainsFunc(got, func(name string) bool { return strings.ReplaceAll(name, "`", "") == "play."+want }) {
			t.Errorf("no mutant %q among\n%s", want, strings.Join(got, "\n"))
		}
	}
}

func TestSampleIsTheSameForTheSameSeed(t *testing.T) {
	all := make([]mutant, 100)
	for i := range all {
		all[i].id = i
	}
	a, b, c := sample(all, 25, "x"), sample(all, 25, "x"), sample(all, 25, "y")
	if !slices.Equal(a, b) || slices.Equal(a, c) || len(a) != 25 {
		t.Errorf("%v\n%v\n%v", a, b, c)
	}
}

func TestReport(t *testing.T) {
	file := t.TempDir() + "/list.md"
	text := "# A list\n\n- `play.Most`: `3` becomes `2`. It is the same.\n- `play.Most`: `a` becomes `b`. It was once.\n- `play.Gone`: does nothing. It is gone.\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	list, err := readList(file)
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	rs := []result{
		{mutant{name: "`play.Most`: `3` becomes `2`"}, ""},
		{mutant{name: "`play.Most`: `a` becomes `b`"}, "play"},
		{mutant{name: "`play.Most`: `x` becomes `y`"}, ""},
		{mutant{name: "`play.Most`: `x` becomes `z`"}, "play"},
	}
	var ms []mutant
	for _, r := range rs {
		ms = append(ms, r.mutant)
	}
	got := append(list.unknown(ms), report(&strings.Builder{}, rs, list)...)
	want := []string{
		"listed, and there is no such mutant: `play.Gone`: does nothing",
		"listed, and play kills it: `play.Most`: `a` becomes `b`",
		"survived, and is not listed: `play.Most`: `x` becomes `y`",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
