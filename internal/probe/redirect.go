package probe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/mapwarden/mapwarden/internal/health"
)

// redirected reports whether the answer is a redirect and the check follows
// redirects: location is set then, or the observation complete.
func (a *attempt) redirected(resp *http.Response) bool {
	a.location = ""
	switch resp.StatusCode {
	case 301, 302, 303, 307, 308:
	default:
		return false
	}
	to := resp.Header.Get("Location")
	switch pr := &a.target.Check.Probe; {
	case to == "" || pr.Redirects == 0 && a.hops == 0:
		return false
	case pr.Redirects == 0:
		a.fail(health.BadStatus, fmt.Sprintf("HTTP %d after %d redirects", resp.StatusCode, a.hops))
	default:
		a.phases.Status = resp.StatusCode
		a.location = to
	}
	return true
}

// redirect turns the attempt to where the answer led, or completes the
// observation and returns false.
//
// A name is resolved once, and the check's own host stands for the address
// that was probed; the address policy decides when it is dialled. What could
// be a secret, that is, headers, credential, body and client certificate, goes
// to no other scheme, host or port.
func (a *attempt) redirect() bool {
	t := *a.target
	pr := &t.Check.Probe
	here := url.URL{Scheme: pr.Protocol.String(), Host: pr.Host, Path: "/"}
	if here.Host == "" {
		here.Host = hostOf(a.addr, pr.Protocol)
	}
	if u, err := url.Parse(pr.Path); err == nil {
		here.Path, here.RawPath, here.RawQuery = u.Path, u.RawPath, u.RawQuery
	}
	to, err := here.Parse(a.location)
	a.location = ""
	if err != nil {
		return a.leadsAstray("the redirect's Location is not a URL")
	}
	protocol, known := map[string]health.Protocol{"http": health.HTTP, "https": health.HTTPS}[to.Scheme]
	switch {
	case !known:
		return a.leadsAstray("the redirect leads to another protocol than HTTP")
	case protocol == health.HTTP && pr.Protocol == health.HTTPS:
		return a.leadsAstray("the redirect leads from https to http")
	case to.Hostname() == "" || !isVisible(to.Host) || !isVisible(to.RequestURI()):
		return a.leadsAstray("the redirect's Location cannot be asked for")
	}
	addr, ok := a.addressOf(to, &here, protocol)
	if !ok {
		return false
	}
	method := pr.Method
	if status := a.phases.Status; status != 307 && status != 308 {
		if method != http.MethodHead {
			method = http.MethodGet
		}
		pr.Body = ""
	}
	if protocol != pr.Protocol || to.Host != here.Host {
		if pr.Body != "" {
			return a.leadsAstray("the redirect leads the request's body to another host")
		}
		pr.Headers, pr.Credential, pr.ClientCert, pr.ClientKey, pr.ServerName = nil, health.Credential{}, "", "", ""
		pr.Host = to.Host
	}
	pr.Protocol, pr.Method, pr.Path = protocol, method, to.RequestURI()
	pr.Redirects--
	a.target, a.addr = &t, addr
	a.hops++
	a.obs.Identity, a.obs.Draining = health.Identity{}, false
	return true
}

func (a *attempt) leadsAstray(why string) bool {
	a.fail(health.BadStatus, fmt.Sprintf("HTTP %d, not followed: %s", a.phases.Status, why))
	return false
}

// addressOf returns where to connect to for a URL, or completes the
// observation.
func (a *attempt) addressOf(to, here *url.URL, protocol health.Protocol) (netip.AddrPort, bool) {
	port := a.addr.Port()
	if to.Host != here.Host || to.Scheme != here.Scheme {
		text := to.Port()
		if text == "" {
			text = map[health.Protocol]string{health.HTTP: "80", health.HTTPS: "443"}[protocol]
		}
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return netip.AddrPort{}, a.leadsAstray("the redirect's port is none")
		}
		port = uint16(n)
	}
	if to.Hostname() == here.Hostname() {
		return netip.AddrPortFrom(a.addr.Addr(), port), true
	}
	if addr, err := netip.ParseAddr(to.Hostname()); err == nil {
		return netip.AddrPortFrom(addr, port), true
	}
	ctx, cancel := context.WithDeadline(a.ctx, a.deadline)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", to.Hostname())
	if err != nil || len(addrs) == 0 {
		a.cannotTell(health.Resolver, fmt.Sprintf("resolve where the redirect leads to: %v", err))
		return netip.AddrPort{}, false
	}
	for _, addr := range addrs {
		if ap := netip.AddrPortFrom(plain(addr), port); a.p.policy.Load().Admits(ap) == nil {
			return ap, true
		}
	}
	return netip.AddrPortFrom(plain(addrs[0]), port), true // which dial refuses, and says why
}
