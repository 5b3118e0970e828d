package probe

import (
	"net"
	"net/netip"
	"strconv"
)

// proxySignature begins a header of version 2 of the PROXY protocol.
const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

// proxyHeader is what a proxy of that version of the PROXY protocol says first
// on a connection of its own (proxy-protocol.txt, sections 2.1 and 2.2).
// Version 2 has a word for it, LOCAL; in version 1 the connection names its own
// two ends, which says the same and is what servers expect.
func proxyHeader(version uint8, conn net.Conn) []byte {
	if version == 2 {
		return append([]byte(proxySignature), 0x20, 0, 0, 0) // version 2, LOCAL; no family, no addresses
	}
	from, to := endOf(conn.LocalAddr()), endOf(conn.RemoteAddr())
	if !from.IsValid() || !to.IsValid() || from.Addr().BitLen() != to.Addr().BitLen() {
		return []byte("PROXY UNKNOWN\r\n")
	}
	b := []byte("PROXY TCP4 ")
	if from.Addr().Is6() {
		b = []byte("PROXY TCP6 ")
	}
	b = append(from.Addr().AppendTo(b), ' ')
	b = append(to.Addr().AppendTo(b), ' ')
	b = append(strconv.AppendUint(b, uint64(from.Port()), 10), ' ')
	b = strconv.AppendUint(b, uint64(to.Port()), 10)
	return append(b, "\r\n"...)
}

func endOf(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(plain(ap.Addr()), ap.Port())
}
