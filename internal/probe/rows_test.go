package probe

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/mapwarden/mapwarden/internal/health"
)

var (
	passes200 = want{health.Pass, health.NoCause, "HTTP 200"}
	refused   = want{health.Fail, health.Refused, "connection refused"}
	timedOut  = want{health.Fail, health.Timeout, "no answer in time"}
)

func failsAs(c health.Cause, detail string) want   { return want{health.Fail, c, detail} }
func unknownAs(c health.Cause, detail string) want { return want{health.Indeterminate, c, detail} }

func tcpRows(h *house) []row {
	tcp := fixed(health.Probe{})
	pass := want{health.Pass, health.NoCause, "connected"}
	return []row{
		{"PostgreSQL", "listens", h.postgres, tcp, pass},
		{"PostgreSQL", "listens; `half_open`", h.postgres, fixed(health.Probe{HalfOpen: true}), pass},
		{"nginx", "listens", nginx("", `return 200 "ok";`), tcp, pass},
		{"raw", "accepts and says nothing", raw(func(net.Conn) {}), tcp, pass},
		{"none", "nobody listens", nobody, tcp, refused},
	}
}

func tlsRows() []row {
	shake := fixed(health.Probe{Protocol: health.Handshake})
	with := func(p health.Probe) func(*testing.T) health.Probe {
		p.Protocol = health.Handshake
		return fixed(p)
	}
	pass := want{health.Pass, health.NoCause, "TLS handshake done"}
	long := 900 * time.Hour
	needsCert := &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: theAuthority().pool()}
	needsCert12 := needsCert.Clone()
	needsCert12.MaxVersion = tls.VersionTLS12
	return []row{
		{"Go", "shakes hands", tlsServer(long, &tls.Config{}), shake, pass},
		{"nginx", "shakes hands", nginx("ssl", `return 200 "ok";`), shake, pass},
		{"HAProxy", "shakes hands", haproxyTLS(""), shake, pass},
		{"Go", "shakes hands; `verify`", tlsServer(long, &tls.Config{}), with(health.Probe{Verify: true}), pass},
		{"Go", "has a certificate for another name; `verify`", tlsServer(long, &tls.Config{}), with(health.Probe{Verify: true, ServerName: "other.example"}), failsAs(health.TLS, "other.example")},
		{"Go", "has a certificate for 100 hours more", tlsServer(100*time.Hour+time.Minute, &tls.Config{}), shake, want{health.Pass, health.NoCause, "the certificate expires in 4 days"}},
		{"Go", "the same; `fail_within: 120h`", tlsServer(100*time.Hour+time.Minute, &tls.Config{}), with(health.Probe{FailWithin: 120 * time.Hour}), failsAs(health.TLS, "the certificate expires in 4 days")},
		{"Go", "has an expired certificate", tlsServer(-100*time.Hour, &tls.Config{}), shake, want{health.Pass, health.NoCause, "the certificate expired 4 days ago"}},
		{"Go", "the same; `fail_within: 1s`", tlsServer(-100*time.Hour, &tls.Config{}), with(health.Probe{FailWithin: time.Second}), failsAs(health.TLS, "the certificate expired 4 days ago")},
		{"Go", "the same; `verify`", tlsServer(-100*time.Hour, &tls.Config{}), with(health.Probe{Verify: true}), failsAs(health.TLS, "expired")},
		{"Go", "wants a client certificate and gets one", tlsServer(long, needsCert), withCert(health.Handshake), pass},
		{"Go", "wants a client certificate and gets none", tlsServer(long, needsCert), shake, failsAs(health.TLS, "certificate required")},
		{"Go", "the same in TLS 1.2", tlsServer(long, needsCert12), shake, failsAs(health.TLS, "TLS handshake")},
		{"HAProxy", "wants a client certificate and gets one", haproxyTLS("verify required ca-file "), withCert(health.Handshake), pass},
		{"HAProxy", "wants a client certificate and gets none", haproxyTLS("verify required ca-file "), shake, failsAs(health.TLS, "TLS handshake")},
		{"Go", "speaks no TLS version of ours", tlsServer(long, &tls.Config{MaxVersion: tls.VersionTLS11}), shake, failsAs(health.TLS, "TLS handshake")},
		{"nginx", "speaks plain HTTP", nginx("", `return 200 "ok";`), shake, failsAs(health.TLS, "TLS handshake")},
		{"raw", "closes without a word", raw(func(c net.Conn) { c.Read(make([]byte, 4096)); c.Close() }), shake, failsAs(health.TLS, "EOF")},
		{"raw", "resets", raw(func(c net.Conn) { c.Read(make([]byte, 1)); c.(*net.TCPConn).SetLinger(0); c.Close() }), shake, failsAs(health.Reset, "connection reset")},
		{"raw", "says nothing", raw(func(net.Conn) {}), shake, timedOut},
		{"raw", "drips a record", raw(drips1("\x16\x03\x03\x40\x00\x02\x00\x3f\x00")), shake, timedOut},
		{"none", "nobody listens", nobody, shake, refused},
	}
}

// withCert shows a certificate of the tests' authority.
func withCert(p health.Protocol) func(*testing.T) health.Probe {
	return func(t *testing.T) health.Probe {
		cert, key, ca := theAuthority().files(t, "checker", 99*time.Hour)
		return health.Probe{Protocol: p, ClientCert: cert, ClientKey: key, CA: ca, Verify: true}
	}
}

// withSecret shows a credential.
func withSecret(p health.Probe, scheme health.Scheme, secret string) func(*testing.T) health.Probe {
	return func(t *testing.T) health.Probe {
		p.Credential = health.Credential{Scheme: scheme, File: writeFile(t, "secret", []byte(secret+"\n"))}
		return p
	}
}

const someJSON = `{"status":"UP","checks":[{"name":"db","ok":true},{"name":"queue","ok":false}],"load":0.5,"note":null}`

func httpRows(h *house) []row {
	get := fixed(health.Probe{Protocol: health.HTTP})
	with := func(p health.Probe) func(*testing.T) health.Probe {
		p.Protocol = health.HTTP
		return fixed(p)
	}
	field := func(path, equals string) func(*testing.T) health.Probe {
		return with(health.Probe{JSON: []health.Field{{Path: path, Equals: equals}}})
	}
	ok := nginx("", `return 200 "all systems go";`)
	asJSON := nginx("", "return 200 '"+someJSON+"';")
	guarded := nginx("", `if ($http_authorization = "Basic dXNlcjpwYXNz") { return 200 "ok"; } if ($http_authorization = "Bearer t0ken") { return 200 "ok"; } return 401;`)
	posted := goServer(func(w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err != nil || r.Method != "POST" || string(b) != `{"ping":1}` || r.Host != "orders.example" {
			w.WriteHeader(400)
		}
	}, nil, http1Only)
	return []row{
		{"nginx", "answers 200", ok, get, passes200},
		{"HAProxy", "answers 200", haproxyHTTP(""), get, passes200},
		{"nginx", "answers 503", nginx("", "return 503;"), get, failsAs(health.BadStatus, "HTTP 503 Service Unavailable")},
		{"nginx", "answers 404; `expect.status: 200,404`", nginx("", "return 404;"), with(health.Probe{Status: []health.StatusRange{{From: 200, To: 200}, {From: 404, To: 404}}}), want{health.Pass, health.NoCause, "HTTP 404"}},
		{"Go", "wants `method: POST`, `host` and `body`", posted, with(health.Probe{Method: "POST", Body: `{"ping":1}`, Host: "orders.example"}), passes200},
		{"nginx", "has the text of `expect.contains`", ok, with(health.Probe{Contains: "systems"}), want{health.Pass, health.NoCause, "the expected text is there"}},
		{"nginx", "has another text", ok, with(health.Probe{Contains: "SYSTEMS"}), failsAs(health.BadBody, "the expected text is not in the first 14 bytes")},
		{"nginx", "has what `expect.match` matches", ok, with(health.Probe{Match: `^all .* go$`}), want{health.Pass, health.NoCause, "the body is as expected"}},
		{"nginx", "has nothing that it matches", ok, with(health.Probe{Match: `^systems`}), failsAs(health.BadBody, "the expression matches nothing")},
		{"nginx", "has the field of `expect.json`", asJSON, field("status", "UP"), want{health.Pass, health.NoCause, "the body is as expected"}},
		{"nginx", "has it in a list", asJSON, field("checks.0.ok", "true"), want{health.Pass, health.NoCause, "the body is as expected"}},
		{"nginx", "has another value", asJSON, field("checks.1.ok", "true"), failsAs(health.BadBody, `checks.1.ok is "false", not "true"`)},
		{"nginx", "has no such field", asJSON, field("checks.2.ok", "true"), failsAs(health.BadBody, "no such field")},
		{"nginx", "has a list there", asJSON, field("checks", "true"), failsAs(health.BadBody, "it is not one value")},
		{"nginx", "has no JSON", ok, field("status", "UP"), failsAs(health.BadBody, "the body is not JSON")},
		{"nginx", "wants a password; `basic_file`", guarded, withSecret(health.Probe{Protocol: health.HTTP}, health.Basic, "user:pass"), passes200},
		{"nginx", "wants a token; `bearer_file`", guarded, withSecret(health.Probe{Protocol: health.HTTP}, health.Bearer, "t0ken"), passes200},
		{"nginx", "wants another one", guarded, withSecret(health.Probe{Protocol: health.HTTP}, health.Bearer, "stale"), failsAs(health.BadStatus, "HTTP 401 Unauthorized")},
		{"nginx", "redirects", nginx("", "return 302 /login;"), get, want{health.Pass, health.NoCause, "HTTP 302"}},
		{"nginx", "redirects to a page that is there; `redirects: 1`", nginx("", `if ($uri = /in) { return 200 "in"; } return 302 /in;`), with(health.Probe{Redirects: 1, Contains: "in"}), want{health.Pass, health.NoCause, "HTTP 200"}},
		{"nginx", "redirects to itself; `redirects: 3`", nginx("", "return 302 /;"), with(health.Probe{Redirects: 3}), failsAs(health.BadStatus, "HTTP 302 after 3 redirects")},
		{"nginx", "redirects to the metadata service; `redirects: 3`", nginx("", "return 302 http://169.254.169.254/latest/meta-data/;"), with(health.Probe{Redirects: 3}), unknownAs(health.AddressRefused, "169.254.169.254")},
		{"nginx", "redirects to it in IPv6; `redirects: 3`", nginx("", "return 302 http://[::ffff:169.254.169.254]/;"), with(health.Probe{Redirects: 3}), unknownAs(health.AddressRefused, "169.254.169.254")},
		{"nginx", "redirects to a file; `redirects: 3`", nginx("", "return 302 file:///etc/passwd;"), with(health.Probe{Redirects: 3}), failsAs(health.BadStatus, "to another protocol")},
		{"nginx", "speaks TLS", nginx("ssl", "return 200;"), get, failsAs(health.BadStatus, "HTTP 400 Bad Request")},
		{"PostgreSQL", "speaks another protocol", h.postgres, get, failsAs(health.Reset, "closed without an answer")},
		{"raw", "resets", raw(resets), get, failsAs(health.Reset, "connection reset")},
		{"raw", "closes without a word", raw(says("")), get, failsAs(health.Reset, "closed without an answer")},
		{"raw", "says nothing", raw(func(net.Conn) {}), get, timedOut},
		{"raw", "drips its headers", raw(drips("HTTP/1.1 200 OK\r\nX: ", time.Millisecond)), get, timedOut},
		{"raw", "drips a body that is not looked at", raw(drips(okHead+"\r\n", time.Millisecond)), get, passes200},
		{"raw", "drips a body that is", raw(drips(okHead+"\r\n", time.Millisecond)), with(health.Probe{Match: "y"}), timedOut},
		{"raw", "sends headers without end", raw(floods(okHead, "X-Header: value\r\n")), get, failsAs(health.Malformed, "over 32768 bytes")},
		{"raw", "sends a body without end", raw(floods(okHead+"\r\n", "data ")), with(health.Probe{Contains: "needle"}), failsAs(health.BadBody, "first 5120 bytes")},
		{"raw", "sends garbage", raw(says("\x00\x01\xff\xfe\r\n\r\n")), get, failsAs(health.Malformed, "malformed HTTP")},
		{"none", "nobody listens", nobody, get, refused},
	}
}

func httpsRows() []row {
	get := fixed(health.Probe{Protocol: health.HTTPS})
	secure := goServer(func(http.ResponseWriter, *http.Request) {}, &tls.Config{}, http1Only)
	guarded := goServer(func(http.ResponseWriter, *http.Request) {}, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: theAuthority().pool()}, http1Only)
	return []row{
		{"nginx", "answers 200", nginx("ssl", `return 200 "ok";`), get, passes200},
		{"HAProxy", "answers 200", haproxyTLS(""), get, passes200},
		{"Go", "answers 200; `verify`", secure, fixed(health.Probe{Protocol: health.HTTPS, Verify: true}), passes200},
		{"Go", "has a certificate for another name; `verify`", secure, fixed(health.Probe{Protocol: health.HTTPS, Verify: true, ServerName: "other.example"}), failsAs(health.TLS, "other.example")},
		{"Go", "wants a client certificate and gets one; `ca`", guarded, withCert(health.HTTPS), passes200},
		{"Go", "wants a client certificate and gets none", guarded, get, failsAs(health.TLS, "certificate required")},
		{"nginx", "speaks plain HTTP", nginx("", "return 200;"), get, failsAs(health.TLS, "TLS handshake")},
		{"raw", "says nothing", raw(func(net.Conn) {}), get, timedOut},
		{"none", "nobody listens", nobody, get, refused},
	}
}

func http2Rows() []row {
	h2 := func(p health.Probe) func(*testing.T) health.Probe {
		p.Protocol, p.Version = health.HTTPS, health.HTTP2
		return fixed(p)
	}
	h2c := func(p health.Probe) func(*testing.T) health.Probe {
		p.Protocol, p.Version = health.HTTP, health.HTTP2
		return fixed(p)
	}
	says := func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(505)
		}
		io.WriteString(w, r.Method+" "+r.RequestURI+" "+r.Host)
	}
	floods := func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write([]byte(strings.Repeat("data ", 1000))); err != nil {
				return
			}
		}
	}
	needle := health.Probe{Contains: "needle"}
	return []row{
		{"Go", "answers over h2", goServer(says, &tls.Config{}, http2Only), h2(health.Probe{Contains: "GET /x?y=1 orders.example", Path: "/x?y=1", Host: "orders.example"}), passes200},
		{"nginx", "answers over h2", nginx("ssl http2", `return 200 "ok";`), h2(health.Probe{}), passes200},
		{"HAProxy", "answers over h2", haproxyTLS("alpn h2 "), h2(health.Probe{}), passes200},
		{"Go", "answers over h2c", goServer(says, nil, cleartextOnly), h2c(health.Probe{Match: "^GET / 127"}), passes200},
		{"nginx", "answers over h2c", nginx("http2", `return 200 "ok";`), h2c(health.Probe{}), passes200},
		{"HAProxy", "answers over h2c", haproxyHTTP("proto h2"), h2c(health.Probe{}), passes200},
		{"nginx", "answers 503 over h2", nginx("ssl http2", "return 503;"), h2(health.Probe{}), failsAs(health.BadStatus, "HTTP 503")},
		{"Go", "has HTTP/1.1 alone over TLS", goServer(says, &tls.Config{}, http1Only), h2(health.Probe{}), failsAs(health.TLS, "no application protocol")},
		{"nginx", "has HTTP/1.1 alone", nginx("", "return 200;"), h2c(health.Probe{}), failsAs(health.Malformed, "the target does not speak HTTP/2")},
		{"Go", "sends a body without end", goServer(floods, nil, cleartextOnly), h2c(needle), failsAs(health.BadBody, "first 5120 bytes")},
		{"Go", "sends 40 KiB of headers", goServer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Filler", strings.Repeat("~", 40<<10))
		}, nil, cleartextOnly), h2c(health.Probe{}), failsAs(health.Malformed, "COMPRESSION_ERROR")},
		{"Go", "sends 1 MiB of headers", goServer(func(w http.ResponseWriter, _ *http.Request) {
			for _, c := range "abcdefghijklmnop" {
				w.Header().Set("X-"+string(c), strings.Repeat(string(c), 64<<10))
			}
		}, nil, cleartextOnly), h2c(health.Probe{}), failsAs(health.Malformed, "COMPRESSION_ERROR")},
		{"Go", "never answers", goServer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil, cleartextOnly), h2c(health.Probe{}), timedOut},
		{"raw", "sends frames without end", raw(func(c net.Conn) {
			go io.Copy(io.Discard, c)
			io.WriteString(c, settings)
			for {
				if _, err := io.WriteString(c, "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"); err != nil { // PING
					return
				}
			}
		}), h2c(health.Probe{}), failsAs(health.Malformed, "over 65536 bytes")},
		{"raw", "resets", raw(func(c net.Conn) { c.Read(make([]byte, 1)); c.(*net.TCPConn).SetLinger(0); c.Close() }), h2c(health.Probe{}), failsAs(health.Reset, "connection reset")},
		{"raw", "closes without a word", raw(func(c net.Conn) { io.ReadFull(c, make([]byte, 24)); c.(*net.TCPConn).CloseWrite() }), h2c(health.Probe{}), failsAs(health.Reset, "closed without an answer")},
		{"raw", "says nothing", raw(func(net.Conn) {}), h2c(health.Probe{}), timedOut},
		{"none", "nobody listens", nobody, h2c(health.Probe{}), refused},
	}
}

const settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00" // an empty frame of HTTP/2

// failing is a health service that answers every call with an error.
type failing struct {
	healthpb.UnimplementedHealthServer
	code codes.Code
}

func (f failing) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	return nil, status.Error(f.code, "no")
}

// grpcServer is grpc-go with its own health service, or with another.
func grpcServer(secure bool, register func(*grpc.Server)) func(*testing.T) netip.AddrPort {
	return func(t *testing.T) netip.AddrPort {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var o []grpc.ServerOption
		if secure {
			pair := theAuthority().pair(t, "server", 999*time.Hour)
			o = append(o, grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
		}
		s := grpc.NewServer(o...)
		register(s)
		done := make(chan error)
		go func() { done <- s.Serve(l) }()
		t.Cleanup(func() { s.Stop(); <-done })
		return netip.MustParseAddrPort(l.Addr().String())
	}
}

func grpcRows() []row {
	ask := func(service string) func(*testing.T) health.Probe {
		return fixed(health.Probe{Protocol: health.GRPC, Service: service})
	}
	own := func(s *grpc.Server) {
		h := grpchealth.NewServer()
		h.SetServingStatus("orders", healthpb.HealthCheckResponse_SERVING)
		h.SetServingStatus("down", healthpb.HealthCheckResponse_NOT_SERVING)
		h.SetServingStatus("unsure", healthpb.HealthCheckResponse_UNKNOWN)
		h.SetServingStatus("strange", healthpb.HealthCheckResponse_SERVICE_UNKNOWN)
		healthpb.RegisterHealthServer(s, h)
	}
	fails := func(code codes.Code) func(*testing.T) netip.AddrPort {
		return grpcServer(false, func(s *grpc.Server) { healthpb.RegisterHealthServer(s, failing{code: code}) })
	}
	// A server that speaks gRPC's framing and says what grpc-go would not.
	odd := func(body, code string) func(*testing.T) netip.AddrPort {
		return goServer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			io.WriteString(w, body)
			if code != "" {
				w.Header().Set(http.TrailerPrefix+"Grpc-Status", code)
			}
		}, nil, cleartextOnly)
	}
	pass := want{health.Pass, health.NoCause, "gRPC SERVING"}
	return []row{
		{"grpc-go", "says SERVING", grpcServer(false, own), ask(""), pass},
		{"grpc-go", "says SERVING of the `service`", grpcServer(false, own), ask("orders"), pass},
		{"grpc-go", "says it over TLS; `verify`", grpcServer(true, own), fixed(health.Probe{Protocol: health.GRPCS, Verify: true}), pass},
		{"grpc-go", "says NOT_SERVING", grpcServer(false, own), ask("down"), failsAs(health.BadStatus, "gRPC NOT_SERVING")},
		{"grpc-go", "says UNKNOWN", grpcServer(false, own), ask("unsure"), failsAs(health.BadStatus, "gRPC UNKNOWN")},
		{"grpc-go", "says SERVICE_UNKNOWN", grpcServer(false, own), ask("strange"), failsAs(health.BadStatus, "gRPC SERVICE_UNKNOWN")},
		{"grpc-go", "does not know the service", grpcServer(false, own), ask("no such"), failsAs(health.BadStatus, "gRPC NOT_FOUND")},
		{"grpc-go", "has no health service", grpcServer(false, func(*grpc.Server) {}), ask(""), unknownAs(health.NotProbeable, "gRPC UNIMPLEMENTED")},
		{"grpc-go", "answers UNAVAILABLE", fails(codes.Unavailable), ask(""), failsAs(health.BadStatus, "gRPC UNAVAILABLE")},
		{"grpc-go", "answers UNAUTHENTICATED", fails(codes.Unauthenticated), ask(""), failsAs(health.BadStatus, "gRPC UNAUTHENTICATED")},
		{"grpc-go", "speaks no TLS; `grpcs`", grpcServer(false, own), fixed(health.Probe{Protocol: health.GRPCS}), failsAs(health.TLS, "TLS handshake")},
		{"nginx", "answers 502 over h2c", nginx("http2", "return 502;"), ask(""), failsAs(health.BadStatus, "HTTP 502 Bad Gateway")},
		{"nginx", "answers a page over h2c", nginx("http2", `return 200 "ok";`), ask(""), failsAs(health.Malformed, "the answer is not gRPC")},
		{"nginx", "has HTTP/1.1 alone", nginx("", "return 200;"), ask(""), failsAs(health.Malformed, "the target does not speak HTTP/2")},
		{"Go", "sends half a message", odd("\x00\x00\x00\x00\x02\x08", "0"), ask(""), failsAs(health.Malformed, "length of the gRPC message")},
		{"Go", "sends a compressed message", odd("\x01\x00\x00\x00\x02\x08\x01", "0"), ask(""), failsAs(health.Malformed, "compressed")},
		{"Go", "sends a message that is none", odd("\x00\x00\x00\x00\x02\x08\xff", "0"), ask(""), failsAs(health.Malformed, "no HealthCheckResponse")},
		{"Go", "sends no status", odd("\x00\x00\x00\x00\x02\x08\x01", ""), ask(""), failsAs(health.Malformed, "without a gRPC status")},
		{"Go", "sends a message without end", odd(strings.Repeat("much", 10_000), "0"), ask(""), failsAs(health.Malformed, "over 5120 bytes")},
		{"raw", "says nothing", raw(func(net.Conn) {}), ask(""), timedOut},
		{"raw", "drips frames", raw(drips1(settings)), ask(""), timedOut},
		{"none", "nobody listens", nobody, ask(""), refused},
	}
}

func proxyRows() []row {
	v := func(p health.Probe, version uint8) func(*testing.T) health.Probe {
		p.ProxyProtocol = version
		return fixed(p)
	}
	get := health.Probe{Protocol: health.HTTP}
	plain := nginx("proxy_protocol", `return 200 "ok";`)
	return []row{
		{"nginx", "expects the header; version 1", plain, v(get, 1), passes200},
		{"nginx", "expects the header; version 2", plain, v(get, 2), passes200},
		{"nginx", "expects it before TLS; version 1", nginx("ssl proxy_protocol", `return 200 "ok";`), v(health.Probe{Protocol: health.HTTPS}, 1), passes200},
		{"HAProxy", "expects the header; version 1", haproxyHTTP("accept-proxy"), v(get, 1), passes200},
		{"HAProxy", "expects the header; version 2", haproxyHTTP("accept-proxy"), v(get, 2), passes200},
		{"nginx", "expects the header and gets none", plain, fixed(get), failsAs(health.Reset, "closed without an answer")},
	}
}
