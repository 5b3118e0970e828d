package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
)

// isRules reports whether a composite literal is a table of rules: elements of
// a struct type called rule, with a function that withholds.
func (w *finder) isRules(table *ast.CompositeLit) bool {
	return ruleOf(w.info.TypeOf(table)) != nil
}

func ruleOf(t types.Type) *types.Struct {
	a, ok := t.Underlying().(interface{ Elem() types.Type })
	if !ok {
		return nil
	}
	named, ok := a.Elem().(*types.Named)
	if !ok || named.Obj().Name() != "rule" {
		return nil
	}
	s, _ := named.Underlying().(*types.Struct)
	return s
}

// rules drops and inverts each rule of the table, and changes what it applies to.
func (w *finder) rules(table *ast.CompositeLit) {
	owner := w.owner
	fields := ruleOf(w.info.TypeOf(table))
	for _, row := range table.Elts {
		values := byField(row.(*ast.CompositeLit), fields)
		w.owner = owner
		for i, v := range values {
			if v != nil && fields.Field(i).Name() == "reason" {
				w.owner = fmt.Sprintf("%s[%s]", owner, w.text(v))
			}
		}
		for i, v := range values {
			if v == nil {
				continue
			}
			switch t := fields.Field(i).Type(); t.Underlying().(type) {
			case *types.Signature:
				w.rule(v, t)
			case *types.Basic:
				w.flags(v, t)
			}
		}
	}
	w.owner = owner
}

// byField orders the values of a row as the fields are; nil is a field that is left out.
func byField(row *ast.CompositeLit, fields *types.Struct) []ast.Expr {
	out := make([]ast.Expr, fields.NumFields())
	for i, v := range row.Elts {
		kv, ok := v.(*ast.KeyValueExpr)
		if !ok {
			out[i] = v
			continue
		}
		for k := range out {
			if fields.Field(k).Name() == kv.Key.(*ast.Ident).Name {
				out[k] = kv.Value
			}
		}
	}
	return out
}

// rule drops and inverts what one row withholds.
func (w *finder) rule(v ast.Expr, t types.Type) {
	fn := t.Underlying().(*types.Signature)
	if fn.Results().Len() != 1 || fn.Params().Len() != 1 || !isBool(fn.Results().At(0).Type()) {
		return
	}
	arg := w.typeName(w.f, fn.Params().At(0).Type())
	w.replace(v, t, fmt.Sprintf("func(%s) bool { return false }", arg), "the rule is dropped")
	w.replace(v, t, fmt.Sprintf("func(mutant %s) bool { return !(%s)(mutant) }", arg, w.text(v)), "the rule is inverted")
	if body, ok := v.(*ast.FuncLit); ok {
		w.walk(body.Body)
	}
}

// flags sets and clears each of the single bits that the package names for the type.
func (w *finder) flags(v ast.Expr, t types.Type) {
	named, ok := t.(*types.Named)
	if !ok || named.Obj().Pkg() != w.pkg {
		return
	}
	scope := w.pkg.Scope()
	for _, name := range scope.Names() {
		c, ok := scope.Lookup(name).(*types.Const)
		if !ok || !types.Identical(c.Type(), t) || c.Val().Kind() != constant.Int {
			continue
		}
		if bits, ok := constant.Uint64Val(c.Val()); !ok || bits&(bits-1) != 0 || bits == 0 {
			continue
		}
		w.becomes(v, t, fmt.Sprintf("(%s) ^ %s", w.text(v), name))
	}
}
