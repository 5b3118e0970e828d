package web_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/web"
)

// pipes is a listener whose connections are pipes in memory, so that their
// deadlines pass in a bubble's time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

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

// noted is a connection that tells when it was closed.
type noted struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

func (n *noted) Close() error {
	n.once.Do(func() { close(n.closed) })
	return n.Conn.Close()
}

// TestSlowClientsAreLetGo: whoever sends or reads too slowly, or nothing at
// all, does not hold a connection for ever.
func TestSlowClientsAreLetGo(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
	for _, c := range []struct {
		name, sends string
		drips       bool // and then a byte a second
		reads       bool
		within      time.Duration
	}{
		{"nothing", "", false, true, 15 * time.Second},
		{"a head that never ends", "GET / HTTP/1.1\r\nX: ", true, true, 15 * time.Second},
		{"a body that never comes", post, false, true, 15 * time.Second},
		{"a body in drops", post, true, true, 15 * time.Second},
		{"an answer that nobody reads", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", false, false, 35 * time.Second},
		{"nothing after an answer", "GET /short HTTP/1.1\r\nHost: localhost\r\n\r\n", false, true, 3 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				l := newPipes()
				done := make(chan error, 1)
				go func() { done <- web.Serve(ctx, l, http.HandlerFunc(long)) }()
				client, server := net.Pipe()
				conn := &noted{Conn: server, closed: make(chan struct{})}
				l.conns <- conn
				var doing sync.WaitGroup
				if c.reads {
					doing.Go(func() { io.Copy(io.Discard, client) })
				}
				doing.Go(func() {
					_, err := io.WriteString(client, c.sends)
					for c.drips && err == nil {
						time.Sleep(time.Second)
						_, err = io.WriteString(client, "x")
					}
				})
				select {
				case <-conn.closed:
				case <-time.After(c.within):
					t.Errorf("the connection lasts longer than %s", c.within)
				}
				client.Close()
				doing.Wait()
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// long answers with more than fits anywhere, but at /short with nothing.
func long(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	if r.URL.Path != "/short" {
		io.WriteString(w, strings.Repeat("long ", 1<<20))
	}
}
