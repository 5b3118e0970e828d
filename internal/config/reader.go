package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// reader walks the nodes of a document along the table of keys. It sets what
// is good, collects what is not, and remembers where each key stood.
type reader struct {
	name     string
	table    []key
	mistakes Mistakes
	at       map[string]*yaml.Node // path of a key: its value
	visited  int
}

// draft is what the keys of one mapping write to: the file, and the service
// configuration at hand, which is that of defaults or of one rule.
type draft struct {
	file    *File
	service *warden.ServiceConfig
	rule    *warden.ServiceRule // nil outside services
	ask     *health.Probe       // the part of a check at hand; nil: the check itself
}

// probe is what keys that say what to ask write to.
func (d *draft) probe() *health.Probe {
	if d.ask != nil {
		return d.ask
	}
	return &d.service.Check.Probe
}

func newReader(name string) *reader {
	return &reader{name: name, table: table(), at: map[string]*yaml.Node{}}
}

func (r *reader) add(n *yaml.Node, what, hint string) {
	m := Mistake{File: r.name, Line: 1, Column: 1, What: what, Hint: hint}
	if n != nil && n.Line > 0 {
		m.Line, m.Column = n.Line, n.Column
	}
	r.report(m)
}

func (r *reader) report(m Mistake) {
	if len(r.mistakes) < maxMistakes {
		r.mistakes = append(r.mistakes, m)
	}
}

// document returns the only document's content, or nil where there is none.
func (r *reader) document(data []byte) *yaml.Node {
	if len(data) > maxSize {
		r.add(nil, fmt.Sprintf("the file has more than %d bytes", maxSize), "it cannot be a config of mapwarden")
		return nil
	}
	if line, column, ok := crossing(data, maxParts); ok {
		r.report(Mistake{File: r.name, Line: line, Column: column, What: fmt.Sprintf("the file has more than %d lines, keys and list entries up to here", maxParts),
			Hint: "write fewer rules, or use patterns in match"})
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := decoder.Decode(&doc)
	if err == nil {
		if again := decoder.Decode(&second); again == nil {
			r.add(&second, "a second document begins here", "remove the --- line; a config is one document")
		} else if !errors.Is(again, io.EOF) {
			err = again
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		r.report(syntax(r.name, data, err))
		return nil
	case len(doc.Content) == 0:
		return nil
	}
	return doc.Content[0]
}

// follow resolves aliases, and bounds the work that they can multiply.
func (r *reader) follow(n *yaml.Node) (*yaml.Node, bool) {
	if r.visited++; r.visited > maxVisits {
		if r.visited == maxVisits+1 {
			r.add(n, "the file is too large once its aliases are followed", "write fewer rules, or use patterns in match")
		}
		return nil, false
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n, n != nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return quote(n.Value)
}

// mapping reads the keys of n in the order of the table, so that what a later
// key builds on is there. A missing or empty mapping leaves the defaults.
func (r *reader) mapping(path string, keys []key, d *draft, at *yaml.Node) {
	if at == nil {
		return
	}
	n, ok := r.follow(at)
	if !ok || isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.add(at, fmt.Sprintf("%s must be a mapping, not %s", or(path, "the file"), kindName(n)), list(keys))
		return
	}
	found := r.pairs(path, keys, d, n)
	for _, k := range keys {
		if value, ok := found[k.name]; ok {
			r.key(join(path, k.name), k, d, value)
		}
	}
}

// pairs returns the values of the known keys of a mapping and reports all others.
func (r *reader) pairs(path string, keys []key, d *draft, n *yaml.Node) map[string]*yaml.Node {
	found, lines := map[string]*yaml.Node{}, map[string]int{}
	for i := 0; i+1 < len(n.Content) && len(r.mistakes) < maxMistakes; i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		k, known := find(keys, name.Value)
		switch {
		case name.Kind != yaml.ScalarNode:
			r.add(name, "a key must be a word, not "+kindName(name), list(keys))
		case name.Tag == "!!merge":
			r.add(name, "merge keys are not read", "write the keys out; services have what they leave out from defaults")
		case lines[name.Value] > 0:
			r.add(name, fmt.Sprintf("%s stands twice, first in line %d", join(path, clip(name.Value)), lines[name.Value]), "keep one")
		case known && k.later != "":
			r.add(name, join(path, k.name)+" is not in this release", k.later)
		case known && k.fleet && d.rule != nil:
			r.add(name, join(path, k.name)+" is for all services together", "set it under defaults.safety")
		case known:
			found[name.Value] = value
			r.at[join(path, name.Value)] = value
		default:
			r.add(name, "unknown key "+quote(name.Value)+in(path), r.suggest(path, name.Value, keys))
		}
		if lines[name.Value] == 0 {
			lines[name.Value] = name.Line
		}
	}
	return found
}

// key reads one key's value.
func (r *reader) key(path string, k key, d *draft, at *yaml.Node) {
	switch {
	case k.rules:
		r.rules(path, k, d, at)
	case k.keys != nil:
		if k.enter != nil {
			k.enter(d)
		}
		r.mapping(path, k.keys, d, at)
		r.exclusive(path, k.oneOf)
		if k.leave != nil {
			k.leave(r, path, d)
		}
	default:
		n, ok := r.follow(at)
		if !ok {
			return
		}
		if f := k.value.read(r, d, path, n); f != nil {
			r.add(at, path+": "+f.what, f.hint)
		}
	}
}

// exclusive reports keys of one mapping that exclude each other.
func (r *reader) exclusive(path string, group []string) {
	var first string
	for _, name := range group {
		n := r.at[join(path, name)]
		switch {
		case n == nil:
		case first == "":
			first = name
		default:
			r.add(n, fmt.Sprintf("%s has both %s and %s", path, first, name), "keep one")
		}
	}
}

// rules reads the list of services: each begins as a copy of the defaults.
func (r *reader) rules(path string, k key, d *draft, at *yaml.Node) {
	n, ok := r.follow(at)
	if !ok || isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.add(at, fmt.Sprintf("%s must be a list, not %s", path, kindName(n)), "begin each rule with - match: NAMESPACE/SERVICE")
		return
	}
	if len(n.Content) > maxRules {
		r.add(n.Content[maxRules], fmt.Sprintf("%s has %d rules, at most %d are read", path, len(n.Content), maxRules), "use patterns in match, as in prod/*")
		return
	}
	d.file.Defaults.Policy.Mode = d.file.Mode
	lines := map[string]int{}
	for i, item := range n.Content {
		if len(r.mistakes) == maxMistakes {
			return
		}
		here := fmt.Sprintf("%s[%d]", path, i)
		rule := warden.ServiceRule{Config: d.file.Defaults}
		r.at[here] = item
		r.mapping(here, k.keys, &draft{file: d.file, service: &rule.Config, rule: &rule}, item)
		switch match := r.at[here+".match"]; {
		case match == nil:
			if target, ok := r.follow(item); ok && (target.Kind == yaml.MappingNode || isNull(target)) {
				r.add(item, here+" has no match", "add match: NAMESPACE/SERVICE")
			}
		case rule.Match != "" && lines[rule.Match] > 0:
			r.add(match, fmt.Sprintf("match %s stands in line %d too", quote(rule.Match), lines[rule.Match]), "join the two: the last rule that matches counts alone")
		default:
			lines[rule.Match] = match.Line
		}
		d.file.Services = append(d.file.Services, rule)
	}
}

// suggest says how to mend an unknown key: by a key of the same mapping, of
// the same rule, or of the file.
func (r *reader) suggest(path, name string, keys []key) string {
	if near := nearest(strings.ToLower(name), names(keys)); near != "" {
		return "did you mean " + near + "?"
	}
	if rule, _, ok := strings.Cut(path, "]"); ok {
		if path := pathOf(name, rule+"]", serviceKeys()); path != "" {
			return "did you mean " + path + "?"
		}
	}
	if path := pathOf(name, "", r.table); path != "" {
		return "did you mean " + path + "?"
	}
	return list(keys)
}

// list says which keys there are.
func list(keys []key) string {
	if len(keys) == 0 {
		return "it has no keys, write {}"
	}
	return "its keys are " + strings.Join(names(keys), ", ")
}

// pathOf finds a key anywhere in the table.
func pathOf(name, path string, keys []key) string {
	if k, ok := find(keys, name); ok && k.later == "" {
		return join(path, name)
	}
	for _, k := range keys {
		if p := pathOf(name, join(path, k.name), k.keys); p != "" && !k.rules {
			return p
		}
	}
	return ""
}

func find(keys []key, name string) (key, bool) {
	i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
	if i < 0 {
		return key{}, false
	}
	return keys[i], true
}

// names are the keys that this release has.
func names(keys []key) []string {
	var out []string
	for _, k := range keys {
		if k.later == "" {
			out = append(out, k.name)
		}
	}
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
