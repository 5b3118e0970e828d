package probe

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	"github.com/mapwarden/mapwarden/internal/health"
)

// overTLS has handle speak through TLS.
func overTLS(t *testing.T, handle func(net.Conn)) func(net.Conn) {
	config := &tls.Config{Certificates: []tls.Certificate{theAuthority().pair(t, "server", time.Hour)}}
	return func(c net.Conn) { handle(tls.Server(c, config)) }
}

// Whatever a target answers, the probe ends with its timeout, has read no more
// than its bounds, has decompressed nothing and gone nowhere else.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	_, other := serveHTTP(t, false, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	bomb := gzipBomb(t)
	headers := func(w io.Writer) {
		line := "X-Filler: " + strings.Repeat("a", 1<<20) + "\r\n"
		for range 100 {
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
		}
	}
	redirects := func(to string) func(net.Conn) {
		return says("HTTP/1.1 302 Found\r\nLocation: " + to + "\r\nContent-Length: 0\r\n\r\n")
	}
	looks := health.Probe{Match: "needle"}
	follows := health.Probe{Redirects: 3}
	for _, c := range []struct {
		name   string
		handle func(net.Conn)
		probe  health.Probe
		want   want
	}{
		{"one byte at a time", drips(okHead+"\r\n", 10*time.Millisecond), looks, timedOut},
		{"10 GiB", floods(okHead+"Content-Length: 10737418240\r\n\r\n", strings.Repeat("x", 4096)), looks, failsAs(health.BadBody, "matches nothing in the first 5120 bytes")},
		{"compressed bomb", says(okHead + "Content-Encoding: gzip\r\n\r\n" + bomb), looks, failsAs(health.BadBody, "matches nothing")},
		{"100 headers of 1 MiB", func(c net.Conn) { request(c); io.WriteString(c, okHead); headers(c) }, looks, failsAs(health.Malformed, "over 32768 bytes")},
		{"deep JSON", says(okHead + "\r\n" + strings.Repeat("[", 5000)), health.Probe{JSON: []health.Field{{Path: "0.0", Equals: "x"}}}, failsAs(health.BadBody, "not one value")},
		{"redirect to the metadata service", redirects("http://169.254.169.254/latest/meta-data/"), follows, unknownAs(health.AddressRefused, "169.254.169.254")},
		{"redirect to it, mapped", redirects("http://[::ffff:169.254.169.254]/"), follows, unknownAs(health.AddressRefused, "169.254.169.254")},
		{"redirect to it, in NAT64", redirects("http://[64:ff9b::a9fe:a9fe]/"), follows, unknownAs(health.AddressRefused, "169.254.169.254")},
		{"redirect to a file", redirects("file:///etc/passwd"), follows, failsAs(health.BadStatus, "another protocol")},
		{"redirect to a gopher", redirects("gopher://" + other.String() + "/"), follows, failsAs(health.BadStatus, "another protocol")},
		{"redirect with a line end", redirects("/a%0d%0aX: y\x01"), follows, failsAs(health.Malformed, "")},
		{"redirect to no port", redirects("https://127.0.0.1:0/"), follows, failsAs(health.BadStatus, "port")},
		{"redirect by default", redirects("http://" + other.String() + "/"), health.Probe{}, want{health.Pass, health.NoCause, "HTTP 302"}},
	} {
		for _, protocol := range []health.Protocol{health.HTTP, health.HTTPS} {
			t.Run(c.name+" over "+protocol.String(), func(t *testing.T) {
				t.Parallel()
				p, handle, wanted := c.probe, c.handle, c.want
				if p.Protocol = protocol; protocol == health.HTTPS {
					handle = overTLS(t, handle)
					if strings.HasPrefix(c.name, "redirect") && strings.Contains(c.want.detail, "169") {
						wanted = failsAs(health.BadStatus, "from https to http")
					}
				}
				timeout := enough
				if wanted.cause == health.Timeout {
					timeout = patience
				}
				o := portable.ask(t, serveTCP(t, handle), p, timeout)
				wanted.check(t, o)
				if took := o.End.Sub(o.Start); wanted.cause == health.Timeout && took > patience+5*time.Second {
					t.Errorf("took %v, the timeout is %v", took, patience)
				}
			})
		}
	}
	t.Cleanup(func() {
		if n := elsewhere.Load(); n != 0 {
			t.Errorf("%d requests went elsewhere", n)
		}
	})
}

// flood is a connection on which something always comes.
type flood struct {
	net.Conn
	given int
}

func (f *flood) Read(p []byte) (int, error) { f.given += len(p); return len(p), nil }

func TestBoundOfAConnection(t *testing.T) {
	t.Parallel()
	f := new(flood)
	n, err := io.Copy(io.Discard, &bounded{Conn: f, left: maxWire})
	if n != maxWire || f.given != maxWire || err != errTooMuch {
		t.Errorf("%d bytes, %d given, %v", n, f.given, err)
	}
}

// stream is a connection with nothing but what comes.
type stream struct {
	net.Conn
	io.Reader
}

func (s stream) Read(p []byte) (int, error) { return s.Reader.Read(p) }

func TestFramesOfUnknownTypesAreHeldBack(t *testing.T) {
	t.Parallel()
	const unknown = "\x00\x00\x03\x0c\x00\x00\x00\x00\x00abc"
	const ping = "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"
	for in, want := range map[string]string{
		settings:                           settings,
		settings + unknown + ping:          settings + ping,
		settings + unknown[:11]:            settings,
		settings + ping + unknown + ping:   settings + ping + ping,
		settings + ping[:12]:               settings + ping[:12],
		"HTTP/1.1 400 Bad Request\r\n\r\n": "",
		ping:                               "",
	} {
		for _, whole := range []bool{true, false} {
			r := io.Reader(strings.NewReader(in))
			if !whole {
				r = oneByte{r}
			}
			got, _ := io.ReadAll(&frames{Conn: stream{Reader: r}})
			if string(got) != want {
				t.Errorf("%q became %q, want %q", in, got, want)
			}
		}
	}
}

type oneByte struct{ io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.Reader.Read(p[:min(1, len(p))]) }

// FuzzHealthResponse compares with Protocol Buffers' own reader. It reads
// groups, which nobody sends; else whoever accepts, both read the same.
func FuzzHealthResponse(f *testing.F) {
	for _, s := range []string{"\x08\x01", "\x08\x02", "", "\x08\x81\x80\x80\x80\x10", "\x12\x03abc\x08\x01", "\x0d1234\x08\x03", "\x08\x01\x08\x02", "\x0b\x0c"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := healthResponse(frame(b))
		var m healthpb.HealthCheckResponse
		wantErr := proto.Unmarshal(b, &m)
		if err == nil && wantErr == nil && got != int32(m.Status) {
			t.Fatalf("%x: status %d, want %d", b, got, m.Status)
		}
		if err != nil && wantErr == nil && !bytes.ContainsFunc(b, func(r rune) bool { return r&7 == 3 }) {
			t.Fatalf("%x: %v", b, err)
		}
	})
}

// FuzzField compares with encoding/json over whole documents.
func FuzzField(f *testing.F) {
	for _, s := range []string{someJSON, `[1,[2,{"a":"b"}]]`, `{"a":{"b":1e3}}`, `{"":0}`, `"x"`, `{"a":1,"a":2}`, `[`, `{"a" 1}`, `null`} {
		for _, path := range []string{"status", "checks.1.name", "a.b", "1.1.a", "0", ""} {
			f.Add([]byte(s), path)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, path string) {
		got, err := fieldOf(body, path)
		var whole any
		if json.Unmarshal(body, &whole) != nil || bytes.Count(body, []byte(`"`)) > 2 && repeats(body) {
			return
		}
		v, ok := walk(whole, strings.Split(path, "."))
		switch v := v.(type) {
		case string:
			ok = ok && got == v && err == nil
		case bool:
			ok = ok && got == strconv.FormatBool(v) && err == nil
		case float64:
			n, e := strconv.ParseFloat(got, 64)
			ok = ok && n == v && e == nil && err == nil
		case nil:
			ok = !ok && err != nil || ok && got == "null" && err == nil
		default:
			ok = err != nil
		}
		if !ok {
			t.Fatalf("%q of %s: %q, %v", path, body, got, err)
		}
	})
}

// repeats reports whether an object of a document has two members with one name.
func repeats(body []byte) bool {
	var names []map[string]bool
	d := json.NewDecoder(bytes.NewReader(body))
	var key []bool
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		top := len(key) - 1
		switch token {
		case json.Delim('{'), json.Delim('['):
			if top >= 0 {
				key[top] = true
			}
			names = append(names, map[string]bool{})
			key = append(key, true)
			if token == json.Delim('[') {
				names[len(names)-1] = nil
			}
			continue
		case json.Delim('}'), json.Delim(']'):
			names, key = names[:top], key[:top]
			continue
		}
		if top < 0 || names[top] == nil {
			continue
		}
		if s, ok := token.(string); ok && key[top] {
			if names[top][s] {
				return true
			}
			names[top][s] = true
			key[top] = false
			continue
		}
		key[top] = true
	}
}

func walk(v any, path []string) (any, bool) {
	for _, name := range path {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[name]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.ParseUint(name, 10, 16)
			if err != nil || i >= uint64(len(at)) {
				return nil, false
			}
			v = at[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// TestSecretsAreNotSaid: no observation shows a credential, whatever happens.
func TestSecretsAreNotSaid(t *testing.T) {
	t.Parallel()
	for _, ap := range []netip.AddrPort{closedPort(t), serveTCP(t, says("HTTP/1.1 401 Unauthorized\r\n\r\n")), serveTCP(t, resets)} {
		p := withSecret(health.Probe{Protocol: health.HTTP}, health.Bearer, "t0ken")(t)
		if o := portable.ask(t, ap, p, enough); strings.Contains(o.Detail, "t0ken") {
			t.Errorf("detail %q", o.Detail)
		}
	}
}
