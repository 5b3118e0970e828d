package config

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/mapwarden/mapwarden/internal/health"
)

// questions are the keys that say what is asked; they exclude each other.
var questions = []string{"http", "https", "tcp", "tls", "grpc", "grpcs", "all", "any", "at_least"}

// credentials exclude each other, too.
var credentials = []string{"basic_file", "bearer_file"}

// Bounds of a check that is made of others.
const (
	maxDepth = 3 // checks within checks
	maxAsked = 8 // probes that are really made
)

// askKeys say what a check asks. They stand in check, in startup_check, and in
// each part of all, any and at_least, depth of which are around it.
func askKeys(depth int) []key {
	keys := []key{
		{name: "port", def: "0", value: whole(0, 65535, func(d *draft, n int) { d.probe().Port = uint16(n) }),
			doc: "The port to probe; 0 is the instance's AWS_INSTANCE_PORT."},
		{name: "http", keys: append(httpKeys("h2c"), wireKeys()...), oneOf: credentials, enter: enterProbe(health.HTTP), leave: leaveProbe,
			doc: "An HTTP request. Naming it in a rule replaces what `defaults` ask as a whole."},
		{name: "https", keys: slices.Concat(httpKeys("h2"), tlsKeys(), wireKeys()), oneOf: credentials, enter: enterProbe(health.HTTPS), leave: leaveProbe,
			doc: "The same over TLS."},
		{name: "tcp", enter: enterProbe(health.TCP), leave: leaveProbe,
			doc: "A TCP connect: `tcp: {}`.",
			keys: append([]key{{name: "half_open", def: "false", value: truth(func(d *draft) *bool { return &d.probe().HalfOpen }),
				doc: "It is enough that the target's kernel answers: the connection is taken back before the target can accept it. Costs less, and the target never sees it; a program that has stopped accepting is noticed later. Other systems than Linux make a plain connect."}},
				wireKeys()...)},
		{name: "tls", keys: append(tlsKeys(), wireKeys()...), enter: enterProbe(health.Handshake), leave: leaveProbe,
			doc: "A TLS handshake: `tls: {}`."},
		{name: "grpc", keys: append(grpcKeys(), wireKeys()...), enter: enterProbe(health.GRPC), leave: leaveProbe,
			doc: "A call of grpc.health.v1.Health/Check, which must say SERVING."},
		{name: "grpcs", keys: slices.Concat(grpcKeys(), tlsKeys(), wireKeys()), enter: enterProbe(health.GRPCS), leave: leaveProbe,
			doc: "The same over TLS."},
		{name: "all", value: parts(health.All, depth),
			doc: "Passes while all of its parts pass. Each says what it asks as `check` does, and may have `port`, `invert` and `name`. They are asked at once, within the one timeout; a part that cannot be judged decides nothing."},
		{name: "any", value: parts(health.Any, depth),
			doc: "Passes while any of its parts passes."},
		{name: "at_least", enter: enterAtLeast, doc: "Passes while at least so many of its parts pass.", keys: []key{
			{name: "n", value: whole(1, maxAsked, func(d *draft, n int) { d.probe().N = n }), doc: "How many parts have to pass."},
			{name: "of", value: parts(health.AtLeast, depth), doc: "The parts."},
		}},
		{name: "invert", value: truth(func(d *draft) *bool { return &d.probe().Invert }),
			doc: "Whether it passes where it would fail, and the other way round. What cannot be judged stays so."},
	}
	if depth > 0 {
		keys = append(keys, key{name: "name", value: text("text", func(d *draft) *string { return &d.probe().Name }, checkName),
			doc: "What the part is called in messages; left out, what it asks."})
	}
	return keys
}

func enterAtLeast(d *draft) {
	p := d.probe()
	*p = health.Probe{Combine: health.AtLeast, Port: p.Port, Name: p.Name}
}

// askRef is the schema of a mapping of askKeys; schemas have it once.
var askRef = map[string]any{"$ref": "#/$defs/ask"}

// parts is a list of checks that make one.
func parts(c health.Combination, depth int) value {
	schema := map[string]any{"type": "array", "items": askRef, "minItems": 1, "maxItems": maxAsked}
	return value{fmt.Sprintf("list of 1 to %d checks", maxAsked), schema, func(r *reader, d *draft, path string, n *yaml.Node) *fault {
		switch {
		case n.Kind != yaml.SequenceNode:
			return faultf("write a list, as in [{tcp: {}}, {http: {path: /deep}}]", "%s stands where a list of checks is wanted", kindName(n))
		case len(n.Content) == 0:
			return faultf("name what to ask", "it has no parts")
		case depth == maxDepth:
			return faultf(fmt.Sprintf("at most %d", maxDepth), "there are too many checks within checks")
		}
		var of []health.Probe
		for i, item := range n.Content {
			of = append(of, r.ask(fmt.Sprintf("%s[%d]", path, i), d, item, depth+1))
		}
		p := d.probe()
		if c == health.AtLeast {
			p.Of = of
			return nil
		}
		*p = health.Probe{Combine: c, Of: of, Port: p.Port, Name: p.Name}
		return nil
	}}
}

// ask reads a mapping of askKeys.
func (r *reader) ask(path string, d *draft, at *yaml.Node, depth int) (p health.Probe) {
	r.mapping(path, askKeys(depth), &draft{file: d.file, service: d.service, rule: d.rule, ask: &p}, at)
	r.exclusive(path, questions)
	if target, ok := r.follow(at); ok && target.Kind == yaml.MappingNode && !slices.ContainsFunc(questions, func(q string) bool { return r.at[join(path, q)] != nil }) {
		r.add(at, path+" asks nothing", "give it http, https, tcp, tls, grpc or grpcs, or a list of parts in all, any or at_least")
	}
	r.finishAtLeast(path, &p)
	return p
}

// finishAtLeast checks how many of how many.
func (r *reader) finishAtLeast(path string, p *health.Probe) {
	at := r.at[join(path, "at_least")]
	if at == nil || p.Combine != health.AtLeast {
		return
	}
	switch {
	case p.N == 0:
		r.add(at, path+".at_least has no n", "write how many have to pass, as in n: 2")
	case len(p.Of) == 0:
		r.add(at, path+".at_least has no parts", "list them in of")
	case p.N > len(p.Of):
		r.add(at, fmt.Sprintf("%s.at_least: %d of %d cannot pass", path, p.N, len(p.Of)), "make n at most the number of parts")
	}
}

// finishAsked bounds what one check costs.
func (r *reader) finishAsked(path string, p *health.Probe) {
	n := r.at[path]
	if asked := len(p.Leaves(nil)); n != nil && asked > maxAsked {
		r.add(n, fmt.Sprintf("%s asks %d times", path, asked), fmt.Sprintf("at most %d", maxAsked))
	}
}

// startupCheck is what to ask until an instance has started.
func startupCheck() value {
	schema := map[string]any{"anyOf": []any{askRef, map[string]any{"const": "none"}}}
	return value{"what to ask, as in `check`, or none", schema, func(r *reader, d *draft, path string, n *yaml.Node) *fault {
		switch {
		case n.Kind == yaml.MappingNode:
			p := r.ask(path, d, n, 0)
			d.service.Check.Startup = &p
			return nil
		case n.Kind == yaml.ScalarNode && n.Value == "none":
			d.service.Check.Startup = nil
			return nil
		}
		return faultf("write what to ask, as in {http: {path: /started}}, or none", "%s stands where a check is wanted", kindName(n))
	}}
}

func checkName(s string) *fault {
	const most = 40
	if s == "" || len(s) > most || !isFieldValue(s) {
		return faultf(fmt.Sprintf("write 1 to %d plain bytes", most), "%s is not a name of a part", quote(s))
	}
	return nil
}
