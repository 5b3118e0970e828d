package probe

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// AddressPolicy says which addresses may be dialled (safety rule 22). Whoever
// may register an instance chooses the addresses that a checker connects to,
// so some are refused however they came here.
//
// In order: metadata addresses and Own never; Deny wins over Allow; special
// ranges (loopback, link-local, multicast, unspecified, broadcast) only where
// an Allow entry that lies inside the range holds the address, so that
// 0.0.0.0/0 unlocks none of them; then, if Allow is not empty, only what it
// holds. The zero value admits every ordinary address.
//
// IPv4-mapped forms are judged as IPv4. Where an IPv6 address carries an IPv4
// one (6to4, NAT64, Teredo, IPv4-compatible), the refusals hold for both.
type AddressPolicy struct {
	Allow []netip.Prefix
	Deny  []netip.Prefix
	Own   []netip.AddrPort // this process's own listeners; see Listeners
}

// AddressRefusedError says that the policy forbids an address, and why.
type AddressRefusedError struct {
	Addr netip.AddrPort
	Why  string
}

func (e *AddressRefusedError) Error() string {
	if !e.Addr.IsValid() {
		return "address refused: " + e.Why
	}
	return fmt.Sprintf("address %s refused: %s", e.Addr, e.Why)
}

// credentialAddrs hand out credentials to whoever asks: the instance metadata
// service (EC2 user guide, "Instance metadata"), the ECS task role endpoint
// (ECS developer guide, "Task IAM role") and the EKS Pod Identity agent (EKS
// user guide, "Pod Identity"). They are refused whatever is allowed.
var credentialAddrs = [...]netip.Addr{
	netip.MustParseAddr("169.254.169.254"),
	netip.MustParseAddr("fd00:ec2::254"),
	netip.MustParseAddr("169.254.170.2"),
	netip.MustParseAddr("169.254.170.23"),
	netip.MustParseAddr("fd00:ec2::23"),
}

var specialRanges = [...]struct {
	prefix netip.Prefix
	name   string
}{
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"}, // RFC 1122, section 3.2.1.3: Linux takes 0.0.0.0 for itself
	{netip.MustParsePrefix("::/128"), "unspecified"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast"},
}

// Admits returns nil if ap may be dialled, else an *AddressRefusedError.
func (p AddressPolicy) Admits(ap netip.AddrPort) error {
	if !ap.IsValid() {
		return &AddressRefusedError{Why: "it is not an address"}
	}
	outer := plain(ap.Addr())
	why := p.refuses(outer, ap.Port())
	for _, inner := range carried(outer) {
		if w := p.refuses(inner, ap.Port()); w != "" && why == "" {
			why = fmt.Sprintf("it carries %s: %s", inner, w)
		}
	}
	if why == "" && len(p.Allow) > 0 && !holds(p.Allow, outer) {
		why = "it is not in targets.allow"
	}
	if why != "" {
		return &AddressRefusedError{Addr: ap, Why: why}
	}
	return nil
}

// refuses returns why a may not be dialled at all, or "".
func (p AddressPolicy) refuses(a netip.Addr, port uint16) string {
	if slices.Contains(credentialAddrs[:], a) {
		return "metadata and credential addresses are never probed"
	}
	if p.owns(a, port) {
		return "it is this process's own listener"
	}
	if holds(p.Deny, a) {
		return "it is in targets.deny"
	}
	for _, r := range specialRanges {
		if r.prefix.Contains(a) && !p.unlocks(r.prefix, a) {
			return fmt.Sprintf("%s addresses need a targets.allow entry inside %s", r.name, r.prefix)
		}
	}
	return ""
}

// unlocks reports whether an Allow entry that holds a lies within r.
func (p AddressPolicy) unlocks(r netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(p.Allow, func(x netip.Prefix) bool {
		x = plainPrefix(x)
		return x.Bits() >= r.Bits() && r.Contains(x.Addr()) && x.Contains(a)
	})
}

// owns takes a wildcard listener for one on each loopback address; Listeners
// adds the other addresses of the host.
func (p AddressPolicy) owns(a netip.Addr, port uint16) bool {
	return slices.ContainsFunc(p.Own, func(o netip.AddrPort) bool {
		own := plain(o.Addr())
		return o.Port() == port && (own == a || own.IsUnspecified() && (a.IsLoopback() || a.IsUnspecified()))
	})
}

// Listeners returns the addresses under which a listener can be reached from
// its own host, for AddressPolicy.Own: itself, or for a wildcard address one
// for each address of the host's interfaces as well.
func Listeners(l netip.AddrPort) ([]netip.AddrPort, error) {
	out := []netip.AddrPort{l}
	if !l.Addr().IsUnspecified() {
		return out, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list this host's addresses: %w", err)
	}
	for _, x := range addrs {
		if n, ok := x.(*net.IPNet); ok {
			if a, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, netip.AddrPortFrom(plain(a), l.Port()))
			}
		}
	}
	return out, nil
}

// plain is a without its zone and, if it is IPv4-mapped, as IPv4.
func plain(a netip.Addr) netip.Addr { return a.WithZone("").Unmap() }

// plainPrefix is p masked and, if all of it is IPv4-mapped, as IPv4.
func plainPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

func holds(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return plainPrefix(p).Contains(a) })
}

var (
	sixToFour    = netip.MustParsePrefix("2002::/16")      // RFC 3056
	nat64        = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052
	nat64Local   = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
	teredo       = netip.MustParsePrefix("2001::/32")      // RFC 4380, the client's address with all bits inverted
	v4Compatible = netip.MustParsePrefix("::/96")          // RFC 4291, section 2.5.5.1
)

// carried lists the IPv4 addresses to which a translator or tunnel may deliver
// a packet for the IPv6 address a.
func carried(a netip.Addr) []netip.Addr {
	if !a.Is6() {
		return nil
	}
	b := a.As16()
	switch {
	case sixToFour.Contains(a):
		return []netip.Addr{netip.AddrFrom4([4]byte(b[2:6]))}
	case nat64.Contains(a):
		return []netip.Addr{netip.AddrFrom4([4]byte(b[12:16]))}
	case teredo.Contains(a):
		return []netip.Addr{netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})}
	case v4Compatible.Contains(a) && binary.BigEndian.Uint32(b[12:16]) > 1:
		return []netip.Addr{netip.AddrFrom4([4]byte(b[12:16]))}
	case nat64Local.Contains(a):
		return nat64LocalForms(b)
	}
	return nil
}

// nat64LocalForms reads b in each layout of RFC 6052, section 2.2, that fits
// into the local-use block, whose operators choose the prefix length. Readings
// in 0.0.0.0/8 are other layouts' padding.
func nat64LocalForms(b [16]byte) []netip.Addr {
	forms := [...][4]byte{
		{b[6], b[7], b[9], b[10]},    // /48
		{b[7], b[9], b[10], b[11]},   // /56
		{b[9], b[10], b[11], b[12]},  // /64
		{b[12], b[13], b[14], b[15]}, // /96
	}
	var out []netip.Addr
	for _, f := range forms {
		if f[0] != 0 {
			out = append(out, netip.AddrFrom4(f))
		}
	}
	return out
}
