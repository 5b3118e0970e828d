package access

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
)

// Options of a door. The zero value lets everybody in.
type Options struct {
	// Keys may be nil: then nobody is asked for a signature.
	Keys *Ring
	// Throttle may be nil: then nobody is slowed down.
	Throttle *Throttle
	// Account and Region are the registry's: the one stands in messages, the
	// other in the scope of every signature.
	Account, Region string
	// Log gets what callers are not told; nil is slog.Default().
	Log *slog.Logger
}

// Requests whose body is larger than smallBody, or of unknown length, share
// largeBodies places, so that bodies in memory have a bound that does not grow
// with the number of connections. No request that an AWS client makes of usual
// values comes near the size.
const (
	smallBody   = 64 << 10
	largeBodies = 8
)

// door is the handler in front of a face.
type door struct {
	opts     Options
	refusals refusals
	large    chan struct{} // a place for each large body
	next     http.Handler
}

// New returns next behind a door. Where Options ask for nothing it costs a
// request next to nothing.
func New(opts Options, next http.Handler) http.Handler {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	return &door{opts: opts, refusals: refusals{log: opts.Log}, large: make(chan struct{}, largeBodies), next: next}
}

// ServeHTTP answers a refusal, or lets the request through. A panic behind the
// door is logged and ends this connection alone.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer d.contain(r)
	if r.ContentLength < 0 || r.ContentLength > smallBody {
		select {
		case d.large <- struct{}{}:
			defer func() { <-d.large }()
		default:
			unavailable("too many large requests are being read; try again").write(w)
			return
		}
	}
	if refusal := d.admit(w, r); refusal != nil {
		refusal.write(w)
		return
	}
	d.next.ServeHTTP(w, r)
}

func (d *door) contain(r *http.Request) {
	fault := recover()
	if fault == nil {
		return
	}
	if fault != http.ErrAbortHandler {
		d.opts.Log.Error("a request made the registry panic", "operation", operationOf(r), "panic", fmt.Sprint(fault), "stack", string(debug.Stack()))
	}
	panic(http.ErrAbortHandler) // net/http closes the connection, and says no more
}

// admit returns why a request is not let through, or nil.
func (d *door) admit(w http.ResponseWriter, r *http.Request) *refusal {
	operation := operationOf(r)
	if d.opts.Keys != nil && d.opts.Keys.Asked() && !harmless(r) {
		key, refused := d.verify(w, r)
		if refused == nil && key.ReadOnly && !reads(operation) {
			refused = denied(d.opts.Account, key.ID, operation)
		}
		if refused != nil {
			d.refusals.note(r, refused)
			return refused
		}
	}
	if d.opts.Throttle != nil {
		return d.opts.Throttle.admit(operation)
	}
	return nil
}

// operationOf is what a request asks for, by the name that AWS gives it.
func operationOf(r *http.Request) string {
	target := r.Header.Get("X-Amz-Target")
	return target[strings.LastIndexByte(target, '.')+1:]
}

// reads reports whether an operation changes nothing.
func reads(operation string) bool {
	for _, verb := range []string{"Get", "List", "Discover"} {
		if strings.HasPrefix(operation, verb) {
			return true
		}
	}
	return false
}

// harmless requests are answered with a hint or a refusal and nothing of the
// registry's: a look at the root, as load balancers take, and a tunnel.
func harmless(r *http.Request) bool {
	switch r.Method {
	case http.MethodConnect:
		return true
	case http.MethodGet, http.MethodHead:
		return r.URL.Path == "/" && !r.URL.IsAbs()
	}
	return false
}
