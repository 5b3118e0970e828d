package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// policyHeader lets the page run its own scripts and styles, speak to where it
// came from, and nothing else: no inline script, no frame, no form elsewhere.
const policyHeader = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard refuses what a browser sends on behalf of somebody else's page: a Host
// that is not ours (DNS rebinding), a foreign Origin, a cross-site request that
// would change something.
func (s *Server) guard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusForbidden, "the request comes from a page of another site", "send it from the page that mapwarden serves, or from a program")
	}))
	inner := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policyHeader)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !s.known(r.Host) {
			refuse(w, http.StatusForbidden, fmt.Sprintf("host %q is not one of ours", clip(r.Host)),
				"ask for its address, or for localhost")
			return
		}
		if !sameOrigin(r) {
			refuse(w, http.StatusForbidden, fmt.Sprintf("origin %q is not ours", clip(r.Header.Get("Origin"))), "open the page that mapwarden serves itself")
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// known reports whether a Host header names this server. An address cannot be
// pointed elsewhere by whoever owns a name, so it is never a rebinding.
func (s *Server) known(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback() || s.opts.AnyAddress
	}
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}

// sameOrigin reports whether a request that names its origin comes from the
// host that it goes to. Programs name none.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// clip keeps what somebody else wrote short in what we answer.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
