package dns

import "encoding/binary"

// header is the length of a message's header in bytes.
const header = 12

// Sizes of replies, in bytes.
const (
	maxStream   = 1<<16 - 1 // over TCP
	maxDatagram = 1232      // over UDP with EDNS: fits every path that carries IPv6
	minDatagram = 512       // over UDP without EDNS (RFC 1035, section 2.3.4)
)

// query is a message that gets a reply.
type query struct {
	id       uint16
	opcode   int
	rd, cd   bool     // to be sent back as they came (RFC 1035; RFC 4035)
	echo     bool     // question was understood and stands in the reply
	question question // the zero value where problem says so
	problem  rcode    // why it is refused unread, or noError
	edns, do bool
	datagram int // how long a reply over UDP may be
}

// The bits of a header's third and fourth byte.
const (
	bitQR = 0x80
	bitAA = 0x04
	bitTC = 0x02
	bitRD = 0x01
	bitRA = 0x80
	bitCD = 0x10
)

// opQuery is the one opcode that is answered.
const opQuery = 0

// decode reads a message. It is false for one that must not be replied to:
// too short to have a header, or itself a reply.
func decode(packet []byte) (query, bool) {
	if len(packet) < header || packet[2]&bitQR != 0 {
		return query{}, false
	}
	q := query{
		id:       binary.BigEndian.Uint16(packet),
		opcode:   int(packet[2] >> 3 & 0xf),
		datagram: minDatagram,
	}
	if q.opcode != opQuery {
		q.problem = notImplemented
		return q, true
	}
	q.rd, q.cd = packet[2]&bitRD != 0, packet[3]&bitCD != 0
	if !q.decodePlain(packet) {
		q.decodeAny(packet)
	}
	return q, true
}

// encode appends the reply to buf: at most so many bytes. A reply that does
// not fit is cut and says so, except that additional records may go unsaid (RFC
// 2181, section 9).
func (q *query) encode(buf []byte, r reply, most int) []byte {
	if out, ok := q.encodePlain(buf, r, most); ok {
		return out
	}
	return append(buf, q.encodeAny(r, most)...)
}

// limit is the length of the longest reply.
func (q *query) limit(stream bool) int {
	if stream {
		return maxStream
	}
	return q.datagram
}
