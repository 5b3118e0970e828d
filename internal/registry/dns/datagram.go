package dns

import (
	"net"
	"net/netip"
	"runtime"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const (
	// maxQuery is the longest datagram that is read, in bytes. A query has a
	// name of at most 255 and some options.
	maxQuery = 4096
	// maxControl is room for the control messages of both families, in bytes.
	maxControl = 128
	// batchSize is how many datagrams one system call reads or writes at most.
	batchSize = 32
)

// datagrams is a UDP socket. Any number of goroutines may use it, each with a
// batch of its own. Where the system can, one call reads what has queued up and
// another writes all replies (recvmmsg, sendmmsg).
type datagrams struct {
	udp  *net.UDPConn
	many *ipv4.PacketConn // the same socket, for both families; nil where calls move one datagram
	at   netip.Addr       // the address that it is bound to
	wide bool             // bound to every address: each datagram says which was asked
}

// newDatagrams wraps a socket. One that is bound to every address of the
// machine must reply from the address that was asked, or the asker takes the
// reply for a stranger's.
func newDatagrams(udp *net.UDPConn) datagrams {
	d := datagrams{udp: udp}
	both := ipv4.NewPacketConn(udp)
	if runtime.GOOS == "linux" {
		d.many = both
	}
	if local, ok := udp.LocalAddr().(*net.UDPAddr); ok {
		d.at = local.AddrPort().Addr().Unmap()
	}
	if !d.at.IsUnspecified() {
		return d
	}
	// Which of both the socket understands depends on its family; a dual-stack
	// one needs both, and a system without them replies from where it likes.
	err4 := both.SetControlMessage(ipv4.FlagDst, true)
	err6 := ipv6.NewPacketConn(udp).SetControlMessage(ipv6.FlagDst, true)
	d.wide = err4 == nil || err6 == nil
	return d
}

// batch is what one goroutine reads at a time, and the replies to it.
type batch struct {
	in, out []ipv4.Message
	width   int    // how many to read next: preparing for more costs time too
	replies int    // in out
	room    []byte // of the replies, cut into equal parts
}

func (d datagrams) newBatch() *batch {
	b := &batch{in: make([]ipv4.Message, batchSize), out: make([]ipv4.Message, batchSize), width: 1}
	packets := make([]byte, batchSize*maxQuery)
	b.room = make([]byte, batchSize*maxDatagram)
	for i := range b.in {
		b.in[i].Buffers = [][]byte{packets[i*maxQuery : (i+1)*maxQuery : (i+1)*maxQuery]}
		b.out[i].Buffers = make([][]byte, 1)
		if d.wide {
			b.in[i].OOB = make([]byte, maxControl)
		}
	}
	return b
}

// read waits for a datagram and returns those that are there.
func (d datagrams) read(b *batch) ([]ipv4.Message, error) {
	b.replies = 0
	if d.many == nil {
		m := &b.in[0]
		n, control, _, from, err := d.udp.ReadMsgUDPAddrPort(m.Buffers[0], m.OOB)
		if err != nil {
			return nil, err
		}
		m.N, m.NN, m.Addr = n, control, net.UDPAddrFromAddrPort(from)
		return b.in[:1], nil
	}
	n, err := d.many.ReadBatch(b.in[:b.width], 0)
	if err != nil {
		return nil, err
	}
	if n == b.width {
		b.width = min(2*b.width, batchSize)
	} else {
		b.width = max(b.width-1, 1)
	}
	return b.in[:n], nil
}

// from is who sent a datagram, or false for somebody that nothing can be sent
// to.
func (d datagrams) from(m *ipv4.Message) (asker, bool) {
	udp, ok := m.Addr.(*net.UDPAddr)
	if !ok || udp.Port == 0 {
		return asker{}, false
	}
	from := asker{addr: udp.AddrPort().Addr().Unmap(), at: d.at}
	if d.wide {
		if asked, ok := netip.AddrFromSlice(asked(m.OOB[:m.NN])); ok {
			from.at = asked.Unmap()
		}
	}
	return from, true
}

// next is an empty buffer for the next reply.
func (b *batch) next() []byte {
	at := b.replies * maxDatagram
	return b.room[at : at : at+maxDatagram]
}

// add puts a reply into the batch.
func (d datagrams) add(b *batch, packet []byte, to *ipv4.Message) {
	out, back := &b.out[b.replies], d.back(to)
	b.replies++
	out.Buffers[0], out.Addr, out.OOB = packet, back.to, back.from
}

// route is the way back to an asker.
type route struct {
	to   net.Addr
	from []byte // the control message that picks the address to reply from, or nil
}

// back is the way back to the sender of a datagram; it outlives the batch.
func (d datagrams) back(m *ipv4.Message) route {
	r := route{to: m.Addr}
	if d.wide {
		r.from = source(asked(m.OOB[:m.NN]))
	}
	return r
}

// write sends one reply, or nothing if it is empty.
func (d datagrams) write(packet []byte, back route) {
	if to, ok := back.to.(*net.UDPAddr); ok && len(packet) > 0 {
		_, _, _ = d.udp.WriteMsgUDPAddrPort(packet, back.from, to.AddrPort())
	}
}

// flush sends the replies. An asker may be gone or lie about its address: one
// that nothing can be sent to is passed over.
func (d datagrams) flush(b *batch) {
	left := b.out[:b.replies]
	b.replies = 0
	for len(left) > 0 {
		n := 0
		if d.many != nil {
			n, _ = d.many.WriteBatch(left, 0)
		} else {
			d.write(left[0].Buffers[0], route{left[0].Addr, left[0].OOB})
		}
		left = left[max(n, 1):]
	}
}

// asked is the address that a datagram was sent to, as its control message
// says, or nil.
func asked(control []byte) net.IP {
	var m6 ipv6.ControlMessage
	var m4 ipv4.ControlMessage
	if m6.Parse(control) == nil && m6.Dst != nil {
		return m6.Dst
	}
	if m4.Parse(control) == nil {
		return m4.Dst
	}
	return nil
}

// source is the control message that replies from an address of ours.
func source(asked net.IP) []byte {
	switch {
	case asked == nil:
		return nil
	case asked.To4() != nil:
		return (&ipv4.ControlMessage{Src: asked}).Marshal()
	}
	return (&ipv6.ControlMessage{Src: asked}).Marshal()
}
