package probe

import (
	"fmt"
	"os"
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

	asleep atomic.Bool
	rung   atomic.Bool
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("epoll descriptor: %w", err)
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll"), fd: int32(fd)}
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
	p.file.SetReadDeadline(time.Now().Add(d))
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

// poll asks the kernel and does not wait.
func (p *poller) poll() int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events)), uintptr(len(p.events)), 0, 0, 0)
	if errno != 0 {
		n = 0 // interrupted: the next look sees it
	}
	p.ready = int(n)
	return p.ready
}

func (p *poller) close() { p.file.Close() }
