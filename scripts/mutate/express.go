package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"strings"
)

// other is what takes an operator's place.
var other = map[token.Token][]token.Token{
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD},
	token.MUL: {token.QUO}, token.QUO: {token.MUL}, token.REM: {token.MUL},
	token.SHL: {token.SHR}, token.SHR: {token.SHL},
	token.AND: {token.OR}, token.OR: {token.AND},
}

// expression notes the mutants of one expression, and reports whether to go deeper.
func (w *finder) expression(e ast.Expr) bool {
	tv, ok := w.info.Types[e]
	if !ok || !tv.IsValue() || w.notRead(e) {
		return true
	}
	if tv.Value != nil {
		w.constant(e, tv)
		return false
	}
	if w.isCapacity(e) {
		return false
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return true
	case *ast.BinaryExpr:
		w.binary(e, tv)
	case *ast.CallExpr:
		w.extreme(e, tv)
	}
	if isBool(tv.Type) {
		w.truth(e, tv)
	}
	return true
}

// notRead reports whether an expression stands where no value is read.
func (w *finder) notRead(e ast.Expr) bool {
	switch p := w.parent().(type) {
	case *ast.AssignStmt:
		for _, l := range p.Lhs {
			if l == e {
				return true
			}
		}
	case *ast.IncDecStmt:
		return true
	case *ast.UnaryExpr:
		return p.Op == token.AND
	case *ast.RangeStmt:
		return p.Key == e || p.Value == e
	case *ast.SelectorExpr:
		return true // x of x.y, whose fields may be assigned; y is no value of its own
	case *ast.IndexExpr, *ast.SliceExpr:
		return e == indexed(p)
	case *ast.CallExpr:
		return p.Fun == e
	case *ast.CaseClause: // a tag's constants: clause has them
		sw, ok := w.stack[len(w.stack)-3].(*ast.SwitchStmt)
		return ok && sw.Tag != nil
	}
	return false
}

func indexed(n ast.Node) ast.Expr {
	switch n := n.(type) {
	case *ast.IndexExpr:
		return n.X
	case *ast.SliceExpr:
		return n.X
	}
	return nil
}

func (w *finder) binary(e *ast.BinaryExpr, tv types.TypeAndValue) {
	if b, ok := w.info.TypeOf(e.X).Underlying().(*types.Basic); ok && b.Info()&types.IsString != 0 && e.Op == token.ADD {
		return // words joined for people
	}
	for _, op := range other[e.Op] {
		w.becomes(e, tv.Type, w.text(e.X)+" "+op.String()+" "+w.text(e.Y))
	}
}

// extreme swaps min and max.
func (w *finder) extreme(e *ast.CallExpr, tv types.TypeAndValue) {
	id, ok := e.Fun.(*ast.Ident)
	if !ok {
		return
	}
	if _, ok := w.info.Uses[id].(*types.Builtin); !ok {
		return
	}
	if to := map[string]string{"min": "max", "max": "min"}[id.Name]; to != "" {
		w.becomes(e, tv.Type, to+strings.TrimPrefix(w.text(e), id.Name))
	}
}

// truth turns a condition round, and makes one that is asked never true.
func (w *finder) truth(e ast.Expr, tv types.TypeAndValue) {
	_, compound := e.(*ast.BinaryExpr)
	if un, ok := w.parent().(*ast.UnaryExpr); !compound && (!ok || un.Op != token.NOT) {
		if un, ok := e.(*ast.UnaryExpr); ok {
			w.becomes(e, tv.Type, w.text(un.X))
		} else {
			w.becomes(e, tv.Type, "!"+w.text(e))
		}
	}
	if p, ok := w.parent().(*ast.IfStmt); ok && p.Cond == e {
		w.replace(e, tv.Type, "false", fmt.Sprintf("if `%s` never is", w.short(e)))
	}
}

// constant is off by one.
func (w *finder) constant(e ast.Expr, tv types.TypeAndValue) {
	if tv.Value.Kind() == constant.Bool {
		w.flip(e, tv)
		return
	}
	if !measures(tv.Type) || isLargest(tv) || w.isCapacity(e) {
		return
	}
	up, down := true, constant.Compare(tv.Value, token.GTR, constant.MakeInt64(1))
	if p, ok := w.parent().(*ast.BinaryExpr); ok { // one of the two is what a neighbour of the operator does
		op := p.Op
		if p.X == e {
			op = map[token.Token]token.Token{token.LSS: token.GTR, token.GTR: token.LSS, token.LEQ: token.GEQ, token.GEQ: token.LEQ}[op]
		}
		switch op {
		case token.LSS, token.GEQ:
			up, down = false, constant.Sign(tv.Value) > 0
		case token.GTR, token.LEQ:
			down = false
		}
	}
	if up {
		w.becomes(e, tv.Type, w.more(e, tv))
	}
	if down {
		w.becomes(e, tv.Type, w.less(e, tv))
	}
}

// isCapacity reports whether e only says how much room is made in advance.
func (w *finder) isCapacity(e ast.Expr) bool {
	call, ok := w.parent().(*ast.CallExpr)
	if !ok {
		return false
	}
	id, ok := call.Fun.(*ast.Ident)
	if !ok || id.Name != "make" {
		return false
	}
	_, slice := w.info.TypeOf(call).Underlying().(*types.Slice)
	return call.Args[len(call.Args)-1] == e && (!slice || len(call.Args) == 3)
}

// isLargest reports whether a constant is the largest of its type: it stands
// for something, and is no number.
func isLargest(tv types.TypeAndValue) bool {
	b := types.Default(tv.Type).Underlying().(*types.Basic)
	if b.Info()&types.IsInteger == 0 {
		return false
	}
	bits := 8 * uint(types.SizesFor("gc", "amd64").Sizeof(b))
	if b.Info()&types.IsUnsigned == 0 {
		bits--
	}
	next := constant.BinaryOp(constant.ToInt(tv.Value), token.ADD, constant.MakeInt64(1))
	return constant.BitLen(next) > int(bits)
}

// measures reports whether a constant of the type is a number of something,
// and not one of a list of names.
func measures(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	if !ok || b.Info()&types.IsNumeric == 0 {
		return false
	}
	named, ok := t.(*types.Named)
	return !ok || named.Obj().Name() == "Duration" || named.Obj().Name() == "Instant"
}

// A duration is half as much more or less: one nanosecond is no difference.
func lasts(tv types.TypeAndValue) bool {
	named, ok := tv.Type.(*types.Named)
	return ok && named.Obj().Name() == "Duration" && constant.Compare(tv.Value, token.GTR, constant.MakeInt64(1))
}

func (w *finder) more(e ast.Expr, tv types.TypeAndValue) string {
	if lasts(tv) {
		return fmt.Sprintf("%[1]s + %[1]s/2", w.operand(e))
	}
	if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.INT {
		return constant.BinaryOp(tv.Value, token.ADD, constant.MakeInt64(1)).ExactString()
	}
	return w.operand(e) + " + 1"
}

func (w *finder) less(e ast.Expr, tv types.TypeAndValue) string {
	if lasts(tv) {
		return w.operand(e) + "/2"
	}
	if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.INT {
		return constant.BinaryOp(tv.Value, token.SUB, constant.MakeInt64(1)).ExactString()
	}
	return w.operand(e) + " - 1"
}

func (w *finder) operand(e ast.Expr) string {
	if _, ok := e.(*ast.BinaryExpr); ok {
		return "(" + w.text(e) + ")"
	}
	return w.text(e)
}

// flip says false for true. Where a truth is assigned, leaving that out does it.
func (w *finder) flip(e ast.Expr, tv types.TypeAndValue) {
	if p, ok := w.parent().(*ast.AssignStmt); ok && p.Tok == token.ASSIGN {
		return
	}
	w.becomes(e, tv.Type, fmt.Sprint(!constant.BoolVal(tv.Value)))
}
