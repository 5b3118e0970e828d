package dns

import (
	"fmt"
	"net/netip"
	"strings"

	wire "github.com/miekg/dns"
)

// This file alone knows the library that packs and unpacks messages.

// decodeAny reads the sections of a query.
func (q *query) decodeAny(packet []byte) {
	m, ok := unpack(packet)
	if !ok {
		q.problem = formatError
		return
	}
	asked := m.Question[0]
	labels, err := parse(asked.Name)
	if err != nil {
		q.problem = formatError
		return
	}
	q.question = question{name: labels, kind: kind(asked.Qtype), class: asked.Qclass}
	q.echo = true
	q.problem = q.readEDNS(m)
}

// unpack reads a message that has one question, at most a record to compare
// with (RFC 1995), EDNS and a signature. The library takes a message that ends
// early for a shorter one; here it is no message.
func unpack(packet []byte) (*wire.Msg, bool) {
	count := func(at int) int { return int(packet[at])<<8 | int(packet[at+1]) }
	if count(4) != 1 || count(6) != 0 || count(8) > 1 || count(10) > 2 {
		return nil, false
	}
	m := new(wire.Msg)
	if m.Unpack(packet) != nil || len(m.Question) != 1 || len(m.Ns) != count(8) || len(m.Extra) != count(10) {
		return nil, false
	}
	// Type and class 0 are reserved, and what the library reads past the end.
	return m, m.Question[0].Qtype != 0 && m.Question[0].Qclass != 0
}

// readEDNS notes what the asker can take (RFC 6891).
func (q *query) readEDNS(m *wire.Msg) rcode {
	version := uint8(0)
	for _, rr := range m.Extra {
		opt, ok := rr.(*wire.OPT)
		if !ok {
			continue
		}
		if q.edns || opt.Hdr.Name != "." {
			return formatError
		}
		q.edns, q.do, version = true, opt.Do(), opt.Version()
		q.datagram = roomOf(int(opt.UDPSize()))
	}
	if version != 0 {
		return badVersion
	}
	return noError
}

// encodeAny is the reply as the library writes it.
func (q *query) encodeAny(r reply, most int) []byte {
	m := q.reply(r.code)
	m.Authoritative = r.authoritative
	m.RecursionAvailable = r.recursion
	m.Answer = records(r.answers)
	m.Ns = records(r.authority)
	m.Truncate(most)
	m.Compress = true
	if m.Truncated = m.Truncated || r.cut; !m.Truncated {
		addRoom(m, records(r.additional), most)
	}
	packet, err := m.Pack()
	if err == nil && len(packet) <= most {
		return packet
	}
	packet, err = q.reply(serverFailure).Pack()
	if err != nil {
		return nil
	}
	return packet
}

// reply is a reply without records.
func (q *query) reply(code rcode) *wire.Msg {
	m := new(wire.Msg)
	m.Id, m.Response, m.Opcode, m.Rcode = q.id, true, q.opcode, int(code)
	m.RecursionDesired, m.CheckingDisabled = q.rd, q.cd
	if q.echo {
		m.Question = []wire.Question{{Name: q.question.name.escaped(), Qtype: uint16(q.question.kind), Qclass: q.question.class}}
	}
	if q.edns {
		m.SetEdns0(maxDatagram, q.do)
	}
	return m
}

// addRoom adds the records that still fit, before EDNS, which comes last.
func addRoom(m *wire.Msg, extra []wire.RR, most int) {
	edns := m.Extra
	for i := range extra {
		m.Extra = append(extra[:i+1:i+1], edns...)
		if m.Len() > most {
			m.Extra = append(extra[:i:i], edns...)
			return
		}
	}
}

func records(list []record) []wire.RR {
	rrs := make([]wire.RR, 0, len(list))
	for _, r := range list {
		rrs = append(rrs, r.rr())
	}
	return rrs
}

// rr is the record as the library has it.
func (r record) rr() wire.RR {
	hdr := wire.RR_Header{Name: r.name.escaped(), Rrtype: uint16(r.kind), Class: wire.ClassINET, Ttl: r.ttl}
	if r.foreign {
		return &wire.RFC3597{Hdr: hdr, Rdata: r.data}
	}
	switch r.kind {
	case kindA:
		return &wire.A{Hdr: hdr, A: r.addr.AsSlice()}
	case kindAAAA:
		return &wire.AAAA{Hdr: hdr, AAAA: r.addr.AsSlice()}
	case kindCNAME:
		return &wire.CNAME{Hdr: hdr, Target: r.target.escaped()}
	case kindNS:
		return &wire.NS{Hdr: hdr, Ns: r.target.escaped()}
	case kindSRV:
		return &wire.SRV{Hdr: hdr, Priority: 1, Weight: 1, Port: r.port, Target: r.target.escaped()}
	}
	return &wire.SOA{
		Hdr: hdr, Ns: soaServer.escaped(), Mbox: soaMail.escaped(),
		Serial: soaSerial, Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minttl: soaMinimum,
	}
}

// newQuestion is a question of ours, with an id that nobody can guess, and its
// message.
func newQuestion(q question, cd bool) (asked *wire.Msg, packet []byte, err error) {
	asked = new(wire.Msg)
	asked.Id, asked.RecursionDesired, asked.CheckingDisabled = wire.Id(), true, cd
	asked.Question = []wire.Question{{Name: q.name.escaped(), Qtype: uint16(q.kind), Qclass: q.class}}
	asked.SetEdns0(maxDatagram, false)
	packet, err = asked.Pack()
	return asked, packet, err
}

// answerTo reads a message that may be the answer to a question of ours. It is
// false for any other. An answer may be cut.
func answerTo(asked *wire.Msg, packet []byte) (got reply, cut, ok bool) {
	m := new(wire.Msg)
	if m.Unpack(packet) != nil || m.Id != asked.Id || !m.Response || m.Opcode != asked.Opcode ||
		len(m.Question) != 1 || m.Question[0] != asked.Question[0] {
		return reply{}, false, false
	}
	got.code = rcode(m.Rcode)
	for _, section := range []struct {
		rrs []wire.RR
		to  *[]record
	}{{m.Answer, &got.answers}, {m.Ns, &got.authority}, {m.Extra, &got.additional}} {
		for _, rr := range section.rrs {
			if rr.Header().Rrtype == wire.TypeOPT {
				continue
			}
			rec, err := foreignRecord(rr)
			if err != nil {
				return reply{}, false, false
			}
			*section.to = append(*section.to, rec)
		}
	}
	return got, m.Truncated, true
}

// foreignRecord is a record that the server understands as an address or not at
// all: then it is passed on as it is.
func foreignRecord(rr wire.RR) (record, error) {
	hdr := rr.Header()
	owner, err := parse(hdr.Name)
	if err != nil {
		return record{}, err
	}
	if hdr.Class != wire.ClassINET {
		return record{}, fmt.Errorf("class %d", hdr.Class)
	}
	rec := record{name: owner, kind: kind(hdr.Rrtype), ttl: hdr.Ttl}
	switch rr := rr.(type) {
	case *wire.A:
		rec.addr, _ = netip.AddrFromSlice(rr.A.To4())
	case *wire.AAAA:
		rec.addr, _ = netip.AddrFromSlice(rr.AAAA.To16())
	}
	if rec.addr.IsValid() {
		return rec, nil
	}
	var raw wire.RFC3597
	if err := raw.ToRFC3597(rr); err != nil {
		return record{}, err
	}
	rec.foreign, rec.data = true, raw.Rdata
	return rec, nil
}

// escaped is the name in presentation format (RFC 1035, section 5.1), which is
// how the library takes names.
func (n name) escaped() string {
	if len(n) == 0 {
		return "."
	}
	var b strings.Builder
	for _, label := range n {
		for i := range len(label) {
			switch c := label[i]; {
			case c == '-', c == '_', '0' <= c && c <= '9', 'a' <= lower(c) && lower(c) <= 'z':
				b.WriteByte(c)
			default:
				fmt.Fprintf(&b, `\%03d`, c)
			}
		}
		b.WriteByte('.')
	}
	return b.String()
}

// parse reads a whole name in presentation format.
func parse(s string) (name, error) {
	if s == "." {
		return nil, nil
	}
	var n name
	var label []byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '.':
			n, label = append(n, string(label)), label[:0]
		case c != '\\':
			label = append(label, c)
		case i+3 < len(s) && digit(s[i+1]) && digit(s[i+2]) && digit(s[i+3]):
			label = append(label, (s[i+1]-'0')*100+(s[i+2]-'0')*10+(s[i+3]-'0'))
			i += 3
		case i+1 < len(s):
			label = append(label, s[i+1])
			i++
		default:
			return nil, fmt.Errorf("%q ends in a backslash", s)
		}
	}
	if len(label) > 0 || !n.valid() {
		return nil, fmt.Errorf("%q is no domain name", s)
	}
	return n, nil
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
