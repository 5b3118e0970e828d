package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mapwarden/mapwarden/internal/registry"
)

const (
	// maxConns is how many TCP connections are served at a time; more wait in
	// the listener's queue.
	maxConns = 128
	// idleTimeout is how long a connection may take from one query to the end
	// of the next, so a slow sender gains nothing (RFC 7766, section 6.2.3).
	idleTimeout = 10 * time.Second
	// writeTimeout is how long an asker may take to accept a reply.
	writeTimeout = 5 * time.Second
	// maxQuery is the longest datagram that is read, in bytes. A query has a
	// name of at most 255 and some options.
	maxQuery = 4096
)

// Server answers DNS queries from a registry. It may serve any number of
// sockets.
type Server struct {
	view view
}

// New returns a server for the private DNS namespaces of a registry.
func New(reg *registry.Registry) *Server { return &Server{view: reg} }

// Serve answers what arrives at both sockets until ctx ends, and returns nil
// then, after everything that it started. It closes both sockets and every
// connection. A socket that somebody else closes is an error; one that has
// trouble is logged and tried again.
func (s *Server) Serve(ctx context.Context, packets net.PacketConn, streams net.Listener) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		<-ctx.Done()
		return errors.Join(ignoreClosed(packets.Close()), ignoreClosed(streams.Close()))
	})
	socket := newDatagrams(packets)
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error { return s.serveDatagrams(ctx, socket) })
	}
	g.Go(func() error { return s.serveStreams(ctx, streams) })
	if err := g.Wait(); err != nil {
		return fmt.Errorf("serve dns: %w", err)
	}
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// respond is the reply to a message, or nil for one that gets none. A reply
// over UDP is as long as the asker says it can take.
func (s *Server) respond(packet []byte, stream bool) []byte {
	q, ok := decode(packet)
	if !ok {
		return nil
	}
	most := q.datagram
	if stream {
		most = maxStream
	}
	if q.problem != noError {
		return q.encode(reply{code: q.problem}, most)
	}
	return q.encode(answer(s.view, q.question, rand.IntN), most)
}

// serveDatagrams answers one datagram after the other.
func (s *Server) serveDatagrams(ctx context.Context, socket datagrams) error {
	var wait backoff
	buf := make([]byte, maxQuery)
	for {
		n, back, err := socket.read(buf)
		if err != nil {
			if err := wait.after(ctx, "read from the DNS socket", err); err != nil || ctx.Err() != nil {
				return err
			}
			continue
		}
		wait = 0
		if packet := s.respond(buf[:n], false); packet != nil {
			// The asker may be gone or lie about its address; it asks again.
			_ = socket.write(packet, back)
		}
	}
}

// serveStreams accepts connections and waits for them in the end.
func (s *Server) serveStreams(ctx context.Context, l net.Listener) error {
	var wait backoff
	var conns sync.WaitGroup
	defer conns.Wait()
	slots := make(chan struct{}, maxConns)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := l.Accept()
		if err != nil {
			<-slots
			if err := wait.after(ctx, "accept a DNS connection", err); err != nil || ctx.Err() != nil {
				return err
			}
			continue
		}
		wait = 0
		conns.Go(func() {
			defer func() { <-slots }()
			s.serveConn(ctx, conn)
		})
	}
}

// serveConn answers one query after the other until the asker stops, is too
// slow, sends what is no query, or ctx ends.
func (s *Server) serveConn(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var size [2]byte
	var buf []byte
	for {
		if conn.SetReadDeadline(time.Now().Add(idleTimeout)) != nil {
			return
		}
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		buf = append(buf[:0], make([]byte, binary.BigEndian.Uint16(size[:]))...)
		if _, err := io.ReadFull(conn, buf); err != nil {
			return
		}
		packet := s.respond(buf, true)
		if packet == nil {
			return
		}
		framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)
		if conn.SetWriteDeadline(time.Now().Add(writeTimeout)) != nil {
			return
		}
		if _, err := conn.Write(framed); err != nil {
			return
		}
	}
}

// backoff is how long a socket in trouble, such as one for which the process
// has no descriptor left, is left alone next time.
type backoff time.Duration

const (
	minBackoff = backoff(5 * time.Millisecond)
	maxBackoff = backoff(time.Second)
)

// after waits after a failure. It returns an error for a socket that will not
// work again, and nil at once when ctx ends.
func (b *backoff) after(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	if errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	*b = min(max(*b*2, minBackoff), maxBackoff)
	slog.Warn(doing, "error", err, "again_in", time.Duration(*b))
	timer := time.NewTimer(time.Duration(*b))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return nil
}
