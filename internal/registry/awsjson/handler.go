// Package awsjson is the AWS JSON 1.1 face of a registry: the protocol that the
// SDKs, the AWS CLI and boto3 speak to Cloud Map, as an http.Handler. Its wire
// types are the SDK's own Go structs, so there is no second model to keep true.
//
// It decides nothing: every rule of Cloud Map is the registry's. It verifies no
// signatures, so it is for loopback or for a place behind something that does.
// It opens no listener and is no proxy, although clients may use it as one: it
// ignores the Host of a request and answers one in absolute form as its own. So
// HTTP_PROXY=http://ADDRESS leads a client here even when it puts "data-" in
// front of the host name, as all of them do for DiscoverInstances.
package awsjson

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/registry"
)

const (
	targetPrefix = "Route53AutoNaming_v20170314."
	contentType  = "application/x-amz-json-1.1"

	// maxBody bounds a request. The largest that the limits of Cloud Map allow
	// is under 100 KiB.
	maxBody = 1 << 20
	// bodyTimeout bounds how long a client may take to send it.
	bodyTimeout = 10 * time.Second
)

const hint = "This is a mapwarden registry, which speaks the AWS Cloud Map API. " +
	"Try: aws --endpoint-url http://ADDRESS servicediscovery list-namespaces\n"

type handler struct {
	reg        *registry.Registry
	operations map[string]operation
}

// New returns the face of a registry. The handler is stateless; the registry's
// Run is the caller's business.
func New(reg *registry.Registry) http.Handler {
	return &handler{reg: reg, operations: operations()}
}

// ServeHTTP answers one call.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := requestID()
	w.Header()["X-Amzn-Requestid"] = []string{id} // as Set spells it
	switch {
	case r.Method == http.MethodConnect:
		refuseTunnel(w)
	case r.Header.Get("Origin") != "":
		// No cross-site header is ever sent, but a page may own a name that
		// resolves to this address, and Host is ignored here.
		http.Error(w, "this registry does not answer web pages", http.StatusForbidden)
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && !r.URL.IsAbs() && r.URL.Path == "/":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, hint)
	case r.Header.Get("X-Amz-Target") == "" && r.URL.IsAbs():
		http.Error(w, "this is a registry and no general proxy; it answers calls of the AWS Cloud Map API only", http.StatusBadGateway)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "calls of the AWS Cloud Map API are POST requests", http.StatusMethodNotAllowed)
	default:
		h.serveCall(w, r)
	}
}

// refuseTunnel says why in the status line, since that is the part of a refused
// CONNECT that clients show.
func refuseTunnel(w http.ResponseWriter) {
	const why = "this registry speaks plain HTTP and tunnels nothing, use an http:// endpoint"
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, why, http.StatusMethodNotAllowed)
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(bodyTimeout))
	fmt.Fprintf(conn, "HTTP/1.1 405 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n", why, len(why)+1, why)
}

func (h *handler) serveCall(w http.ResponseWriter, r *http.Request) {
	name, ours := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	call := h.operations[name]
	if !ours || call == nil {
		writeError(w, unknownOperation(r.Header.Get("X-Amz-Target")))
		return
	}
	room := rooms.Get().(*room)
	defer rooms.Put(room)
	body, err := readBody(w, r, room.body)
	if err != nil {
		writeError(w, err)
		return
	}
	answer, err := call(h.reg, body, room.answer)
	room.keep(body, answer)
	if err != nil {
		writeError(w, err)
		return
	}
	header := w.Header()
	header["Content-Type"] = []string{contentType}
	header["Content-Length"] = []string{strconv.Itoa(len(answer))}
	w.Write(answer)
}

// room is where a call has its request and its answer; calls take turns in it.
type room struct{ body, answer []byte }

var rooms = sync.Pool{New: func() any { return &room{body: make([]byte, 0, 512)} }}

// keep lets the next call have the slices that this one used, where they are
// larger than those that were there, but not very large.
func (r *room) keep(body, answer []byte) {
	const most = 1 << 20
	if n := cap(body); n > cap(r.body) && n <= most {
		r.body = body[:0]
	}
	if n := cap(answer); n > cap(r.answer) && n <= most {
		r.answer = answer[:0]
	}
}

// readBody reads at most maxBody bytes in at most bodyTimeout, into a slice. The
// server sets a deadline of its own before it reads the next request.
func readBody(w http.ResponseWriter, r *http.Request, into []byte) ([]byte, error) {
	// A writer without deadlines is a test's, in memory.
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	body := bytes.NewBuffer(into)
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		return body.Bytes(), nil
	}
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, &wireError{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException",
			fmt.Sprintf("the request has more than %d bytes", maxBody)}
	}
	return nil, &wireError{http.StatusBadRequest, "SerializationException", "read the request: " + err.Error()}
}

// requestID has the shape of a random UUID. It is a label, not a secret.
func requestID() string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], rand.Uint64())
	binary.BigEndian.PutUint64(raw[8:], rand.Uint64())
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	id := make([]byte, 0, 36)
	for i, part := range [...][]byte{raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:]} {
		if i > 0 {
			id = append(id, '-')
		}
		id = hex.AppendEncode(id, part)
	}
	return string(id)
}
