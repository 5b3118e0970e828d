package health

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"
)

// Protocol is what a check speaks.
type Protocol uint8

const (
	// TCP passes when the connection is accepted.
	TCP Protocol = iota
	HTTP
	HTTPS
	// Handshake passes when a TLS handshake succeeds.
	Handshake
	// GRPC and GRPCS ask grpc.health.v1.Health/Check, the latter over TLS.
	GRPC
	GRPCS
)

func (p Protocol) String() string {
	switch p {
	case HTTP:
		return "http"
	case HTTPS:
		return "https"
	case Handshake:
		return "tls"
	case GRPC:
		return "grpc"
	case GRPCS:
		return "grpcs"
	}
	return "tcp"
}

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct{ From, To uint16 }

// Header is one request header of a check.
type Header struct{ Name, Value string }

// Probe is how to ask: everything that decides whether an answer passes.
type Probe struct {
	Protocol Protocol
	Port     uint16 // 0: the instance's AWS_INSTANCE_PORT

	// TCP only.

	// HalfOpen: that the target's kernel answers is enough, and the
	// connection is taken back before the target can accept it. (On systems
	// other than Linux it is accepted all the same.)
	HalfOpen bool

	// HTTP and HTTPS only.

	Method   string        // "" is GET
	Path     string        // "" is /
	Host     string        // Host header; "" is the address
	Headers  []Header      // sent as given
	Status   []StatusRange // empty is 200-399, the rule of Route 53 and of load balancers
	Contains string        // text expected in the first 5,120 bytes of the body (Route 53's bound)

	Version    Version
	Body       string     // of the request
	Match      string     // regular expression (RE2), to match in the same bytes
	JSON       []Field    // fields that a JSON body has to have in the same bytes
	Credential Credential // shown in Authorization, and to the target alone
	Redirects  uint8      // how many are followed; 0: a redirect is an answer like any other

	// GRPC and GRPCS only, beside Host.

	Service string // whose health is asked for; "" is the server's

	// Over TLS only.

	ServerName            string        // SNI; "" is Host
	Verify                bool          // verify the certificate; false as in Route 53, which does not
	CA                    string        // file of the authorities to verify with; "" is the system's
	ClientCert, ClientKey string        // files of the certificate that we show; "" shows none
	WarnWithin            time.Duration // of the certificate's end, the detail of a pass says so; 0 is DefaultWarnWithin, below 0 never
	FailWithin            time.Duration // of the certificate's end, the probe fails; 0: its end fails nothing

	// Of all protocols.

	Source        netip.Addr // to connect from; invalid: the kernel's choice
	ProxyProtocol uint8      // version of the header that precedes everything else; 0: none

	// Probes made of others, and their parts. Of them, only Port counts beside:
	// it is that of the parts which have none.

	Name    string // of a part, for people
	Combine Combination
	Of      []Probe
	N       int  // AtLeast
	Invert  bool // pass where it would fail, and the other way round
}

// Return is how a target earns its way back after a removal.
type Return struct {
	Passes  int           // consecutive passes
	Over    time.Duration // and from the first to the last of them at least this long
	Backoff []time.Duration
}

// Check is how and how often to probe, and when outcomes make a status.
type Check struct {
	Probe    Probe
	Startup  *Probe        // asked instead until an incarnation passes it once; nil: none
	Interval time.Duration // start to start
	Timeout  time.Duration // whole probe: resolve, connect, answer
	Confirm  time.Duration // spacing while Suspect, start to start, never before the last probe ended
	Fall     int           // Unhealthy on this many consecutive failures
	Gray     Gray          // … or on failures now and then
	Slow     Slow          // when a pass is a slow one
	Rise     int           // Healthy on this many consecutive passes, after the first time
	Return   Return
	Grace    time.Duration // with admission "trust": failures in this time after first sight do not count
}

// Fingerprint changes when an answer could be judged differently: a check has
// to be proven anew then (safety rule 4). Timing does not enter.
func (p Probe) Fingerprint() uint64 {
	h := fnv.New64a()
	num := func(v uint64) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], v)
		h.Write(n[:])
	}
	str := func(s string) { num(uint64(len(s))); h.Write([]byte(s)) }
	num(uint64(p.Protocol))
	num(uint64(p.Port))
	for _, s := range [...]string{p.Method, p.Path, p.Host, p.Contains, p.ServerName} {
		str(s)
	}
	num(uint64(len(p.Headers)))
	for _, x := range p.Headers {
		str(x.Name)
		str(x.Value)
	}
	num(uint64(len(p.Status)))
	for _, x := range p.Status {
		num(uint64(x.From)<<16 | uint64(x.To))
	}
	if p.Verify {
		num(1)
	}
	if p.HalfOpen {
		num(2)
	}
	if p.Composite() { // a plain probe has the fingerprint that it always had
		num(uint64(p.Combine)<<32 | uint64(p.N))
		num(uint64(len(p.Of)))
		for i := range p.Of {
			num(p.Of[i].Fingerprint())
		}
		if p.Invert {
			num(2)
		}
	}
	p.options(num, str)
	return h.Sum64()
}

// Equal reports whether two checks are the same in everything.
func (c Check) Equal(d Check) bool {
	return c.Probe.Equal(d.Probe) && (c.Startup == nil) == (d.Startup == nil) &&
		(c.Startup == nil || c.Startup.Equal(*d.Startup)) && c.Return.Equal(d.Return) &&
		c.Interval == d.Interval && c.Timeout == d.Timeout && c.Confirm == d.Confirm &&
		c.Fall == d.Fall && c.Gray == d.Gray && c.Slow == d.Slow && c.Rise == d.Rise && c.Grace == d.Grace
}

// Equal reports whether two probes are the same in everything.
func (p Probe) Equal(q Probe) bool {
	return p.Protocol == q.Protocol && p.Port == q.Port &&
		p.Method == q.Method && p.Path == q.Path && p.Host == q.Host && slices.Equal(p.Headers, q.Headers) &&
		slices.Equal(p.Status, q.Status) && p.Contains == q.Contains &&
		p.ServerName == q.ServerName && p.Verify == q.Verify && p.HalfOpen == q.HalfOpen && p.sameOptions(&q) &&
		p.Name == q.Name && p.Combine == q.Combine && p.N == q.N && p.Invert == q.Invert && slices.EqualFunc(p.Of, q.Of, Probe.Equal)
}

// Equal reports whether two ways to return are the same in everything.
func (r Return) Equal(s Return) bool {
	return r.Passes == s.Passes && r.Over == s.Over && slices.Equal(r.Backoff, s.Backoff)
}
