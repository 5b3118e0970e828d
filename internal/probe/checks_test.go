package probe

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mapwarden/mapwarden/internal/health"
)

var update = flag.Bool("update", false, "write docs/checks.md")

//go:generate go test . -run TestPageOfChecksIsCurrent -update

// row is one line of docs/checks.md and its test: what a server does, what a
// check asks, and what the answer is.
type row struct {
	server string
	does   string
	serve  func(*testing.T) netip.AddrPort
	probe  func(*testing.T) health.Probe
	want   want
}

// chapter is the rows of a protocol.
type chapter struct {
	name string
	rows []row
}

func chapters(h *house) []chapter {
	return []chapter{
		{"tcp", tcpRows(h)},
		{"tls", tlsRows()},
		{"http", httpRows(h)},
		{"https", httpsRows()},
		{"http and https with version: h2c, h2", http2Rows()},
		{"grpc and grpcs", grpcRows()},
		{"proxy_protocol", proxyRows()},
	}
}

// TestChecks asks every server what the page says, as a check of the daemon
// asks, on real sockets.
func TestChecks(t *testing.T) {
	t.Parallel()
	for _, c := range chapters(&house{t: t}) {
		t.Run(c.name, func(t *testing.T) {
			for _, r := range c.rows {
				t.Run(r.server+" "+r.does, func(t *testing.T) {
					t.Parallel()
					timeout := enough
					if r.want.cause == health.Timeout {
						timeout = patience
					}
					o := portable.askWith(t, Options{Policy: loopbackOnly, Roots: theAuthority().pool()}, r.serve(t), r.probe(t), timeout)
					r.want.check(t, o)
				})
			}
		})
	}
}

const checksPath = "../../docs/checks.md"

const checksHead = `## What each check makes of what a server does

<!-- From here on the page is made by go generate ./internal/probe from its tests. Do not edit. -->

Every line is a test against the server that it names: ` + "`go test ./internal/probe -run TestChecks`" + `. *Go* is
net/http or crypto/tls; *raw* is a socket that says what no proper server would. What is
*unknown* never counts against a target.
`

func page() string {
	var b strings.Builder
	b.WriteString(checksHead)
	for _, c := range chapters(nil) {
		fmt.Fprintf(&b, "\n### %s\n\n| server | what it does | verdict | what is said |\n| --- | --- | --- | --- |\n", c.name)
		for _, r := range c.rows {
			verdict := r.want.outcome.String()
			if r.want.outcome == health.Indeterminate {
				verdict = "unknown"
			}
			if r.want.cause != health.NoCause {
				verdict += ": `" + r.want.cause.String() + "`"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.server, r.does, verdict, r.want.detail)
		}
	}
	return b.String()
}

// TestPageOfChecksIsCurrent compares the page's end with what the tests say;
// go generate writes it.
func TestPageOfChecksIsCurrent(t *testing.T) {
	text, err := os.ReadFile(checksPath)
	if err != nil {
		t.Fatal(err)
	}
	title, _, _ := strings.Cut(checksHead, "\n")
	byHand, got, found := strings.Cut(string(text), title)
	if !found {
		t.Fatalf("%s has no %q", checksPath, title)
	}
	want := page()
	if *update {
		if err := os.WriteFile(checksPath, []byte(byHand+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, title+got); diff != "" {
		t.Errorf("%s is not what the tests say; run go generate ./internal/probe (-want +got):\n%s", checksPath, diff)
	}
}

func fixed(p health.Probe) func(*testing.T) health.Probe {
	return func(*testing.T) health.Probe { return p }
}

func raw(handle func(net.Conn)) func(*testing.T) netip.AddrPort {
	return func(t *testing.T) netip.AddrPort { return serveTCP(t, handle) }
}

func nobody(t *testing.T) netip.AddrPort { return closedPort(t) }

// goServer runs h with the protocols that set names.
func goServer(h http.HandlerFunc, config *tls.Config, set func(*http.Protocols)) func(*testing.T) netip.AddrPort {
	return func(t *testing.T) netip.AddrPort {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), Protocols: new(http.Protocols)}
		set(s.Protocols)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if config == nil {
				s.Serve(l)
				return
			}
			s.TLSConfig = config.Clone()
			s.TLSConfig.Certificates = []tls.Certificate{theAuthority().pair(t, "server", 999*time.Hour)}
			s.ServeTLS(l, "", "")
		}()
		t.Cleanup(func() { s.Close(); <-done })
		return netip.MustParseAddrPort(l.Addr().String())
	}
}

func http1Only(p *http.Protocols)     { p.SetHTTP1(true) }
func http2Only(p *http.Protocols)     { p.SetHTTP2(true) }
func cleartextOnly(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }

// tlsServer shakes hands and closes when the other side does.
func tlsServer(lasts time.Duration, config *tls.Config) func(*testing.T) netip.AddrPort {
	return func(t *testing.T) netip.AddrPort {
		config := config.Clone()
		config.Certificates = []tls.Certificate{theAuthority().pair(t, "server", lasts)}
		return serveTCP(t, func(c net.Conn) {
			s := tls.Server(c, config)
			s.Handshake()
			io.Copy(io.Discard, s)
			s.Close()
		})
	}
}

// drips1 sends byte after byte of text, forever.
func drips1(text string) func(net.Conn) {
	return func(c net.Conn) {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			<-tick.C
			if _, err := io.WriteString(c, text[i%len(text):i%len(text)+1]); err != nil {
				return
			}
		}
	}
}
