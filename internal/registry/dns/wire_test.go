package dns

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	wire "github.com/miekg/dns"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// pack is a query as it stands on the wire.
func pack(t testing.TB, change func(*wire.Msg), name string, k kind) []byte {
	t.Helper()
	m := new(wire.Msg)
	m.SetQuestion(name, uint16(k))
	m.Id = 0xbeef
	if change != nil {
		change(m)
	}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// received reads a reply to pack's query.
func received(t testing.TB, packet []byte) *wire.Msg {
	t.Helper()
	m := new(wire.Msg)
	if err := m.Unpack(packet); err != nil {
		t.Fatalf("the reply %x: %v", packet, err)
	}
	if m.Id != 0xbeef || !m.Response || m.RecursionAvailable {
		t.Errorf("header of the reply: %+v", m.MsgHdr)
	}
	return m
}

func edns(size uint16, do bool) func(*wire.Msg) {
	return func(m *wire.Msg) { m.SetEdns0(size, do) }
}

// wideService has eight SRV records with long targets: more than 1232 bytes.
func wideService(t testing.TB) fleet {
	f := newFleet(t)
	ns := f.namespace("corp", registry.DNSPrivateNamespace, 15)
	svc := f.service(ns, strings.Repeat("s", 60)+"."+strings.Repeat("t", 60), false, registry.Multivalue, "SRV:10")
	for i := range defaultValues {
		f.instance(svc, fmt.Sprint(strings.Repeat("i", 60), i), fmt.Sprintf("IPV4=10.0.0.%d PORT=80", i+1))
	}
	return f
}

var wideName = strings.Repeat("s", 60) + "." + strings.Repeat("t", 60) + ".corp."

func TestRespondHeader(t *testing.T) {
	s := newServer(t, corp(t), Options{})
	for _, c := range []struct {
		about  string
		change func(*wire.Msg)
		rcode  int
		check  func(*wire.Msg) bool
	}{
		{"a query", nil, wire.RcodeSuccess, func(m *wire.Msg) bool {
			return m.Authoritative && m.RecursionDesired && len(m.Answer) == 2 && m.IsEdns0() == nil
		}},
		{"without RD", func(m *wire.Msg) { m.RecursionDesired = false }, wire.RcodeSuccess, func(m *wire.Msg) bool { return !m.RecursionDesired }},
		{"EDNS, with DO as it was sent", edns(4096, true), wire.RcodeSuccess, func(m *wire.Msg) bool {
			return m.IsEdns0().Do() && m.IsEdns0().UDPSize() == maxDatagram && len(m.Answer) == 2
		}},
		{"EDNS version 1", func(m *wire.Msg) { m.SetEdns0(4096, false); m.IsEdns0().SetVersion(1) }, wire.RcodeBadVers, func(m *wire.Msg) bool {
			return m.IsEdns0().Version() == 0 && len(m.Answer) == 0
		}},
		{"EDNS twice", func(m *wire.Msg) { m.SetEdns0(512, false); m.SetEdns0(512, false) }, wire.RcodeFormatError, nil},
		{"two questions", func(m *wire.Msg) { m.Question = append(m.Question, m.Question[0]) }, wire.RcodeFormatError, func(m *wire.Msg) bool { return len(m.Question) == 0 }},
		{"no question", func(m *wire.Msg) { m.Question = nil }, wire.RcodeFormatError, nil},
		{"an answer in a query", func(m *wire.Msg) {
			m.Answer = []wire.RR{&wire.A{Hdr: wire.RR_Header{Name: ".", Rrtype: 1, Class: 1}, A: []byte{1, 2, 3, 4}}}
		}, wire.RcodeFormatError, nil},
		{"an update", func(m *wire.Msg) { m.Opcode = wire.OpcodeUpdate }, wire.RcodeNotImplemented, func(m *wire.Msg) bool { return m.Opcode == wire.OpcodeUpdate && !m.Authoritative }},
		{"a notify", func(m *wire.Msg) { m.Opcode = wire.OpcodeNotify }, wire.RcodeNotImplemented, nil},
		{"another class", func(m *wire.Msg) { m.Question[0].Qclass = wire.ClassCHAOS }, wire.RcodeRefused, func(m *wire.Msg) bool { return !m.Authoritative && len(m.Ns) == 0 }},
	} {
		t.Run(c.about, func(t *testing.T) {
			m := received(t, s.reply(pack(t, c.change, "web.prod.corp.", kindA), false))
			if m.Rcode != c.rcode || c.check != nil && !c.check(m) {
				t.Errorf("want %s:\n%s", wire.RcodeToString[c.rcode], m)
			}
		})
	}
}

func TestRespondIsSilentToWhatIsNoQuery(t *testing.T) {
	s := newServer(t, corp(t), Options{})
	reply := pack(t, func(m *wire.Msg) { m.Response = true }, "web.prod.corp.", kindA)
	for _, packet := range [][]byte{nil, {}, reply[:header-1], reply} {
		if got := s.reply(packet, false); got != nil {
			t.Errorf("%x is replied to with %x", packet, got)
		}
	}
}

func TestRespondToACutQuery(t *testing.T) {
	s := newServer(t, corp(t), Options{})
	whole := pack(t, edns(1232, false), "web.prod.corp.", kindA)
	for n := header; n < len(whole); n++ {
		if m := received(t, s.reply(whole[:n], false)); m.Rcode != wire.RcodeFormatError {
			t.Errorf("the first %d of %d bytes: %s", n, len(whole), wire.RcodeToString[m.Rcode])
		}
	}
}

// TestRespondFits cuts a reply of some 2 kB at every size that an asker can
// name: never longer, TC exactly when answers are missing, EDNS never missing.
func TestRespondFits(t *testing.T) {
	s := newServer(t, wideService(t), Options{})
	for _, c := range []struct {
		size   int // 0: no EDNS
		stream bool
		most   int
		cut    bool
	}{
		{0, false, 512, true}, {100, false, 512, true}, {512, false, 512, true}, {1000, false, 1000, true},
		{1232, false, 1232, true}, {65535, false, 1232, true}, {0, true, maxStream, false}, {512, true, maxStream, false},
	} {
		var change func(*wire.Msg)
		if c.size > 0 {
			change = edns(uint16(c.size), false)
		}
		packet := s.reply(pack(t, change, wideName, kindSRV), c.stream)
		m := received(t, packet)
		if len(packet) > c.most {
			t.Errorf("%+v: %d bytes", c, len(packet))
		}
		if m.Truncated != c.cut || (len(m.Answer) < defaultValues) != c.cut || (m.IsEdns0() != nil) != (c.size > 0) {
			t.Errorf("%+v: TC %t with %d answers, EDNS %v", c, m.Truncated, len(m.Answer), m.IsEdns0())
		}
		addresses := slices.ContainsFunc(m.Extra, func(rr wire.RR) bool { return rr.Header().Rrtype == wire.TypeA })
		if addresses == c.cut {
			t.Errorf("%+v: addresses %t", c, addresses)
		}
	}
}

// TestRespondLeavesAddressesOut has a reply whose answers fit and whose
// addresses do not: no reason to ask again over TCP.
func TestRespondLeavesAddressesOut(t *testing.T) {
	f := newFleet(t)
	svc := f.service(f.namespace("corp", registry.DNSPrivateNamespace, 15), "rpc", false, registry.Multivalue, "SRV:10")
	for i := range 7 {
		f.instance(svc, fmt.Sprint(strings.Repeat("i", 30), i), fmt.Sprintf("IPV4=10.0.0.%d PORT=80", i+1))
	}
	s := newServer(t, f, Options{})
	packet := s.reply(pack(t, nil, "rpc.corp.", kindSRV), false)
	m := received(t, packet)
	if m.Truncated || len(m.Answer) != 7 || len(m.Extra) == 7 || len(packet) > minDatagram {
		t.Errorf("%d bytes, TC %t, %d answers, %d addresses", len(packet), m.Truncated, len(m.Answer), len(m.Extra))
	}
	if m = received(t, s.reply(pack(t, edns(1232, false), "rpc.corp.", kindSRV), false)); len(m.Extra) != 7+1 {
		t.Errorf("with room: %d additional records, want 7 and EDNS", len(m.Extra))
	}
}

func TestRespondEchoesTheQuestion(t *testing.T) {
	s := newServer(t, corp(t), Options{})
	for _, asked := range []string{"wEB.pROd.corP.", "nObody.PROD.corp.", "eXample.COM.", `a\.b\000\255.prod.corp.`, "."} {
		query := pack(t, nil, asked, kindA)
		got := s.reply(query, false)
		if !bytes.Equal(got[header:len(query)], query[header:]) {
			t.Errorf("%s: question %x comes back as %x", asked, query[header:], got[header:len(query)])
		}
	}
}

func TestSOA(t *testing.T) {
	m := received(t, newServer(t, corp(t), Options{}).reply(pack(t, nil, "prod.corp.", kindSOA), false))
	const want = "prod.corp.\t15\tIN\tSOA\tns.invalid. nobody.invalid. 1 7200 900 1209600 86400"
	if len(m.Answer) != 1 || m.Answer[0].String() != want {
		t.Errorf("%v, want %s", m.Answer, want)
	}
}

// TestNamesSurviveTheLibrary packs and unpacks labels of arbitrary bytes.
func TestNamesSurviveTheLibrary(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		var n name
		for range rnd.IntN(4) {
			label := make([]byte, 1+rnd.IntN(maxLabel))
			for i := range label {
				label[i] = byte(rnd.Uint32())
			}
			n = append(n, string(label))
		}
		buf := make([]byte, maxName)
		end, err := wire.PackDomainName(n.escaped(), buf, 0, nil, false)
		if err != nil {
			t.Fatalf("%q: %v", n, err)
		}
		var raw []byte
		for _, label := range n {
			raw = append(append(raw, byte(len(label))), label...)
		}
		if raw = append(raw, 0); !bytes.Equal(buf[:end], raw) {
			t.Fatalf("%q on the wire: %x, want %x", n, buf[:end], raw)
		}
		text, _, err := wire.UnpackDomainName(buf[:end], 0)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parse(text); err != nil || !slices.Equal(back, n) {
			t.Fatalf("%q comes back as %q: %v", n, back, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{"a", "..", "a..b.", `a\`, `a.\`, strings.Repeat("x", 64) + ".", strings.Repeat("x.", 128)} {
		if n, err := parse(s); err == nil {
			t.Errorf("%q is read as %q", s, n)
		}
	}
}
