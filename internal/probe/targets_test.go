package probe

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// loopbackOnly is the policy of all tests that open sockets.
var loopbackOnly = AddressPolicy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

// enough is a timeout that no test waits for, and patience one that is waited for.
const (
	enough   = 30 * time.Second
	patience = 150 * time.Millisecond
)

// serveTCP runs handle for each connection to the returned address until the
// test ends, and closes what handle leaves open.
func serveTCP(t testing.TB, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu    sync.Mutex
		conns []net.Conn
		wg    sync.WaitGroup
	)
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() { handle(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

// request reads one request from c, which never has a body.
func request(c net.Conn) {
	var last [4]byte
	for string(last[:]) != "\r\n\r\n" {
		copy(last[:], last[1:])
		if _, err := io.ReadFull(c, last[3:]); err != nil {
			return
		}
	}
}

// says answers each request with text and closes.
func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		request(c)
		io.WriteString(c, text)
		c.Close()
	}
}

// says and holds the connection open.
func saysAndStays(text string) func(net.Conn) {
	return func(c net.Conn) {
		request(c)
		io.WriteString(c, text)
	}
}

// drips sends head, then one byte of body at a time, for as long as it can.
func drips(head string, every time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		request(c)
		io.WriteString(c, head)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for range tick.C {
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
		}
	}
}

// floods sends head, then part over and over, for as long as it can.
func floods(head, part string) func(net.Conn) {
	return func(c net.Conn) {
		request(c)
		io.WriteString(c, head)
		for {
			if _, err := io.WriteString(c, part); err != nil {
				return
			}
		}
	}
}

func resets(c net.Conn) {
	request(c)
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// serveHTTP runs h on net/http, with TLS if it is told to.
func serveHTTP(t testing.TB, secure bool, h http.HandlerFunc) (*httptest.Server, netip.AddrPort) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		s.TLS = &tls.Config{}
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, netip.MustParseAddrPort(s.Listener.Addr().String())
}

// closedPort is an address where nobody listens.
func closedPort(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

func targetAt(ap netip.AddrPort, p health.Probe, timeout time.Duration) *health.Target {
	return &health.Target{
		Handle:  health.NewHandle(1, 1),
		Service: health.Service{ID: "srv-1", Name: "orders", Namespace: "test"},
		Addr:    ap.Addr(), Port: ap.Port(),
		Check: health.Check{Probe: p, Interval: time.Minute, Timeout: timeout},
	}
}

func clock() func() health.Instant {
	began := time.Now()
	return func() health.Instant { return health.Instant(1 + time.Since(began)) }
}
