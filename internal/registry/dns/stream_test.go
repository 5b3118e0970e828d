package dns

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	wire "github.com/miekg/dns"
)

// TestIdleConnectionEnds proves that one deadline covers the whole query: a
// sender gains nothing by sending a byte now and then.
func TestIdleConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, corp(t), Options{})
		client, server := net.Pipe()
		start := time.Now()
		go s.serveConn(t.Context(), new(connections).add(server))
		for {
			if _, err := client.Write([]byte{1}); err != nil {
				break
			}
			time.Sleep(3 * time.Second)
		}
		// The writer notices at its first byte after the deadline.
		if got := time.Since(start); got < idleTimeout || got > idleTimeout+3*time.Second {
			t.Errorf("closed after %s, want %s", got, idleTimeout)
		}
	})
}

// TestUnreadReplyEnds proves that an asker who does not read is not waited for.
func TestUnreadReplyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, corp(t), Options{})
		client, server := net.Pipe()
		start := time.Now()
		done := make(chan struct{})
		go func() {
			s.serveConn(t.Context(), new(connections).add(server))
			close(done)
		}()
		query := pack(t, nil, "web.prod.corp.", kindA)
		if _, err := client.Write(append([]byte{0, byte(len(query))}, query...)); err != nil {
			t.Fatal(err)
		}
		<-done
		if got := time.Since(start); got != writeTimeout {
			t.Errorf("given up after %s, want %s", got, writeTimeout)
		}
	})
}

// pipes is a listener in a bubble: connections and errors come over channels.
type pipes struct {
	conns  chan net.Conn
	fails  chan error
	closed chan struct{}
}

func newPipes() pipes {
	return pipes{make(chan net.Conn), make(chan error), make(chan struct{})}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case err := <-p.fails:
		return nil, err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { close(p.closed); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestSilentConnectionsKeepNobodyOut fills every place with connections that
// say nothing. The next asker is answered in no time: the place it takes is that
// of the longest silent one, never of one that gets answers.
func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	const places = 5
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		done := make(chan error)
		go func() { done <- newServer(t, corp(t), Options{Connections: places}).serveStreams(t.Context(), l) }()
		dial := func() net.Conn {
			client, server := net.Pipe()
			l.conns <- server
			return client
		}
		start := time.Now()
		busy := dial()
		if err := askOver(busy); err != nil {
			t.Fatal(err)
		}
		silent := make([]net.Conn, 2*places)
		for i := range silent {
			silent[i] = dial()
			if err := askOver(busy); err != nil {
				t.Fatalf("after %d silent connections: %v", i+1, err)
			}
		}
		last := dial()
		if err := askOver(last); err != nil {
			t.Errorf("the next asker: %v", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("somebody had to wait: %s", took)
		}
		open := 0
		for _, c := range silent {
			if c.SetReadDeadline(time.Now().Add(time.Millisecond)) == nil { // an error where the server closed it
				open++
			}
			c.Close()
		}
		if want := places - 2; open != want {
			t.Errorf("%d silent connections are open, want %d", open, want)
		}
		busy.Close()
		last.Close()
		l.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("serveStreams = %v", err)
		}
	})
}

// askOver puts a question over a stream and waits for the answer.
func askOver(conn net.Conn) error {
	m := new(wire.Msg)
	m.SetQuestion("web.prod.corp.", wire.TypeA)
	framed := wire.Conn{Conn: conn}
	if err := framed.WriteMsg(m); err != nil {
		return err
	}
	got, err := framed.ReadMsg()
	if err == nil && len(got.Answer) != 2 {
		err = fmt.Errorf("answers %v", got.Answer)
	}
	return err
}

// TestTheGreedyLoseTheirConnections has one network with many connections and
// another with a single older one, which stays.
func TestTheGreedyLoseTheirConnections(t *testing.T) {
	cs := connections{most: 4}
	from := func(ip string) *connection {
		client, server := net.Pipe()
		t.Cleanup(func() { client.Close() })
		return cs.add(from{server, ip})
	}
	modest := from("192.0.2.1")
	greedy := []*connection{from("198.51.100.1"), from("198.51.100.2"), from("198.51.100.3"), from("198.51.100.4")}
	late := from("203.0.113.1")
	want := []*connection{modest, greedy[2], greedy[3], late}
	if !slices.Equal(cs.open, want) {
		t.Errorf("open: %v", cs.open)
	}
	for _, c := range greedy[:2] {
		if _, err := c.Write(nil); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("a connection that lost its place is open: %v", err)
		}
		cs.remove(c)
	}
	modest.answered()
	cs.remove(greedy[2])
	if want = []*connection{greedy[3], late, modest}; !slices.Equal(cs.open, want) {
		t.Errorf("open: %v", cs.open)
	}
}

// from is a connection from an address of our choice.
type from struct {
	net.Conn
	ip string
}

func (f from) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(f.ip), Port: 1} }

// TestSilentConnectionsOnTheNet is the same with sockets: half-open askers
// cannot stall others.
func TestSilentConnectionsOnTheNet(t *testing.T) {
	const places = 8
	s := serveWith(t, corp(t), "127.0.0.1:0", Options{Connections: places})
	for i := range 4 * places {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 { // half a query
			if _, err := conn.Write([]byte{0, 40, 1}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, network := range []string{"tcp", "udp"} {
		if m := exchange(t, network, s.addr, "web.prod.corp.", kindA); len(m.Answer) != 2 {
			t.Errorf("%s:\n%s", network, m)
		}
	}
}

// TestLongQueriesAreHungUpOn proves that nobody makes the server hold 64 KiB by
// saying so in two bytes.
func TestLongQueriesAreHungUpOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		start := time.Now()
		go newServer(t, corp(t), Options{}).serveConn(t.Context(), new(connections).add(server))
		if _, err := client.Write([]byte{(maxQuery + 1) >> 8, (maxQuery + 1) & 0xff}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Read(make([]byte, 1)); err != io.EOF || time.Since(start) != 0 {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}
