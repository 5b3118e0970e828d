package probe

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// What a file says is noticed within a second after it is replaced; while it
// cannot be used, what it said before is, for a minute.
func TestFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		temporary := filepath.Join(dir, "new")
		if err := os.WriteFile(temporary, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(temporary, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temporary, path); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var f files
		says := func(want string) {
			t.Helper()
			got, err := f.authorization(health.Credential{Scheme: health.Bearer, File: path})
			if err != nil {
				got = "error"
			}
			if got != want {
				t.Errorf("got %q (%v), want %q", got, err, want)
			}
		}
		says("error")
		write("one\n", 0o600)
		says("Bearer one")
		write("another", 0o600)
		says("Bearer one") // not looked at yet
		time.Sleep(lookEvery)
		says("Bearer another")
		write("for everybody", 0o644)
		time.Sleep(lookEvery)
		says("Bearer another")
		time.Sleep(mendWithin)
		says("error")
		write("well", 0o600)
		says("Bearer well")
	})
}

// A certificate and its key are two files: between the first and the second
// write what there was before is shown.
func TestClientCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	cert, key, _ := theAuthority().files(t, "first", time.Hour)
	newCert, newKey := theAuthority().issue(t, "second, with a longer name", time.Hour)
	synctest.Test(t, func(t *testing.T) {
		var f files
		shows := func(want string) {
			t.Helper()
			c, err := f.certificate(cert, key)
			if err != nil || c.Leaf.Subject.CommonName != want {
				t.Errorf("got %v, %v, want %s", c, err, want)
			}
		}
		shows("first")
		if err := os.WriteFile(cert, newCert, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		shows("first")
		if err := os.WriteFile(key, append(newKey, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		shows("second, with a longer name")
	})
}

// What the event loop does not do runs beside it.
func TestOtherProtocolsBesideTheEventLoop(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		for _, r := range append(grpcRows()[:3], http2Rows()[0], httpsRows()[2]) {
			o := Options{Policy: loopbackOnly, Roots: theAuthority().pool()}
			r.want.check(t, k.askTarget(t, o, targetAt(r.serve(t), r.probe(t), enough)))
		}
	})
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	cert, key, ca := theAuthority().files(t, "checker", time.Hour)
	otherCert, _, _ := theAuthority().files(t, "other", time.Hour)
	open := writeFile(t, "open", []byte("t0ken"))
	if err := os.Chmod(open, 0o640); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	bearer := func(path string) health.Probe {
		return health.Probe{Credential: health.Credential{Scheme: health.Bearer, File: path}}
	}
	for name, c := range map[string]struct {
		probe health.Probe
		want  string
	}{
		"good":                {health.Probe{CA: ca, ClientCert: cert, ClientKey: key}, ""},
		"no file":             {bearer("/no/such/file"), "no such file"},
		"open to others":      {bearer(open), "others may read it"},
		"a directory":         {bearer(t.TempDir()), "is not a file"},
		"a pipe":              {bearer(pipe), "is not a file"},
		"two lines":           {bearer(writeFile(t, "two", []byte("a\nb\n"))), "one line"},
		"empty":               {bearer(writeFile(t, "empty", nil)), "one line"},
		"no user":             {health.Probe{Credential: health.Credential{Scheme: health.Basic, File: writeFile(t, "basic", []byte("secret"))}}, "USER:PASSWORD"},
		"no certificate":      {health.Probe{CA: open}, "no certificate"},
		"key of another":      {health.Probe{ClientCert: otherCert, ClientKey: key}, "private key does not match"},
		"of a part":           {health.Probe{Combine: health.Any, Of: []health.Probe{{}, bearer("/no/such/file")}}, "no such file"},
		"too large":           {health.Probe{CA: writeFile(t, "large", make([]byte, maxFile+1))}, "more than"},
		"certificate missing": {health.Probe{ClientCert: "/no/such/file", ClientKey: key}, "no such file"},
	} {
		err := Files(c.probe)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "t0ken") {
			t.Errorf("%s: the error shows the secret", name)
		}
	}
	// What cannot be read is our fault, not the target's.
	unknownAs(health.LocalFault, "no such file").check(t, portable.ask(t, closedPort(t), func() health.Probe { p := bearer("/no/such/file"); p.Protocol = health.HTTP; return p }(), enough))
}

// A credential is for the addresses that the operator named.
func TestCredentialNeedsAnAllowList(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	ap := serveTCP(t, func(c net.Conn) { reached.Add(1); c.Close() })
	for _, version := range []health.Version{health.HTTP1, health.HTTP2} {
		p := withSecret(health.Probe{Protocol: health.HTTP, Version: version}, health.Bearer, "t0ken")(t)
		public := netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), ap.Port())
		unknownAs(health.AddressRefused, "targets.allow").check(t, portable.askWith(t, Options{}, public, p, enough))
	}
	if reached.Load() != 0 {
		t.Error("it connected")
	}
}

// What a redirect is told: all of it at the same scheme, host and port, and
// nothing that could be a secret anywhere else.
func TestRedirectsTellNoSecrets(t *testing.T) {
	t.Parallel()
	type seen struct{ path, authorization, secret, method, body string }
	var arrived []seen
	handler := func(to string, status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			arrived = append(arrived, seen{r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("X-Secret"), r.Method, string(b)})
			if r.URL.Path == "/from" {
				http.Redirect(w, r, to, status)
			}
		}
	}
	_, elsewhere := serveHTTP(t, false, handler("", 0))
	for _, c := range []struct {
		name, to string
		status   int
		body     string
		want     want
		last     seen
	}{
		{"same host", "/to", 302, "", passes200, seen{"/to", "Bearer t0ken", "s", "GET", ""}},
		{"another port", "http://" + elsewhere.String() + "/to", 302, "", passes200, seen{"/to", "", "", "GET", ""}},
		{"same host, with the body", "/to", 307, "b", passes200, seen{"/to", "Bearer t0ken", "s", "POST", "b"}},
		{"same host, without the body", "/to", 303, "b", passes200, seen{"/to", "Bearer t0ken", "s", "GET", ""}},
		{"another port, with the body", "http://" + elsewhere.String() + "/to", 308, "b", failsAs(health.BadStatus, "the request's body to another host"), seen{"/from", "Bearer t0ken", "s", "POST", "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			arrived = nil
			_, ap := serveHTTP(t, false, handler(c.to, c.status))
			p := withSecret(health.Probe{
				Protocol: health.HTTP, Path: "/from", Redirects: 1, Body: c.body,
				Headers: []health.Header{{Name: "X-Secret", Value: "s"}},
			}, health.Bearer, "t0ken")(t)
			if c.body != "" {
				p.Method = "POST"
			}
			c.want.check(t, portable.ask(t, ap, p, enough))
			if len(arrived) == 0 || arrived[len(arrived)-1] != c.last {
				t.Errorf("arrived %+v, want %+v", arrived, c.last)
			}
		})
	}
}

// The check's own host stands for the address that was probed, wherever the
// name leads otherwise.
func TestRedirectKeepsTheAddress(t *testing.T) {
	t.Parallel()
	_, secure := serveHTTP(t, true, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Host, "Orders.Invalid:") {
			w.WriteHeader(421)
		}
	})
	_, ap := serveHTTP(t, false, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://Orders.Invalid:"+strings.Split(secure.String(), ":")[1]+"/", http.StatusMovedPermanently)
	})
	passes200.check(t, portable.ask(t, ap, health.Probe{Protocol: health.HTTP, Host: "orders.invalid", Redirects: 1}, enough))
	down, _ := serveHTTP(t, true, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+ap.String(), http.StatusFound)
	})
	failsAs(health.BadStatus, "from https to http").check(t, portable.ask(t, netip.MustParseAddrPort(down.Listener.Addr().String()), health.Probe{Protocol: health.HTTPS, Redirects: 3}, enough))
	_, lost := serveHTTP(t, false, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://no-such-host.invalid/", http.StatusFound)
	})
	unknownAs(health.Resolver, "where the redirect leads to").check(t, portable.ask(t, lost, health.Probe{Protocol: health.HTTP, Redirects: 3}, enough))
}

func TestSourceAddress(t *testing.T) {
	t.Parallel()
	from := make(chan string, 1)
	ap := serveTCP(t, func(c net.Conn) {
		from <- c.RemoteAddr().(*net.TCPAddr).IP.String()
		c.Close()
	})
	ask := func(source string) health.Observation {
		return portable.askWith(t, Options{Policy: loopbackOnly, Doubt: func(d health.Doubt) { t.Errorf("%s: doubt %v", source, d) }},
			ap, health.Probe{Source: netip.MustParseAddr(source)}, enough)
	}
	o := ask("127.0.0.1")
	want{health.Pass, health.NoCause, "connected"}.check(t, o)
	if got := <-from; got != "127.0.0.1" {
		t.Errorf("it came from %s", got)
	}
	unknownAs(health.LocalFault, "192.0.2.1 is no address of this host").check(t, ask("192.0.2.1"))
	unknownAs(health.NotProbeable, "two families").check(t, ask("::1"))
}

// Options over IPv6, where this machine has it.
func TestIPv6WithOptions(t *testing.T) {
	t.Parallel()
	l := listen6(t)
	hosts := make(chan string, 1)
	s := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host })}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	ap := netip.MustParseAddrPort(l.Addr().String())
	o := Options{Policy: AddressPolicy{Allow: prefixes("::1/128")}}
	passes200.check(t, portable.askWith(t, o, ap, health.Probe{Protocol: health.HTTP, Source: netip.MustParseAddr("::1")}, enough))
	if got := <-hosts; got != ap.String() {
		t.Errorf("host %q", got)
	}
	want{health.Pass, health.NoCause, ""}.check(t, portable.askWith(t, o, ap, health.Probe{}, enough))
}

// endpoints is a connection with two ends that it makes up.
type endpoints struct {
	net.Conn
	local, remote string
}

func (e endpoints) LocalAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(e.local))
}
func (e endpoints) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(e.remote))
}

func TestProxyHeader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version uint8
		conn    endpoints
		want    string
	}{
		{1, endpoints{local: "10.0.0.1:4000", remote: "10.0.0.2:80"}, "PROXY TCP4 10.0.0.1 10.0.0.2 4000 80\r\n"},
		{1, endpoints{local: "[::ffff:10.0.0.1]:4000", remote: "10.0.0.2:80"}, "PROXY TCP4 10.0.0.1 10.0.0.2 4000 80\r\n"},
		{1, endpoints{local: "[2001:db8::1]:4000", remote: "[2001:db8::2]:80"}, "PROXY TCP6 2001:db8::1 2001:db8::2 4000 80\r\n"},
		{1, endpoints{local: "[fe80::1%lo]:4000", remote: "[fe80::2%lo]:80"}, "PROXY TCP6 fe80::1 fe80::2 4000 80\r\n"},
		{1, endpoints{local: "10.0.0.1:4000", remote: "[2001:db8::2]:80"}, "PROXY UNKNOWN\r\n"},
		{2, endpoints{}, "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"},
	} {
		if got := string(proxyHeader(c.version, c.conn)); got != c.want {
			t.Errorf("version %d, %s to %s: %q, want %q", c.version, c.conn.local, c.conn.remote, got, c.want)
		}
	}
}

// A name is looked up as the URL has it, whatever the Host header says.
func TestOnceAtANameOfItsOwn(t *testing.T) {
	t.Parallel()
	hosts := make(chan string, 1)
	_, ap := serveHTTP(t, false, func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host })
	target := *targetAt(netip.AddrPortFrom(netip.Addr{}, ap.Port()), health.Probe{Protocol: health.HTTP, Host: "orders.invalid"}, enough)
	o, _ := OnceAt(t.Context(), "localhost", target, AddressPolicy{Allow: prefixes("127.0.0.0/8", "::1/128")})
	passes200.check(t, o)
	if got := <-hosts; got != "orders.invalid" {
		t.Errorf("host %q", got)
	}
}
