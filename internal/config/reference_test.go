package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	referencePath = "../../docs/configuration.md"
	schemaPath    = "../../docs/config.schema.json"
)

// TestReferenceIsCurrent makes the page from the table of keys and compares it
// with the committed one; go generate writes it.
func TestReferenceIsCurrent(t *testing.T) { isCurrent(t, referencePath, reference()) }

// TestSchemaIsCurrent does the same with the schema for editors.
func TestSchemaIsCurrent(t *testing.T) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	schema := object(table())
	schema["$defs"] = map[string]any{"ask": object(askKeys(1))}
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "mapwarden.yaml"
	if err := e.Encode(schema); err != nil {
		t.Fatal(err)
	}
	isCurrent(t, schemaPath, b.String())
}

func isCurrent(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not what the table of keys says; run go generate ./internal/config (-want +got):\n%s", path, diff)
	}
}

// The page's example is a good file, and the mistakes that it shows are real.
func TestReferenceTellsTheTruth(t *testing.T) {
	if _, err := Parse("mapwarden.yaml", []byte(example), Flags{}); err != nil {
		t.Errorf("the example: %v", err)
	}
	_, err := Parse("mapwarden.yaml", []byte(badExample), Flags{})
	if err == nil || err.Error()+"\n" != badExampleSays {
		t.Errorf("the bad example says\n%v\nnot\n%s", err, badExampleSays)
	}
}

// Each default of the table is what a file without the key gives.
func TestDefaultsAreAsDocumented(t *testing.T) {
	// The zero value of these means the default; health and warden say so.
	implied := []string{"scope.namespaces", "scope.services", "targets.deny"}
	checked := 0
	leaves("", table(), func(path string, k key) {
		if strings.Contains(path, ".http") || strings.Contains(path, ".tls") || strings.Contains(path, ".grpc") || slices.Contains(implied, path) {
			return
		}
		for registry, def := range map[string]string{"aws": k.def, "embedded": or(k.elsewhere, k.def)} {
			if def == "" {
				continue
			}
			without, err := Parse("", nil, Flags{Registry: registry})
			if err != nil {
				t.Fatal(err)
			}
			with, err := Parse("", []byte(nested(path, def)), Flags{Registry: registry})
			if err != nil {
				t.Errorf("the default of %s is refused: %v", path, err)
				continue
			}
			if diff := cmp.Diff(without, with, byValue...); diff != "" {
				t.Errorf("%s is documented as %s with registry %s (-without +with):\n%s", path, def, registry, diff)
			}
			checked++
		}
	})
	if checked < 50 {
		t.Errorf("only %d defaults were checked", checked)
	}
}

// A key without a word of explanation is no use to anybody.
func TestEveryKeyIsDocumented(t *testing.T) {
	var visit func(path string, keys []key)
	visit = func(path string, keys []key) {
		for _, k := range keys {
			here := join(path, k.name)
			if k.later == "" && !strings.HasSuffix(k.doc, ".") && !strings.HasSuffix(k.doc, "…") {
				t.Errorf("%s has no sentence of documentation: %q", here, k.doc)
			}
			if k.later != "" && (k.doc != "" || k.value.read != nil || k.keys != nil) {
				t.Errorf("%s is not in this release and yet it is", here)
			}
			visit(here, k.keys)
		}
	}
	visit("", table())
}

// The schema accepts what the table documents.
func TestSchemaPatterns(t *testing.T) {
	leaves("", table(), func(path string, k key) {
		p, ok := k.value.schema["pattern"].(string)
		if !ok {
			return
		}
		expression, err := regexp.Compile(p)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		if k.def != "" && !expression.MatchString(k.def) {
			t.Errorf("%s: the pattern %s refuses the default %s", path, p, k.def)
		}
	})
}

// leaves calls use for every value outside the rules, which have the same.
func leaves(path string, keys []key, use func(path string, k key)) {
	for _, k := range keys {
		switch here := join(path, k.name); {
		case k.later != "" || k.rules:
		case k.keys != nil:
			leaves(here, k.keys, use)
		default:
			use(here, k)
		}
	}
}

// nested writes one key of the file.
func nested(path, text string) string {
	parts := strings.Split(path, ".")
	return strings.Join(parts, ": {") + ": " + text + strings.Repeat("}", len(parts)-1)
}

func object(keys []key) map[string]any {
	properties := map[string]any{}
	for _, k := range keys {
		if k.later != "" {
			continue
		}
		var schema map[string]any
		switch {
		case k.rules:
			rule := object(k.keys)
			rule["required"] = []string{"match"}
			rule["type"] = "object"
			schema = map[string]any{"type": "array", "items": rule}
		case k.keys != nil:
			schema = object(k.keys)
			schema["type"] = []string{"object", "null"}
		default:
			schema = map[string]any{}
			for name, v := range k.value.schema {
				schema[name] = v
			}
		}
		schema["description"] = k.doc
		properties[k.name] = schema
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

const example = `mode: observe
registry: {aws: {region: eu-west-1}, poll: 30s}
scope: {namespaces: ["prod*"], services: ["*", "!legacy-*"]}
targets: {allow: [10.0.0.0/8]}
defaults:
  check: {http: {path: /healthz, expect: {status: "200-399"}}, interval: 5s, timeout: 2s}
  safety: {max_out: 20%, removals: 1/10s}
services:
  - match: prod.internal/payments
    check: {http: {path: /ready}, port: 8081}
    safety: {max_out: 10%}
  - match: "*/batch-*"
    mode: off
`

const badExample = `mode: observe
defaults:
  check: {intervall: 5s, timeout: 2}
  safety: {max_out: 340%}
`

const badExampleSays = `mapwarden.yaml:3:11: unknown key "intervall" in defaults.check; did you mean interval?
mapwarden.yaml:3:35: defaults.check.timeout: "2" has no unit; write 2s
mapwarden.yaml:4:21: defaults.safety.max_out: 340% is out of range; from 1% to 100%
`

// reference is the whole page.
func reference() string {
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Made from the table of keys in internal/config/keys.go by go generate ./internal/config. Edit that, not this. -->

One YAML file, given as ` + "`mapwarden run -c FILE`" + `. Everything has a default: an empty file works, and so does none.

` + "```yaml\n" + example + "```\n" + `
` + "`mapwarden validate FILE`" + ` reports every mistake at once and exits with 2 if there is any. A file with a mistake
is refused as a whole; nothing of it is used:

` + "```yaml\n" + badExample + "```\n\n```\n" + badExampleSays + "```\n" + `
Editors that know JSON schemas complete and check keys with
[config.schema.json](config.schema.json): begin the file with
` + "`# yaml-language-server: $schema=…/docs/config.schema.json`" + `.

How values are written:

| type | |
| --- | --- |
| duration | a number and a unit, ` + "`500ms`, `5s`, `1m30s`, `24h`" + ` |
| percentage | with its sign, ` + "`20%`" + ` |
| rate | how many in how long, ` + "`1/10s`" + ` |
| fraction | which share in how long, ` + "`1%/1m`" + ` |

Anchors and aliases work, merge keys (` + "`<<`" + `) do not: services have what they leave out from ` + "`defaults`" + `.
A default in brackets holds where the registry is not AWS, if it is another there.

`)
	section(&b, "", "The file", "", table())
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// section writes a table of keys, and one for each mapping in it.
func section(b *strings.Builder, path, title, doc string, keys []key) {
	fmt.Fprintf(b, "## %s\n\n", title)
	if doc != "" {
		fmt.Fprintf(b, "%s\n\n", doc)
	}
	if len(names(keys)) > 0 {
		b.WriteString("| key | type | default | |\n| --- | --- | --- | --- |\n")
	}
	var later []string
	for _, k := range keys {
		if k.later != "" {
			later = append(later, "`"+k.name+"`")
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", k.name, kind(join(path, k.name), k), defaultOf(k), cell(k.doc))
	}
	if len(later) > 0 {
		fmt.Fprintf(b, "\nNot in this release: %s.\n", strings.Join(later, ", "))
	}
	b.WriteString("\n")
	for _, k := range keys {
		if k.later != "" || k.keys == nil || len(k.keys) == 0 {
			continue
		}
		here := join(path, k.name)
		if k.rules {
			fmt.Fprintf(b, "## %s[]\n\n%s\n\n| key | type | default | |\n| --- | --- | --- | --- |\n", here, k.doc)
			for _, sub := range k.keys {
				switch {
				case sub.later != "":
				case sub.keys != nil:
					fmt.Fprintf(b, "| `%s` | mapping | that of `defaults` | [As under defaults](#%s), without the keys that are for all services together. |\n",
						sub.name, anchor("defaults."+sub.name))
				default:
					def := "that of the file"
					if sub.name == "match" {
						def = ""
					}
					fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", sub.name, cell(sub.value.typ), def, cell(sub.doc))
				}
			}
			b.WriteString("\n")
			continue
		}
		section(b, here, here, k.doc, k.keys)
	}
}

func kind(path string, k key) string {
	switch {
	case k.rules:
		return fmt.Sprintf("[list of rules](#%s)", anchor(path+"[]"))
	case len(k.keys) > 0:
		return fmt.Sprintf("[mapping](#%s)", anchor(path))
	case k.keys != nil:
		return "empty mapping"
	case k.fleet:
		return cell(k.value.typ) + "; for all services together"
	}
	return cell(k.value.typ)
}

func defaultOf(k key) string {
	if k.elsewhere != "" {
		return fmt.Sprintf("`%s` [`%s`]", k.def, k.elsewhere)
	}
	if k.def == "" {
		return ""
	}
	return "`" + k.def + "`"
}

// cell escapes what would end a cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// anchor is the name that renderers of Markdown give to a heading.
func anchor(heading string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(".[]", c) {
			return -1
		}
		return c
	}, strings.ToLower(heading))
}
