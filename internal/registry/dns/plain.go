package dns

import "encoding/binary"

// Nearly all queries and most replies are plain: one question and at most an
// EDNS record without options; addresses, or the SOA that says that there are
// none. This file reads and writes those without the library, at a tenth of its
// cost, and leaves everything else to it. Tests hold both against each other.

const (
	typeOPT   = 41
	optLength = 11 // of an OPT record without options
	doBit     = 0x8000
)

// decodePlain reads a plain query. It is false, and q as it was, for any other.
func (q *query) decodePlain(packet []byte) bool {
	count := func(at int) int { return int(binary.BigEndian.Uint16(packet[at:])) }
	if count(4) != 1 || count(6) != 0 || count(8) != 0 || count(10) > 1 {
		return false
	}
	labels, at := plainName(packet, header)
	if at == 0 || len(packet) < at+4 {
		return false
	}
	asked := question{name: labels, kind: kind(count(at)), class: uint16(count(at + 2))}
	if asked.kind == 0 || asked.class == 0 {
		return false
	}
	opt := packet[at+4:]
	if len(opt) != count(10)*optLength {
		return false
	}
	if len(opt) > 0 {
		// The root, the type, the size, the extended code, version 0, flags, no data.
		if opt[0] != 0 || binary.BigEndian.Uint16(opt[1:]) != typeOPT || opt[6] != 0 || opt[9] != 0 || opt[10] != 0 {
			return false
		}
		q.edns, q.do = true, binary.BigEndian.Uint16(opt[7:])&doBit != 0
		q.datagram = roomOf(int(binary.BigEndian.Uint16(opt[3:])))
	}
	q.question, q.echo = asked, true
	return true
}

// roomOf is how long a reply over UDP may be for an asker that says this.
func roomOf(size int) int { return min(max(size, minDatagram), maxDatagram) }

// plainName reads a name without compression, and returns where it ends, or 0
// if it is none.
func plainName(packet []byte, from int) (name, int) {
	at, labels := from, 0
	for {
		if at >= len(packet) || at-from >= maxName {
			return nil, 0
		}
		size := int(packet[at])
		if size == 0 {
			break
		}
		if size > maxLabel {
			return nil, 0
		}
		at += 1 + size
		labels++
	}
	if labels == 0 {
		return nil, at + 1
	}
	raw := string(packet[from:at])
	n := make(name, 0, labels)
	for raw != "" {
		end := 1 + int(raw[0])
		n = append(n, raw[1:end])
		raw = raw[end:]
	}
	return n, at + 1
}

// encodePlain appends a plain reply. It is false, and buf as it was, for any
// other, and for one that does not fit.
func (q *query) encodePlain(buf []byte, r reply, most int) ([]byte, bool) {
	if !q.echo || q.opcode != opQuery || r.code > refused || len(r.additional) > 0 || len(r.authority) > 1 {
		return buf, false
	}
	start := len(buf)
	out := append(buf,
		byte(q.id>>8), byte(q.id), bitQR, byte(r.code),
		0, 1, 0, byte(len(r.answers)), 0, byte(len(r.authority)), 0, 0)
	out[start+2] |= bit(r.authoritative, bitAA) | bit(r.cut, bitTC) | bit(q.rd, bitRD)
	out[start+3] |= bit(r.recursion, bitRA) | bit(q.cd, bitCD)
	for _, label := range q.question.name {
		out = append(append(out, byte(len(label))), label...)
	}
	out = append(out, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(q.question.kind))
	out = binary.BigEndian.AppendUint16(out, q.question.class)
	if len(r.answers) > 0xff {
		return buf, false
	}
	for i := range r.answers {
		rec := &r.answers[i]
		if !rec.addr.IsValid() || !q.question.name.is(rec.name) {
			return buf, false
		}
		out = q.appendAddress(out, rec)
	}
	for i := range r.authority {
		rec := &r.authority[i]
		if rec.kind != kindSOA || len(rec.name) > len(q.question.name) ||
			!q.question.name[len(q.question.name)-len(rec.name):].is(rec.name) {
			return buf, false
		}
		out = q.appendSOA(out, rec)
	}
	if q.edns {
		out[start+11] = 1
		out = append(out, 0, 0, typeOPT, maxDatagram>>8, maxDatagram&0xff, 0, 0, bit(q.do, doBit>>8), 0, 0, 0)
	}
	return out, len(out)-start <= most
}

func bit(set bool, mask byte) byte {
	if set {
		return mask
	}
	return 0
}

// is reports whether both are one name in memory.
func (n name) is(o name) bool {
	return len(n) == len(o) && (len(n) == 0 || &n[0] == &o[0])
}

// appendHead appends the beginning of a record whose owner is so many labels
// into the question.
func (q *query) appendHead(out []byte, rec *record, labels int) []byte {
	at := uint16(header)
	for _, label := range q.question.name[:labels] {
		at += uint16(1 + len(label))
	}
	out = binary.BigEndian.AppendUint16(out, 0xc000|at)
	out = binary.BigEndian.AppendUint16(out, uint16(rec.kind))
	out = binary.BigEndian.AppendUint16(out, classIN)
	return binary.BigEndian.AppendUint32(out, rec.ttl)
}

func (q *query) appendAddress(out []byte, rec *record) []byte {
	out = q.appendHead(out, rec, 0)
	if rec.addr.Is4() {
		a := rec.addr.As4()
		return append(append(out, 0, byte(len(a))), a[:]...)
	}
	a := rec.addr.As16()
	return append(append(out, 0, byte(len(a))), a[:]...)
}

func (q *query) appendSOA(out []byte, rec *record) []byte {
	out = q.appendHead(out, rec, len(q.question.name)-len(rec.name))
	return append(append(out, byte(len(soaData)>>8), byte(len(soaData))), soaData...)
}

// soaData is what the SOA of every namespace says.
var soaData = func() string {
	var b []byte
	for _, n := range []name{soaServer, soaMail} {
		for _, label := range n {
			b = append(append(b, byte(len(label))), label...)
		}
		b = append(b, 0)
	}
	for _, v := range []uint32{soaSerial, soaRefresh, soaRetry, soaExpire, soaMinimum} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return string(b)
}()
