package registry

import (
	"net/netip"
	"strconv"
)

// CheckType is how a Route 53 health check asks.
type CheckType string

// The types of check that Cloud Map offers: a status of 200 to 399 over HTTP or
// HTTPS, or a TCP connection.
const (
	CheckHTTP  CheckType = "HTTP"
	CheckHTTPS CheckType = "HTTPS"
	CheckTCP   CheckType = "TCP"
)

// HealthCheck is a health check that AWS makes itself, through Route 53: each
// instance of a service gets one with its registration. The registry only
// keeps its settings and results; see Checked and SetObserved for who makes it.
type HealthCheck struct {
	Type CheckType `json:"type"`
	// ResourcePath is empty for TCP.
	ResourcePath string `json:"resourcePath,omitempty"`
	// FailureThreshold is how many results in a row turn a checker's opinion,
	// either way.
	FailureThreshold int `json:"failureThreshold"`
}

// NewHealthCheck is a HealthCheckConfig as a request has it.
type NewHealthCheck struct {
	Type             string
	ResourcePath     string // empty is /
	FailureThreshold *int32 // nil is 3
}

// What Route 53 takes for a setting that is left out (CreateHealthCheck).
const (
	defaultResourcePath     = "/"
	defaultFailureThreshold = 3
)

func (n *NewHealthCheck) check() error {
	if n == nil {
		return nil
	}
	switch CheckType(n.Type) {
	case "":
		return invalid("HealthCheckConfig.Type", "is required")
	case CheckHTTP, CheckHTTPS, CheckTCP:
	default:
		return invalid("HealthCheckConfig.Type", "%.32q is none of HTTP, HTTPS, TCP", n.Type)
	}
	if err := optional("HealthCheckConfig.ResourcePath", n.ResourcePath, maxResourcePath); err != nil {
		return err
	}
	switch {
	case n.ResourcePath != "" && n.Type == string(CheckTCP):
		return invalid("HealthCheckConfig.ResourcePath", "a check of Type TCP has none")
	case !graphic(n.ResourcePath):
		return invalid("HealthCheckConfig.ResourcePath", "%q may only have printable ASCII characters without spaces", n.ResourcePath)
	case n.FailureThreshold != nil:
		return between("HealthCheckConfig.FailureThreshold", int64(*n.FailureThreshold), 1, maxFailThreshold)
	}
	return nil
}

// settings are the request's, with what it leaves out filled in; nil stays nil.
func (n *NewHealthCheck) settings() *HealthCheck {
	if n == nil {
		return nil
	}
	c := &HealthCheck{Type: CheckType(n.Type), ResourcePath: n.ResourcePath, FailureThreshold: defaultFailureThreshold}
	if n.FailureThreshold != nil {
		c.FailureThreshold = int(*n.FailureThreshold)
	}
	if c.Type != CheckTCP && c.ResourcePath == "" {
		c.ResourcePath = defaultResourcePath
	}
	return c
}

// asked is a request for these settings; nil stays nil.
func (c *HealthCheck) asked() *NewHealthCheck {
	if c == nil {
		return nil
	}
	threshold := int32(c.FailureThreshold)
	return &NewHealthCheck{Type: string(c.Type), ResourcePath: c.ResourcePath, FailureThreshold: &threshold}
}

// fits refuses a check where Cloud Map does not offer one. Route 53 looks from
// the internet, where a private namespace has no meaning.
func (n *NewHealthCheck) fits(ns *Namespace, records *DNSConfig) error {
	switch {
	case n == nil:
		return nil
	case ns.Type == DNSPrivateNamespace:
		return invalid("HealthCheckConfig", "is for public DNS and HTTP namespaces, %s is a private DNS namespace", ns.ID)
	case records.Has(RecordCNAME):
		return invalid("HealthCheckConfig", "does not go together with CNAME records")
	}
	return nil
}

// sameCheck reports whether both are the same settings, or both none.
func sameCheck(a, b *HealthCheck) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// endpoint is the address and port that a check of the instance asks: the IPv4
// address where there is one, whatever records the service has. It reports
// false for an instance without, above all an alias, which Cloud Map associates
// with no check.
func (i *Instance) endpoint() (netip.AddrPort, bool) {
	text := i.Attributes.Get(AttrIPv4)
	if text == "" {
		text = i.Attributes.Get(AttrIPv6)
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.AddrPort{}, false
	}
	port, err := strconv.ParseUint(i.Attributes.Get(AttrPort), 10, 16)
	return netip.AddrPortFrom(addr, uint16(port)), err == nil && port != 0
}

// InPool reports whether clients that want healthy instances of the service are
// given this one. An instance that Route 53 has not judged yet is in, as on
// AWS, unless Options.UnknownIsUnhealthy; one that it does not check always is.
func (v *ServiceView) InPool(i *Instance) bool {
	switch {
	case !v.HasCheck():
		return true
	case i.Health != Unknown:
		return i.Health == Healthy
	case !v.unknownIsOut:
		return true
	}
	_, checked := i.endpoint()
	return !checked
}
