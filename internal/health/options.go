package health

import (
	"net/netip"
	"slices"
	"time"
)

// Version is which HTTP a check speaks.
type Version uint8

const (
	// HTTP1 is HTTP/1.1.
	HTTP1 Version = iota
	// HTTP2 is agreed on in the handshake over TLS (h2), and else spoken from
	// the first byte (h2c, with prior knowledge).
	HTTP2
)

// Scheme is how a credential is shown.
type Scheme uint8

const (
	NoCredential Scheme = iota
	Basic               // the file holds USER:PASSWORD
	Bearer              // the file holds a token
)

func (s Scheme) String() string {
	switch s {
	case Basic:
		return "basic"
	case Bearer:
		return "bearer"
	}
	return "none"
}

// Credential names the file with a secret that an HTTP request shows. The
// secret itself is nowhere in a check.
type Credential struct {
	Scheme Scheme
	File   string
}

// Field is a field of a JSON body and the text that it has to have.
type Field struct {
	Path   string // names and indexes, with a dot between two: checks.0.status
	Equals string // the text of a string, a number, true, false or null
}

// plainWire reports whether nothing is asked for beyond a connection, and over
// it HTTP/1.1 without a body.
func (p *Probe) plainWire() bool {
	return p.Version == HTTP1 && p.Body == "" && p.Match == "" && len(p.JSON) == 0 && p.Credential == Credential{} &&
		p.Redirects == 0 && !p.Source.IsValid() && p.ProxyProtocol == 0
}

// TLS reports whether the check speaks TLS.
func (p *Probe) TLS() bool {
	return p.Protocol == HTTPS || p.Protocol == Handshake || p.Protocol == GRPCS
}

// Simple reports whether the probe asks once, by TCP or HTTP/1.1, and looks at
// no more than a status and a text: what an event loop can do.
func (p *Probe) Simple() bool {
	return (p.Protocol == TCP || p.Protocol == HTTP) && !p.Composite() && p.plainWire()
}

// Secrets appends the credentials of p and of its parts.
func (p *Probe) Secrets(to []Credential) []Credential {
	if p.Credential.Scheme != NoCredential {
		to = append(to, p.Credential)
	}
	for i := range p.Of {
		to = p.Of[i].Secrets(to)
	}
	return to
}

// options hands everything of this file to a hash, if there is anything: a
// probe without options has the fingerprint that it always had.
func (p *Probe) options(num func(uint64), str func(string)) {
	if p.plainWire() && p.Service == "" && p.CA == "" && p.ClientCert == "" && p.ClientKey == "" && p.WarnWithin == 0 && p.FailWithin == 0 {
		return
	}
	num(3)
	num(uint64(p.Version))
	num(uint64(p.Redirects))
	num(uint64(p.ProxyProtocol))
	num(uint64(p.WarnWithin))
	num(uint64(p.FailWithin))
	num(uint64(p.Credential.Scheme))
	for _, s := range [...]string{p.Body, p.Match, p.Credential.File, p.Service, p.CA, p.ClientCert, p.ClientKey, addrText(p.Source)} {
		str(s)
	}
	num(uint64(len(p.JSON)))
	for _, f := range p.JSON {
		str(f.Path)
		str(f.Equals)
	}
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func (p *Probe) sameOptions(q *Probe) bool {
	return p.Version == q.Version && p.Body == q.Body && p.Match == q.Match && slices.Equal(p.JSON, q.JSON) &&
		p.Credential == q.Credential && p.Redirects == q.Redirects && p.Service == q.Service &&
		p.CA == q.CA && p.ClientCert == q.ClientCert && p.ClientKey == q.ClientKey &&
		p.WarnWithin == q.WarnWithin && p.FailWithin == q.FailWithin &&
		p.Source == q.Source && p.ProxyProtocol == q.ProxyProtocol
}

// DefaultWarnWithin is how long before its end a certificate is warned of.
const DefaultWarnWithin = 14 * 24 * time.Hour
