package probe

import (
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller is an epoll set that a goroutine can wait for without holding a
// thread: the set itself is a descriptor of Go's own poller.
type poller struct {
	file   *os.File
	raw    syscall.RawConn
	fd     int32
	events [512]unix.EpollEvent
	ready  int
	look   func(uintptr) bool
	dull   func(id int32) bool // nothing can have happened to it

	asleep atomic.Bool
	rung   atomic.Bool
}

func newPoller(dull func(id int32) bool) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("epoll descriptor: %w", err)
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll"), fd: int32(fd), dull: dull}
	p.look = func(uintptr) bool { return p.poll() > 0 }
	if p.raw, err = p.file.SyscallConn(); err == nil {
		err = p.file.SetReadDeadline(time.Time{}) // an error where the runtime cannot wait for it
	}
	if err != nil {
		p.file.Close()
		return nil, fmt.Errorf("epoll descriptor: %w", err)
	}
	return p, nil
}

// add watches fd for input, the end of input and errors, once for each time
// that they come. Events carry id.
func (p *poller) add(fd, id int32) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, id, unix.EPOLLIN)
}

// addOutput watches fd for room to send as well.
func (p *poller) addOutput(fd, id int32) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, id, unix.EPOLLIN|unix.EPOLLOUT)
}

func (p *poller) control(op int, fd, id int32, events uint32) error {
	e := unix.EpollEvent{Events: events | unix.EPOLLRDHUP | unix.EPOLLET, Fd: id}
	return unix.EpollCtl(int(p.fd), op, int(fd), &e)
}

// wait returns what has happened, at once or within d; nothing if ring is
// called first. What it returns is void after the next call.
func (p *poller) wait(d time.Duration) []unix.EpollEvent {
	if d <= 0 {
		p.rung.Store(false) // the turn after this wait sees whatever it was for
		return p.events[:p.poll()]
	}
	p.ready = 0
	p.file.SetReadDeadline(time.Now().Add(wholly(d)))
	p.asleep.Store(true)
	if !p.rung.Swap(false) {
		if p.raw.Read(p.look) != nil { // the deadline, perhaps before the first look
			p.poll()
		}
		p.rung.Store(false)
	}
	p.asleep.Store(false)
	return p.events[:p.ready]
}

// ring ends a wait: that under way, or else the next one. It may be called by
// any goroutine, and after close.
func (p *poller) ring() {
	if p.rung.Swap(true) {
		return
	}
	if p.asleep.Load() {
		p.file.SetReadDeadline(time.Unix(1, 0))
	}
}

// wholly rounds a wait up to milliseconds, and a little over. The runtime asks
// the kernel to wake it after a number of them, rounded down, and then waits
// again for what is left: this spares the second time.
func wholly(d time.Duration) time.Duration {
	if d > time.Minute {
		return d
	}
	return (d + time.Millisecond - 1).Truncate(time.Millisecond) + 50*time.Microsecond
}

// poll asks the kernel and does not wait. Events of which all are dull, as
// those that connections leave behind when they are taken back, are none.
func (p *poller) poll() int {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events)), uintptr(len(p.events)), 0, 0, 0)
		if errno != 0 {
			n = 0 // interrupted: the next look sees it
		}
		p.ready = int(n)
		if n == 0 || slices.ContainsFunc(p.events[:n], func(e unix.EpollEvent) bool { return !p.dull(e.Fd) }) {
			return p.ready
		}
	}
}

func (p *poller) close() { p.file.Close() }
