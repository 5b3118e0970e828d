package probe

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/component"
	"github.com/mapwarden/mapwarden/internal/health"
)

// watching is an engine on real sockets whose observations a test waits for.
type watching struct {
	*Engine
	t      testing.TB
	seen   chan health.Observation
	doubts chan health.Doubt
	stop   func()
}

func (k kind) watching(t testing.TB, c Config) *watching {
	w := &watching{t: t, seen: make(chan health.Observation, 1<<16), doubts: make(chan health.Doubt, 1<<10)}
	if c.Policy.Allow == nil {
		c.Policy = loopbackOnly
	}
	c.Deliver = func(batch []health.Observation) {
		for _, o := range batch {
			w.seen <- o
		}
	}
	c.Doubt = func(d health.Doubt) {
		select {
		case w.doubts <- d:
		default:
		}
	}
	w.Engine = k.engine(t, c)
	w.stop = launched(t, w.Engine)
	return w
}

// until returns the first observation that want accepts.
func (w *watching) until(what string, want func(health.Observation) bool) health.Observation {
	w.t.Helper()
	deadline := time.After(2 * enough)
	var last health.Observation
	for {
		select {
		case last = <-w.seen:
			if want(last) {
				return last
			}
		case <-deadline:
			w.t.Fatalf("%s: never; the last was %v %v %q", what, last.Outcome, last.Cause, last.Detail)
		}
	}
}

func caused(c health.Cause) func(health.Observation) bool {
	return func(o health.Observation) bool { return o.Cause == c }
}

// An operator who denies an address means from now on.
func TestSetPolicy(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		w := k.watching(t, Config{})
		target := targetAt(serveTCP(t, func(net.Conn) {}), health.Probe{}, enough)
		target.Check.Interval = 20 * time.Millisecond
		w.Watch(*target, 1)
		w.until("admitted", caused(health.NoCause))
		w.SetPolicy(AddressPolicy{Allow: loopbackOnly.Allow, Deny: prefixes("127.0.0.1/32")})
		w.until("denied", caused(health.AddressRefused))
		w.SetPolicy(loopbackOnly)
		w.until("admitted again", caused(health.NoCause))
	})
}

// A half-open check passes where the kernel of the target answers, and the
// target never sees it; any other connection it does.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		component.LeftOut(t, "half-open checks are plain connects on "+runtime.GOOS)
	}
	inBoth(t, func(t *testing.T, k kind) {
		accepted := make(chan struct{}, 100)
		ap := serveTCP(t, func(net.Conn) { accepted <- struct{}{} })
		for range 10 {
			want{health.Pass, health.NoCause, "connected"}.check(t, k.ask(t, ap, health.Probe{HalfOpen: true}, enough))
		}
		want{health.Pass, health.NoCause, "connected"}.check(t, k.ask(t, ap, health.Probe{}, enough))
		<-accepted
		if n := len(accepted); n != 0 {
			t.Errorf("the target saw %d of 10 half-open checks", n)
		}
		want{health.Fail, health.Refused, "connection refused"}.check(t, k.ask(t, closedPort(t), health.Probe{HalfOpen: true}, enough))
	})
}

// A target that is too busy to be connected to at once is waited for.
func TestConnectThatTakesTime(t *testing.T) {
	t.Parallel()
	for _, p := range []health.Probe{{}, {Protocol: health.HTTP}} {
		inBoth(t, func(t *testing.T, k kind) {
			fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Listen(fd, 0); err != nil {
				t.Fatal(err)
			}
			f := os.NewFile(uintptr(fd), "listener")
			l, err := net.FileListener(f)
			f.Close()
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			ap := netip.MustParseAddrPort(l.Addr().String())
			first, err := net.Dial("tcp", ap.String()) // the one that fits into the queue
			if err != nil {
				t.Fatal(err)
			}
			defer first.Close()
			want{health.Fail, health.Timeout, "connect: no answer in time"}.check(t, k.ask(t, ap, p, patience))

			server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
			defer server.Close()
			time.AfterFunc(patience, func() { server.Serve(l) })
			want{health.Pass, health.NoCause, ""}.check(t, k.ask(t, ap, p, enough))
		})
	}
}

// A request that does not fit into the socket's buffer goes out in parts.
func TestLargeRequest(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		const size = 8 << 20
		got := make(chan int, 1)
		ap := serveTCP(t, func(c net.Conn) {
			r := bufio.NewReaderSize(c, 1<<16)
			n := 0
			for {
				line, err := r.ReadSlice('\n')
				n += len(line)
				if err == bufio.ErrBufferFull {
					continue
				}
				if err != nil || len(line) <= 2 {
					break
				}
			}
			got <- n
			io.WriteString(c, okHead+"Content-Length: 0\r\n\r\n")
			c.Close()
		})
		p := health.Probe{Protocol: health.HTTP, Headers: []health.Header{{Name: "X", Value: strings.Repeat("x", size)}}}
		want{health.Pass, health.NoCause, "HTTP 200"}.check(t, k.ask(t, ap, p, enough))
		if n := <-got; n < size {
			t.Errorf("%d bytes arrived", n)
		}
	})
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	l := listen6(t)
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	inBoth(t, func(t *testing.T, k kind) {
		policy := Options{Policy: AddressPolicy{Allow: prefixes("::1/128")}}
		for _, protocol := range []health.Protocol{health.HTTP, health.TCP} {
			o := k.askWith(t, policy, netip.MustParseAddrPort(l.Addr().String()), health.Probe{Protocol: protocol}, enough)
			want{health.Pass, health.NoCause, ""}.check(t, o)
		}
	})
}

// Three thousand targets of one service hang; the others do not notice.
func TestHangingServiceOnRealSockets(t *testing.T) {
	inBoth(t, func(t *testing.T, k kind) {
		mute := serveTCP(t, func(net.Conn) {})
		good := serveTCP(t, says(okHead+"Content-Length: 2\r\n\r\nok"))
		w := k.watching(t, Config{MaxInFlight: 300})
		target := func(i uint32, service string, ap netip.AddrPort) {
			tg := *targetAt(ap, health.Probe{Protocol: health.HTTP}, 5*time.Second)
			tg.Handle, tg.Service.ID = health.NewHandle(i, 1), service
			tg.Check.Interval = 10 * time.Second
			w.Watch(tg, health.Instant(1+i))
		}
		const hanging, quick = 3000, 20
		for i := range uint32(hanging) {
			target(i, "hangs", mute)
		}
		for i := range uint32(quick) {
			target(hanging+i, "quick", good)
		}
		for missing := quick; missing > 0; {
			o := w.until("the quick ones", func(o health.Observation) bool { return o.Target.Index() >= hanging })
			want{health.Pass, health.NoCause, "HTTP 200"}.check(t, o)
			missing--
		}
		if s := w.Stats(); s.InFlight > 300 || s.Waiting < hanging/2 {
			t.Errorf("in flight %d, waiting %d", s.InFlight, s.Waiting)
		}
	})
}

// openDescriptors counts those of this process, -1 where that is not known.
func openDescriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(entries)
}

// After many changes of targets nothing is left of them.
func TestTargetChangesLeaveNothing(t *testing.T) {
	changes := 20000
	if os.Getenv("MAPWARDEN_SEEDS") != "" { // make test-deep
		changes = 100000
	}
	inBoth(t, func(t *testing.T, k kind) {
		good := serveTCP(t, says(okHead+"Content-Length: 2\r\n\r\nok"))
		closed := closedPort(t)
		goroutines, descriptors := runtime.NumGoroutine(), openDescriptors()
		w := k.watching(t, Config{MaxInFlight: 64})
		for n := range uint32(changes) {
			ap, p := good, health.Probe{Protocol: health.HTTP, Path: fmt.Sprint("/", n%7)}
			if n%2 == 0 {
				ap = closed
			}
			if n%3 == 0 {
				p = health.Probe{}
			}
			tg := *targetAt(ap, p, enough)
			tg.Handle, tg.Service.ID = health.NewHandle(n%100, 1+n/100), fmt.Sprint("srv-", n%13)
			w.Watch(tg, 1)
			if n%500 == 499 {
				w.until("one of the newest", func(o health.Observation) bool { return o.Target.Generation() > n/100-3 })
			}
			if n%5 == 0 {
				w.Unwatch(tg.Handle)
			}
		}
		for i := range uint32(100) {
			w.Unwatch(health.NewHandle(i, uint32(changes/100)))
		}
		for s := w.Stats(); s.Targets > 0 || s.InFlight > 0 || s.Waiting > 0; s = w.Stats() {
			runtime.Gosched()
		}
		w.stop()
		if n := openDescriptors(); n > descriptors+100 { // the listener's own side may still hold some
			t.Errorf("%d descriptors, %d before", n, descriptors)
		}
		if n := runtime.NumGoroutine(); n > goroutines+100 {
			t.Errorf("%d goroutines, %d before", n, goroutines)
		}
		l := &w.Engine.loop
		if n := len(l.rooms[byCarrier].index) + len(l.rooms[byWorkers].index) + len(l.sched.order.heap) + len(w.plans.byHash); n > 0 {
			t.Errorf("services: %v and %v, %d targets in order, %d plans", l.rooms[byCarrier].index, l.rooms[byWorkers].index, len(l.sched.order.heap), len(w.plans.byHash))
		}
		if n := len(l.sched.slots); n != 100 {
			t.Errorf("%d slots for 100 targets at a time", n)
		}
	})
}

// Run ends what is under way and closes its sockets, and later calls are harmless.
func TestRunEndsOnRealSockets(t *testing.T) {
	inBoth(t, func(t *testing.T, k kind) {
		var asked, ended atomic.Int32
		mute := serveTCP(t, func(c net.Conn) {
			request(c)
			asked.Add(1)
			io.Copy(io.Discard, c)
			ended.Add(1)
		})
		w := k.watching(t, Config{})
		for i := range uint32(50) {
			tg := *targetAt(mute, health.Probe{Protocol: health.HTTP}, enough)
			tg.Handle = health.NewHandle(i, 1)
			w.Watch(tg, 1)
		}
		for began := time.Now(); asked.Load() < 50; runtime.Gosched() {
			if time.Since(began) > enough {
				t.Fatalf("%d of 50 were asked", asked.Load())
			}
		}
		w.stop()
		for began := time.Now(); ended.Load() < 50; runtime.Gosched() {
			if time.Since(began) > enough {
				t.Fatalf("%d of 50 connections were ended", ended.Load())
			}
		}
		w.Unwatch(health.NewHandle(0, 1))
		w.Reschedule(health.NewHandle(1, 1), 5)
	})
}

// descriptorsChild makes the test binary run out of descriptors, in a process
// of its own.
const descriptorsChild = "MAPWARDEN_TEST_DESCRIPTORS"

// Without a descriptor left the checker abstains and doubts itself; with one
// it goes on by itself.
func TestNoDescriptorsLeft(t *testing.T) {
	if os.Getenv(descriptorsChild) == "" {
		child := exec.Command(os.Args[0], "-test.run=^TestNoDescriptorsLeft$")
		child.Env = append(os.Environ(), descriptorsChild+"=1")
		out, err := child.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	inBoth(t, func(t *testing.T, k kind) {
		ap := serveTCP(t, func(net.Conn) {})
		w := k.watching(t, Config{})
		tg := targetAt(ap, health.Probe{}, enough)
		tg.Check.Interval = 20 * time.Millisecond
		w.Watch(*targetAt(closedPort(t), health.Probe{Protocol: health.HTTPS}, enough), 1) // opens what the runtime keeps open
		w.until("warm", func(health.Observation) bool { return true })
		var before syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
		defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before)
		w.Watch(*tg, 1)
		o := w.until("without descriptors", caused(health.LocalFault))
		if o.Outcome != health.Indeterminate {
			t.Errorf("got %+v", o)
		}
		if d := <-w.doubts; d != health.DoubtDescriptors {
			t.Errorf("doubt %v", d)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
		w.until("with descriptors again", caused(health.NoCause))
	})
}

// An engine asked to be portable is, and so is one that finds no epoll.
func TestPortableEngine(t *testing.T) {
	e := portable.engine(t, Config{Deliver: func([]health.Observation) {}})
	if is, why := e.Portable(); !is || why != nil {
		t.Errorf("portable %t, %v", is, why)
	}
	e = eventLoop.engine(t, Config{Deliver: func([]health.Observation) {}})
	for protocol, carried := range map[health.Protocol]bool{health.TCP: true, health.HTTP: true, health.HTTPS: false, 250: false} {
		tg := targetAt(netip.MustParseAddrPort("10.0.0.1:80"), health.Probe{Protocol: protocol}, enough)
		if got := e.carrier.carries(tg); got != carried {
			t.Errorf("%v is carried: %t", protocol, got)
		}
	}
	for _, ap := range []netip.AddrPort{{}, netip.MustParseAddrPort("10.0.0.1:0"), netip.MustParseAddrPort("[fe80::1%eth0]:80")} {
		if e.carrier.carries(targetAt(ap, health.Probe{}, enough)) {
			t.Errorf("%v is carried", ap)
		}
	}
}

// A target that rests costs its records and nothing else.
func TestMemoryOfTargets(t *testing.T) {
	const targets, most = 100000, 256
	e := eventLoop.engine(t, Config{Deliver: func([]health.Observation) {}})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	services := make([]string, targets/100)
	for i := range services {
		services[i] = fmt.Sprint("srv-", i)
	}
	for i := range uint32(targets) {
		tg := *targetAt(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 8080), health.Probe{Protocol: health.HTTP, Path: "/healthz"}, time.Second)
		tg.Handle, tg.Service.ID = health.NewHandle(i, 1), services[i%uint32(len(services))]
		e.Watch(tg, health.Instant(1+i))
		if i%1000 == 999 {
			e.loop.obey(1)
		}
	}
	each := (heap() - before) / targets
	if each > most {
		t.Errorf("%d bytes a target, at most %d are planned for", each, most)
	}
	t.Logf("%d bytes a target", each)
	if n := len(e.plans.byHash); n != 1 {
		t.Errorf("%d plans for one check", n)
	}
	runtime.KeepAlive(e)
}

// The observation is complete before the farewell, which may be put aside.
func TestVerdictDoesNotWaitForFarewell(t *testing.T) {
	t.Parallel()
	parted := make(chan struct{})
	ap := serveTCP(t, func(c net.Conn) {
		request(c)
		io.WriteString(c, okHead+"Content-Length: 2\r\n\r\nok")
		io.Copy(io.Discard, c)
		close(parted)
	})
	p := NewProber(Options{Policy: loopbackOnly}, clock())
	var farewells []func()
	p.aside = func(leave func()) { farewells = append(farewells, leave) }
	o := p.Probe(t.Context(), targetAt(ap, health.Probe{Protocol: health.HTTP}, enough))
	want{health.Pass, health.NoCause, "HTTP 200"}.check(t, o)
	if len(farewells) != 1 {
		t.Fatalf("%d farewells were put aside", len(farewells))
	}
	select {
	case <-parted:
		t.Error("the connection was ended with the probe")
	default:
	}
	farewells[0]()
	<-parted
}

// A target that answers and stays is parted from all the same, and counts no
// longer as a probe under way.
func TestTargetThatStaysIsPartedFrom(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, k kind) {
		parted := make(chan struct{})
		ap := serveTCP(t, func(c net.Conn) {
			request(c)
			io.WriteString(c, okHead+"Content-Length: 2\r\n\r\nok")
			io.Copy(io.Discard, c)
			close(parted)
		})
		w := k.watching(t, Config{})
		w.Watch(*targetAt(ap, health.Probe{Protocol: health.HTTP}, enough), 1)
		o := w.until("the verdict", func(health.Observation) bool { return true })
		want{health.Pass, health.NoCause, "HTTP 200"}.check(t, o)
		if s := w.Stats(); s.InFlight != 0 {
			t.Errorf("%d probes are under way after the verdict", s.InFlight)
		}
		select {
		case <-parted:
		case <-time.After(enough):
			t.Error("the connection was never ended")
		}
	})
}
