package dns

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"

	wire "github.com/miekg/dns"
)

func TestAPIName(t *testing.T) {
	f := corp(t)
	for _, c := range []struct{ about, address, question, want string }{
		{"the name", "127.0.0.1", "A cloudmap.internal", "NOERROR\ncloudmap.internal. 60 A 127.0.0.1"},
		{"the name of the data calls", "127.0.0.1", "A Data-CloudMap.internal", "NOERROR\nData-CloudMap.internal. 60 A 127.0.0.1"},
		{"the other family", "127.0.0.1", "AAAA data-cloudmap.internal", "NOERROR\nauthority data-cloudmap.internal. 60 SOA"},
		{"IPv6", "fd00::1", "AAAA cloudmap.internal", "NOERROR\ncloudmap.internal. 60 AAAA fd00::1"},
		{"IPv6 has no A", "fd00::1", "A cloudmap.internal", "NOERROR\nauthority cloudmap.internal. 60 SOA"},
		{"an API that listens everywhere", "0.0.0.0", "A cloudmap.internal", "NOERROR\ncloudmap.internal. 60 A 192.0.2.53"},
		{"ANY", "127.0.0.1", "ANY cloudmap.internal", "NOERROR\ncloudmap.internal. 60 A 127.0.0.1"},
		{"another type", "127.0.0.1", "TXT cloudmap.internal", "NOERROR\nauthority cloudmap.internal. 60 SOA"},
		{"no transfer", "127.0.0.1", "AXFR cloudmap.internal", "REFUSED not authoritative"},
	} {
		t.Run(c.about, func(t *testing.T) {
			s := newServer(t, f, Options{API: APIName{Name: "cloudmap.internal", Address: netip.MustParseAddr(c.address)}})
			r, ours := s.api.answer(ask(t, c.question), asker{at: netip.MustParseAddr("192.0.2.53")})
			if got := show(r); !ours || got != c.want {
				t.Errorf("%s:\n%s\nwant\n%s", c.question, got, c.want)
			}
		})
	}
	s := newServer(t, f, Options{API: APIName{Name: "cloudmap.internal", Address: netip.MustParseAddr("127.0.0.1")}})
	for _, question := range []string{"A internal", "A x.cloudmap.internal", "A data-data-cloudmap.internal", "A web.prod.corp"} {
		if _, ours := s.api.answer(ask(t, question), asker{}); ours {
			t.Errorf("%s is answered as the API", question)
		}
	}
}

func TestAPINameRefuses(t *testing.T) {
	f := newFleet(t)
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, a := range []APIName{
		{"cloudmap.internal", netip.Addr{}}, {".", loopback}, {"a..b", loopback},
		{"this-label-is-short-enough-but-not-with-data-in-front-of-it-xxxx.internal", loopback},
	} {
		if _, err := New(f.reg, Options{API: a}); err == nil {
			t.Errorf("%+v is accepted", a)
		}
	}
}

// TestAPINameWithTheStandardResolver resolves as an unmodified SDK does on a
// machine that uses this DNS.
func TestAPINameWithTheStandardResolver(t *testing.T) {
	for _, c := range []struct{ at, api string }{{"127.0.0.1:0", "127.0.0.1"}, {"0.0.0.0:0", "0.0.0.0"}, {"127.0.0.1:0", "::"}} {
		s := serveWith(t, corp(t), c.at, Options{API: APIName{Name: "cloudmap.internal", Address: netip.MustParseAddr(c.api)}})
		_, port, err := net.SplitHostPort(s.addr)
		if err != nil {
			t.Fatal(err)
		}
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		}}
		for _, host := range []string{"cloudmap.internal.", "data-cloudmap.internal."} {
			if got, err := resolver.LookupHost(t.Context(), host); err != nil || !slices.Equal(got, []string{"127.0.0.1"}) {
				t.Errorf("API on %s: %s is %v: %v", c.api, host, got, err)
			}
		}
		for _, network := range []string{"udp", "tcp"} {
			m := exchange(t, network, net.JoinHostPort("127.0.0.1", port), "data-cloudmap.internal.", kindA)
			if len(m.Answer) != 1 || m.Answer[0].(*wire.A).A.String() != "127.0.0.1" {
				t.Errorf("%s: API on %s:\n%s", network, c.api, m)
			}
		}
	}
}
