package probe

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below never block, so they go past the scheduler: telling it of
// each would cost more than some of them do.

// sockaddr is an address as the kernel takes it: sockaddr_in or sockaddr_in6.
type sockaddr struct {
	raw [unix.SizeofSockaddrInet6]byte
	n   uintptr
}

// set writes addr, which has no zone.
func (s *sockaddr) set(addr netip.AddrPort) {
	if a := addr.Addr(); a.Is4() {
		b := a.As4()
		binary.NativeEndian.PutUint16(s.raw[:], unix.AF_INET)
		binary.BigEndian.PutUint16(s.raw[2:], addr.Port())
		copy(s.raw[4:8], b[:])
		clear(s.raw[8:16])
		s.n = unix.SizeofSockaddrInet4
	} else {
		b := a.As16()
		clear(s.raw[:])
		binary.NativeEndian.PutUint16(s.raw[:], unix.AF_INET6)
		binary.BigEndian.PutUint16(s.raw[2:], addr.Port())
		copy(s.raw[8:24], b[:])
		s.n = unix.SizeofSockaddrInet6
	}
}

func connect(fd int32, to *sockaddr) syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&to.raw)), to.n)
	return errno
}

// nowhere is AF_UNSPEC: connecting to it takes a connection back (connect(2)).
var nowhere = sockaddr{n: unix.SizeofSockaddrInet4}

// disconnect makes fd fit for another connect. The other side is sent a reset
// unless the connection is over.
func disconnect(fd int32) syscall.Errno { return connect(fd, &nowhere) }

func hangUp(fd int32) {
	unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
}

func send(fd int32, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
		if errno == 0 {
			return int(n), 0
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

func receive(fd int32, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0)
		if errno == 0 {
			return int(n), 0
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// holdACK keeps the last acknowledgement of the next handshake back: it goes
// out with the first data or the end of our side, or never where a reset comes
// first. It saves a packet.
func holdACK(fd uintptr) {
	var off int32
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, uintptr(unsafe.Pointer(&off)), unsafe.Sizeof(off), 0)
}

func closeSocket(fd int32) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// descriptors is how many this process may have.
func descriptors() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 1024
	}
	return int(min(r.Cur, 1<<20))
}
