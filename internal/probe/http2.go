package probe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// authorized returns the check's probe with the header that shows its
// credential, or completes the observation and returns false. A credential
// goes only where the policy names what may be probed: whoever can register an
// instance chooses an address, and would be told the secret otherwise.
func (a *attempt) authorized() (health.Probe, bool) {
	pr := a.target.Check.Probe
	if pr.Credential.Scheme == health.NoCredential {
		return pr, true
	}
	if len(a.p.policy.Load().Allow) == 0 {
		a.cannotTell(health.AddressRefused, "a credential is sent only to addresses that targets.allow names")
		return pr, false
	}
	value, err := a.p.files.authorization(pr.Credential)
	if err != nil {
		a.cannotTell(health.LocalFault, "credential: "+err.Error())
		return pr, false
	}
	pr.Headers = append(pr.Headers[:len(pr.Headers):len(pr.Headers)], health.Header{Name: "Authorization", Value: value})
	return pr, true
}

// http2 asks over HTTP/2 with the standard library's client, whose buffers are
// set to the bounds that hold for HTTP/1.
func (a *attempt) http2() {
	pr, ok := a.authorized()
	if !ok {
		return
	}
	request, err := newRequest(&pr, a.addr, a.p.agent)
	if err != nil {
		a.cannotTell(health.NotProbeable, err.Error())
		return
	}
	a.exchange(request, func(resp *http.Response) { a.judge(resp) })
}

// newRequest is the very request of appendRequest, for net/http.
func newRequest(pr *health.Probe, addr netip.AddrPort, agent string) (*http.Request, error) {
	text, err := appendRequest(nil, *pr, addr, agent)
	if err != nil {
		return nil, err
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
	if err != nil {
		return nil, fmt.Errorf("it cannot be sent over HTTP/2: %w", err)
	}
	r.RequestURI, r.Close = "", false
	r.URL.Scheme, r.URL.Host = schemeOf(pr), r.Host
	r.Header.Del("Connection") // RFC 9113, section 8.2.2: HTTP/2 has none
	return r, nil
}

func schemeOf(pr *health.Probe) string {
	if pr.TLS() {
		return "https"
	}
	return "http"
}

// exchange connects, asks, and has judge complete the observation.
func (a *attempt) exchange(request *http.Request, judge func(*http.Response)) {
	conn, stop := a.dial()
	if conn == nil {
		return
	}
	defer stop()
	var stream net.Conn = &bounded{Conn: conn, left: maxWire}
	if a.target.Check.Probe.TLS() {
		s := a.handshake(conn, "h2")
		if s == nil {
			abandon(conn)
			return
		}
		if s.ConnectionState().NegotiatedProtocol != "h2" {
			a.fail(health.TLS, "TLS handshake: the target does not offer HTTP/2")
			part(conn)
			return
		}
		stream = s
	}
	a.ask2(stream, request, judge)
	if s, ok := stream.(*session); ok {
		s.CloseWrite()
	}
	part(conn)
}

// ask2 speaks HTTP/2 on a stream that is ready for it, whatever is below.
func (a *attempt) ask2(stream net.Conn, request *http.Request, judge func(*http.Response)) {
	ctx, cancel := context.WithDeadline(a.ctx, a.deadline)
	defer cancel()
	in := &frames{Conn: stream}
	a.frames = in
	client, err := clientOver(in).NewClientConn(ctx, "http", a.addr.String())
	if err != nil {
		a.broke2("begin HTTP/2", err)
		return
	}
	asked := time.Now()
	defer client.Close()
	trace := &httptrace.ClientTrace{GotFirstResponseByte: func() { in.answered.Store(int64(time.Since(asked))) }}
	resp, err := client.RoundTrip(request.WithContext(httptrace.WithClientTrace(ctx, trace)))
	a.phases.FirstByte = time.Duration(in.answered.Load())
	if err != nil {
		a.broke2("await the answer", err)
		return
	}
	defer resp.Body.Close()
	a.phases.Status = resp.StatusCode
	judge(resp)
}

// clientOver is a client for one connection, with the bounds of HTTP/1. What
// is encrypted is so already: to the client it is a stream.
func clientOver(stream net.Conn) *http.Transport {
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	return &http.Transport{
		Protocols:              &only,
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return stream, nil },
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHead,
		HTTP2:                  &http.HTTP2Config{MaxReceiveBufferPerConnection: 64 << 10, MaxReceiveBufferPerStream: 16 << 10},
	}
}

// broke2 is broke for what net/http's HTTP/2 client returns: an error that is
// no fault of the network is the target's breach of the protocol.
func (a *attempt) broke2(doing string, err error) {
	if first := a.frames.failed.Load(); first != nil { // the client's own error may only say that there was one
		err = *first
	}
	switch {
	case a.ctx.Err() == nil && !time.Now().Before(a.deadline):
		a.broke(doing, context.DeadlineExceeded)
	case errors.Is(err, errTooMuch):
		a.fail(health.Malformed, errTooMuch.Error())
	case faultOf(a.ctx, a.addr.Addr(), err).cause != health.LocalFault:
		a.broke(doing, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		a.fail(health.Reset, "the connection was closed without an answer")
	default:
		a.fail(health.Malformed, strings.TrimPrefix(err.Error(), "http2: "))
	}
}
