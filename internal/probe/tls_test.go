package probe

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/mapwarden/mapwarden/internal/health"
)

func TestHTTPSVerification(t *testing.T) {
	t.Parallel()
	// httptest's certificate names example.com and 127.0.0.1.
	s, ap := serveHTTP(t, true, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	trusting := Options{Policy: loopbackOnly, Roots: roots}
	strangers := Options{Policy: loopbackOnly, Roots: x509.NewCertPool()}
	for _, c := range []struct {
		name    string
		options Options
		probe   health.Probe
		want    want
	}{
		{"not verified", strangers, health.Probe{}, want{health.Pass, health.NoCause, "HTTP 200"}},
		{"not verified, other name", strangers, health.Probe{ServerName: "other.example"}, want{health.Pass, health.NoCause, "HTTP 200"}},
		{"unknown authority", strangers, health.Probe{Verify: true}, want{health.Fail, health.TLS, "unknown authority"}},
		{"verified for the address", trusting, health.Probe{Verify: true}, want{health.Pass, health.NoCause, "HTTP 200"}},
		{"verified for the server name", trusting, health.Probe{Verify: true, ServerName: "example.com"}, want{health.Pass, health.NoCause, "HTTP 200"}},
		{"verified for the host", trusting, health.Probe{Verify: true, Host: "example.com:8443"}, want{health.Pass, health.NoCause, "HTTP 200"}},
		{"wrong name", trusting, health.Probe{Verify: true, ServerName: "other.example"}, want{health.Fail, health.TLS, "other.example"}},
		{"wrong host", trusting, health.Probe{Verify: true, Host: "other.example"}, want{health.Fail, health.TLS, "other.example"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.probe.Protocol = health.HTTPS
			c.want.check(t, portable.askWith(t, c.options, ap, c.probe, enough))
		})
	}
}

func TestHTTPSHandshakeFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		serve func(net.Conn)
		want  want
	}{
		{"no TLS there", func(c net.Conn) { // a client hello has no empty line to wait for
			c.Read(make([]byte, 1))
			io.WriteString(c, okHead+"\r\n")
			io.Copy(io.Discard, c)
		}, want{health.Fail, health.TLS, "handshake"}},
		{"garbage", func(c net.Conn) {
			io.WriteString(c, "\x00\x01\x02\x03\x04\x05\x06\x07")
			io.Copy(io.Discard, c)
		}, want{health.Fail, health.TLS, "handshake"}},
		{"closed", func(c net.Conn) { c.Read(make([]byte, 4096)); c.Close() }, want{health.Fail, health.TLS, "EOF"}},
		{"reset", func(c net.Conn) {
			c.Read(make([]byte, 1))
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}, want{health.Fail, health.Reset, "reset"}},
		{"no protocol in common", func(c net.Conn) {
			tls.Server(c, &tls.Config{MaxVersion: tls.VersionTLS11}).Handshake()
			c.Close()
		}, want{health.Fail, health.TLS, "handshake"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.want.check(t, portable.ask(t, serveTCP(t, c.serve), health.Probe{Protocol: health.HTTPS}, enough))
		})
	}
}

// What the target sees of the name: the check's server name, else its host,
// and none for an address (RFC 6066, section 3).
func TestServerNameOnTheWire(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		probe health.Probe
		want  string
	}{
		{health.Probe{ServerName: "a.example", Host: "b.example"}, "a.example"},
		{health.Probe{Host: "b.example:8443"}, "b.example"},
		{health.Probe{}, ""},
	} {
		names := make(chan string, 1)
		ap := serveTCP(t, func(conn net.Conn) {
			tls.Server(conn, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				names <- h.ServerName
				return nil, nil
			}}).Handshake()
			conn.Close()
		})
		c.probe.Protocol = health.HTTPS
		portable.ask(t, ap, c.probe, enough)
		if got := <-names; got != c.want {
			t.Errorf("server name %q, want %q", got, c.want)
		}
	}
}
