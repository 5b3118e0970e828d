package route53

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/registry"
)

// Probe asks a target once, as its check says and within its timeout, and
// returns what it found and how long the TCP connection took. It is called
// concurrently, and returns early when ctx ends.
type Probe func(ctx context.Context, t health.Target) (o health.Observation, connect time.Duration)

// How long Route 53 waits (Developer Guide, same page).
const (
	connectWithin = 4 * time.Second  // HTTP and HTTPS
	answerWithin  = 2 * time.Second  // after connecting, the handshake included
	tcpWithin     = 10 * time.Second // TCP
)

// target is the instance as a probe wants it.
func target(c registry.Checked) health.Target {
	t := health.Target{Handle: 1, Instance: c.InstanceID, Addr: c.Endpoint.Addr(), Port: c.Endpoint.Port()}
	if c.Check.Type == registry.CheckTCP {
		t.Check.Timeout = tcpWithin
		return t
	}
	t.Check.Timeout = connectWithin + answerWithin
	t.Check.Probe = health.Probe{
		Protocol: health.HTTP, Path: "/" + strings.TrimPrefix(c.Check.ResourcePath, "/"), Host: hostHeader(c), ServerName: c.Host,
	}
	if c.Check.Type == registry.CheckHTTPS {
		t.Check.Probe.Protocol = health.HTTPS
	}
	return t
}

// hostHeader is the service's name, with the port where it is not the scheme's
// own; empty, which is the address, where the service has no name.
func hostHeader(c registry.Checked) string {
	port := c.Endpoint.Port()
	if c.Host == "" || port == 80 && c.Check.Type == registry.CheckHTTP || port == 443 && c.Check.Type == registry.CheckHTTPS {
		return c.Host
	}
	return c.Host + ":" + strconv.Itoa(int(port))
}

// ask makes one check. A handshake that fails with the name in it is tried once
// without, as Route 53 does for endpoints that know no such name.
func ask(ctx context.Context, probe Probe, c registry.Checked) health.Observation {
	t := target(c)
	o, connect := probe(ctx, t)
	if o.Cause == health.TLS && c.Host != "" {
		t.Check.Probe.ServerName = t.Addr.String() // an address is never sent as a name (RFC 6066, section 3)
		o, connect = probe(ctx, t)
	}
	return onTime(o, connect, t.Check.Probe.Protocol)
}

// onTime fails a pass that Route 53 would not have waited for: a probe has one
// timeout for all its parts, Route 53 one for each. What never passed failed
// already, a little later than there.
func onTime(o health.Observation, connect time.Duration, p health.Protocol) health.Observation {
	if o.Outcome != health.Pass || p == health.TCP {
		return o
	}
	answer := o.End.Sub(o.Start) - connect
	switch {
	case connect > connectWithin:
		o.Detail = fmt.Sprintf("connected after %s, Route 53 waits %s", connect.Round(time.Millisecond), connectWithin)
	case answer > answerWithin:
		o.Detail = fmt.Sprintf("answered %s after connecting, Route 53 waits %s", answer.Round(time.Millisecond), answerWithin)
	default:
		return o
	}
	o.Outcome, o.Cause = health.Fail, health.Timeout
	return o
}
