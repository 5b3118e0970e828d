package dns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	wire "github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/sync/errgroup"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// patience bounds what takes milliseconds on a machine that is not busy.
const patience = 30 * time.Second

// served is a server on loopback, UDP and TCP on the same port.
type served struct {
	addr    string
	packets *net.UDPConn
	streams net.Listener
	cancel  context.CancelFunc
	done    chan error
}

func serve(t *testing.T, f fleet, at string) served { return serveWith(t, f, at, Options{}) }

func serveWith(t *testing.T, f fleet, at string, opts Options) served {
	t.Helper()
	streams, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", streams.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	packets := udp.(*net.UDPConn)
	ctx, cancel := context.WithCancel(t.Context())
	s := served{streams.Addr().String(), packets, streams, cancel, make(chan error, 1)}
	go func() { s.done <- newServer(t, f, opts).Serve(ctx, packets, streams) }()
	t.Cleanup(cancel)
	return s
}

// stopped is what Serve returns.
func (s served) stopped(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(patience):
		t.Fatal("Serve does not return")
		return nil
	}
}

func exchange(t *testing.T, network, addr, name string, k kind) *wire.Msg {
	t.Helper()
	m := new(wire.Msg)
	m.SetQuestion(name, uint16(k))
	got, _, err := (&wire.Client{Net: network, Timeout: patience}).Exchange(m, addr)
	if err != nil {
		t.Fatalf("%s over %s: %v", name, network, err)
	}
	return got
}

func TestServeOverBothTransports(t *testing.T) {
	s := serve(t, corp(t), "127.0.0.1:0")
	for _, network := range []string{"udp", "tcp"} {
		if m := exchange(t, network, s.addr, "web.prod.corp.", kindA); m.Rcode != wire.RcodeSuccess || len(m.Answer) != 2 {
			t.Errorf("%s: healthy instances:\n%s", network, m)
		}
		m := exchange(t, network, s.addr, "rpc.prod.corp.", kindSRV)
		if len(m.Answer) != 2 || len(m.Extra) != 3 {
			t.Fatalf("%s: SRV:\n%s", network, m)
		}
		for _, rr := range m.Answer {
			srv := rr.(*wire.SRV)
			if a := exchange(t, network, s.addr, srv.Target, kindA); len(a.Answer) != 1 {
				t.Errorf("%s: the target %s has no address:\n%s", network, srv.Target, a)
			}
		}
		if m := exchange(t, network, s.addr, "nobody.prod.corp.", kindA); m.Rcode != wire.RcodeNameError || len(m.Ns) != 1 {
			t.Errorf("%s: no such name:\n%s", network, m)
		}
		if m := exchange(t, network, s.addr, "example.com.", kindA); m.Rcode != wire.RcodeRefused {
			t.Errorf("%s: not ours:\n%s", network, m)
		}
	}
}

func TestServeTruncatesAndAnswersOverTCP(t *testing.T) {
	s := serve(t, wideService(t), "127.0.0.1:0")
	if m := exchange(t, "udp", s.addr, wideName, kindSRV); !m.Truncated {
		t.Errorf("%d answers fit in 512 bytes", len(m.Answer))
	}
	if m := exchange(t, "tcp", s.addr, wideName, kindSRV); m.Truncated || len(m.Answer) != defaultValues || len(m.Extra) != defaultValues {
		t.Errorf("over TCP: TC %t, %d answers, %d addresses", m.Truncated, len(m.Answer), len(m.Extra))
	}
}

// TestServeTheStandardResolver asks as programs do: with the resolver of the
// standard library, which asks anew over TCP by itself.
func TestServeTheStandardResolver(t *testing.T) {
	s := serve(t, wideService(t), "127.0.0.1:0")
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.addr)
	}}
	_, targets, err := resolver.LookupSRV(t.Context(), "", "", wideName)
	if err != nil || len(targets) != defaultValues {
		t.Fatalf("%d targets: %v", len(targets), err)
	}
	for _, target := range targets {
		if addrs, err := resolver.LookupHost(t.Context(), target.Target); err != nil || len(addrs) != 1 {
			t.Errorf("%s: %v, %v", target.Target, addrs, err)
		}
	}
	var missing *net.DNSError
	if _, err := resolver.LookupHost(t.Context(), "nobody.corp."); !errors.As(err, &missing) || !missing.IsNotFound {
		t.Errorf("no such name: %v", err)
	}
}

func TestServeManyQueriesOnOneConnection(t *testing.T) {
	s := serve(t, corp(t), "127.0.0.1:0")
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const queries = 300
	framed := wire.Conn{Conn: conn}
	for i := range queries {
		m := new(wire.Msg)
		m.SetQuestion("web.prod.corp.", wire.TypeA)
		m.Id = uint16(i)
		if err := framed.WriteMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	for i := range queries {
		m, err := framed.ReadMsg()
		if err != nil || m.Id != uint16(i) || len(m.Answer) != 2 {
			t.Fatalf("reply %d: %v\n%v", i, err, m)
		}
	}
}

func TestServeHangsUpOnNonsense(t *testing.T) {
	s := serve(t, corp(t), "127.0.0.1:0")
	for _, sent := range []string{"\x00\x00", "\x00\x03abc", "\x00\x0c" + strings.Repeat("\xff", 12)} {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); len(got) > 0 || isTimeout(err) {
			t.Errorf("%q: %x, %v", sent, got, err)
		}
		conn.Close()
	}
	if m := exchange(t, "tcp", s.addr, "web.prod.corp.", kindA); len(m.Answer) != 2 {
		t.Errorf("afterwards:\n%s", m)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestServeStopsWithItsContext(t *testing.T) {
	s := serve(t, corp(t), "127.0.0.1:0")
	idle, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	m := new(wire.Msg)
	m.SetQuestion("web.prod.corp.", wire.TypeA)
	framed := wire.Conn{Conn: idle}
	if err := framed.WriteMsg(m); err != nil {
		t.Fatal(err)
	}
	if _, err := framed.ReadMsg(); err != nil {
		t.Fatal(err)
	}
	s.cancel()
	if err := s.stopped(t); err != nil {
		t.Errorf("Serve = %v", err)
	}
	if _, err := framed.ReadMsg(); err == nil || isTimeout(err) {
		t.Errorf("the idle connection outlives the server: %v", err)
	}
	if err := s.packets.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the UDP socket is open: %v", err)
	}
	if _, err := s.streams.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the TCP socket is open: %v", err)
	}
}

func TestServeReportsASocketClosedByOthers(t *testing.T) {
	for _, closeIt := range []func(served){
		func(s served) { s.packets.Close() },
		func(s served) { s.streams.Close() },
	} {
		s := serve(t, corp(t), "127.0.0.1:0")
		closeIt(s)
		if err := s.stopped(t); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve = %v", err)
		}
	}
}

// TestServeWhileTheFleetChanges asks while instances come, go and change their
// health: every answer is one that some moment had.
func TestServeWhileTheFleetChanges(t *testing.T) {
	f := newFleet(t)
	svc := f.service(f.namespace("corp", registry.DNSPrivateNamespace, 15), "web", true, registry.Multivalue, "SRV:10")
	f.instance(svc, "steady", "IPV4=10.0.0.1 PORT=1")
	s := serve(t, f, "127.0.0.1:0")
	stop := make(chan struct{})
	var change sync.WaitGroup
	change.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			id := fmt.Sprint("i", i%5)
			f.instance(svc, id, "IPV4=10.0.0.2 PORT=2")
			f.health(svc, id, registry.Unhealthy)
			if _, err := f.reg.Deregister(svc, id); err != nil {
				t.Error(err)
			}
		}
	})
	for range 300 {
		m := exchange(t, "udp", s.addr, "web.corp.", kindSRV)
		steady := false
		for _, rr := range m.Answer {
			steady = steady || rr.(*wire.SRV).Target == "steady.web.corp."
		}
		if !steady || len(m.Answer) > 2 {
			t.Errorf("want steady and at most one more:\n%s", m)
			break
		}
	}
	close(stop)
	change.Wait()
}

// TestSocketInTroubleIsTriedAgain fails Accept as a process without descriptors
// does: it goes on, at most once a second, and in full haste after a success.
func TestSocketInTroubleIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- newServer(t, corp(t), Options{}).serveStreams(ctx, l) }()
		pause := func() time.Duration {
			l.fails <- errors.New("too many open files")
			start := time.Now()
			client, server := net.Pipe()
			defer client.Close()
			l.conns <- server
			return time.Since(start)
		}
		for range 2 {
			if got := pause(); got != time.Duration(minBackoff) {
				t.Errorf("after one failure: %s, want %s", got, time.Duration(minBackoff))
			}
		}
		for range 10 {
			l.fails <- errors.New("too many open files")
		}
		if got := pause(); got != time.Duration(maxBackoff) {
			t.Errorf("after many failures: %s, want %s", got, time.Duration(maxBackoff))
		}
		l.fails <- errors.New("too many open files")
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serveStreams = %v", err)
		}
	})
}

// TestNothingIsSentToPortZero has a datagram whose sender nobody can be.
func TestNothingIsSentToPortZero(t *testing.T) {
	d := datagrams{at: netip.MustParseAddr("127.0.0.1")}
	for port, want := range map[int]bool{0: false, 1: true} {
		if _, ok := d.from(&ipv4.Message{Addr: &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: port}}); ok != want {
			t.Errorf("port %d: answered %t", port, ok)
		}
	}
}

// TestDatagramsOneByOne serves as on a system that moves one datagram per call.
func TestDatagramsOneByOne(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", ":0"} {
		packets, err := net.ListenPacket("udp", at)
		if err != nil {
			t.Fatal(err)
		}
		socket := newDatagrams(packets.(*net.UDPConn))
		socket.many = nil
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			g, ctx := errgroup.WithContext(ctx)
			done <- newServer(t, corp(t), Options{}).serveDatagrams(ctx, socket, g)
		}()
		_, port, err := net.SplitHostPort(packets.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		if m := exchange(t, "udp", net.JoinHostPort("127.0.0.1", port), "web.prod.corp.", kindA); len(m.Answer) != 2 {
			t.Errorf("%s:\n%s", at, m)
		}
		cancel()
		packets.Close()
		if err := <-done; err != nil {
			t.Errorf("serveDatagrams = %v", err)
		}
	}
}

// TestManyAtATime sends more queries at once than a batch holds; each gets the
// reply to itself.
func TestManyAtATime(t *testing.T) {
	s := serve(t, corp(t), "127.0.0.1:0")
	conn, err := net.Dial("udp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const queries = 2 * batchSize
	names := []string{"web.prod.corp.", "down.prod.corp.", "nobody.prod.corp.", "example.com."}
	buf := make([]byte, maxDatagram)
	for i := range queries {
		m := new(wire.Msg)
		m.SetQuestion(names[i%len(names)], wire.TypeA)
		m.Id = uint16(i)
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	seen := map[uint16]bool{}
	for range queries {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("after %d replies: %v", len(seen), err)
		}
		m := new(wire.Msg)
		if err := m.Unpack(buf[:n]); err != nil {
			t.Fatal(err)
		}
		if want := names[int(m.Id)%len(names)]; m.Question[0].Name != want || seen[m.Id] {
			t.Errorf("reply %d is about %s, want %s once", m.Id, m.Question[0].Name, want)
		}
		seen[m.Id] = true
	}
}
