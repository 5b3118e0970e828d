package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is one small change of the code.
type mutant struct {
	id   int
	path string
	line int
	name string // where and what, without a line number: the same after other code moved
}

func (m mutant) place() string { return fmt.Sprintf("%s:%d", m.path, m.line) }

// shape is how an edit holds its mutants.
type shape uint8

const (
	expression shape = iota // one of several expressions in the place of one
	statement               // a statement that one mutant leaves out
	entrance                // statements that one mutant carries out first
)

// edit is a stretch of a file and the mutants that live in it.
type edit struct {
	from, to int
	shape    shape
	kind     string // an expression's type
	forms    []form
}

// form is the text that a mutant puts there.
type form struct {
	id   int
	text string
}

type edits []*edit

// at returns the edit of a stretch, a new one where there is none.
func (es *edits) at(from, to int, s shape) *edit {
	for _, e := range *es {
		if e.from == from && e.to == to && e.shape == s {
			return e
		}
	}
	e := &edit{from: from, to: to, shape: s}
	*es = append(*es, e)
	return e
}

// number is the variable in each package that says which mutant is alive.
const number = "mutantAlive"

// render writes the file with all its mutants in it.
func (f *file) render() string {
	es := slices.Clone(f.edits)
	// What holds another comes first; of two of the same stretch the statement.
	slices.SortStableFunc(es, func(a, b *edit) int {
		return cmp.Or(cmp.Compare(a.from, b.from), -cmp.Compare(a.to, b.to), -cmp.Compare(a.shape, b.shape))
	})
	text, _ := f.stretch(es, 0, len(f.text))
	name := f.tree.Name.End() // right after the package clause
	at := int(name - f.tree.FileStart)
	var imports strings.Builder
	for path, alias := range f.added {
		fmt.Fprintf(&imports, "; import %s %q", alias, path)
	}
	return text[:at] + imports.String() + text[at:]
}

// stretch renders what lies between two offsets, and returns the edits behind.
func (f *file) stretch(es edits, from, to int) (string, edits) {
	var b strings.Builder
	for len(es) > 0 && es[0].from < to {
		e := es[0]
		b.Write(f.text[from:e.from])
		var inner string
		inner, es = f.stretch(es[1:], e.from, e.to)
		b.WriteString(e.render(inner))
		from = e.to
	}
	b.Write(f.text[from:to])
	return b.String(), es
}

func (e *edit) render(inner string) string {
	var b strings.Builder
	switch e.shape {
	case statement:
		return fmt.Sprintf("if %s != %d { %s }", number, e.forms[0].id, inner)
	case entrance:
		for _, f := range e.forms {
			fmt.Fprintf(&b, " if %s == %d { %s }; ", number, f.id, f.text)
		}
		return b.String() + inner
	}
	fmt.Fprintf(&b, "func() %s { switch %s { ", e.kind, number)
	for _, f := range e.forms {
		fmt.Fprintf(&b, "case %d: return %s; ", f.id, f.text)
	}
	fmt.Fprintf(&b, "}; return %s }()", inner)
	return b.String()
}

// chooser is the file that each mutated package gets.
func chooser(pkg string) string {
	return fmt.Sprintf(`package %s

import ("os"; "strconv")

var %s, _ = strconv.Atoi(os.Getenv(%q))
`, pkg, number, variable)
}

// variable of the environment that says which mutant is alive.
const variable = "MAPWARDEN_MUTANT"

// chooserFile does not exist on disk: the overlay adds it.
func (s *source) chooserFile() string { return filepath.Join(s.dir, "mutant_chooser.go") }
