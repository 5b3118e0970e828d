package probe

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

const okHead = "HTTP/1.1 200 OK\r\n"

// want is what an observation should say.
type want struct {
	outcome health.Outcome
	cause   health.Cause
	detail  string // a part of it
}

func (w want) check(t *testing.T, o health.Observation) {
	t.Helper()
	if o.Outcome != w.outcome || o.Cause != w.cause || !strings.Contains(o.Detail, w.detail) {
		t.Errorf("got %v %v %q, want %v %v with %q", o.Outcome, o.Cause, o.Detail, w.outcome, w.cause, w.detail)
	}
	if o.Start == 0 || o.End < o.Start {
		t.Errorf("started at %d, ended at %d", o.Start, o.End)
	}
	if len(o.Detail) > maxDetail || printable(o.Detail) != o.Detail {
		t.Errorf("detail %q is too long or not printable", o.Detail)
	}
}

func gzipBomb(t *testing.T) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(append(bytes.Repeat([]byte("x"), 4<<20), "needle"...)); err != nil {
		t.Fatal(err)
	}
	z.Close()
	return b.String()
}

// Targets that answer something, at once: the outcome may not depend on time.
func TestHTTPAnswers(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		get := health.Probe{Protocol: health.HTTP}
		needle := health.Probe{Protocol: health.HTTP, Contains: "needle"}
		only200 := health.Probe{Protocol: health.HTTP, Status: []health.StatusRange{{From: 200, To: 200}, {From: 204, To: 206}}}
		for _, c := range []struct {
			name  string
			serve func(net.Conn)
			probe health.Probe
			want  want
		}{
			{"200", says(okHead + "Content-Length: 2\r\n\r\nok"), get, want{health.Pass, health.NoCause, "HTTP 200"}},
			{"200, stays open", saysAndStays(okHead + "Content-Length: 2\r\n\r\nok"), get, want{health.Pass, health.NoCause, "HTTP 200"}},
			{"200, HTTP/1.0", says("HTTP/1.0 200 OK\r\n\r\nok"), get, want{health.Pass, health.NoCause, "HTTP 200"}},
			{"204", says("HTTP/1.1 204 No Content\r\n\r\n"), get, want{health.Pass, health.NoCause, "HTTP 204"}},
			{"200 to HEAD", says(okHead + "Content-Length: 100\r\n\r\n"), health.Probe{Protocol: health.HTTP, Method: "HEAD"}, want{health.Pass, health.NoCause, "HTTP 200"}},
			{"399", says("HTTP/1.1 399 Odd\r\n\r\n"), get, want{health.Pass, health.NoCause, "HTTP 399"}},
			{"400", says("HTTP/1.1 400 Bad Request\r\n\r\n"), get, want{health.Fail, health.BadStatus, "HTTP 400"}},
			{"500", says("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), get, want{health.Fail, health.BadStatus, "HTTP 500 Internal Server Error"}},
			{"503 and more", says("HTTP/1.1 503 x\r\nContent-Length: 100000\r\n\r\nsorry"), get, want{health.Fail, health.BadStatus, "HTTP 503"}},
			{"status 099", says("HTTP/1.1 099 Odd\r\n\r\n"), get, want{health.Fail, health.BadStatus, "HTTP 99"}},
			{"listed status", says("HTTP/1.1 205 x\r\nContent-Length: 0\r\n\r\n"), only200, want{health.Pass, health.NoCause, "HTTP 205"}},
			{"status between the listed ones", says("HTTP/1.1 202 x\r\nContent-Length: 0\r\n\r\n"), only200, want{health.Fail, health.BadStatus, "HTTP 202 Accepted"}},
			{"redirect, by default good", says("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\n\r\n"), get, want{health.Pass, health.NoCause, "HTTP 302"}},
			{"redirect, not expected", says("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n"), only200, want{health.Fail, health.BadStatus, "not followed"}},
			{"100, 103, then 200", says("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + okHead + "\r\n"), get, want{health.Pass, health.NoCause, "HTTP 200"}},
			{"100 without end", floods("", "HTTP/1.1 100 Continue\r\n\r\n"), get, want{health.Fail, health.Malformed, "over 32768 bytes"}},
			{"101", says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), get, want{health.Fail, health.BadStatus, "HTTP 101"}},

			{"reset", resets, get, want{health.Fail, health.Reset, "connection reset"}},
			{"closed without a word", says(""), get, want{health.Fail, health.Reset, "closed without an answer"}},
			{"garbage", says("\x00\x01\xff\xfe\r\n\r\n"), get, want{health.Fail, health.Malformed, "malformed HTTP"}},
			{"another protocol", says("SSH-2.0-OpenSSH_9.2p1\r\n"), get, want{health.Fail, health.Malformed, "SSH-2.0"}},
			{"cut within the status line", says("HTTP/1.1 20"), get, want{health.Fail, health.Malformed, "status code"}},
			{"cut within the headers", says(okHead + "Content-"), get, want{health.Fail, health.Malformed, "missing colon"}},
			{"cut after the status line", says(okHead), get, want{health.Fail, health.Malformed, "closed within the head"}},
			{"header without colon", says(okHead + "nonsense\r\n\r\n"), get, want{health.Fail, health.Malformed, ""}},
			{"two lengths", says(okHead + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), get, want{health.Fail, health.Malformed, ""}},
			{"status line without end", floods("HTTP/1.1 200 ", "very "), get, want{health.Fail, health.Malformed, "over 32768 bytes"}},
			{"headers without end", floods(okHead, "X-Header: value\r\n"), get, want{health.Fail, health.Malformed, "over 32768 bytes"}},
			{"one header of 1 MiB", says(okHead + "X: " + strings.Repeat("a", 1<<20) + "\r\n\r\n"), get, want{health.Fail, health.Malformed, "over 32768 bytes"}},

			{"body without end, not looked at", floods(okHead+"\r\n", "data "), get, want{health.Pass, health.NoCause, "HTTP 200"}},
			{"body without end", floods(okHead+"\r\n", "data "), needle, want{health.Fail, health.BadBody, "first 5120 bytes"}},
			{"body of 10 GiB", floods(okHead+"Content-Length: 10737418240\r\n\r\n", "data "), needle, want{health.Fail, health.BadBody, "first 5120 bytes"}},
			{"text is there", says(okHead + "\r\nhay needle hay"), needle, want{health.Pass, health.NoCause, "expected text"}},
			{"text is there, then a flood", floods(okHead+"\r\nneedle", "data "), needle, want{health.Pass, health.NoCause, "expected text"}},
			{"text is there, and the connection stays", saysAndStays(okHead + "\r\nneedle"), needle, want{health.Pass, health.NoCause, "expected text"}},
			{"text is not there", says(okHead + "\r\nhay"), needle, want{health.Fail, health.BadBody, "first 3 bytes"}},
			{"other case", says(okHead + "\r\nNEEDLE"), needle, want{health.Fail, health.BadBody, ""}},
			{"no body", says("HTTP/1.1 204 No Content\r\n\r\n"), needle, want{health.Fail, health.BadBody, "first 0 bytes"}},
			{"text ends at the bound", says(okHead + "\r\n" + strings.Repeat("x", maxBody-6) + "needle and more"), needle, want{health.Pass, health.NoCause, ""}},
			{"text ends past the bound", says(okHead + "\r\n" + strings.Repeat("x", maxBody-5) + "needle and more"), needle, want{health.Fail, health.BadBody, "first 5120 bytes"}},
			{"text in chunks", says(okHead + "Transfer-Encoding: chunked\r\n\r\n3\r\nnee\r\n3\r\ndle\r\n0\r\n\r\n"), needle, want{health.Pass, health.NoCause, "expected text"}},
			{"chunks of garbage", says(okHead + "Transfer-Encoding: chunked\r\n\r\nzz\r\nneedle"), needle, want{health.Fail, health.Malformed, "cannot be read"}},
			{"body ends early", says(okHead + "Content-Length: 100\r\n\r\nhay"), needle, want{health.Fail, health.Malformed, "ends after 3 bytes"}},
			{"bad status beats good text", says("HTTP/1.1 500 x\r\n\r\nneedle"), needle, want{health.Fail, health.BadStatus, "HTTP 500"}},
			{"compressed bomb", says(okHead + "Content-Encoding: gzip\r\n\r\n" + gzipBomb(t)), needle, want{health.Fail, health.BadBody, ""}},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.want.check(t, k.ask(t, serveTCP(t, c.serve), c.probe, enough))
			})
		}
	})
}

// Targets that keep the checker waiting: the timeout ends it, and not much later.
func TestHTTPTimeouts(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		get := health.Probe{Protocol: health.HTTP}
		needle := health.Probe{Protocol: health.HTTP, Contains: "needle"}
		for _, c := range []struct {
			name  string
			serve func(net.Conn)
			probe health.Probe
		}{
			{"silence", func(net.Conn) {}, get},
			{"silence after the request", func(c net.Conn) { request(c) }, get},
			{"half a head", saysAndStays(okHead + "X: "), get},
			{"head drips", drips("HTTP/1.1 200 O", time.Millisecond), get},
			{"body drips", drips(okHead+"\r\n", time.Millisecond), needle},
			{"body never comes", saysAndStays(okHead + "Content-Length: 10\r\n\r\n"), needle},
			{"silent handshake", func(net.Conn) {}, health.Probe{Protocol: health.HTTPS}},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				o := k.ask(t, serveTCP(t, c.serve), c.probe, patience)
				want{health.Fail, health.Timeout, "no answer in time"}.check(t, o)
				if took := o.End.Sub(o.Start); took < patience || took > patience+5*time.Second {
					t.Errorf("took %v, the timeout is %v", took, patience)
				}
			})
		}
	})
}

// What is decided by the head does not wait for a slow body.
func TestHTTPDoesNotWaitForBody(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		o := k.ask(t, serveTCP(t, drips(okHead+"\r\n", time.Millisecond)), health.Probe{Protocol: health.HTTP}, enough)
		want{health.Pass, health.NoCause, "HTTP 200"}.check(t, o)
		if took := o.End.Sub(o.Start); took > enough/2 {
			t.Errorf("took %v", took)
		}
	})
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		var visits atomic.Int32
		_, elsewhere := serveHTTP(t, false, func(http.ResponseWriter, *http.Request) { visits.Add(1) })
		_, ap := serveHTTP(t, false, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+elsewhere.String()+"/", http.StatusTemporaryRedirect)
		})
		want{health.Pass, health.NoCause, "HTTP 307"}.check(t, k.ask(t, ap, health.Probe{Protocol: health.HTTP}, enough))
		if n := visits.Load(); n != 0 {
			t.Errorf("the redirect was followed %d times", n)
		}
	})
}

// Proxies of the environment are for the programs of people, not for checks.
func TestEnvironmentProxyIsNotUsed(t *testing.T) {
	inBoth(t, func(t *testing.T, k kind) {
		var proxied, direct atomic.Int32
		_, proxy := serveHTTP(t, false, func(http.ResponseWriter, *http.Request) { proxied.Add(1) })
		for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
			t.Setenv(name, "http://"+proxy.String())
		}
		t.Setenv("NO_PROXY", "")
		t.Setenv("no_proxy", "")
		handler := func(http.ResponseWriter, *http.Request) { direct.Add(1) }
		_, plainAt := serveHTTP(t, false, handler)
		_, secureAt := serveHTTP(t, true, handler)
		// net/http never sends requests for loopback hosts to a proxy, so the
		// checks name another host.
		k.ask(t, plainAt, health.Probe{Protocol: health.HTTP, Host: "orders.example"}, enough)
		k.ask(t, secureAt, health.Probe{Protocol: health.HTTPS, Host: "orders.example"}, enough)
		if proxied.Load() != 0 || direct.Load() != 2 {
			t.Errorf("%d requests reached the proxy, %d of 2 the targets", proxied.Load(), direct.Load())
		}
	})
}

func TestRequestOnTheWire(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		arrived := make(chan *http.Request, 1)
		_, ap := serveHTTP(t, false, func(_ http.ResponseWriter, r *http.Request) { arrived <- r })
		o := k.askWith(t, Options{Policy: loopbackOnly, UserAgent: "mapwarden/1.2.3"}, ap, health.Probe{
			Protocol: health.HTTP, Method: "POST", Path: "/deep/%C3%A9?x=1&y=2", Host: "orders.example:8443",
			Headers: []health.Header{{Name: "X-One", Value: "a b"}, {Name: "Accept", Value: "text/plain"}},
		}, enough)
		want{health.Pass, health.NoCause, "HTTP 200"}.check(t, o)
		got := <-arrived
		for _, c := range []struct{ what, got, want string }{
			{"method", got.Method, "POST"},
			{"target", got.RequestURI, "/deep/%C3%A9?x=1&y=2"},
			{"host", got.Host, "orders.example:8443"},
			{"X-One", got.Header.Get("X-One"), "a b"},
			{"Accept", strings.Join(got.Header.Values("Accept"), "|"), "text/plain"},
			{"User-Agent", got.UserAgent(), "mapwarden/1.2.3"},
			{"Content-Length", got.Header.Get("Content-Length"), "0"},
			{"Accept-Encoding", got.Header.Get("Accept-Encoding"), ""},
		} {
			if c.got != c.want {
				t.Errorf("%s is %q, want %q", c.what, c.got, c.want)
			}
		}
		if !got.Close {
			t.Error("the request does not ask to close the connection")
		}
	})
}

func TestDefaultRequest(t *testing.T) {
	t.Parallel()
	b, err := appendRequest(nil, health.Probe{Protocol: health.HTTP}, netip.MustParseAddrPort("10.0.0.1:8080"), "mapwarden/dev")
	const text = "GET / HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nConnection: close\r\nUser-Agent: mapwarden/dev\r\nAccept: */*\r\n\r\n"
	if err != nil || string(b) != text {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestHostHeaderOfAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		addr     string
		protocol health.Protocol
		want     string
	}{
		{"10.0.0.1:80", health.HTTP, "10.0.0.1"},
		{"10.0.0.1:443", health.HTTP, "10.0.0.1:443"},
		{"10.0.0.1:443", health.HTTPS, "10.0.0.1"},
		{"[2001:db8::1]:80", health.HTTP, "[2001:db8::1]"},
		{"[fe80::1%eth0]:8080", health.HTTP, "[fe80::1]:8080"},
		{"[::ffff:10.0.0.1]:8080", health.HTTP, "10.0.0.1:8080"},
	} {
		if got := hostOf(netip.MustParseAddrPort(c.addr), c.protocol); got != c.want {
			t.Errorf("%s over %v: %q, want %q", c.addr, c.protocol, got, c.want)
		}
	}
}

// A check that could say more than one request is not sent at all.
func TestUnsendableChecks(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		var reached atomic.Int32
		ap := serveTCP(t, func(c net.Conn) { reached.Add(1); c.Close() })
		header := func(name, value string) health.Probe {
			return health.Probe{Headers: []health.Header{{Name: name, Value: value}}}
		}
		for name, p := range map[string]health.Probe{
			"path with a line end":      {Path: "/ HTTP/1.1\r\nHost: evil\r\n\r\nGET /"},
			"path with a space":         {Path: "/a b"},
			"path that is a URL":        {Path: "http://169.254.169.254/"},
			"path not encoded":          {Path: "/é"},
			"host with a line end":      {Host: "a\r\nX: y"},
			"host with a space":         {Host: "a b"},
			"method with a space":       {Method: "GET /x"},
			"method CONNECT":            {Method: "CONNECT"},
			"header name with a colon":  header("X:Y", "z"),
			"header name empty":         header("", "z"),
			"header value with newline": header("X", "a\nY: b"),
			"header value with NUL":     header("X", "a\x00"),
			"header Host":               header("hOST", "evil"),
			"header Content-Length":     header("Content-Length", "10"),
			"header Transfer-Encoding":  header("transfer-encoding", "chunked"),
			"header Connection":         header("Connection", "keep-alive"),
		} {
			p.Protocol = health.HTTP
			o := k.ask(t, ap, p, enough)
			if o.Outcome != health.Indeterminate || o.Cause != health.NotProbeable || !strings.Contains(o.Detail, "cannot be sent") {
				t.Errorf("%s: got %v %v %q", name, o.Outcome, o.Cause, o.Detail)
			}
		}
		if n := reached.Load(); n != 0 {
			t.Errorf("%d of them connected", n)
		}
	})
}

// Answers of any bytes end, with an observation that holds together.
func FuzzHTTPAnswer(f *testing.F) {
	for _, s := range []string{
		okHead + "Content-Length: 6\r\n\r\nneedle", okHead + "Transfer-Encoding: chunked\r\n\r\n6\r\nneedle\r\n0\r\n\r\n",
		"HTTP/1.1 500 x\r\n\r\n", "HTTP/1.1 100 x\r\n\r\n", "", "\x16\x03\x01", "HTTP/1.1 200 OK\r\n : \r\n\r\n", "HTTP/9.9 200\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	answers := make(chan []byte, 1)
	ap := serveTCP(f, func(c net.Conn) {
		request(c)
		c.Write(<-answers)
		c.Close()
	})
	f.Fuzz(func(t *testing.T, answer []byte) {
		answers <- answer
		o := portable.ask(t, ap, health.Probe{Protocol: health.HTTP, Contains: "needle"}, enough)
		if o.Outcome == health.Indeterminate || o.Cause == health.Timeout {
			t.Errorf("got %v %v %q", o.Outcome, o.Cause, o.Detail)
		}
		if (o.Outcome == health.Pass) != (o.Cause == health.NoCause) {
			t.Errorf("%v with cause %v", o.Outcome, o.Cause)
		}
		if o.Outcome == health.Pass && !bytes.Contains(answer, []byte("HTTP/")) {
			t.Errorf("%q passes", answer)
		}
		if len(o.Detail) > maxDetail || printable(o.Detail) != o.Detail {
			t.Errorf("detail %q", o.Detail)
		}
	})
}

// A target that closes in good order sees a connection that was closed in good
// order: no reset that would land in its log.
func TestPoliteTargetSeesNoReset(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		end := make(chan error, 1)
		ap := serveTCP(t, func(c net.Conn) {
			request(c)
			io.WriteString(c, okHead+"Content-Length: 2\r\n\r\nok")
			c.(*net.TCPConn).CloseWrite()
			_, err := io.Copy(io.Discard, c)
			end <- err
		})
		want{health.Pass, health.NoCause, "HTTP 200"}.check(t, k.ask(t, ap, health.Probe{Protocol: health.HTTP}, enough))
		select {
		case err := <-end:
			if err != nil {
				t.Errorf("the target's connection ended with %v", err)
			}
		case <-time.After(enough):
			t.Error("the connection was not closed")
		}
	})
}
