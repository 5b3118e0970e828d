package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"strings"
	"unicode"
)

// finder walks one file and notes what can be changed.
type finder struct {
	*source
	f       *file
	owner   string     // the function or variable that is walked
	stack   []ast.Node // from the declaration down to the parent of what is visited
	mutants *[]mutant
	seen    map[string]int
}

// find notes every mutant of the sources, in their files too. The order is
// that of the code.
func find(sources []*source) []mutant {
	var out []mutant
	seen := map[string]int{}
	for _, s := range sources {
		covered := s.covers()
		for _, f := range s.files {
			w := &finder{source: s, f: f, mutants: &out, seen: seen}
			for _, d := range f.tree.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if covered[d] {
						w.function(d)
					}
				case *ast.GenDecl:
					if d.Tok == token.VAR && len(s.roots) == 0 {
						w.variables(d)
					}
				}
			}
		}
	}
	return out
}

// mutant notes one. what is said after the owner's name.
func (w *finder) mutant(at token.Pos, what string) int {
	m := mutant{id: len(*w.mutants) + 1, path: w.f.path, line: w.fset.Position(at).Line}
	m.name = fmt.Sprintf("`%s.%s`: %s", w.pkg.Name(), w.owner, what)
	w.seen[m.name]++
	if n := w.seen[m.name]; n > 1 {
		m.name += fmt.Sprintf(" (%d)", n)
	}
	*w.mutants = append(*w.mutants, m)
	return m.id
}

func (w *finder) function(d *ast.FuncDecl) {
	w.owner = d.Name.Name
	if d.Recv != nil {
		t := w.text(d.Recv.List[0].Type)
		w.owner = strings.TrimPrefix(t, "*") + "." + w.owner
	}
	w.early(d)
	w.walk(d.Body)
}

func (w *finder) variables(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		w.owner = v.Names[0].Name
		for _, value := range v.Values {
			if table, ok := value.(*ast.CompositeLit); ok && w.isRules(table) {
				w.rules(table)
				continue
			}
			w.walk(value)
		}
	}
}

// walk visits all that lies under n.
func (w *finder) walk(n ast.Node) {
	w.stack = w.stack[:0]
	ast.Inspect(n, func(n ast.Node) bool {
		if n == nil {
			w.stack = w.stack[:len(w.stack)-1]
			return true
		}
		if !w.visit(n) {
			return false
		}
		w.stack = append(w.stack, n)
		return true
	})
}

func (w *finder) parent() ast.Node {
	if len(w.stack) == 0 {
		return nil
	}
	return w.stack[len(w.stack)-1]
}

// visit notes the mutants of one node, and reports whether to go deeper.
func (w *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		return n.Tok != token.CONST
	case *ast.ArrayType, *ast.StructType, *ast.FuncType, *ast.MapType, *ast.InterfaceType:
		return false
	case *ast.AssignStmt:
		w.assignment(n)
	case *ast.IncDecStmt, *ast.ExprStmt:
		w.leaveOut(n.(ast.Stmt))
	case *ast.BranchStmt:
		if n.Tok != token.FALLTHROUGH {
			w.leaveOut(n)
		}
	case *ast.CaseClause:
		w.clause(n)
	case ast.Expr:
		return w.expression(n)
	}
	return true
}

// replace notes a mutant that stands in the place of an expression.
func (w *finder) replace(e ast.Expr, t types.Type, text, what string) {
	kind := w.typeName(w.f, t)
	if kind == "" || w.shadowed(e.Pos(), kind) {
		return
	}
	x := w.f.edits.at(w.offset(e.Pos()), w.offset(e.End()), expression)
	x.kind = kind
	x.forms = append(x.forms, form{w.mutant(e.Pos(), what), text})
}

// shadowed reports whether a name in the type means something else at pos.
func (w *finder) shadowed(pos token.Pos, kind string) bool {
	names := strings.FieldsFunc(kind, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, name := range names {
		_, o := w.pkg.Scope().Innermost(pos).LookupParent(name, pos)
		if _, is := o.(*types.Var); is {
			return true
		}
	}
	return false
}

// becomes replaces an expression by another one, and is called that.
func (w *finder) becomes(e ast.Expr, t types.Type, text string) {
	w.replace(e, t, text, fmt.Sprintf("`%s` becomes `%s`", w.short(e), squeeze(text)))
}

// leaveOut drops a statement.
func (w *finder) leaveOut(n ast.Stmt) {
	switch w.parent().(type) {
	case *ast.BlockStmt, *ast.CaseClause: // in the head of a for or an if it has no place of its own
		x := w.f.edits.at(w.offset(n.Pos()), w.offset(n.End()), statement)
		x.forms = append(x.forms, form{id: w.mutant(n.Pos(), fmt.Sprintf("`%s` is left out", w.short(n)))})
	}
}

// assignment leaves out what it assigns, one by one where that can be.
func (w *finder) assignment(n *ast.AssignStmt) {
	switch {
	case n.Tok == token.DEFINE:
	case n.Tok != token.ASSIGN || len(n.Lhs) != len(n.Rhs):
		w.leaveOut(n)
	default:
		for i, l := range n.Lhs {
			if id, ok := l.(*ast.Ident); ok && id.Name == "_" {
				continue
			}
			w.replace(n.Rhs[i], w.info.TypeOf(l), w.text(l),
				fmt.Sprintf("`%s = %s` is left out", w.short(l), w.short(n.Rhs[i])))
		}
	}
}

// clause makes a case one that never is.
func (w *finder) clause(n *ast.CaseClause) {
	sw, ok := w.stack[len(w.stack)-2].(*ast.SwitchStmt)
	if !ok {
		return
	}
	for _, e := range n.List {
		tv := w.info.Types[e]
		switch {
		case sw.Tag == nil:
			w.replace(e, tv.Type, "false", fmt.Sprintf("case `%s` never is", w.short(e)))
		case tv.Value == nil:
		case tv.Value.Kind() == constant.Int:
			w.replace(e, tv.Type, "^"+w.text(e), fmt.Sprintf("case `%s` never is", w.short(e)))
		case tv.Value.Kind() == constant.String:
			w.replace(e, tv.Type, w.text(e)+`+"?"`, fmt.Sprintf("case `%s` never is", w.short(e)))
		}
	}
}

// early lets a function return at once.
func (w *finder) early(d *ast.FuncDecl) {
	fn := w.info.Defs[d.Name].Type().(*types.Signature)
	from := w.offset(d.Body.Lbrace) + 1
	add := func(text, what string) {
		x := w.f.edits.at(from, from, entrance)
		x.forms = append(x.forms, form{w.mutant(d.Body.Lbrace, what), text})
	}
	rs := fn.Results()
	if rs.Len() == 1 && isBool(rs.At(0).Type()) {
		add("return true", "is always true")
		add("return false", "is always false")
		return
	}
	var zeros, names []string
	for i := range rs.Len() {
		t := rs.At(i).Type()
		if r := fn.Recv(); r != nil && types.Identical(r.Type(), t) && r.Name() != "" {
			names = append(names, r.Name())
			continue
		}
		kind := w.typeName(w.f, t)
		if kind == "" {
			return
		}
		name := fmt.Sprintf("mutant%d", i)
		zeros = append(zeros, fmt.Sprintf("var %s %s; ", name, kind))
		names = append(names, name)
	}
	add(strings.Join(zeros, "")+"return "+strings.Join(names, ", "), "does nothing")
}

func (w *finder) text(n ast.Node) string { return w.source.source(w.f, n) }

// short is a node's source on one line, for people.
func (w *finder) short(n ast.Node) string { return squeeze(w.text(n)) }

func squeeze(s string) string {
	s = strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "`", "'")
	if r := []rune(s); len(r) > 110 {
		return string(r[:110]) + "…"
	}
	return s
}

func isBool(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsBoolean != 0
}
