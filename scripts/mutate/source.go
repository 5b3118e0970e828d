package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// aim is a package whose code is mutated.
type aim struct {
	dir string
	// roots: only these functions and what they call within the package; none is all.
	roots []string
	// long are tests that most mutants need not wait for: a pattern; none is "".
	long string
}

// aims are the packages that decide who gets traffic and how that is written.
var aims = []aim{
	{dir: "internal/policy"},
	{dir: "internal/quorum"},
	{dir: "internal/lever", long: "^TestAnyTwoFaults$"},
	{dir: "internal/health", roots: []string{"Step", "NextDue", "FirstDue", "Restart", "Rewarm", "Unseen"}},
}

// source is one package under mutation.
type source struct {
	aim
	pkg   *types.Package
	info  *types.Info
	fset  *token.FileSet
	files []*file
}

// file is one file of a source, and what is to be changed in it.
type file struct {
	path  string // from the root of the module
	text  []byte
	tree  *ast.File
	names map[string]string // import path: name
	added map[string]string // the same, for imports that mutants need
	edits edits
}

// listed is what `go list` tells of a package.
type listed struct {
	ImportPath, Dir, Export            string
	GoFiles, TestImports, XTestImports []string
}

// list asks the go command about packages.
func list(ctx context.Context, args ...string) ([]listed, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-json=ImportPath,Dir,Export,GoFiles,TestImports,XTestImports"}, args...)...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, complaint.String())
	}
	var ps []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return ps, nil
		case err != nil:
			return nil, fmt.Errorf("what go list says: %w", err)
		}
		ps = append(ps, p)
	}
}

// load parses the packages of aims and finds their types.
func load(ctx context.Context) ([]*source, error) {
	args := []string{"-export", "-deps"}
	for _, a := range aims {
		args = append(args, "./"+a.dir)
	}
	all, err := list(ctx, args...)
	if err != nil {
		return nil, err
	}
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	for _, p := range all {
		exports[p.ImportPath] = p.Export
	}
	var out []*source
	for _, a := range aims {
		i := slices.IndexFunc(all, func(p listed) bool { return p.Dir == filepath.Join(root, a.dir) })
		if i < 0 {
			return nil, fmt.Errorf("no package in %s: run this at the root of the module", a.dir)
		}
		s, err := parse(a, all[i], exports)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func parse(a aim, p listed, exports map[string]string) (*source, error) {
	s := &source{aim: a, fset: token.NewFileSet(), info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
	}}
	var trees []*ast.File
	for _, name := range p.GoFiles {
		f := &file{path: filepath.Join(a.dir, name), names: map[string]string{}, added: map[string]string{}}
		var err error
		if f.text, err = os.ReadFile(f.path); err != nil {
			return nil, err
		}
		if f.tree, err = parser.ParseFile(s.fset, f.path, f.text, parser.SkipObjectResolution); err != nil {
			return nil, err
		}
		for _, i := range f.tree.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			f.names[path] = filepath.Base(path)
			if i.Name != nil {
				f.names[path] = i.Name.Name
			}
		}
		s.files = append(s.files, f)
		trees = append(trees, f.tree)
	}
	pkg, err := check(s.fset, p.ImportPath, trees, s.info, exports)
	s.pkg = pkg
	return s, err
}

func check(fset *token.FileSet, path string, trees []*ast.File, info *types.Info, exports map[string]string) (*types.Package, error) {
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	c := types.Config{Importer: importer.ForCompiler(fset, "gc", lookup)}
	return c.Check(path, fset, trees, info)
}

// covers returns the functions of the source that are mutated.
func (s *source) covers() map[*ast.FuncDecl]bool {
	byObject := map[types.Object]*ast.FuncDecl{}
	out := map[*ast.FuncDecl]bool{}
	var next []*ast.FuncDecl
	for _, f := range s.files {
		for _, d := range f.tree.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil || fn.Name.Name == "String" { // words for people
				continue
			}
			byObject[s.info.Defs[fn.Name]] = fn
			if len(s.roots) == 0 || fn.Recv == nil && slices.Contains(s.roots, fn.Name.Name) {
				next = append(next, fn)
			}
		}
	}
	for len(next) > 0 {
		fn := next[0]
		next = next[1:]
		if out[fn] {
			continue
		}
		out[fn] = true
		ast.Inspect(fn, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				if called := byObject[s.info.Uses[id]]; called != nil {
					next = append(next, called)
				}
			}
			return true
		})
	}
	return out
}

// typeName writes a type as it can be written in the file; "" where it cannot.
func (s *source) typeName(f *file, t types.Type) string {
	t = types.Default(t)
	ok := true
	name := types.TypeString(t, func(p *types.Package) string {
		switch name := f.names[p.Path()]; {
		case p == s.pkg:
			return ""
		case name == "_" || name == ".":
			ok = false
		case name != "":
			return name
		}
		f.added[p.Path()] = "mutant" + p.Name()
		return f.added[p.Path()]
	})
	if _, tuple := t.(*types.Tuple); tuple || !ok || strings.Contains(name, "untyped") {
		return ""
	}
	return name
}

func (s *source) source(f *file, n ast.Node) string {
	return string(f.text[s.offset(n.Pos()):s.offset(n.End())])
}

func (s *source) offset(p token.Pos) int { return s.fset.Position(p).Offset }
