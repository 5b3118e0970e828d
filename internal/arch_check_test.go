package internal_test

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// coreImports is all that core may take from the standard library. There is no
// network, file, lock, logger, context, randomness or process in it.
var coreImports = []string{
	"cmp", "container/heap", "encoding/binary", "errors", "fmt", "hash/fnv", "iter", "maps", "math", "math/bits",
	"net/netip", "slices", "sort", "strconv", "strings", "time", "unicode/utf8",
}

// clockWords are the members of package time that read a clock, wait on one, or
// depend on the machine's zone.
var clockWords = []string{
	"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep", "Local", "LoadLocation",
}

// shufflers are the members of package maps whose order changes from run to run.
var shufflers = []string{"All", "Keys", "Values"}

// sorters are the members of package slices that put such an order right.
var sorters = []string{"Sorted", "SortedFunc", "SortedStableFunc"}

// checker type-checks core packages without the go command. It must be given
// them lowest first, since it resolves our own imports from what it has seen.
type checker struct {
	fset *token.FileSet
	std  types.Importer
	ours map[string]*types.Package
}

func newChecker() *checker {
	fset := token.NewFileSet()
	return &checker{fset: fset, std: importer.ForCompiler(fset, "source", nil), ours: map[string]*types.Package{}}
}

// Import implements types.Importer.
func (c *checker) Import(path string) (*types.Package, error) {
	if p, ok := c.ours[path]; ok {
		return p, nil
	}
	if strings.HasPrefix(path, module) || strings.Contains(strings.SplitN(path, "/", 2)[0], ".") {
		return nil, fmt.Errorf("%s is neither core nor standard library", path)
	}
	return c.std.Import(path)
}

// parseDir parses the files of dir that a build for this system takes.
func (c *checker) parseDir(t *testing.T, dir string) []*ast.File {
	t.Helper()
	var files []*ast.File
	for _, name := range shippedFiles(t, dir) {
		f, err := parser.ParseFile(c.fset, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// check returns one line for each thing in files that core must not hold. An
// error means that the files do not type-check.
func (c *checker) check(path string, files []*ast.File) ([]string, error) {
	info := &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{},
		Uses:  map[*ast.Ident]types.Object{},
	}
	conf := types.Config{Importer: c}
	pkg, err := conf.Check(path, c.fset, files, info)
	if err != nil {
		return nil, err
	}
	c.ours[path] = pkg

	r := refusals{fset: c.fset, info: info, tamed: map[ast.Expr]bool{}}
	for _, f := range files {
		ast.Inspect(f, r.visit)
	}
	return r.found, nil
}

// refusals walks a type-checked file and notes what core must not hold.
type refusals struct {
	fset  *token.FileSet
	info  *types.Info
	tamed map[ast.Expr]bool // map walks that stand directly inside a sort
	found []string
}

func (r *refusals) refuse(n ast.Node, why string) {
	at := r.fset.Position(n.Pos())
	r.found = append(r.found, fmt.Sprintf("%s:%d: core may not %s", at.Filename, at.Line, why))
}

func (r *refusals) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		r.refuse(n, "start a goroutine")
	case *ast.SelectStmt:
		r.refuse(n, "select")
	case *ast.ChanType:
		r.refuse(n, "hold a channel")
	case *ast.FuncDecl:
		if n.Recv == nil && n.Name.Name == "init" {
			r.refuse(n, "run code at start (init)")
		}
	case *ast.RangeStmt:
		if tv, ok := r.info.Types[n.X]; ok && holdsMap(tv.Type) {
			r.refuse(n, "range over a map: its order changes from run to run")
		}
	case *ast.CallExpr:
		if r.member(n.Fun, "slices", sorters) {
			for _, arg := range n.Args {
				if call, ok := arg.(*ast.CallExpr); ok {
					r.tamed[ast.Unparen(call.Fun)] = true
				}
			}
		}
		if r.member(n.Fun, "maps", shufflers) && !r.tamed[ast.Unparen(n.Fun)] {
			r.refuse(n, "walk a map unsorted: wrap it in slices.Sorted")
		}
	case *ast.Ident:
		if obj := r.info.Uses[n]; obj != nil && obj.Pkg() != nil && obj.Pkg().Path() == "time" &&
			obj.Parent() == obj.Pkg().Scope() && slices.Contains(clockWords, obj.Name()) {
			r.refuse(n, "use time."+obj.Name()+": now comes in with the event")
		}
	}
	return true
}

// member reports whether fun names one of a standard package's functions.
func (r *refusals) member(fun ast.Expr, pkg string, names []string) bool {
	fun = ast.Unparen(fun)
	if index, ok := fun.(*ast.IndexExpr); ok { // an instantiation written out
		fun = index.X
	}
	var id *ast.Ident
	switch f := fun.(type) {
	case *ast.SelectorExpr:
		id = f.Sel
	case *ast.Ident: // a dot import
		id = f
	default:
		return false
	}
	obj := r.info.Uses[id]
	return obj != nil && obj.Pkg() != nil && obj.Pkg().Path() == pkg && slices.Contains(names, obj.Name())
}

// holdsMap reports whether ranging over a value of type t walks a map. Of a
// type parameter it is enough that one type of its set does.
func holdsMap(t types.Type) bool {
	if p, ok := t.(*types.TypeParam); ok {
		t = p.Constraint()
	}
	switch u := t.Underlying().(type) {
	case *types.Map:
		return true
	case *types.Interface:
		for i := range u.NumEmbeddeds() {
			if holdsMap(u.EmbeddedType(i)) {
				return true
			}
		}
	case *types.Union:
		for i := range u.Len() {
			if holdsMap(u.Term(i).Type()) {
				return true
			}
		}
	}
	return false
}

// imported is one import and the line that it stands on.
type imported struct{ path, at string }

// source is one parsed file.
type source struct {
	fset   *token.FileSet
	syntax *ast.File
}

// at is the file and line of a node.
func (s source) at(n ast.Node) string {
	p := s.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// sourcesOf parses every file of dir that ships, whatever its build tags say,
// so that nothing hides behind another system's file.
func sourcesOf(t *testing.T, dir string, mode parser.Mode) []source {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var all []source
	for _, e := range entries {
		if e.IsDir() || !ships(e.Name()) {
			continue
		}
		f, err := parser.ParseFile(fset, filepath.Join(dir, e.Name()), nil, mode)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{fset, f})
	}
	return all
}

// importsOf reads the imports of every file of dir that ships.
func importsOf(t *testing.T, dir string) []imported {
	t.Helper()
	var all []imported
	for _, f := range sourcesOf(t, dir, parser.ImportsOnly) {
		for _, spec := range f.syntax.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, imported{path, f.at(spec)})
		}
	}
	return all
}
