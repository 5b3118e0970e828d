package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// call is a request to the registry.
type call struct {
	op   string // the AWS operation
	body string
}

// about reports whether the call names an instance.
func (c call) about(instance string) bool { return strings.Contains(c.body, `"`+instance+`"`) }

func (c call) writes() bool {
	switch c.op {
	case "RegisterInstance", "DeregisterInstance", "UpdateInstanceCustomHealthStatus":
		return true
	}
	return false
}

// wire stands between a daemon and its registry. It lets calls through, counts
// those that write, and lets a meddler decide about each.
type wire struct {
	*httptest.Server
	registry http.Handler

	mu     sync.Mutex
	meddle func(http.ResponseWriter, *http.Request, call, ask) // nil lets through
	writes []call
}

// ask puts the call to the registry.
type ask func() *httptest.ResponseRecorder

func newWire(t *testing.T, registry http.Handler) *wire {
	t.Helper()
	w := &wire{registry: registry}
	w.Server = httptest.NewServer(w)
	t.Cleanup(w.Close)
	return w
}

// set replaces the meddler.
func (w *wire) set(meddle func(http.ResponseWriter, *http.Request, call, ask)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meddle = meddle
}

// written are the calls that write and have reached the registry.
func (w *wire) written() []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]call(nil), w.writes...)
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller has gone
	}
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	c := call{op, string(body)}
	w.mu.Lock()
	meddle := w.meddle
	w.mu.Unlock()
	ask := func() *httptest.ResponseRecorder {
		if c.writes() {
			w.mu.Lock()
			w.writes = append(w.writes, c)
			w.mu.Unlock()
		}
		answer := httptest.NewRecorder()
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		w.registry.ServeHTTP(answer, again)
		return answer
	}
	if meddle == nil {
		pass(rw, ask())
		return
	}
	meddle(rw, r, c, ask)
}

func pass(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

// cut ends the connection without another byte.
func cut() { panic(http.ErrAbortHandler) }
