package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// wire lies between the enforcing daemon and the registry. It passes
// everything on, unchanged, but for one moment: a trap for the deregistration
// of one instance, sprung before the registry hears of it.
type wire struct {
	listener net.Listener
	server   *http.Server

	mu      sync.Mutex
	trap    string // instance id
	sprung  func()
	held    string // the instance whose call was held
	latest  string // operation that was passed on for it since then
	doubled int    // its registrations without a deregistration between
}

// newWire listens on loopback and forwards to the registry at target.
func newWire(target string) (*wire, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{listener: l}
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // what breaks here is broken on purpose
	forward := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(u) },
		ErrorLog: quiet,
	}
	w.server = &http.Server{ErrorLog: quiet, ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.trapped(r) {
			panic(http.ErrAbortHandler) // the daemon is dead; nobody waits for an answer
		}
		forward.ServeHTTP(rw, r)
	})}
	return w, nil
}

func (w *wire) url() string { return "http://" + w.listener.Addr().String() }

func (w *wire) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { w.server.Close() })
	defer stop()
	if err := w.server.Serve(w.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// set lays the trap: sprung is called once, while the call for the instance is
// held; the call is then lost.
func (w *wire) set(instance string, sprung func()) {
	w.mu.Lock()
	w.trap, w.sprung = instance, sprung
	w.mu.Unlock()
}

// doubles is how often the instance of the sprung trap was registered while it
// was registered already.
func (w *wire) doubles() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.doubled
}

// trapped springs the trap where r is the call that it waits for.
func (w *wire) trapped(r *http.Request) bool {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if operation != "DeregisterInstance" && operation != "RegisterInstance" {
		return false
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.Body = io.NopCloser(bytes.NewReader(body))
	var in struct{ InstanceId string }
	if err != nil || json.Unmarshal(body, &in) != nil {
		return false
	}
	w.mu.Lock()
	sprung := w.sprung
	hit := sprung != nil && in.InstanceId == w.trap && operation == "DeregisterInstance"
	switch {
	case hit:
		w.sprung, w.held = nil, in.InstanceId
	case w.held != "" && in.InstanceId == w.held:
		if operation == "RegisterInstance" && w.latest == operation {
			w.doubled++
		}
		w.latest = operation
	}
	w.mu.Unlock()
	if hit {
		sprung()
	}
	return hit
}
