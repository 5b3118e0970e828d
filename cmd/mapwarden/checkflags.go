package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/config"
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/probe"
)

// checkFlags are the keys of a check as flags. What they say goes through the
// reader of config files, so that a check which was tried is one that a file
// can have.
type checkFlags struct {
	check         health.Check
	status        string
	headers, json []string
	basic, bearer string
	source, proxy string
	http2         bool
}

const (
	overHTTP = "http and https"
	overTLS  = "https, tls and grpcs"
	overAll  = ""
)

// flagProtocols says with which protocols a flag goes.
var flagProtocols = map[string]string{
	"method": overHTTP, "header": overHTTP, "body": overHTTP, "status": overHTTP, "contains": overHTTP,
	"match": overHTTP, "json": overHTTP, "http2": overHTTP, "redirects": overHTTP, "basic-file": overHTTP, "bearer-file": overHTTP,
	"host":        "http, https, grpc and grpcs",
	"server-name": overTLS, "verify": overTLS, "ca": overTLS, "client-cert": overTLS, "client-key": overTLS,
	"warn-within": overTLS, "fail-within": overTLS,
	"half-open": "tcp",
	"source":    overAll, "proxy-protocol": overAll, "timeout": overAll,
}

func (f *checkFlags) flags(c *cobra.Command) {
	fs, p := c.Flags(), &f.check.Probe
	fs.DurationVar(&f.check.Timeout, "timeout", 2*time.Second, "bound on the whole probe")
	fs.StringVar(&p.Host, "host", "", "Host header, or :authority")
	fs.StringVar(&p.Method, "method", "", "HTTP method (default GET)")
	fs.StringArrayVar(&f.headers, "header", nil, "further request header, `NAME:VALUE`")
	fs.StringVar(&p.Body, "body", "", "body of a POST")
	fs.StringVar(&f.status, "status", "200-399", "HTTP status codes that pass, as in 200-299,404")
	fs.StringVar(&p.Contains, "contains", "", "text expected in the first 5,120 bytes of the body")
	fs.StringVar(&p.Match, "match", "", "regular expression (RE2) that must match in the same bytes")
	fs.StringArrayVar(&f.json, "json", nil, "field that a JSON body must have, `FIELD=VALUE` as in checks.0.ok=true")
	fs.BoolVar(&f.http2, "http2", false, "speak HTTP/2: h2 over TLS, else h2c")
	fs.Uint8Var(&p.Redirects, "redirects", 0, "how many redirects to follow, at most 3")
	fs.StringVar(&f.basic, "basic-file", "", "`file` with USER:PASSWORD")
	fs.StringVar(&f.bearer, "bearer-file", "", "`file` with a token")
	fs.StringVar(&p.ServerName, "server-name", "", "name asked for in the TLS handshake")
	fs.BoolVar(&p.Verify, "verify", false, "verify the certificate")
	fs.StringVar(&p.CA, "ca", "", "`file` with the authorities to verify with")
	fs.StringVar(&p.ClientCert, "client-cert", "", "`file` with the certificate to show")
	fs.StringVar(&p.ClientKey, "client-key", "", "`file` with its key")
	fs.DurationVar(&p.WarnWithin, "warn-within", health.DefaultWarnWithin, "warn of a certificate that expires this soon")
	fs.DurationVar(&p.FailWithin, "fail-within", 0, "fail with one that expires this soon")
	fs.BoolVar(&p.HalfOpen, "half-open", false, "it is enough that the target's kernel answers")
	fs.StringVar(&f.source, "source", "", "`address` to connect from")
	fs.StringVar(&f.proxy, "proxy-protocol", "", "send a header of the PROXY protocol first: v1 or v2")
}

// schemes are the protocols that a target's URL may name, with their ports.
var schemes = map[string]struct {
	protocol health.Protocol
	port     string
}{
	"http": {health.HTTP, "80"}, "https": {health.HTTPS, "443"}, "tcp": {health.TCP, ""},
	"tls": {health.Handshake, "443"}, "grpc": {health.GRPC, ""}, "grpcs": {health.GRPCS, "443"},
}

// target is what the URL and the flags ask; name is to be looked up, where the
// URL has no address.
func (f *checkFlags) target(c *cobra.Command, text string) (t health.Target, name string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return t, "", fmt.Errorf("%q is no target: give http://HOST:PORT/PATH, https://…, tcp://HOST:PORT, tls://…, grpc://HOST:PORT/SERVICE or grpcs://…", text)
	}
	if u.User != nil {
		return t, "", errors.New("a target has no user and password: write them into a file and give --basic-file")
	}
	scheme, ok := schemes[u.Scheme]
	if !ok {
		return t, "", fmt.Errorf("%q: give http, https, tcp, tls, grpc or grpcs", text)
	}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), scheme.port), 10, 16)
	if err != nil || port == 0 {
		return t, "", fmt.Errorf("%q: give a port from 1 to 65535", text)
	}
	for flag, protocols := range flagProtocols {
		if c.Flags().Changed(flag) && protocols != overAll && !slices.Contains(strings.FieldsFunc(protocols, notLetter), u.Scheme) {
			return t, "", fmt.Errorf("--%s goes with %s", flag, protocols)
		}
	}
	check, err := f.asked(scheme.protocol)
	if err != nil {
		return t, "", err
	}
	p := &check.Probe
	switch scheme.protocol {
	case health.HTTP, health.HTTPS:
		p.Path = u.RequestURI()
	case health.GRPC, health.GRPCS:
		p.Service = strings.Trim(u.Path, "/")
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		name = u.Hostname()
		if p.TLS() {
			p.ServerName = cmp.Or(p.ServerName, nameIn(p.Host), name)
		}
		if scheme.protocol != health.TCP && scheme.protocol != health.Handshake {
			p.Host = cmp.Or(p.Host, u.Host)
		}
	}
	if check, err = reread(check); err != nil {
		return t, "", err
	}
	if err := probe.Files(check.Probe); err != nil {
		return t, "", err
	}
	return health.Target{Handle: 1, Addr: addr, Port: uint16(port), Check: check}, name, nil
}

func notLetter(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }

func nameIn(host string) string {
	name, _, ok := strings.Cut(host, ":")
	if strings.HasPrefix(host, "[") || !ok && name == "" {
		return ""
	}
	return name
}

// asked is the check of the flags alone.
func (f *checkFlags) asked(protocol health.Protocol) (health.Check, error) {
	check := f.check
	p := &check.Probe
	p.Protocol = protocol
	if f.http2 {
		p.Version = health.HTTP2
	}
	if p.WarnWithin == health.DefaultWarnWithin {
		p.WarnWithin = 0
	} else if p.WarnWithin == 0 {
		p.WarnWithin = -1
	}
	if protocol == health.HTTP || protocol == health.HTTPS {
		for part := range strings.SplitSeq(f.status, ",") {
			r, err := parseRange(part)
			if err != nil {
				return check, err
			}
			p.Status = append(p.Status, r)
		}
	}
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return check, errors.New("--header: give NAME:VALUE")
		}
		p.Headers = append(p.Headers, health.Header{Name: name, Value: strings.TrimSpace(value)})
	}
	for _, j := range f.json {
		path, equals, ok := strings.Cut(j, "=")
		if !ok {
			return check, fmt.Errorf("--json %q: give FIELD=VALUE", j)
		}
		p.JSON = append(p.JSON, health.Field{Path: path, Equals: equals})
	}
	switch {
	case f.basic != "" && f.bearer != "":
		return check, errors.New("give --basic-file or --bearer-file")
	case f.basic != "":
		p.Credential = health.Credential{Scheme: health.Basic, File: f.basic}
	case f.bearer != "":
		p.Credential = health.Credential{Scheme: health.Bearer, File: f.bearer}
	}
	if f.source != "" {
		a, err := netip.ParseAddr(f.source)
		if err != nil {
			return check, fmt.Errorf("--source %q is no address", f.source)
		}
		p.Source = a
	}
	switch f.proxy {
	case "":
	case "v1", "v2":
		p.ProxyProtocol = f.proxy[1] - '0'
	default:
		return check, fmt.Errorf("--proxy-protocol %q: give v1 or v2", f.proxy)
	}
	return check, nil
}

// reread is the check as a config file would have it, or the first thing that
// such a file could not say.
func reread(check health.Check) (health.Check, error) {
	file, err := config.Parse("", []byte("targets: {allow: [127.0.0.1]}\n"+config.Write(check)), config.Flags{})
	var mistakes config.Mistakes
	switch {
	case errors.As(err, &mistakes):
		what := strings.TrimPrefix(mistakes[0].What, "defaults.check.")
		return check, fmt.Errorf("%s; %s", strings.TrimPrefix(what, check.Probe.Protocol.String()+"."), mistakes[0].Hint)
	case err != nil:
		return check, err
	}
	check.Probe = file.Defaults.Check.Probe
	return check, nil
}

// configFor is the part of a config file that makes a check, with the
// addresses that it has to allow for addr to be probed.
func configFor(check health.Check, addr netip.Addr) string {
	text := config.Write(check)
	needs := len(check.Probe.Secrets(nil)) > 0 || probe.AddressPolicy{}.Admits(netip.AddrPortFrom(addr, 1)) != nil
	if addr.IsValid() && needs {
		text = fmt.Sprintf("targets:\n  allow: [%q]\n", addr.WithZone("").Unmap()) + text
	}
	return text
}
