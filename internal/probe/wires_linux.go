package probe

import (
	"context"
	"io"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mapwarden/mapwarden/internal/health"
)

// maxSpare is how many sockets of a family are kept for the next probes.
const maxSpare = 256

// wires are the event loop's carrier: non-blocking sockets for plain HTTP/1.1
// and TCP, all in one epoll set and moved on by the goroutine of the loop. A
// socket is used again after its connection is over, which costs a third less
// than a new one.
type wires struct {
	loop   *loop
	prober *Prober
	now    func() health.Instant
	poller *poller

	all     []*wire
	spare   [2][]int32 // with an open socket, by family
	blank   []int32    // without
	ends    timeline   // when to give up on a probe, or on a farewell
	parting int

	request []byte
	in      [16 << 10]byte
	over    bool // the target of the wire at hand has closed its side
}

// wire is one socket and the probe that uses it.
type wire struct {
	job
	id     int32
	fd     int32
	family int
	stage  wireStage
	output bool // the poller watches for room to send
	to     sockaddr

	addr netip.AddrPort
	plan *plan
	sent int    // bytes of the request
	got  []byte // of an answer that is not whole yet
	hearing
	rest int // bytes that may still come during the farewell
}

type wireStage uint8

const (
	unused wireStage = iota
	calling
	asking  // the request is out
	parting // the probe is done
)

func newCarrier(e *Engine) (carrier, error) {
	ws := &wires{loop: &e.loop, prober: e.prober, now: e.cfg.Now}
	p, err := newPoller(func(id int32) bool { return ws.all[id].stage == unused })
	if err != nil {
		return nil, err
	}
	ws.poller = p
	return ws, nil
}

func (ws *wires) carries(t *health.Target) bool {
	return t.Check.Probe.Simple() && !t.Startup && t.Addr.IsValid() && t.Addr.Zone() == "" && dialAddr(t).Port() != 0
}

func (ws *wires) ring()                { ws.poller.ring() }
func (ws *wires) next() health.Instant { return ws.ends.next() }

// launch connects and, where that is done at once, as on the same host, goes
// on to ask.
func (ws *wires) launch(j *job, p *place) {
	a := attempt{p: ws.prober, ctx: context.Background(), target: &p.plan.target, addr: p.addr}
	a.obs.Start = ws.now()
	if p.plan.unsendable != "" {
		a.cannotTell(health.NotProbeable, p.plan.unsendable)
	} else if err := ws.admit(p); err != nil {
		a.cannotTell(health.AddressRefused, err.Error())
	} else if w, errno := ws.wire(p.addr); errno != 0 {
		a.broke("connect", errno)
	} else {
		w.job, w.addr, w.plan = *j, p.addr, p.plan
		w.result.Start = a.obs.Start
		w.stage, w.sent, w.hearing = calling, 0, hearing{}
		ws.ends.set(w.id, a.obs.Start.Add(p.plan.timeout))
		ws.call(w)
		return
	}
	j.result = a.obs
	ws.loop.take(j)
}

// admit asks the policy in force, once for each target: neither changes.
func (ws *wires) admit(p *place) error {
	policy := ws.prober.policy.Load()
	if p.admitted == policy {
		return nil
	}
	if err := policy.Admits(p.addr); err != nil {
		return err
	}
	p.admitted = policy
	return nil
}

// wire returns an unused wire with a socket of addr's family.
func (ws *wires) wire(addr netip.AddrPort) (*wire, syscall.Errno) {
	family, domain := 0, unix.AF_INET
	if addr.Addr().Is6() {
		family, domain = 1, unix.AF_INET6
	}
	if n := len(ws.spare[family]); n > 0 {
		w := ws.all[ws.spare[family][n-1]]
		ws.spare[family] = ws.spare[family][:n-1]
		return w, 0
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, errnoOf(err)
	}
	if len(ws.blank) == 0 {
		id := int32(len(ws.all))
		ws.all = append(ws.all, &wire{id: id})
		ws.blank = append(ws.blank, id)
		ws.ends.reserve(len(ws.all))
	}
	last := len(ws.blank) - 1
	w := ws.all[ws.blank[last]]
	if err := ws.poller.add(int32(fd), w.id); err != nil {
		unix.Close(fd)
		return nil, errnoOf(err)
	}
	ws.blank = ws.blank[:last]
	w.fd, w.family, w.output = int32(fd), family, false
	return w, 0
}

func errnoOf(err error) syscall.Errno {
	if errno, ok := err.(syscall.Errno); ok {
		return errno
	}
	return unix.EINVAL
}

// call begins to connect.
func (ws *wires) call(w *wire) {
	w.to.set(w.addr)
	holdACK(uintptr(w.fd))
	switch errno := connect(w.fd, &w.to); errno {
	case 0, unix.EINPROGRESS, unix.EINTR:
		ws.goOn(w)
	default:
		ws.broke(w, "connect", errno)
	}
}

// goOn moves a wire on as far as it goes without waiting.
func (ws *wires) goOn(w *wire) {
	if w.stage == calling {
		if w.plan.target.Check.Probe.Protocol == health.TCP {
			ws.connected(w)
			return
		}
		if !ws.ask(w) {
			return
		}
		w.stage = asking
		return // an answer that came before makes an event
	}
	ws.listen(w)
}

// connected asks the kernel how a connect went, and ends a TCP check.
func (ws *wires) connected(w *wire) {
	switch errno := connect(w.fd, &w.to); errno {
	case 0, unix.EISCONN:
		a := ws.attempt(w)
		a.pass("connected")
		ws.done(w, &a)
		if !w.plan.target.Check.Probe.HalfOpen {
			hangUp(w.fd)
		}
		ws.release(w)
	case unix.EINPROGRESS, unix.EALREADY, unix.EINTR:
		ws.wantOutput(w)
	default:
		ws.broke(w, "connect", errno)
	}
}

// ask sends what is left of the request. It reports whether all is out, or the
// target takes no more but may have answered.
func (ws *wires) ask(w *wire) bool {
	ws.request = w.plan.appendRequest(ws.request[:0], w.addr)
	for w.sent < len(ws.request) {
		n, errno := send(w.fd, ws.request[w.sent:])
		switch errno {
		case 0:
			w.sent += n
		case unix.EAGAIN:
			ws.wantOutput(w)
			return false
		case unix.EPIPE, unix.ECONNRESET:
			w.stage = asking
			ws.listen(w)
			return false
		default:
			doing := "send"
			if w.sent == 0 {
				doing = "connect"
			}
			ws.broke(w, doing, errno)
			return false
		}
	}
	return true
}

func (ws *wires) wantOutput(w *wire) {
	if w.output {
		return
	}
	if err := ws.poller.addOutput(w.fd, w.id); err != nil {
		ws.broke(w, "connect", errnoOf(err))
		return
	}
	w.output = true
}

// listen takes in what has come of the answer, until nothing more is there or
// the probe is done.
func (ws *wires) listen(w *wire) {
	for {
		room := min(len(ws.in), maxGathered-len(w.got))
		n, errno := receive(w.fd, ws.in[:room])
		switch {
		case errno == unix.EAGAIN:
			return
		case errno != 0:
			ws.heard(w, nil, errno)
			return
		case n == 0:
			ws.heard(w, nil, io.EOF)
			return
		}
		ws.over = ws.over && n < room
		if ws.heard(w, ws.in[:n], nil) {
			return
		}
	}
}

// heard adds b to the answer, and end where it is over. It reports whether the
// probe is done, and ends it then.
func (ws *wires) heard(w *wire, b []byte, end error) bool {
	all := b
	if len(w.got) > 0 {
		w.gather(b)
		all = w.got
	}
	a := ws.attempt(w)
	rest, decided := a.hear(all, end, &w.hearing)
	if !decided {
		if len(w.got) == 0 {
			w.gather(b)
		}
		return false
	}
	ws.done(w, &a)
	switch {
	case rest == 0 || end != nil || ws.over:
		hangUp(w.fd)
		ws.release(w)
	default:
		ws.part(w, rest)
	}
	return true
}

// gather keeps b, in a buffer that grows to maxGathered and no further.
func (w *wire) gather(b []byte) {
	if n := len(w.got) + len(b); n > cap(w.got) {
		w.got = append(make([]byte, 0, min(max(2*n, 4<<10), maxGathered)), w.got...)
	}
	w.got = append(w.got, b...)
}

// attempt is the probe of w, for the code that both engines share.
func (ws *wires) attempt(w *wire) attempt {
	return attempt{
		p: ws.prober, ctx: context.Background(), target: &w.plan.target, addr: w.addr,
		obs: health.Observation{Start: w.result.Start},
	}
}

// broke ends a probe by an error of the network.
func (ws *wires) broke(w *wire, doing string, err error) {
	a := ws.attempt(w)
	a.broke(doing, err)
	ws.done(w, &a)
	ws.release(w)
}

// done hands the observation on: it does not wait for the farewell.
func (ws *wires) done(w *wire, a *attempt) {
	w.result = a.obs
	ws.loop.take(&w.job)
	w.got = nil
}

// part waits a moment for the target to close first.
func (ws *wires) part(w *wire, rest int) {
	w.stage, w.rest = parting, rest
	if ws.parting >= maxParting {
		hangUp(w.fd)
		ws.release(w)
		return
	}
	ws.parting++
	ws.ends.set(w.id, w.result.End.Add(farewell))
	ws.sawOff(w)
}

// sawOff drops what still comes until the target closes.
func (ws *wires) sawOff(w *wire) {
	for {
		n, errno := receive(w.fd, ws.in[:])
		if errno == unix.EAGAIN {
			return
		}
		if w.rest -= n; errno != 0 || n == 0 || w.rest <= 0 {
			ws.parting--
			hangUp(w.fd)
			ws.release(w)
			return
		}
	}
}

// release makes the wire's socket ready for another probe, or closes it.
func (ws *wires) release(w *wire) {
	ws.ends.drop(w.id)
	w.stage, w.plan, w.got = unused, nil, nil
	if disconnect(w.fd) == 0 && len(ws.spare[w.family]) < maxSpare {
		ws.spare[w.family] = append(ws.spare[w.family], w.id)
		return
	}
	closeSocket(w.fd)
	ws.blank = append(ws.blank, w.id)
}

// expire gives up on what has come to its end. An answer that is there by then
// still counts: that it was not read in time is the loop's doing.
func (ws *wires) expire(now health.Instant) {
	for {
		id, ok := ws.ends.first()
		if !ok || ws.ends.next() > now {
			return
		}
		w := ws.all[id]
		if w.stage == parting {
			ws.parting--
			hangUp(w.fd)
			ws.release(w)
			continue
		}
		if ws.goOn(w); w.stage != calling && w.stage != asking {
			continue
		}
		if w.stage == calling {
			ws.broke(w, "connect", os.ErrDeadlineExceeded)
			continue
		}
		ws.heard(w, nil, os.ErrDeadlineExceeded)
	}
}

// rest waits and moves on the wires that something happened to.
func (ws *wires) rest(d time.Duration) {
	for _, e := range ws.poller.wait(d) {
		ws.over = e.Events&unix.EPOLLRDHUP != 0
		switch w := ws.all[e.Fd]; w.stage {
		case calling, asking:
			ws.goOn(w)
		case parting:
			ws.sawOff(w)
		}
	}
	ws.over = false
}

// close calls off what is under way and closes all sockets.
func (ws *wires) close() {
	for _, w := range ws.all {
		if w.stage != unused {
			ws.release(w)
		}
	}
	for _, spare := range ws.spare {
		for _, id := range spare {
			closeSocket(ws.all[id].fd)
		}
	}
	ws.poller.close()
}
