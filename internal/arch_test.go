// Package internal_test holds the plan of the house against the code: which
// package may import which, which module of someone else's belongs to which
// package, and that core stays deterministic. It runs no code of the packages
// and does not judge what they do; their own tests do.
package internal_test

import (
	"go/ast"
	"go/build"
	"go/parser"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/mapwarden/mapwarden"
	house  = module + "/internal/"
)

// floors are the kinds of package. Core is deterministic: events and an instant
// in, effects out. Everything that touches the world is a shell, an edge, or
// stands apart.
type floor int

const (
	core   floor = iota + 1
	shell        // owns the loop; imports no edge
	edge         // touches the world; imports core, and other edges only by name
	apart        // an imitation of AWS; shares words of core with the checker, and nothing else
	stage        // drives the real core for tests and `simulate`
	aid          // used by tests alone
	ground       // knows nothing of ours; all but core may stand on it
)

// rooms is the import table of the house: each package under internal/, its
// floor, and the packages of ours that it may import. Shells, edges and rooms
// may also import all of core, whose types are the language of the road; what
// they name here is the exception. docs/ARCHITECTURE.md explains the lines. A
// new package, or a new arrow, is a decision: it belongs in docs/decisions/ and
// then here.
var rooms = map[string]room{
	"health": {core, nil},
	"quorum": {core, []string{"health"}},
	"policy": {core, []string{"health", "quorum"}},
	"lever":  {core, []string{"health", "quorum", "policy"}},
	"warden": {core, []string{"health", "quorum", "policy", "lever"}},

	"controller": {shell, nil},

	"probe":    {edge, nil},
	"cloudmap": {edge, nil},
	"source":   {edge, []string{"cloudmap"}},
	"actuate":  {edge, []string{"cloudmap", "store"}},
	"store":    {edge, nil},
	"config":   {edge, nil},
	"web":      {edge, []string{"controller"}},
	"demo":     {edge, []string{"cloudmap"}},

	"registry":         {apart, nil},
	"registry/awsjson": {apart, []string{"registry"}},
	"registry/dns":     {apart, []string{"registry"}},
	"registry/access":  {apart, nil},
	"route53":          {apart, []string{"registry", "health", "quorum"}},

	"fleetsim": {stage, nil},

	"component": {aid, nil},

	"serve": {ground, nil},
}

// spawners are the packages in which a go statement may stand: the loop, the
// probe engine, and what accepts connections or starts processes. Everything
// else is called by somebody, and groups what it starts so that it can wait.
var spawners = []string{"controller", "probe", "web", "demo", "registry/awsjson", "registry/dns"}

type room struct {
	floor floor
	names []string
}

// may reports whether the package called name may import the one called to.
func (r room) may(to string) bool {
	onCore := r.floor == shell || r.floor == edge || r.floor == stage
	onGround := r.floor != core && rooms[to].floor == ground
	return slices.Contains(r.names, to) || onCore && rooms[to].floor == core || onGround
}

// onlyIn names the packages that alone may import a module of someone else's,
// so that each can be replaced, or watched for a change, in one place.
var onlyIn = map[string][]string{
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery": {"internal/cloudmap", "internal/registry/awsjson"},
	"github.com/miekg/dns":            {"internal/registry/dns", "bench/dns"}, // which measures against it
	"go.yaml.in/yaml/v3":              {"internal/config"},
	"go.etcd.io/bbolt":                {"internal/registry", "internal/store"},
	"github.com/spf13/cobra":          {"cmd/mapwarden"},
	"pgregory.net/rapid":              {}, // tests alone
	"github.com/rogpeppe/go-internal": {},
	"github.com/google/go-cmp":        {},
	"google.golang.org/grpc":          {},
}

// TestEveryPackageIsInTheTable fails for a package that nobody placed.
func TestEveryPackageIsInTheTable(t *testing.T) {
	found := packagesUnder(t, ".")
	for _, name := range found {
		if _, ok := rooms[name]; !ok {
			t.Errorf("internal/%s is not in the table of internal/arch_test.go: give it a floor and its arrows", name)
		}
	}
	if len(found) == 0 {
		t.Fatal("no package found under internal/: the test looks in the wrong place")
	}
}

// TestTableIsDownwardOnly proves the table itself: no circle, core rests on
// core alone, the shell knows no edge, and what stands apart knows neither
// shell nor edge, and of core what it names.
func TestTableIsDownwardOnly(t *testing.T) {
	allowed := map[floor][]floor{
		core:   {core},
		shell:  {},
		edge:   {shell, edge},
		apart:  {apart, core},
		stage:  {},
		aid:    {},
		ground: {},
	}
	for name, r := range rooms {
		for _, to := range r.names {
			target, ok := rooms[to]
			if !ok {
				t.Errorf("%s names %s, which is not in the table", name, to)
				continue
			}
			if !slices.Contains(allowed[r.floor], target.floor) {
				t.Errorf("%s may not point at %s: the arrow leaves its floor the wrong way", name, to)
			}
		}
	}
	if circle := findCircle(func(name string) []string { return rooms[name].names }, slices.Sorted(maps.Keys(rooms))); circle != nil {
		t.Errorf("the table has a circle: %s", strings.Join(circle, " -> "))
	}
}

// TestImportsFollowTheTable reads the imports of every file that ships, under
// every build tag.
func TestImportsFollowTheTable(t *testing.T) {
	for _, name := range packagesUnder(t, ".") {
		r, ok := rooms[name]
		if !ok {
			continue // TestEveryPackageIsInTheTable speaks of it
		}
		for _, imp := range importsOf(t, name) {
			if strings.HasPrefix(imp.path, module+"/cmd/") {
				t.Errorf("%s imports %s: nobody imports the main", imp.at, imp.path)
			}
			to, ours := strings.CutPrefix(imp.path, house)
			if ours && !r.may(to) {
				t.Errorf("%s: internal/%s may not import internal/%s", imp.at, name, to)
			}
			if r.floor == core && !ours && !slices.Contains(coreImports, imp.path) {
				t.Errorf("%s: core may not import %q", imp.at, imp.path)
			}
		}
	}
}

// TestSoleImporters keeps each foreign module behind the one package that owns it.
func TestSoleImporters(t *testing.T) {
	for _, name := range packagesUnder(t, "..") {
		for _, imp := range importsOf(t, filepath.Join("..", name)) {
			for owned, owners := range onlyIn {
				if within(imp.path, owned) && !slices.Contains(owners, name) {
					t.Errorf("%s: %s imports %s, which belongs to %s alone", imp.at, name, imp.path, ownersOf(owners))
				}
			}
		}
	}
}

// TestGoStatements keeps goroutines where somebody waits for them.
func TestGoStatements(t *testing.T) {
	for _, name := range packagesUnder(t, ".") {
		if slices.Contains(spawners, name) {
			continue
		}
		for _, f := range sourcesOf(t, name, 0) {
			ast.Inspect(f.syntax, func(n ast.Node) bool {
				if n, ok := n.(*ast.GoStmt); ok {
					t.Errorf("%s: internal/%s may not start a goroutine (see spawners)", f.at(n), name)
				}
				return true
			})
		}
	}
}

// TestEveryPackageSaysWhatItIs asks for a package comment of three lines or
// more. That it also says what the package does not do is for the reviewer.
func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, name := range packagesUnder(t, "..") {
		var doc string
		for _, f := range sourcesOf(t, filepath.Join("..", name), parser.PackageClauseOnly|parser.ParseComments) {
			doc += f.syntax.Doc.Text()
		}
		if strings.Count(doc, "\n") < 3 {
			t.Errorf("%s has a package comment of %d lines, want at least 3", name, strings.Count(doc, "\n"))
		}
	}
}

// TestCoreIsDeterministic type-checks the core packages, lowest first, and
// refuses what would let two runs over the same events differ.
func TestCoreIsDeterministic(t *testing.T) {
	c := newChecker()
	for _, name := range []string{"health", "quorum", "policy", "lever", "warden"} {
		if _, err := os.Stat(name); err != nil {
			continue
		}
		files := c.parseDir(t, name)
		found, err := c.check(house+name, files)
		if err != nil {
			t.Errorf("type-check internal/%s: %v", name, err)
			continue
		}
		for _, f := range found {
			t.Error(f)
		}
	}
}

func ownersOf(owners []string) string {
	if len(owners) == 0 {
		return "tests"
	}
	return strings.Join(owners, " and ")
}

// within reports whether path is the module or a package of it.
func within(path, module string) bool {
	return path == module || strings.HasPrefix(path, module+"/")
}

// packagesUnder returns the directories below root that hold Go files which
// ship, relative to it. Modules of their own and testdata are none of ours.
func packagesUnder(t *testing.T, root string) []string {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != root && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != root {
				return filepath.SkipDir
			}
			return nil
		}
		if dir := filepath.Dir(path); dir != root && ships(d.Name()) {
			rel, err := filepath.Rel(root, dir)
			if err != nil {
				return err
			}
			found[filepath.ToSlash(rel)] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(found))
}

func ships(file string) bool {
	return strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go")
}

// findCircle returns one circle among names, or nil.
func findCircle(next func(string) []string, names []string) []string {
	const (
		onPath = iota + 1
		done
	)
	state := map[string]int{}
	var path []string
	var visit func(string) []string
	visit = func(name string) []string {
		switch state[name] {
		case done:
			return nil
		case onPath:
			return append(slices.Clone(path[slices.Index(path, name):]), name)
		}
		state[name] = onPath
		path = append(path, name)
		for _, to := range next(name) {
			if circle := visit(to); circle != nil {
				return circle
			}
		}
		path = path[:len(path)-1]
		state[name] = done
		return nil
	}
	for _, name := range names {
		if circle := visit(name); circle != nil {
			return circle
		}
	}
	return nil
}

// shippedFiles are the Go files of dir that a build for this system takes.
func shippedFiles(t *testing.T, dir string) []string {
	t.Helper()
	pkg, err := build.Default.ImportDir(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	return pkg.GoFiles
}
