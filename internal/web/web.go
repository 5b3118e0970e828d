// Package web is the operator's side of mapwarden: the JSON API that commands
// and scripts speak, the live event stream, the metrics and the page.
//
// Everything it shows is taken from the mind's Snapshot, from an explanation
// that the mind gives when asked, and from the history. The only things that it
// can change are the operator's overrides: freeze, unfreeze, release, the
// return of a quarantined instance, and retire.
//
// It judges nothing, stores nothing and never calls the registry or a target.
// It does not know who is asking: there is no login. It therefore belongs on
// loopback, and refuses requests that a web page of somebody else makes.
package web

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/mapwarden/mapwarden/internal/serve"
)

// Build says what is running; it is a metric and a line on the page.
type Build struct {
	Version  string
	Revision string
}

// Options of a Server. Mind is required.
type Options struct {
	Mind    Mind
	History History // nil: /history answers 503
	Journal Journal // nil: /quarantine answers 503
	Feed    *Feed   // nil: the event stream carries snapshots only
	Metrics *Metrics

	Build Build

	// AnyAddress accepts every literal IP address as Host, and not only those of
	// loopback: for a listener elsewhere. A name other than localhost is always
	// refused, so that a page of somebody else cannot reach the API by letting
	// its own name point here.
	AnyAddress bool

	MaxStreams int           // event streams at once; 32
	Heartbeat  time.Duration // between two signs of life on a stream; 5s
	Refresh    time.Duration // how often a stream looks for a new snapshot; 500ms

	Log *slog.Logger // nil: slog.Default()
}

func (o Options) withDefaults() Options {
	if o.MaxStreams <= 0 {
		o.MaxStreams = 32
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = 5 * time.Second
	}
	if o.Refresh <= 0 {
		o.Refresh = 500 * time.Millisecond
	}
	if o.Feed == nil {
		o.Feed = NewFeed()
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(o.Mind, nil, o.Build)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// Server answers operators. Its methods may be called concurrently.
type Server struct {
	opts    Options
	ready   atomic.Bool // latched by the first complete listing
	streams chan struct{}
}

// New returns a server that listens nowhere: Handler and Plain are its faces.
func New(opts Options) *Server {
	opts = opts.withDefaults()
	return &Server{opts: opts, streams: make(chan struct{}, opts.MaxStreams)}
}

// Handler is the whole operator side: page, API, events, metrics, liveness.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	s.plain(mux)
	s.api(mux)
	mux.Handle("/", servePage())
	return s.guard(mux)
}

// Plain is what may be listened to from anywhere: /metrics, /livez, /readyz.
// Nothing in it can be changed, and no instance or attribute is named in it.
func (s *Server) Plain() http.Handler {
	mux := http.NewServeMux()
	s.plain(mux)
	return mux
}

func (s *Server) plain(mux *http.ServeMux) {
	mux.Handle("GET /metrics", s.opts.Metrics.Handler())
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { line(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
}

// readyz is ready from the first complete listing on, for ever: an outage of
// AWS or of targets must not get the daemon restarted.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if s.ready.Load() || s.opts.Mind.Snapshot().Synced {
		s.ready.Store(true)
		line(w, http.StatusOK, "ok")
		return
	}
	line(w, http.StatusServiceUnavailable, "not ready: the registry has not been listed completely since the start")
}

func line(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

// Bounds of a connection. Answers are small or, on the event stream, have a
// deadline of their own for each write.
const (
	readTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second
	idleTimeout  = 2 * time.Minute
	maxHeader    = 16 << 10
)

// Serve answers on ln until ctx ends, then lets requests under way finish for
// at most three seconds. Event streams end at once. It returns nil when ctx
// ended, and closes ln in any case.
func Serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	return serve.Until(ctx, ln, &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
	})
}
