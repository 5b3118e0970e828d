package probe

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/component"
	"github.com/mapwarden/mapwarden/internal/health"
)

// nginx listens with options and does in every location what the directives
// say.
func nginx(options, directives string) func(*testing.T) netip.AddrPort {
	return func(t *testing.T) netip.AddrPort { return startNGINX(t, options, directives).at }
}

func startNGINX(t *testing.T, options, directives string) server {
	program := component.Need(t, component.NGINX)
	dir, at := t.TempDir(), closedPort(t)
	cert, key, _ := theAuthority().files(t, "server", 999*time.Hour)
	log := filepath.Join(dir, "log")
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log %[2]s notice;
events {}
http {
  access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen %[3]s %[4]s; ssl_certificate %[5]s; ssl_certificate_key %[6]s; location / { %[7]s } }
}`, dir, log, at, options, cert, key, directives)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return serve(t, at, log, exec.Command(program, "-e", log, "-p", dir, "-c", config))
}

// The checks that run on goroutines alone end their connections in an order that
// nginx does not complain of either.
func TestNGINXLogsNothingOfOptions(t *testing.T) {
	t.Parallel()
	for options, probes := range map[string][]health.Probe{
		"ssl http2": {
			{Protocol: health.Handshake}, {Protocol: health.HTTPS}, {Protocol: health.HTTPS, Contains: "much"},
			{Protocol: health.HTTPS, Version: health.HTTP2}, {Protocol: health.HTTPS, Version: health.HTTP2, Match: "m.ch"},
		},
		"http2":          {{Protocol: health.HTTP, Version: health.HTTP2}, {Protocol: health.HTTP, Version: health.HTTP2, Method: "POST", Body: "x"}},
		"proxy_protocol": {{Protocol: health.HTTP, ProxyProtocol: 1}, {Protocol: health.HTTP, ProxyProtocol: 2}, {ProxyProtocol: 1}},
		"":               {{Protocol: health.HTTP, Match: "m.ch"}, {Protocol: health.HTTP, Source: netip.MustParseAddr("127.0.0.1")}},
	} {
		t.Run(options, func(t *testing.T) {
			t.Parallel()
			s := startNGINX(t, options, `return 200 "`+strings.Repeat("much ", 500)+`";`)
			for _, p := range probes {
				if wrote := s.probed(t, portable, p); wrote != "" {
					t.Errorf("%+v: it wrote %q", p, wrote)
				}
			}
		})
	}
}

// haproxyHTTP answers 200 to every request; the options stand on its bind line.
func haproxyHTTP(options string) func(*testing.T) netip.AddrPort {
	return func(t *testing.T) netip.AddrPort { return haproxy(t, options) }
}

// haproxyTLS is the same over TLS. Options that end with ca-file get the
// authority of the tests.
func haproxyTLS(options string) func(*testing.T) netip.AddrPort {
	return func(t *testing.T) netip.AddrPort {
		cert, key, ca := theAuthority().files(t, "server", 999*time.Hour)
		var both []byte
		for _, path := range []string{cert, key} {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			both = append(both, b...)
		}
		if strings.HasSuffix(options, "ca-file ") {
			options += ca
		}
		return haproxy(t, "ssl crt "+writeFile(t, "both.pem", both)+" "+options)
	}
}

func haproxy(t *testing.T, options string) netip.AddrPort {
	program := component.Need(t, component.HAProxy)
	at := closedPort(t)
	config := writeFile(t, "haproxy.cfg", fmt.Appendf(nil, `
defaults
  mode http
  timeout client 30s
  timeout connect 30s
  timeout server 30s
frontend all
  bind %s %s
  http-request return status 200 content-type text/plain string ok
`, at, options))
	return serve(t, at, filepath.Join(t.TempDir(), "log"), exec.Command(program, "-db", "-f", config)).at
}
