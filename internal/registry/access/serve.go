package access

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/serve"
)

// Bounds of a connection. Calls are small and answered at once: whoever takes
// longer is slow or gone. The idle time is longer than that of the SDKs, so
// that it is the client who closes, and never under a call that is on its way.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = headerTimeout + bodyTimeout
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
)

// DefaultConnections is how many connections are served at once, unless told.
const DefaultConnections = 10_000

// Serve answers on ln until ctx ends, then lets requests under way finish for
// at most three seconds. It returns nil when ctx ended, and closes ln in any
// case.
//
// No more than most connections are open at once. When one more comes, one that
// has long sent nothing makes room for it; where all are busy the newcomer is
// closed at once. Letting it wait would cost the same memory in the system's
// queue, and tell a client nothing that it could act upon.
func Serve(ctx context.Context, ln net.Listener, most int, h http.Handler) error {
	return serve.Until(ctx, ln, &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         newCrowd(most).note,
	})
}

// crowd is all connections that are open, and since when each has sent nothing.
type crowd struct {
	most int

	mu   sync.Mutex
	open map[net.Conn]time.Time // since when it is silent; zero while it is busy
}

func newCrowd(most int) *crowd { return &crowd{most: most, open: map[net.Conn]time.Time{}} }

// note follows a connection through its states.
func (c *crowd) note(conn net.Conn, state http.ConnState) {
	if gone := c.follow(conn, state); gone != nil {
		// Without a farewell of TLS, which could take its time.
		if t, ok := gone.(*tls.Conn); ok {
			gone = t.NetConn()
		}
		gone.Close()
	}
}

// follow returns a connection that has to go.
func (c *crowd) follow(conn net.Conn, state http.ConnState) (gone net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		if len(c.open) >= c.most {
			if gone = c.silent(); gone == nil {
				return conn
			}
			delete(c.open, gone)
		}
		c.open[conn] = time.Now()
	case http.StateActive:
		c.mark(conn, time.Time{})
	case http.StateIdle:
		c.mark(conn, time.Now())
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	}
	return gone
}

// mark notes nothing of a connection that was told to go.
func (c *crowd) mark(conn net.Conn, silent time.Time) {
	if _, ok := c.open[conn]; ok {
		c.open[conn] = silent
	}
}

// silent returns the connection that has been silent longest among some that
// are taken at random, so that a crowd is not searched for each newcomer. It is
// nil where all of those are busy.
func (c *crowd) silent() (longest net.Conn) {
	some := 64
	for conn, since := range c.open {
		if !since.IsZero() && (longest == nil || since.Before(c.open[longest])) {
			longest = conn
		}
		if some--; some == 0 {
			break
		}
	}
	return longest
}
