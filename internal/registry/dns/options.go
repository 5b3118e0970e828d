package dns

import (
	"fmt"
	"net/netip"
)

// Options say how a server differs from a plain one, which the zero value is.
type Options struct {
	// Values is how many values a MULTIVALUE answer has at most; 0 is Route
	// 53's 8.
	Values int
	// Connections is how many TCP connections are open at a time; 0 is 256.
	Connections int
	// API is the name of the registry's API; none without a Name.
	API APIName
	// Limit bounds the answers to askers who may lie about their address.
	Limit Limit
	// Forward is the servers that are asked, one after the other, about names
	// that no namespace is above, and about what aliases point to; none: nobody.
	Forward []netip.AddrPort
	// ForwardForAll forwards the questions of other machines too.
	ForwardForAll bool
}

// Bounds of the options.
const (
	MaxValues          = 100
	defaultConnections = 256
	maxPerSecond       = 1_000_000
)

func (o Options) withDefaults() (Options, error) {
	if o.Values == 0 {
		o.Values = defaultValues
	}
	if o.Connections == 0 {
		o.Connections = defaultConnections
	}
	switch {
	case o.Values < 1 || o.Values > MaxValues:
		return o, fmt.Errorf("%d values: give 1 to %d", o.Values, MaxValues)
	case o.Connections < 1:
		return o, fmt.Errorf("%d connections: give at least 1", o.Connections)
	case o.Limit.PerSecond < 0 || o.Limit.PerSecond > maxPerSecond || o.Limit.Slip < 0:
		return o, fmt.Errorf("%d answers a second with slip %d: give 0 to %d, and a slip that is not negative", o.Limit.PerSecond, o.Limit.Slip, maxPerSecond)
	}
	for _, at := range o.Forward {
		if !at.IsValid() || at.Port() == 0 || at.Addr().IsUnspecified() {
			return o, fmt.Errorf("forward to %s: give an address and a port", at)
		}
	}
	return o, nil
}

// asker is who sent a message.
type asker struct {
	addr   netip.Addr // of the asker
	at     netip.Addr // of ours, as the asker knows it
	stream bool       // over TCP, so that addr is no lie
}

// network is the part of the net that answers for an address: lying about the
// rest of it costs nothing.
func network(a netip.Addr) netip.Prefix {
	bits := 24
	if a.Is6() {
		bits = 56
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
