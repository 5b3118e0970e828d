//go:build linux || darwin

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Ports are taken from here up, below those that systems give to outgoing
// connections, so that a port that was closed can be opened again.
const firstPort, lastPort = 12000, 32000

// arrivals is what the targets saw since they were last asked.
type arrivals struct {
	Elapsed  time.Duration
	Arrived  int             // connections
	Answered int             // of them
	Gaps     []time.Duration // p50, p99 and largest from one arrival to the next at the same target
}

// targets is the parent's hold on the process of the targets.
type targets struct{ *child }

// window returns what came since the last window, and begins a new one.
func (t targets) window() (a arrivals, err error) { return a, t.ask("window 0", &a) }

// tell changes one target: hang, crash, or revive; at is when it was done.
func (t targets) tell(what string, i int) (at time.Time, err error) {
	return at, t.ask(fmt.Sprintf("%s %d", what, i), &at)
}

func (st *stage) startTargets() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c, err := st.spawn(false, "targets", self, "-part", "targets", "-targets", fmt.Sprint(st.settings.targets))
	if err != nil {
		return err
	}
	st.targets = targets{c}
	return c.ask("ports 0", &st.ports)
}

// target is one server with a port of its own.
type target struct {
	fleet    *fleet
	port     int
	hanging  atomic.Bool
	listener net.Listener
	latest   time.Time // arrival; owned by accept
}

// fleet is the process of the targets.
type fleet struct {
	targets []*target

	mu       sync.Mutex
	begun    time.Time
	arrived  int
	answered int
	gaps     []time.Duration
}

// serveTargets is the process: it obeys lines on standard input until that ends.
func serveTargets(n int) error {
	f := &fleet{begun: time.Now()}
	for port := firstPort; len(f.targets) < n; port++ {
		if port == lastPort {
			return fmt.Errorf("only %d of %d ports from %d to %d are free", len(f.targets), n, firstPort, lastPort)
		}
		t := &target{fleet: f, port: port}
		if t.listen() == nil {
			f.targets = append(f.targets, t)
		}
	}
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var what string
		var i int
		if _, err := fmt.Sscan(in.Text(), &what, &i); err != nil || i < 0 || i >= n {
			return fmt.Errorf("what is %q?", in.Text())
		}
		answer, err := f.obey(what, f.targets[i])
		if err != nil {
			return err
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}

func (f *fleet) obey(what string, t *target) (any, error) {
	at := time.Now()
	switch what {
	case "ports":
		ports := make([]int, len(f.targets))
		for i, t := range f.targets {
			ports[i] = t.port
		}
		return ports, nil
	case "window":
		return f.window(), nil
	case "hang":
		t.hanging.Store(true)
		return at, nil
	case "crash":
		return at, t.listener.Close()
	case "revive":
		return at, t.listen()
	}
	return nil, fmt.Errorf("what is %q?", what)
}

func (f *fleet) window() arrivals {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	a := arrivals{Elapsed: now.Sub(f.begun), Arrived: f.arrived, Answered: f.answered, Gaps: make([]time.Duration, 3)}
	slices.Sort(f.gaps)
	for i, q := range [...]float64{0.5, 0.99, 1} {
		if n := len(f.gaps); n > 0 {
			a.Gaps[i] = f.gaps[int(q*float64(n-1))]
		}
	}
	f.begun, f.arrived, f.answered, f.gaps = now, 0, 0, f.gaps[:0]
	return a
}

// listen opens the target's port and serves it until it is closed.
func (t *target) listen() (err error) {
	if t.listener, err = net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", t.port)); err != nil {
		return err
	}
	go t.accept(t.listener)
	return nil
}

func (t *target) accept(l net.Listener) {
	t.latest = time.Time{}
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			t.arrived(time.Now())
			go t.answer(c)
		}
	}
}

func (t *target) arrived(at time.Time) {
	f := t.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrived++
	if t.latest.After(f.begun) { // the gap lies in this window as a whole
		f.gaps = append(f.gaps, at.Sub(t.latest))
	}
	t.latest = at
}

var response = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")

func (t *target) answer(c net.Conn) {
	defer c.Close()
	if t.hanging.Load() {
		io.Copy(io.Discard, c) // until the client gives up
		return
	}
	r := bufio.NewReaderSize(c, 512)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(line) > 2 {
			continue
		}
		if _, err := c.Write(response); err == nil {
			t.fleet.mu.Lock()
			t.fleet.answered++
			t.fleet.mu.Unlock()
		}
		return
	}
}
