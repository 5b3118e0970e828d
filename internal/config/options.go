package config

import (
	"fmt"
	"net/netip"
	"regexp"
	re2 "regexp/syntax"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mapwarden/mapwarden/internal/health"
)

// ofProbe names a text of the probe at hand.
func ofProbe(at func(*health.Probe) *string) func(*draft) *string {
	return func(d *draft) *string { return at(d.probe()) }
}

// wireKeys say how to connect; they stand in every protocol.
func wireKeys() []key {
	return []key{
		{name: "source", value: sourceAddress(), doc: "The address to connect from, one of this host's. Left out, the kernel chooses."},
		{name: "proxy_protocol", value: choice(func(d *draft) *uint8 { return &d.probe().ProxyProtocol }, []string{"v1", "v2"}, 1, 2),
			doc: "Send a header of the PROXY protocol first, which says that the connection is the checker's own."},
	}
}

// tlsKeys stand in every protocol over TLS.
func tlsKeys() []key {
	within := func(at func(*health.Probe) *time.Duration) value {
		return duration(0, 365*24*time.Hour, func(d *draft) *time.Duration { return at(d.probe()) })
	}
	return []key{
		{name: "server_name", value: text("host name", ofProbe(func(p *health.Probe) *string { return &p.ServerName }), checkHost),
			doc: "The name asked for in the handshake (SNI); left out, `host`."},
		{name: "verify", def: "false", value: truth(func(d *draft) *bool { return &d.probe().Verify }),
			doc: "Whether a certificate that does not verify is a failure. Route 53 does not verify either."},
		{name: "ca", value: text("path of a file", ofProbe(func(p *health.Probe) *string { return &p.CA }), checkFile),
			doc: "Certificates of the authorities to verify with, in PEM; with it `verify` is true. Left out, the system's."},
		{name: "client_cert", value: text("path of a file", ofProbe(func(p *health.Probe) *string { return &p.ClientCert }), checkFile),
			doc: "The certificate that the checker shows, in PEM. This file, `client_key` and `ca` are read again when they change."},
		{name: "client_key", value: text("path of a file", ofProbe(func(p *health.Probe) *string { return &p.ClientKey }), checkFile),
			doc: "Its key. Its owner alone may read it."},
		{name: "warn_within", def: "336h", value: within(func(p *health.Probe) *time.Duration { return &p.WarnWithin }),
			doc: "A pass says so when the target's certificate expires this soon; `0s`: never."},
		{name: "fail_within", def: "0s", value: within(func(p *health.Probe) *time.Duration { return &p.FailWithin }),
			doc: "The probe fails when it expires this soon; `0s`: an expiry fails nothing that `verify` does not."},
	}
}

func grpcKeys() []key {
	return []key{
		{name: "service", value: text("name of a gRPC service", ofProbe(func(p *health.Probe) *string { return &p.Service }), checkService),
			doc: "The service whose health is asked for; left out, the server's."},
		{name: "host", value: text("host name", ofProbe(func(p *health.Probe) *string { return &p.Host }), checkHost),
			doc: "The :authority of the request; left out, the address."},
	}
}

// version is the HTTP to speak; over TLS the new one is called h2, else h2c.
func version(two string) value {
	v := choice(func(d *draft) *health.Version { return &d.probe().Version }, []string{"1.1", two}, health.HTTP1, health.HTTP2)
	v.schema = map[string]any{"enum": []any{"1.1", 1.1, two}}
	return v
}

// requestKeys are what an HTTP request may have beside; two is its HTTP/2.
func requestKeys(two string) []key {
	return []key{
		{name: "version", def: "1.1", value: version(two), doc: "The version of HTTP."},
		{name: "body", value: text("text", ofProbe(func(p *health.Probe) *string { return &p.Body }), checkBody),
			doc: "The request's body, with `method: POST`."},
		{name: "basic_file", value: secret(health.Basic),
			doc: "A file with USER:PASSWORD for basic authentication. Its owner alone may read it; it is read again when it changes. It goes to no address that `targets.allow` does not name, and along no redirect to another host."},
		{name: "bearer_file", value: secret(health.Bearer), doc: "The same with a bearer token."},
		{name: "redirects", def: "0", value: whole(0, 3, func(d *draft, n int) { d.probe().Redirects = uint8(n) }),
			doc: "How many redirects are followed, each to an address that may be probed. 0: a redirect is an answer like any other."},
	}
}

func bodyKeys() []key {
	return []key{
		{name: "match", value: text("regular expression (RE2)", ofProbe(func(p *health.Probe) *string { return &p.Match }), checkMatchOfBody),
			doc: "An expression that must match in the same bytes."},
		{name: "json", value: jsonFields(), doc: "Fields that a JSON body must have in the same bytes, as in `{status: UP, checks.0.ok: true}`."},
	}
}

func sourceAddress() value {
	return scalar("address", map[string]any{"type": "string"}, func(d *draft, text string) *fault {
		a, err := netip.ParseAddr(text)
		if err != nil || a.IsUnspecified() || a.IsMulticast() {
			return faultf("write an address of this host, as in 10.0.0.5", "%s is not an address to connect from", quote(text))
		}
		d.probe().Source = a
		return nil
	})
}

func secret(s health.Scheme) value {
	return text("path of a file", func(d *draft) *string {
		d.probe().Credential.Scheme = s
		return &d.probe().Credential.File
	}, checkFile)
}

// jsonFields is a mapping of paths to texts.
func jsonFields() value {
	const most = 8
	schema := map[string]any{"type": "object", "additionalProperties": map[string]any{"type": []any{"string", "number", "boolean", "null"}}, "minProperties": 1, "maxProperties": most}
	return value{"mapping of fields to values", schema, func(r *reader, d *draft, path string, n *yaml.Node) *fault {
		if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
			return faultf("write FIELD: VALUE below it", "it is not a mapping")
		}
		if len(n.Content)/2 > most {
			return faultf(fmt.Sprintf("at most %d", most), "there are too many fields")
		}
		var out []health.Field
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i]
			v, ok := r.follow(n.Content[i+1])
			if !ok {
				return nil
			}
			here := path + "." + clip(name.Value)
			switch {
			case name.Kind != yaml.ScalarNode || name.Value == "" || len(name.Value) > 256:
				r.add(name, here+" is not the path of a field", "write names with a dot between two, as in checks.0.status")
			case v.Kind != yaml.ScalarNode || len(v.Value) > 1024:
				r.add(n.Content[i+1], here+" is not one value", "write a text, a number, true, false or null")
			default:
				text := v.Value
				if isNull(v) {
					text = "null"
				}
				out = append(out, health.Field{Path: name.Value, Equals: text})
			}
		}
		d.probe().JSON = out
		return nil
	}}
}

// leaveProbe settles what depends on several keys of one protocol.
func leaveProbe(r *reader, path string, d *draft) {
	p := d.probe()
	at := func(name string) *yaml.Node { return r.at[join(path, name)] }
	if n := at("body"); n != nil && p.Body != "" && p.Method != "POST" {
		r.add(n, path+".body goes with method: POST", "write method: POST beside it")
	}
	if n := at("proxy_protocol"); n != nil && p.HalfOpen {
		r.add(n, path+".proxy_protocol: a half-open connection sends nothing", "leave out half_open or proxy_protocol")
	}
	switch {
	case at("warn_within") != nil && p.WarnWithin == 0:
		p.WarnWithin = -1
	case p.WarnWithin == health.DefaultWarnWithin:
		p.WarnWithin = 0
	}
	if n := at("ca"); n != nil && p.CA != "" {
		if v := at("verify"); v != nil && !p.Verify {
			r.add(v, path+".verify: without it ca is of no use", "leave out verify, or ca")
		}
		p.Verify = true
	}
	for _, pair := range [...][2]string{{"client_cert", "client_key"}, {"client_key", "client_cert"}} {
		if n := at(pair[0]); n != nil && at(pair[1]) == nil {
			r.add(n, fmt.Sprintf("%s.%s goes with %s", path, pair[0], pair[1]), "give both")
		}
	}
	for _, name := range [...]string{"basic_file", "bearer_file"} {
		switch n := at(name); {
		case n == nil:
		case len(d.file.Targets.Allow) == 0:
			r.add(n, fmt.Sprintf("%s.%s: without targets.allow whoever can register an instance would be told the secret", path, name),
				"name the addresses of your targets in targets.allow")
		case has(p.Headers, "Authorization"):
			r.add(n, path+" has both "+name+" and a header Authorization", "keep one")
		}
	}
}

func checkMatchOfBody(s string) *fault {
	const (
		longest = 256  // bytes
		largest = 1000 // instructions: as many steps for each byte of a body, at the most
	)
	if s == "" || len(s) > longest {
		return faultf(fmt.Sprintf("write 1 to %d bytes", longest), "the expression has %d bytes", len(s))
	}
	parsed, err := re2.Parse(s, re2.Perl)
	if err == nil {
		_, err = regexp.Compile(s)
	}
	if err != nil {
		return faultf("the syntax is that of RE2", "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if prog, err := re2.Compile(parsed.Simplify()); err != nil || len(prog.Inst) > largest {
		return faultf("make its repetitions smaller", "the expression is too costly")
	}
	return nil
}

func checkBody(s string) *fault {
	const most = 4096
	if s == "" || len(s) > most {
		return faultf(fmt.Sprintf("write 1 to %d bytes", most), "the body has %d bytes", len(s))
	}
	return nil
}

func checkService(s string) *fault {
	if s == "" || len(s) > 256 || !isFieldValue(s) {
		return faultf("write it as in shop.v1.Orders", "%s is not a service", quote(s))
	}
	return nil
}
