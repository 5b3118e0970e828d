package dns

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// idleTimeout is how long a connection may take from one query to the end
	// of the next, so a slow sender gains nothing (RFC 7766, section 6.2.3).
	idleTimeout = 10 * time.Second
	// writeTimeout is how long an asker may take to accept a reply.
	writeTimeout = 5 * time.Second
)

// serveStreams accepts connections and waits for them in the end.
func (s *Server) serveStreams(ctx context.Context, l net.Listener) error {
	var wait backoff
	var running sync.WaitGroup
	defer running.Wait()
	open := connections{most: s.opts.Connections}
	for {
		conn, err := l.Accept()
		if err != nil {
			if err := wait.after(ctx, "accept a DNS connection", err); err != nil || ctx.Err() != nil {
				return err
			}
			continue
		}
		wait = 0
		c := open.add(conn)
		running.Go(func() {
			defer open.remove(c)
			s.serveConn(ctx, c)
		})
	}
}

// serveConn answers one query after the other until the asker stops, is too
// slow, sends what is no query, or ctx ends.
func (s *Server) serveConn(ctx context.Context, conn *connection) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	choose := s.chooser()
	var size [2]byte
	var buf, framed []byte
	for {
		if conn.SetReadDeadline(time.Now().Add(idleTimeout)) != nil {
			return
		}
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		length := int(binary.BigEndian.Uint16(size[:]))
		if length > maxQuery {
			return
		}
		buf = slices.Grow(buf[:0], length)[:length]
		if _, err := io.ReadFull(conn, buf); err != nil {
			return
		}
		var e *errand
		if framed, e = s.respond(append(framed[:0], 0, 0), buf, conn.asker, choose); e != nil {
			framed = append(framed, s.run(ctx, e)...)
		}
		if len(framed) == len(size) {
			return
		}
		binary.BigEndian.PutUint16(framed, uint16(len(framed)-len(size)))
		if conn.SetWriteDeadline(time.Now().Add(writeTimeout)) != nil {
			return
		}
		if _, err := conn.Write(framed); err != nil {
			return
		}
		conn.answered()
	}
}

// connections are those that are open: at most so many. One more takes the
// place of another, so that silent ones keep nobody out.
type connections struct {
	most int // 0: any number

	mu   sync.Mutex
	open []*connection // the longest without an answer first
}

// connection is one of an asker.
type connection struct {
	net.Conn
	asker asker
	of    *connections
}

// add takes a connection in. Where that is one too many, the asker who has most
// of them loses the one that has been the longest without an answer.
func (cs *connections) add(conn net.Conn) *connection {
	c := &connection{Conn: conn, of: cs, asker: asker{addr: addrOf(conn.RemoteAddr()), at: addrOf(conn.LocalAddr()), stream: true}}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.most > 0 && len(cs.open) >= cs.most {
		at := cs.victim()
		cs.open[at].Close() // its goroutine ends by that
		cs.open = slices.Delete(cs.open, at, at+1)
	}
	cs.open = append(cs.open, c)
	return c
}

// victim is the index of the connection to close.
func (cs *connections) victim() int {
	count := make(map[netip.Addr]int)
	most := 0
	for _, c := range cs.open {
		key := network(c.asker.addr).Addr()
		count[key]++
		most = max(most, count[key])
	}
	for i, c := range cs.open {
		if count[network(c.asker.addr).Addr()] == most {
			return i
		}
	}
	return 0
}

// remove forgets a connection that has ended.
func (cs *connections) remove(c *connection) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if at := slices.Index(cs.open, c); at >= 0 {
		cs.open = slices.Delete(cs.open, at, at+1)
	}
}

// answered notes that the connection is of use.
func (c *connection) answered() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if at := slices.Index(c.of.open, c); at >= 0 {
		c.of.open = append(slices.Delete(c.of.open, at, at+1), c)
	}
}

// addrOf is the IP address of one end of a connection, or the zero one.
func addrOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
