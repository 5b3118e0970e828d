package dns

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// limited is a server in a bubble that limits answers.
func limited(t *testing.T, l Limit) *Server {
	return newServer(t, corp(t), Options{Limit: l})
}

// burst asks a question n times and counts what comes back.
func (s *Server) burst(t *testing.T, n int, from, who string, k kind) (whole, cut, none int) {
	t.Helper()
	c := s.chooser()
	for range n {
		packet, _ := s.respond(nil, pack(t, nil, who, k), asker{addr: netip.MustParseAddr(from)}, c)
		switch {
		case packet == nil:
			none++
		case packet[2]&bitTC != 0:
			if cut++; packet[7] != 0 || len(packet) > len(pack(t, nil, who, k)) {
				t.Errorf("a reply that sends the asker to TCP says more: %x", packet)
			}
		default:
			whole++
		}
	}
	return whole, cut, none
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, burst = 10, 10 * limitBurst
		s := limited(t, Limit{PerSecond: perSecond, Slip: 2})
		expect := func(about string, n int, from, who string, k kind, whole, cut, none int) {
			t.Helper()
			if a, b, c := s.burst(t, n, from, who, k); a != whole || b != cut || c != none {
				t.Errorf("%s: %d whole, %d cut, %d none; want %d, %d, %d", about, a, b, c, whole, cut, none)
			}
		}
		expect("the same question", burst+10, "192.0.2.1", "web.prod.corp.", kindA, burst, 5, 5)
		expect("its neighbour", 4, "192.0.2.200", "WEB.prod.corp.", kindA, 0, 2, 2)
		expect("another question", burst, "192.0.2.1", "down.prod.corp.", kindA, burst, 0, 0)
		expect("another network", burst, "192.0.3.1", "web.prod.corp.", kindA, burst, 0, 0)
		expect("on the same machine", 10*burst, "127.0.0.1", "web.prod.corp.", kindA, 10*burst, 0, 0)
		expect("a /56", burst, "2001:db8::1", "web.prod.corp.", kindA, burst, 0, 0)
		expect("the same /56", 2, "2001:db8:0:ff::9", "web.prod.corp.", kindA, 0, 1, 1)
		expect("another /56", burst, "2001:db8:0:100::1", "web.prod.corp.", kindA, burst, 0, 0)

		for i := range burst {
			expect("random names", 1, "192.0.2.1", fmt.Sprintf("x%d.prod.corp.", i), kindA, 1, 0, 0)
		}
		expect("one more random name", 2, "192.0.2.1", "y.prod.corp.", kindA, 0, 1, 1)
		for i := range burst {
			expect("refusals", 1, "192.0.2.1", fmt.Sprintf("x%d.example.", i), kindA, 1, 0, 0)
		}
		expect("one more refusal", 2, "192.0.2.1", "y.example.", kindA, 0, 1, 1)

		time.Sleep(time.Second)
		expect("a second later", perSecond+2, "192.0.2.1", "web.prod.corp.", kindA, perSecond, 1, 1)
		time.Sleep(time.Hour)
		expect("an hour later", burst+2, "192.0.2.1", "web.prod.corp.", kindA, burst, 1, 1)
	})
}

func TestLimitSparesTCPAndSlips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := limited(t, Limit{PerSecond: 1, Loopback: true})
		if whole, cut, none := s.burst(t, 10, "127.0.0.1", "web.prod.corp.", kindA); whole != limitBurst || cut != 0 || none != 10-limitBurst {
			t.Errorf("loopback, no slip: %d whole, %d cut, %d none", whole, cut, none)
		}
		for range 10 {
			if packet := s.reply(pack(t, nil, "web.prod.corp.", kindA), true); len(packet) == 0 {
				t.Fatal("an asker over TCP is limited")
			}
		}
		if s := limited(t, Limit{}); s.limit != nil {
			t.Error("the zero value limits")
		}
	})
}

// TestLimitForgetsTheOldest fills the table many times over: memory stays as it
// is, and those who ask now are still counted.
func TestLimitForgetsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Limit{PerSecond: 1})
		q := query{question: ask(t, "A web.prod.corp")}
		from := func(i int) asker {
			return asker{addr: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}
		}
		for i := range 3 * limitBuckets {
			if l.judge(from(i<<8), &q, &reply{}) != sent {
				t.Fatalf("the first answer to network %d is limited", i)
			}
			if i%limitBuckets == 0 {
				time.Sleep(time.Second)
			}
		}
		last := from(1 << 20)
		for range limitBurst {
			l.judge(last, &q, &reply{})
		}
		if l.judge(last, &q, &reply{}) == sent || len(l.buckets) != limitBuckets {
			t.Error("a full table counts no more, or has grown")
		}
	})
}

// TestLimitSendsResolversToTCP proves that an asker who gives no cause still
// gets an answer when the limit is reached: its resolver goes on over TCP.
func TestLimitSendsResolversToTCP(t *testing.T) {
	s := serveWith(t, corp(t), "127.0.0.1:0", Options{Limit: Limit{PerSecond: 1, Slip: 1, Loopback: true}})
	cut := false
	for range 50 {
		cut = cut || exchange(t, "udp", s.addr, "web.prod.corp.", kindA).Truncated
	}
	if !cut {
		t.Fatal("the limit was not reached")
	}
	if m := exchange(t, "tcp", s.addr, "web.prod.corp.", kindA); m.Truncated || len(m.Answer) != 2 {
		t.Errorf("over TCP:\n%s", m)
	}
}
