package access_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/registry/access"
)

var endless = sync.OnceValue(func() string { return strings.Repeat("long ", 4<<20) })

// echo answers a call with its body. At /long it answers with more than any
// buffer holds, and at /panic not at all.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/panic":
		panic("a mistake")
	case "/long":
		io.WriteString(w, endless())
	default:
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	}
})

// listen serves h on a real socket and returns its address.
func listen(t testing.TB, most int, h http.Handler, over ...func(net.Listener) net.Listener) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	for _, wrap := range over {
		ln = wrap(ln)
	}
	start(t, ln, most, access.New(access.Options{Log: slog.New(slog.DiscardHandler)}, h))
	return address
}

func dial(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { conn.Close() })
	return conn
}

// asks sends one call on a connection and reads the answer.
func asks(conn net.Conn, text string) error {
	if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(text), text); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != text {
		return fmt.Errorf("%s: %q, %v", resp.Status, body, err)
	}
	return nil
}

// TestOthersAreServed: whatever some clients do, or fail to do, others get
// their answers.
func TestOthersAreServed(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	issue(t, cert, key, "localhost")
	for _, tt := range []struct{ name, sends string }{
		{"half-open", ""},
		{"half a head", "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Tar"},
		{"half a body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"},
		{"half a large body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{"},
		{"a body in chunks that end nowhere", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"},
		{"an answer that nobody reads", "GET /long HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"many calls at once, none of them read", strings.Repeat("GET /long HTTP/1.1\r\nHost: x\r\n\r\n", 20)},
		{"no HTTP", "\x16\x03\x01 hello\r\n\r\n"},
		{"a panic", "POST /panic HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := listen(t, 1000, echo)
			many := 100
			if strings.Contains(tt.sends, "/long") {
				many = 10 // each fills the system's buffers
			}
			for range many {
				io.WriteString(dial(t, address), tt.sends)
			}
			conn := dial(t, address)
			for i := range 20 {
				if err := asks(conn, fmt.Sprint("call ", i)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	t.Run("no handshake", func(t *testing.T) {
		certificate, err := access.OpenCertificate(cert, key, nil)
		if err != nil {
			t.Fatal(err)
		}
		address := listen(t, 1000, echo, certificate.Listener)
		for i := range 100 {
			io.WriteString(dial(t, address), []string{"", "\x16\x03\x01"}[i%2])
		}
		for range 5 {
			if err := asks(handshake(t, address), "call"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestPanicEndsOneConnection: the one that caused it, and only that.
func TestPanicEndsOneConnection(t *testing.T) {
	address := listen(t, 10, echo)
	other := dial(t, address)
	if err := asks(other, "before"); err != nil {
		t.Fatal(err)
	}
	bad := dial(t, address)
	io.WriteString(bad, "POST /panic HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	if answer, err := io.ReadAll(bad); err != nil || len(answer) != 0 {
		t.Errorf("the panic answers %q, %v", answer, err)
	}
	if err := asks(other, "after"); err != nil {
		t.Error(err)
	}
}

// TestMaxConnections holds the bound: a newcomer takes the place of one that is
// silent, and where all are busy it is turned away and they are not.
func TestMaxConnections(t *testing.T) {
	const most = 20
	var busy, peak atomic.Int64
	release := make(chan struct{})
	address := listen(t, most, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if now := busy.Add(1); now > peak.Load() {
			peak.Store(now)
		}
		defer busy.Add(-1)
		if r.URL.Path == "/wait" {
			<-release
		}
		io.Copy(w, r.Body)
	}))
	// Three times as many as fit, all silent after a call: each newcomer is served.
	var conns []net.Conn
	for range 3 * most {
		conn := dial(t, address)
		if err := asks(conn, "hello"); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	open := 0
	for _, conn := range conns {
		if asks(conn, "still there?") == nil {
			open++
		}
	}
	if open == 0 || open > most {
		t.Errorf("%d connections are open, want at most %d", open, most)
	}

	// All are busy: newcomers are turned away.
	var waiting []net.Conn
	for len(waiting) < most {
		conn := dial(t, address)
		fmt.Fprintf(conn, "POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
		waiting = append(waiting, conn)
		until(t, func() bool { return busy.Load() == int64(len(waiting)) })
	}
	for range most {
		if err := asks(dial(t, address), "hello"); err == nil {
			t.Error("a newcomer is served beyond the limit")
		}
	}
	close(release)
	for _, conn := range waiting {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("a busy connection was closed: %v", err)
		}
		io.Copy(io.Discard, resp.Body)
	}
	if peak.Load() > most {
		t.Errorf("%d calls at once", peak.Load())
	}
	if err := asks(dial(t, address), "hello"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestLargeBodies: they share a few places, and small ones never wait for them.
func TestLargeBodies(t *testing.T) {
	address := listen(t, 1000, echo)
	large := func(n int) net.Conn {
		conn := dial(t, address)
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n%s", strings.Repeat("x", n))
		return conn
	}
	status := func(conn net.Conn) int {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode == 503 && !strings.Contains(string(body), `"__type":"ServiceUnavailable"`) {
			t.Errorf("answer %s", body)
		}
		return resp.StatusCode
	}
	if got := status(large(100000)); got != 200 {
		t.Fatalf("a large body alone: %d", got)
	}
	var slow []net.Conn
	for range 8 {
		slow = append(slow, large(1))
	}
	until(t, func() bool {
		if status(large(100000)) == 503 {
			return true
		}
		slow = append(slow, large(1)) // that one may have had the place of a slow one
		return false
	})
	if err := asks(dial(t, address), strings.Repeat("small ", 10000)); err != nil {
		t.Error(err)
	}
	for _, conn := range slow {
		conn.Close()
	}
	until(t, func() bool { return status(large(100000)) == 200 })
}

// pipes is a listener whose connections are pipes in memory, so that their
// deadlines pass in a bubble's time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// TestSlowClientsAreLetGo: whoever sends or reads too slowly, or nothing at
// all, does not hold a connection for ever; whoever is idle keeps it longer
// than the SDKs do.
func TestSlowClientsAreLetGo(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
	for _, tt := range []struct {
		name, sends   string
		drips         bool // and then a byte a second
		reads         bool
		least, within time.Duration
	}{
		{"nothing", "", false, true, 0, 15 * time.Second},
		{"a head that never ends", "GET / HTTP/1.1\r\nX: ", true, true, 0, 15 * time.Second},
		{"a body that never comes", post, false, true, 0, 25 * time.Second},
		{"a body in drops", post, true, true, 0, 25 * time.Second},
		{"an answer that nobody reads", "GET /long HTTP/1.1\r\nHost: x\r\n\r\n", false, false, 0, 35 * time.Second},
		{"nothing after an answer", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", false, true, 100 * time.Second, 3 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
				done := make(chan error, 1)
				go func() { done <- access.Serve(ctx, l, 10, access.New(access.Options{}, echo)) }()
				near, far := net.Pipe()
				l.conns <- far
				begin := time.Now()
				var doing sync.WaitGroup
				ended := make(chan struct{})
				doing.Go(func() {
					defer close(ended)
					if tt.reads {
						io.Copy(io.Discard, near)
						return
					}
					for { // a write into a pipe that is closed fails, a read would not be slow
						time.Sleep(time.Second)
						near.SetWriteDeadline(time.Now().Add(time.Millisecond))
						if _, err := near.Write([]byte("x")); err == io.ErrClosedPipe {
							return
						}
					}
				})
				doing.Go(func() {
					_, err := io.WriteString(near, tt.sends)
					for tt.drips && err == nil {
						time.Sleep(time.Second)
						_, err = io.WriteString(near, "x")
					}
				})
				select {
				case <-ended:
				case <-time.After(tt.within):
					t.Errorf("the connection lasts longer than %s", tt.within)
				}
				if lasted := time.Since(begin); lasted < tt.least {
					t.Errorf("the connection lasts %s, want %s", lasted, tt.least)
				}
				near.Close()
				doing.Wait()
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
