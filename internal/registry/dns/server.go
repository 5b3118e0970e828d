package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// Server answers DNS queries from a registry. It may serve any number of
// sockets.
type Server struct {
	view    view
	opts    Options
	api     apiNames
	limit   *limiter
	forward forwarder
}

// New returns a server for the DNS namespaces of a registry, private and
// public.
func New(reg *registry.Registry, opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("dns: %w", err)
	}
	api, err := newAPINames(opts.API)
	if err != nil {
		return nil, fmt.Errorf("dns: %w", err)
	}
	return &Server{
		view: reg, opts: opts, api: api,
		limit: newLimiter(opts.Limit), forward: newForwarder(opts.Forward, opts.ForwardForAll),
	}, nil
}

// Serve answers what arrives at both sockets until ctx ends, and returns nil
// then, after everything that it started. It closes both sockets and every
// connection. A socket that somebody else closes is an error; one that has
// trouble is logged and tried again.
func (s *Server) Serve(ctx context.Context, packets *net.UDPConn, streams net.Listener) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		<-ctx.Done()
		return errors.Join(ignoreClosed(packets.Close()), ignoreClosed(streams.Close()))
	})
	socket := newDatagrams(packets)
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error { return s.serveDatagrams(ctx, socket, g) })
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

// chooser is a goroutine's own.
func (s *Server) chooser() *chooser {
	return &chooser{pick: rand.IntN, values: s.opts.Values, aliases: s.forward.on()}
}

// errand is a query whose reply takes somebody else.
type errand struct {
	query query
	reply reply
	from  asker
}

// respond appends the reply to a message to buf, or nothing for one that gets
// none. A reply that takes somebody else is an errand instead.
func (s *Server) respond(buf, packet []byte, from asker, c *chooser) ([]byte, *errand) {
	q, ok := decode(packet)
	if !ok {
		return buf, nil
	}
	r := reply{code: q.problem}
	if q.problem == noError {
		if r, ok = s.api.answer(q.question, from); !ok {
			r = answer(s.view, q.question, c)
		}
		r.recursion = s.forward.serves(from)
	}
	if s.forward.wants(&q, &r, from) && !s.api.has(r.rest.name) {
		r.answers = slices.Clone(r.answers)
		return buf, &errand{q, r, from}
	}
	return s.send(buf, &q, r, from), nil
}

// run is the reply to the query of an errand.
func (s *Server) run(ctx context.Context, e *errand) []byte {
	r := s.forward.complete(ctx, &e.query, e.reply)
	r.recursion = e.reply.recursion
	return s.send(nil, &e.query, r, e.from)
}

// send appends what is sent of a reply. A reply over UDP is as long as the asker
// says it can take.
func (s *Server) send(buf []byte, q *query, r reply, from asker) []byte {
	switch s.limit.judge(from, q, &r) {
	case dropped:
		return buf
	case slipped:
		r = reply{code: r.code, authoritative: r.authoritative, recursion: r.recursion, cut: true}
	}
	return q.encode(buf, r, q.limit(from.stream))
}

// serveDatagrams answers what comes, a batch at a time. Errands are run apart.
func (s *Server) serveDatagrams(ctx context.Context, socket datagrams, apart *errgroup.Group) error {
	var wait backoff
	b, c := socket.newBatch(), s.chooser()
	for {
		in, err := socket.read(b)
		if err != nil {
			if err := wait.after(ctx, "read from the DNS socket", err); err != nil || ctx.Err() != nil {
				return err
			}
			continue
		}
		wait = 0
		for i := range in {
			from, ok := socket.from(&in[i])
			if !ok {
				continue
			}
			packet, e := s.respond(b.next(), in[i].Buffers[0][:in[i].N], from, c)
			if len(packet) > 0 {
				socket.add(b, packet, &in[i])
			}
			if e != nil {
				back := socket.back(&in[i])
				apart.Go(func() error { socket.write(s.run(ctx, e), back); return nil })
			}
		}
		socket.flush(b)
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
