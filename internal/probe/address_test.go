package probe

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestAddressPolicy(t *testing.T) {
	own := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.9:9750"), netip.MustParseAddrPort("0.0.0.0:9751")}
	wide := AddressPolicy{Allow: prefixes("0.0.0.0/0", "::/0"), Own: own}
	narrow := AddressPolicy{Allow: prefixes("10.0.0.0/8", "fd12::/16"), Deny: prefixes("10.9.0.0/16")}
	local := AddressPolicy{Allow: prefixes("127.0.0.0/8", "::1/128", "169.254.0.0/16"), Own: own}
	for _, c := range []struct {
		name    string
		policy  AddressPolicy
		addr    string
		refused string // part of the reason, "" if admitted
	}{
		{"ordinary", AddressPolicy{}, "10.1.2.3:80", ""},
		{"ordinary public", AddressPolicy{}, "203.0.113.7:80", ""},
		{"ordinary v6", AddressPolicy{}, "[2001:db8::7]:80", ""},
		{"ordinary unique local", AddressPolicy{}, "[fd12::7]:80", ""},
		{"NAT64 of an ordinary address", AddressPolicy{}, "[64:ff9b::10.0.0.1]:80", ""},
		{"NAT64, local prefix, ordinary", AddressPolicy{}, "[64:ff9b:1::10.0.0.1]:80", ""},

		{"loopback", AddressPolicy{}, "127.0.0.1:80", "loopback"},
		{"loopback, other", AddressPolicy{}, "127.200.0.1:80", "loopback"},
		{"loopback v6", AddressPolicy{}, "[::1]:80", "loopback"},
		{"loopback, mapped", AddressPolicy{}, "[::ffff:127.0.0.1]:80", "loopback"},
		{"link-local", AddressPolicy{}, "169.254.7.7:80", "link-local"},
		{"link-local v6", AddressPolicy{}, "[fe80::1]:80", "link-local"},
		{"link-local v6 with zone", AddressPolicy{}, "[fe80::1%eth0]:80", "link-local"},
		{"multicast", AddressPolicy{}, "224.0.0.1:80", "multicast"},
		{"multicast v6", AddressPolicy{}, "[ff02::1]:80", "multicast"},
		{"unspecified", AddressPolicy{}, "0.0.0.0:80", "unspecified"},
		{"this network", AddressPolicy{}, "0.1.2.3:80", "unspecified"},
		{"unspecified v6", AddressPolicy{}, "[::]:80", "unspecified"},
		{"broadcast", AddressPolicy{}, "255.255.255.255:80", "broadcast"},

		{"everything allowed, loopback", wide, "127.0.0.1:80", "loopback"},
		{"everything allowed, loopback v6", wide, "[::1]:80", "loopback"},
		{"everything allowed, link-local", wide, "169.254.7.7:80", "link-local"},
		{"everything allowed, unspecified", wide, "0.0.0.0:80", "unspecified"},
		{"everything allowed, unspecified v6", wide, "[::]:80", "unspecified"},
		{"more than multicast allowed", AddressPolicy{Allow: prefixes("224.0.0.0/3")}, "224.0.0.1:80", "multicast"},
		{"multicast allowed", AddressPolicy{Allow: prefixes("224.0.0.0/4")}, "224.0.0.1:80", ""},
		{"everything allowed, ordinary", wide, "10.1.2.3:80", ""},
		{"half of the internet allowed", AddressPolicy{Allow: prefixes("64.0.0.0/2")}, "127.0.0.1:80", "loopback"},

		{"loopback allowed", local, "127.0.0.1:80", ""},
		{"loopback allowed, mapped", local, "[::ffff:127.0.0.1]:80", ""},
		{"loopback v6 allowed", local, "[::1]:80", ""},
		{"loopback allowed, nothing else", local, "10.0.0.1:80", "not in targets.allow"},
		{"one loopback address allowed", AddressPolicy{Allow: prefixes("127.0.0.5/32")}, "127.0.0.5:80", ""},
		{"another loopback address", AddressPolicy{Allow: prefixes("127.0.0.5/32", "0.0.0.0/0")}, "127.0.0.6:80", "loopback"},
		{"allowed in mapped spelling", AddressPolicy{Allow: prefixes("::ffff:127.0.0.0/104")}, "127.0.0.1:80", ""},
		{"allowed with host bits", AddressPolicy{Allow: prefixes("10.1.2.3/8")}, "10.200.0.1:80", ""},
		{"link-local allowed", local, "169.254.7.7:80", ""},

		{"metadata", AddressPolicy{}, "169.254.169.254:80", "metadata"},
		{"metadata, link-local allowed", local, "169.254.169.254:80", "metadata"},
		{"metadata, itself allowed", AddressPolicy{Allow: prefixes("169.254.169.254/32")}, "169.254.169.254:80", "metadata"},
		{"metadata, mapped", AddressPolicy{}, "[::ffff:169.254.169.254]:80", "metadata"},
		{"metadata, mapped in hex", AddressPolicy{}, "[::ffff:a9fe:a9fe]:80", "metadata"},
		{"metadata, mapped at length", AddressPolicy{}, "[0:0:0:0:0:ffff:a9fe:a9fe]:80", "metadata"},
		{"metadata, mapped with zone", AddressPolicy{}, "[::ffff:169.254.169.254%1]:80", "metadata"},
		{"metadata, compatible", AddressPolicy{}, "[::169.254.169.254]:80", "metadata"},
		{"metadata, 6to4", AddressPolicy{}, "[2002:a9fe:a9fe::1]:80", "metadata"},
		{"metadata, NAT64", AddressPolicy{}, "[64:ff9b::a9fe:a9fe]:80", "metadata"},
		{"metadata, NAT64 local /96", AddressPolicy{}, "[64:ff9b:1::a9fe:a9fe]:80", "metadata"},
		{"metadata, NAT64 local /48", AddressPolicy{}, "[64:ff9b:1:a9fe:a9:fe00::]:80", "metadata"},
		{"metadata, NAT64 local /56", AddressPolicy{}, "[64:ff9b:1:a9:fe:a9fe::]:80", "metadata"},
		{"metadata, NAT64 local /64", AddressPolicy{}, "[64:ff9b:1:0:a9:fea9:fe00:0]:80", "metadata"},
		{"metadata, Teredo", AddressPolicy{}, "[2001:0:1:2:3:4:5601:5601]:80", "metadata"},
		{"metadata, NAT64, everything allowed", wide, "[64:ff9b::a9fe:a9fe]:80", "metadata"},
		{"metadata v6", wide, "[fd00:ec2::254]:80", "metadata"},
		{"metadata v6, itself allowed", AddressPolicy{Allow: prefixes("fd00:ec2::/32")}, "[fd00:ec2::254]:80", "metadata"},
		{"ECS credentials", local, "169.254.170.2:80", "metadata"},
		{"EKS credentials", local, "169.254.170.23:80", "metadata"},

		{"allowed", narrow, "10.1.1.1:80", ""},
		{"allowed v6", narrow, "[fd12::1]:80", ""},
		{"not allowed", narrow, "192.168.1.1:80", "not in targets.allow"},
		{"denied inside allowed", narrow, "10.9.1.1:80", "targets.deny"},
		{"denied, mapped", narrow, "[::ffff:10.9.1.1]:80", "targets.deny"},
		{"denied, NAT64", AddressPolicy{Deny: prefixes("10.9.0.0/16")}, "[64:ff9b::10.9.1.1]:80", "targets.deny"},
		{"denied in mapped spelling", AddressPolicy{Deny: prefixes("::ffff:10.9.0.0/112")}, "10.9.1.1:80", "targets.deny"},
		{"denied, and unlocked", AddressPolicy{Allow: prefixes("127.0.0.0/8"), Deny: prefixes("127.0.0.0/8")}, "127.0.0.1:80", "targets.deny"},

		{"own listener", wide, "10.0.0.9:9750", "own listener"},
		{"own address, other port", wide, "10.0.0.9:80", ""},
		{"own wildcard listener", local, "127.0.0.1:9751", "own listener"},
		{"own wildcard listener v6", local, "[::1]:9751", "own listener"},
		{"port of a wildcard listener elsewhere", wide, "10.0.0.1:9751", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.policy.Admits(netip.MustParseAddrPort(c.addr))
			if c.refused == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			var refused *AddressRefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.refused) {
				t.Fatalf("got %v, want a refusal with %q", err, c.refused)
			}
		})
	}
	if err := (AddressPolicy{}).Admits(netip.AddrPort{}); err == nil {
		t.Error("the zero address is admitted")
	}
}

func TestListenersOfWildcard(t *testing.T) {
	one := netip.MustParseAddrPort("127.0.0.1:9750")
	got, err := Listeners(one)
	if err != nil || !slices.Equal(got, []netip.AddrPort{one}) {
		t.Fatalf("Listeners(%v) = %v, %v", one, got, err)
	}
	got, err = Listeners(netip.MustParseAddrPort("0.0.0.0:9750"))
	if err != nil || !slices.Contains(got, one) {
		t.Fatalf("Listeners of the wildcard = %v, %v; want %v among them", got, err, one)
	}
}

// drawAddr draws addresses of all kinds, with a preference for dangerous ones
// in disguise.
func drawAddr(t *rapid.T) netip.Addr {
	b := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4"))
	v4 := rapid.OneOf(
		rapid.Just(netip.AddrFrom4(b)),
		rapid.SampledFrom(credentialAddrs[:]),
		rapid.SampledFrom([]netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("224.0.0.9")}),
	).Draw(t, "inner")
	if !v4.Is4() {
		return v4
	}
	x := v4.As4()
	var out [16]byte
	switch rapid.IntRange(0, 6).Draw(t, "form") {
	case 0:
		return v4
	case 1:
		return netip.AddrFrom16(v4.As16())
	case 2:
		copy(out[:], []byte{0x20, 0x02, x[0], x[1], x[2], x[3]})
	case 3:
		copy(out[:], []byte{0, 0x64, 0xff, 0x9b})
		copy(out[12:], x[:])
	case 4:
		copy(out[:], []byte{0, 0x64, 0xff, 0x9b, 0, 1})
		copy(out[12:], x[:])
	case 5:
		copy(out[12:], x[:])
	default:
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6")))
	}
	return netip.AddrFrom16(out)
}

func drawPrefixes(t *rapid.T, label string) []netip.Prefix {
	var out []netip.Prefix
	for range rapid.IntRange(0, 3).Draw(t, label) {
		a := drawAddr(t)
		out = append(out, netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits")))
	}
	return out
}

// Whatever is allowed: no credential address in any disguise, nothing denied,
// and a policy with fewer allowances or more denials never admits more.
func TestAddressPolicyProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := AddressPolicy{Allow: drawPrefixes(t, "allow"), Deny: drawPrefixes(t, "deny")}
		a := drawAddr(t)
		ap := netip.AddrPortFrom(a, 80)
		admitted := p.Admits(ap) == nil
		if !admitted {
			more := p
			more.Deny = append(slices.Clone(p.Deny), drawPrefixes(t, "more")...)
			if more.Admits(ap) == nil {
				t.Fatalf("%v: a longer deny list admits what a shorter one refused: %+v", a, more)
			}
			return
		}
		forms := append(carried(plain(a)), plain(a))
		for _, f := range forms {
			if slices.Contains(credentialAddrs[:], f) {
				t.Fatalf("%v admitted, it reaches %v", a, f)
			}
			if holds(p.Deny, f) {
				t.Fatalf("%v admitted, %v is denied", a, f)
			}
			if (f.IsLoopback() || f.IsLinkLocalUnicast() || f.IsMulticast() || f.IsUnspecified()) && len(p.Allow) == 0 {
				t.Fatalf("%v admitted without an allowance, it reaches %v", a, f)
			}
		}
		if len(p.Allow) > 0 && !holds(p.Allow, plain(a)) {
			t.Fatalf("%v admitted, it is not among %v", a, p.Allow)
		}
	})
}

// No spelling of an address gets past the policy that its plain form does not.
func FuzzAddressSpelling(f *testing.F) {
	for _, s := range []string{
		"169.254.169.254", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::FFFF:A9FE:A9FE%eth0", "0:0:0:0:0:ffff:169.254.169.254",
		"64:ff9b::169.254.169.254", "2002:a9fe:a9fe::", "127.0.0.1", "::1", "fe80::1%lo", "10.0.0.1",
	} {
		f.Add(s)
	}
	policy := AddressPolicy{Allow: prefixes("0.0.0.0/0", "::/0")}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return
		}
		if policy.Admits(netip.AddrPortFrom(a, 80)) != nil {
			return
		}
		p := plain(a)
		if p.IsLoopback() || p.IsLinkLocalUnicast() || p.IsLinkLocalMulticast() || p.IsMulticast() || p.IsUnspecified() {
			t.Fatalf("%q admitted", s)
		}
		for _, f := range append(carried(p), p) {
			if slices.Contains(credentialAddrs[:], f) {
				t.Fatalf("%q admitted, it reaches %v", s, f)
			}
		}
	})
}
