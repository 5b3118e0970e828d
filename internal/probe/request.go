package probe

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mapwarden/mapwarden/internal/health"
)

// appendRequest appends the HTTP/1.1 request of pr to b. A check may come from
// a service's owner, by way of the registry, so nothing of it is sent that
// could end a line early or start a second request; such a check is an error.
func appendRequest(b []byte, pr health.Probe, addr netip.AddrPort, agent string) ([]byte, error) {
	method, path, host := pr.Method, pr.Path, pr.Host
	if method == "" {
		method = "GET"
	}
	if path == "" {
		path = "/"
	}
	if host == "" {
		host = hostOf(addr, pr.Protocol)
	}
	switch {
	case !isToken(method) || method == "CONNECT":
		return nil, fmt.Errorf("method %q cannot be sent", method)
	case path[0] != '/' || !isVisible(path):
		return nil, fmt.Errorf("path %q cannot be sent: it begins with / and is percent-encoded", path)
	case !isVisible(host):
		return nil, fmt.Errorf("host %q cannot be sent", host)
	}
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, path...)
	b = append(b, " HTTP/1.1"...)
	b = append(b, hostHeader...)
	b = append(b, host...)
	b = append(b, "\r\nConnection: close\r\n"...)
	for _, d := range defaultHeaders(method, agent, &pr) {
		if !given(pr.Headers, d.Name) {
			b = appendHeader(b, d)
		}
	}
	for _, h := range pr.Headers {
		if err := sendable(h); err != nil {
			return nil, err
		}
		b = appendHeader(b, h)
	}
	b = append(b, "\r\n"...)
	return append(b, pr.Body...), nil
}

// defaultHeaders are those that a check may replace by its own.
func defaultHeaders(method, agent string, pr *health.Probe) []health.Header {
	out := make([]health.Header, 0, 4)
	out = append(out, health.Header{Name: "User-Agent", Value: agent}, health.Header{Name: "Accept", Value: "*/*"})
	if readsBody(pr) { // which is never decompressed
		out = append(out, health.Header{Name: "Accept-Encoding", Value: "identity"})
	}
	switch method {
	case "POST", "PUT", "PATCH": // RFC 9110, section 8.6: a user agent says that it sends no content
	default:
		if pr.Body == "" {
			return out
		}
	}
	return append(out, health.Header{Name: "Content-Length", Value: strconv.Itoa(len(pr.Body))})
}

func appendHeader(b []byte, h health.Header) []byte {
	b = append(b, h.Name...)
	b = append(b, ": "...)
	b = append(b, h.Value...)
	return append(b, "\r\n"...)
}

func given(headers []health.Header, name string) bool {
	for _, h := range headers {
		if strings.EqualFold(h.Name, name) {
			return true
		}
	}
	return false
}

// sendable refuses what is no header (RFC 9110, section 5) and the headers that
// say where a message ends or whom it is for: those are written here.
func sendable(h health.Header) error {
	if !isToken(h.Name) {
		return fmt.Errorf("header name %q cannot be sent", h.Name)
	}
	switch strings.ToLower(h.Name) {
	case "host":
		return errors.New("header Host cannot be sent: set the check's host")
	case "content-length", "transfer-encoding", "connection", "upgrade", "expect", "te", "trailer":
		return fmt.Errorf("header %s cannot be sent: the check has no body and one request per connection", h.Name)
	}
	for _, c := range []byte(h.Value) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Errorf("header %s cannot be sent: its value has a control character", h.Name)
		}
	}
	return nil
}

// hostOf is the authority of addr, without the port where it is the scheme's
// own and without a zone, which means nothing to the target.
func hostOf(addr netip.AddrPort, p health.Protocol) string { return string(appendHost(nil, addr, p)) }

func appendHost(b []byte, addr netip.AddrPort, p health.Protocol) []byte {
	a := plain(addr.Addr())
	if a.Is6() {
		b = append(b, '[')
		b = a.AppendTo(b)
		b = append(b, ']')
	} else {
		b = a.AppendTo(b)
	}
	if p == health.HTTP && addr.Port() == 80 || p == health.HTTPS && addr.Port() == 443 {
		return b
	}
	b = append(b, ':')
	return strconv.AppendUint(b, uint64(addr.Port()), 10)
}

// hostIn is where the value of the Host header begins in a request.
func hostIn(request []byte) int { return bytes.Index(request, hostHeader) + len(hostHeader) }

var hostHeader = []byte("\r\nHost: ")

// serverName is what the handshake asks for, and what a certificate has to
// name: the check's own, else its host, else the address.
func serverName(pr *health.Probe, addr netip.AddrPort) string {
	switch {
	case pr.ServerName != "":
		return pr.ServerName
	case pr.Host == "":
		return plain(addr.Addr()).String()
	}
	if host, _, err := net.SplitHostPort(pr.Host); err == nil {
		return host
	}
	return strings.Trim(pr.Host, "[]")
}

// isToken is RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func isVisible(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return s != ""
}
