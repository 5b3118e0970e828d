package dns

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// datagrams reads and writes the datagrams of a socket. Many goroutines may.
type datagrams interface {
	// read fills buf with a datagram and returns where a reply goes.
	read(buf []byte) (n int, back route, err error)
	write(packet []byte, back route) error
}

// route is the way back to an asker.
type route struct {
	to   net.Addr       // of a plain socket
	port netip.AddrPort // of a wide one
	from []byte         // the control message that picks the address to reply from
}

// newDatagrams wraps a socket. One that is bound to every address of the
// machine must reply from the address that was asked, or the asker takes the
// reply for a stranger's.
func newDatagrams(c net.PacketConn) datagrams {
	udp, ok := c.(*net.UDPConn)
	if !ok {
		return plain{c}
	}
	local, ok := udp.LocalAddr().(*net.UDPAddr)
	if !ok || !local.IP.IsUnspecified() {
		return plain{c}
	}
	// Which of both the socket understands depends on its family; a dual-stack
	// one needs both, and a system without them replies from where it likes.
	err4 := ipv4.NewPacketConn(udp).SetControlMessage(ipv4.FlagDst, true)
	err6 := ipv6.NewPacketConn(udp).SetControlMessage(ipv6.FlagDst, true)
	if err4 != nil && err6 != nil {
		return plain{c}
	}
	return wide{udp}
}

// plain is a socket bound to one address.
type plain struct{ conn net.PacketConn }

func (p plain) read(buf []byte) (int, route, error) {
	n, from, err := p.conn.ReadFrom(buf)
	return n, route{to: from}, err
}

func (p plain) write(packet []byte, back route) error {
	_, err := p.conn.WriteTo(packet, back.to)
	return err
}

// wide is a socket bound to every address.
type wide struct{ conn *net.UDPConn }

// maxControl is room for the control messages of both families, in bytes.
const maxControl = 128

func (w wide) read(buf []byte) (int, route, error) {
	control := make([]byte, maxControl)
	n, used, _, from, err := w.conn.ReadMsgUDPAddrPort(buf, control)
	return n, route{port: from, from: source(control[:used])}, err
}

func (w wide) write(packet []byte, back route) error {
	_, _, err := w.conn.WriteMsgUDPAddrPort(packet, back.from, back.port)
	return err
}

// source turns the control message that says which address was asked into the
// one that replies from it.
func source(control []byte) []byte {
	var asked net.IP
	var m6 ipv6.ControlMessage
	var m4 ipv4.ControlMessage
	if m6.Parse(control) == nil && m6.Dst != nil {
		asked = m6.Dst
	} else if m4.Parse(control) == nil {
		asked = m4.Dst
	}
	switch {
	case asked == nil:
		return nil
	case asked.To4() != nil:
		return (&ipv4.ControlMessage{Src: asked}).Marshal()
	}
	return (&ipv6.ControlMessage{Src: asked}).Marshal()
}
