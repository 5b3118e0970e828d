package dns

import (
	"bytes"
	"net/netip"
	"testing"

	wire "github.com/miekg/dns"
)

// FuzzRespond sends arbitrary bytes to a server that has everything switched on.
// Whatever comes back is a reply to its sender, well formed, no longer than
// allowed, and never to a reply; what needs an upstream is never ours.
func FuzzRespond(f *testing.F) {
	loopback := netip.MustParseAddr("127.0.0.1")
	s := newServer(f, corp(f), Options{
		Values:  MaxValues,
		API:     APIName{"map.internal", loopback},
		Limit:   Limit{PerSecond: 1000, Slip: 2},
		Forward: []netip.AddrPort{netip.AddrPortFrom(loopback, 9)},
	})
	for _, who := range []string{
		"web.prod.corp.", `10\.0\.3\.1:80.rpc.prod.corp.`, "www.prod.corp.", "prod.corp.", "nobody.corp.", ".",
		"elb.prod.corp.", "ext.prod.corp.", "data-map.internal.", "example.com.", "api.prod.corp.",
	} {
		for _, k := range []kind{kindA, kindSRV, kindSOA, kindAny} {
			f.Add(pack(f, nil, who, k), false, false)
			f.Add(pack(f, edns(4096, true), who, k), true, true)
			f.Add(pack(f, edns(512, false), who, k), false, true)
		}
	}
	f.Add(pack(f, func(m *wire.Msg) { m.Opcode = wire.OpcodeUpdate }, "prod.corp.", kindSOA), false, false)
	f.Add(pack(f, func(m *wire.Msg) { m.Response = true }, "web.prod.corp.", kindA), false, false)
	// A name that points at itself, and one that points beyond the end.
	f.Add([]byte("\xbe\xef\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"), false, false)
	f.Add([]byte("\xbe\xef\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xff\xff\x00\x01\x00\x01"), false, false)
	c := s.chooser()
	room := make([]byte, maxDatagram)
	f.Fuzz(func(t *testing.T, packet []byte, stream, near bool) {
		from := asker{addr: netip.MustParseAddr("192.0.2.1"), at: loopback, stream: stream}
		if near {
			from.addr = loopback
		}
		sent := bytes.Clone(packet)
		got, e := s.respond(room[:0], packet, from, c)
		if !bytes.Equal(sent, packet) {
			t.Fatal("the query was changed")
		}
		isQuery := len(packet) >= header && packet[2]&bitQR == 0
		if !isQuery && (len(got) > 0 || e != nil) {
			t.Fatalf("%x is no query and gets %x", packet, got)
		}
		if e != nil {
			// Without an upstream it fails; a stream has room for anything.
			if _, ours := find(s.view, e.reply.rest.name); ours || s.api.has(e.reply.rest.name) {
				t.Fatalf("%v is ours and forwarded", e.reply.rest.name)
			}
			if e.reply.rest.how != aliased && (!near || !e.query.rd) {
				t.Fatalf("forwarded without right or wish: %x", packet)
			}
			got = s.send(room[:0], &e.query, reply{code: serverFailure}, from)
		}
		if len(got) == 0 {
			if isQuery && (stream || near) {
				t.Fatalf("no reply to %x", packet)
			}
			return
		}
		most := minDatagram
		if q, _ := decode(packet); q.edns {
			most = q.datagram
		}
		if stream {
			most = maxStream
		}
		m := new(wire.Msg)
		if err := m.Unpack(got); err != nil || len(got) > most || most > maxDatagram && !stream {
			t.Fatalf("reply of %d bytes: %v", len(got), err)
		}
		if !m.Response || !bytes.Equal(got[:2], packet[:2]) {
			t.Fatalf("reply %+v to %x", m.MsgHdr, packet)
		}
	})
}

// FuzzUpstream has an upstream answer with arbitrary bytes: no answer to another
// question is taken, and what is passed on is well formed.
func FuzzUpstream(f *testing.F) {
	q := question{name: name{"example", "com"}, kind: kindA, class: classIN}
	asked, packet, err := newQuestion(q, false)
	if err != nil {
		f.Fatal(err)
	}
	good := new(wire.Msg)
	good.SetReply(asked)
	for _, text := range []string{"example.com. 1 A 192.0.2.1", "example.com. 1 CNAME a.b.", "a.b. 1 TXT x", "a.b. 1 AAAA ::1", `a.b. 1 TYPE999 \# 2 abcd`, "a.b. 1 SOA a. b. 1 2 3 4 5"} {
		rr, err := wire.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		good.Answer = append(good.Answer, rr)
	}
	seed, err := good.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(packet)
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) >= 2 { // as if the id were guessed
			packet = append([]byte{byte(asked.Id >> 8), byte(asked.Id)}, packet[2:]...)
		}
		got, _, ok := answerTo(asked, packet)
		if !ok {
			return
		}
		mine := query{id: 1, echo: true, question: q, datagram: minDatagram}
		for _, most := range []int{minDatagram, maxDatagram, maxStream} {
			out := mine.encode(nil, got, most)
			m := new(wire.Msg)
			if err := m.Unpack(out); err != nil || len(out) > most || m.Id != 1 {
				t.Fatalf("%x is passed on as %x: %v", packet, out, err)
			}
		}
	})
}
