package internal_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The papers are part of the product: what they name must be there.

// TestSafetyPageNamesEveryReason holds docs/safety.md against the constants
// that operators meet in logs, metrics and on the page.
func TestSafetyPageNamesEveryReason(t *testing.T) {
	page := read(t, "../docs/safety.md")
	reasons := constantsOf(t, "policy/reason.go", "Reason")
	if len(reasons) < 20 {
		t.Fatalf("found only %d reasons in policy/reason.go: the test looks in the wrong place", len(reasons))
	}
	for _, r := range reasons {
		if r != "" && !strings.Contains(page, "`"+r+"`") {
			t.Errorf("docs/safety.md does not explain the reason `%s`", r)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[a-z`, -]+) \\|").FindAllStringSubmatch(page, -1) {
		for named := range strings.SplitSeq(row[1], ", ") {
			if !slices.Contains(reasons, strings.Trim(named, "`")) {
				t.Errorf("docs/safety.md explains %s, which is no reason", named)
			}
		}
	}
}

// TestSafetyPageHasEveryRule keeps the numbers that comments, reasons and
// Explain refer to.
func TestSafetyPageHasEveryRule(t *testing.T) {
	page := read(t, "../docs/safety.md")
	var numbers []int
	for _, m := range regexp.MustCompile(`(?m)^### (\d+)\. `).FindAllStringSubmatch(page, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	if want := upTo(23); !slices.Equal(numbers, want) {
		t.Errorf("docs/safety.md has rules %v, want %v in order", numbers, want)
	}
}

// TestSafetyPageNamesItsStories: a rule names its stories where it has some,
// and only then.
func TestSafetyPageNamesItsStories(t *testing.T) {
	page := read(t, "../docs/safety.md")
	proven := 0
	for n := 1; n <= 23; n++ {
		pattern := fmt.Sprintf("%02d-*.txt", n)
		stories, err := filepath.Glob("fleetsim/testdata/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(stories) > 0 {
			proven++
		}
		_, section, _ := strings.Cut(page, fmt.Sprintf("\n### %d. ", n))
		section, _, _ = strings.Cut(section, "\n## ")
		section, _, _ = strings.Cut(section, "\n### ")
		if says := strings.Contains(section, "Stories: `"+pattern+"`"); says != (len(stories) > 0) {
			t.Errorf("rule %d has %d stories, and docs/safety.md says that it has some: %v", n, len(stories), says)
		}
	}
	if proven < 15 {
		t.Errorf("only %d rules have a story", proven)
	}
}

// TestEveryDependencyHasItsReason holds decision 11 against go.mod, both ways.
func TestEveryDependencyHasItsReason(t *testing.T) {
	const paper = "../docs/decisions/0011-dependencies.md"
	text := read(t, paper)
	var direct []string
	for line := range strings.Lines(read(t, "../go.mod")) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) == 2 && strings.HasPrefix(fields[1], "v") {
			direct = append(direct, fields[0])
		}
	}
	if len(direct) == 0 {
		t.Fatal("no direct dependency found in go.mod: the test reads it wrongly")
	}
	for _, m := range direct {
		if !strings.Contains(text, "| `"+m+"` |") {
			t.Errorf("%s has no line for %s", paper, m)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(text, -1) {
		if !slices.Contains(direct, m[1]) {
			t.Errorf("%s has a line for %s, which go.mod does not require directly", paper, m[1])
		}
	}
}

// TestDecisionsAreListed keeps the index of docs/decisions whole.
func TestDecisionsAreListed(t *testing.T) {
	index := read(t, "../docs/decisions/README.md")
	records, err := filepath.Glob("../docs/decisions/[0-9]*.md")
	if err != nil || len(records) == 0 {
		t.Fatalf("found %d decisions, error %v", len(records), err)
	}
	for i, path := range records {
		name := filepath.Base(path)
		if n, err := strconv.Atoi(name[:4]); err != nil || n != i+1 {
			t.Errorf("%s: the number is not the next one, %04d", name, i+1)
		}
		if !strings.Contains(index, "("+name+")") {
			t.Errorf("docs/decisions/README.md does not list %s", name)
		}
		for _, heading := range []string{"## Context", "## Decision", "## Consequences", "## Alternatives"} {
			if !strings.Contains(read(t, path), "\n"+heading+"\n") {
				t.Errorf("%s has no %q", name, heading)
			}
		}
	}
}

var (
	mdLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	mdHeading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	mdFence   = regexp.MustCompile("(?ms)^```.*?^```$")
)

// TestLinksLeadSomewhere follows every link between the papers, headings too.
func TestLinksLeadSomewhere(t *testing.T) {
	papers := markdown(t, "..")
	if len(papers) < 10 {
		t.Fatalf("found only %d papers: the test looks in the wrong place", len(papers))
	}
	for _, paper := range papers {
		for _, m := range mdLink.FindAllStringSubmatch(mdFence.ReplaceAllString(read(t, paper), ""), -1) {
			link := m[1]
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			path, anchor, _ := strings.Cut(link, "#")
			target := paper
			if path != "" {
				target = filepath.Join(filepath.Dir(paper), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", paper, link)
				continue
			}
			if anchor != "" && !slices.Contains(anchorsOf(read(t, target)), anchor) {
				t.Errorf("%s links to %s, and there is no such heading", paper, link)
			}
		}
	}
}

func TestAnchorsOf(t *testing.T) {
	const page = "# A Cloud Map, anywhere\n\n## The two calls that go to `data-`\n```\n# not a heading\n```\n### 9. A filter\n"
	want := []string{"a-cloud-map-anywhere", "the-two-calls-that-go-to-data-", "9-a-filter"}
	if got := anchorsOf(page); !slices.Equal(got, want) {
		t.Errorf("anchorsOf = %q, want %q", got, want)
	}
}

// anchorsOf are the anchors that GitHub gives to a page's headings.
func anchorsOf(page string) []string {
	var anchors []string
	for _, m := range mdHeading.FindAllStringSubmatch(mdFence.ReplaceAllString(page, ""), -1) {
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', '0' <= r && r <= '9', 'a' <= r && r <= 'z':
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		anchors = append(anchors, anchor)
	}
	return anchors
}

// markdown returns the papers of the module. Hidden directories and the papers
// of others (node_modules) are none of ours.
func markdown(t *testing.T, root string) []string {
	t.Helper()
	var papers []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata"):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(d.Name(), ".md"):
			papers = append(papers, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return papers
}

// constantsOf returns the values of a file's string constants of a type.
func constantsOf(t *testing.T, path, typeName string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, decl := range f.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST {
			continue
		}
		for _, spec := range gen.Specs {
			v := spec.(*ast.ValueSpec)
			if id, ok := v.Type.(*ast.Ident); !ok || id.Name != typeName {
				continue
			}
			for _, e := range v.Values {
				s, err := strconv.Unquote(e.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, s)
			}
		}
	}
	return values
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func upTo(n int) []int {
	var all []int
	for i := range n {
		all = append(all, i+1)
	}
	return all
}

// TestMetricsPageNamesEveryMetric holds docs/metrics.md against the names that
// package web gives, both ways.
func TestMetricsPageNamesEveryMetric(t *testing.T) {
	source := read(t, "web/metrics.go")
	var names []string
	for _, m := range regexp.MustCompile(`desc\("([a-z_]+)"|Name: "mapwarden_([a-z_]+)"`).FindAllStringSubmatch(source, -1) {
		names = append(names, "mapwarden_"+m[1]+m[2])
	}
	if len(names) < 10 {
		t.Fatalf("found only %d metrics in web/metrics.go: the test reads it wrongly", len(names))
	}
	page := read(t, "../docs/metrics.md")
	for _, n := range names {
		if !strings.Contains(page, "`"+n+"`") {
			t.Errorf("docs/metrics.md does not name %s", n)
		}
	}
	for _, paper := range []string{"../docs/metrics.md", "../docs/operations.md", "../docs/safety.md"} {
		for _, n := range regexp.MustCompile(`mapwarden_[a-z_]+`).FindAllString(read(t, paper), -1) {
			if !slices.Contains(names, n) {
				t.Errorf("%s names %s, and there is no such metric", paper, n)
			}
		}
	}
}

// TestAPIPageNamesEveryRoute holds docs/api.md against the routes of package web.
func TestAPIPageNamesEveryRoute(t *testing.T) {
	routes := regexp.MustCompile(`\{"(GET|POST)", "(/[^"]*)", `).FindAllStringSubmatch(read(t, "web/read.go"), -1)
	if len(routes) < 10 {
		t.Fatalf("found only %d routes in web/read.go: the test reads it wrongly", len(routes))
	}
	page := read(t, "../docs/api.md")
	for _, m := range routes {
		if route := m[1] + " /api/v1" + m[2]; !strings.Contains(page, "`"+route+"`") {
			t.Errorf("docs/api.md does not name %s", route)
		}
	}
}
