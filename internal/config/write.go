package config

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mapwarden/mapwarden/internal/health"
)

// Write is the part of a file that makes a check: its probe and its timeout.
// What has its default is left out. Parse reads it back, if the probe is one
// that a file can ask for; with a credential it needs targets.allow beside.
func Write(c health.Check) string {
	check := mapping{}
	if c.Timeout != 0 && c.Timeout != base(AWS).Defaults.Check.Timeout {
		check.add("timeout", short(c.Timeout))
		if c.Timeout > base(AWS).Defaults.Check.Interval {
			check.add("interval", short(c.Timeout))
		}
	}
	file := mapping{{"defaults", mapping{{"check", append(check, asked(&c.Probe)...)}}}}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(file.node()); err != nil {
		return fmt.Sprintf("# %v\n", err) // no node of ours
	}
	return b.String()
}

// asked is what the keys of askKeys say of a probe.
func asked(p *health.Probe) mapping {
	var m mapping
	if p.Name != "" {
		m.add("name", p.Name)
	}
	if p.Port != 0 {
		m.add("port", int(p.Port))
	}
	switch p.Combine {
	case health.Single:
		m.add(p.Protocol.String(), spoken(p))
	case health.AtLeast:
		m.add("at_least", mapping{{"n", p.N}, {"of", each(p.Of)}})
	default: // All and Any
		m.add(p.Combine.String(), each(p.Of))
	}
	if p.Invert {
		m.add("invert", true)
	}
	return m
}

func each(of []health.Probe) []mapping {
	var out []mapping
	for i := range of {
		out = append(out, asked(&of[i]))
	}
	return out
}

// spoken is what stands below the protocol.
func spoken(p *health.Probe) mapping {
	var m mapping
	m.text("path", p.Path, "/")
	m.text("method", p.Method, "GET")
	m.text("host", p.Host, "")
	if len(p.Headers) > 0 {
		var headers mapping
		for _, h := range p.Headers {
			headers.add(h.Name, h.Value)
		}
		m.add("headers", headers)
	}
	if p.Version == health.HTTP2 {
		m.add("version", map[bool]string{true: "h2", false: "h2c"}[p.TLS()])
	}
	m.text("body", p.Body, "")
	if s := p.Credential.Scheme; s != health.NoCredential {
		m.add(s.String()+"_file", p.Credential.File)
	}
	if p.Redirects > 0 {
		m.add("redirects", int(p.Redirects))
	}
	if expect := expected(p); len(expect) > 0 {
		m.add("expect", expect)
	}
	m.text("service", p.Service, "")
	m.text("server_name", p.ServerName, "")
	m.text("ca", p.CA, "")
	if p.Verify && p.CA == "" {
		m.add("verify", true)
	}
	m.text("client_cert", p.ClientCert, "")
	m.text("client_key", p.ClientKey, "")
	if p.WarnWithin != 0 {
		m.add("warn_within", short(max(0, p.WarnWithin)))
	}
	if p.FailWithin != 0 {
		m.add("fail_within", short(p.FailWithin))
	}
	if p.HalfOpen {
		m.add("half_open", true)
	}
	if p.Source.IsValid() {
		m.add("source", p.Source.String())
	}
	if p.ProxyProtocol != 0 {
		m.add("proxy_protocol", fmt.Sprintf("v%d", p.ProxyProtocol))
	}
	return m
}

func expected(p *health.Probe) mapping {
	var m mapping
	if len(p.Status) > 0 {
		var texts []string
		for _, s := range p.Status {
			text := fmt.Sprint(s.From)
			if s.To != s.From {
				text += fmt.Sprintf("-%d", s.To)
			}
			texts = append(texts, text)
		}
		m.text("status", strings.Join(texts, ","), "200-399")
	}
	m.text("contains", p.Contains, "")
	m.text("match", p.Match, "")
	if len(p.JSON) > 0 {
		var fields mapping
		for _, f := range p.JSON {
			fields.add(f.Path, f.Equals)
		}
		m.add("json", fields)
	}
	return m
}

// mapping is keys and values in order.
type mapping []pair

type pair struct {
	name  string
	value any // string, int, bool, mapping or []mapping
}

func (m *mapping) add(name string, v any) { *m = append(*m, pair{name, v}) }

// text adds a word that is not the default.
func (m *mapping) text(name, s, def string) {
	if cmp.Or(s, def) != def {
		m.add(name, s)
	}
}

func (m mapping) node() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if len(m) == 0 {
		n.Style = yaml.FlowStyle
	}
	for _, p := range m {
		n.Content = append(n.Content, word(p.name), nodeOf(p.value))
	}
	return n
}

func nodeOf(v any) *yaml.Node {
	switch v := v.(type) {
	case mapping:
		return v.node()
	case []mapping:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, m := range v {
			n.Content = append(n.Content, m.node())
		}
		return n
	case string:
		return word(v)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v)}
}

// word is a text, quoted where YAML would take it for something else.
func word(s string) *yaml.Node {
	var n yaml.Node
	n.SetString(s)
	return &n
}
