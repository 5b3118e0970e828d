package cloudmap

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"sync/atomic"
	"syscall"
	"time"

	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
)

// maxAnswer bounds the bytes of one answer. The largest legitimate one is
// DiscoverInstances with 1,000 instances of 5,000 characters each.
const maxAnswer = 16 << 20

// wire is the HTTP client under the SDK's: it bounds answers, keeps a quick
// answer from being lost, and notes whether a request may have reached the wire.
type wire struct{ next sd.HTTPClient }

func (w wire) Do(req *http.Request) (*http.Response, error) {
	req, err := withOwnBody(req)
	if err != nil {
		return nil, err
	}
	if f, ok := req.Context().Value(flightKey{}).(*flight); ok {
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), f.trace()))
	}
	resp, err := w.next.Do(req)
	if err != nil {
		return nil, err
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	return resp, nil
}

// withOwnBody returns a copy of a request with a copy of its body, which is in
// memory and which nobody else closes.
//
// The SDK closes the body of a request as soon as there is an answer. net/http
// sends a body that it does not know to be in memory after the headers, and
// then reads on behind its last byte: where the answer is faster than that, the
// read fails, and net/http closes the connection under the answer that is just
// being read. A body in memory is read before the request leaves.
func withOwnBody(req *http.Request) (*http.Request, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body of a request: %w", err)
	}
	own := *req
	own.Body = io.NopCloser(bytes.NewReader(body))
	return &own, nil
}

// flight follows one call, over all of its attempts.
type flight struct{ sent atomic.Bool }

type flightKey struct{}

func withFlight(ctx context.Context) (context.Context, *flight) {
	f := new(flight)
	return context.WithValue(ctx, flightKey{}, f), f
}

// trace marks the flight as sent once the transport has a connection for it:
// before that not a byte of the request can have left. What happens between
// the connection and the first byte counts as sent, to be careful.
func (f *flight) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { f.sent.Store(true) }}
}

// newTransport is the transport for a registry at a URL.
func newTransport(cfg Config) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	if cfg.LoopbackOnly {
		dialer.ControlContext = refuseBeyondLoopback
	}
	t := &http.Transport{
		DialContext:         dialer.DialContext,
		TLSClientConfig:     cfg.TLS.Clone(),
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     60 * time.Second,
	}
	if !cfg.LoopbackOnly && !isLoopback(cfg.URL) {
		t.Proxy = http.ProxyFromEnvironment
	}
	return t
}

func refuseBeyondLoopback(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !to.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("loopback only: not connecting to %s", address)
	}
	return nil
}

// isLoopback reports whether a URL names this machine, which no proxy can reach.
func isLoopback(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.Unmap().IsLoopback()
}
