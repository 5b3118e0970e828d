package dns

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// upstream is a server for the names of others, on loopback.
type upstream struct {
	at    netip.AddrPort
	mu    sync.Mutex
	asked []*wire.Msg
	ports map[string]bool // that were asked from
}

// newUpstream serves zone lines over UDP and TCP. A reply may be changed before
// it goes out; nil drops it.
func newUpstream(t *testing.T, zone string, change func(w wire.ResponseWriter, m *wire.Msg) *wire.Msg) *upstream {
	t.Helper()
	var records []wire.RR
	for line := range strings.Lines(zone) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rr, err := wire.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, rr)
	}
	u := &upstream{ports: make(map[string]bool)}
	handler := wire.HandlerFunc(func(w wire.ResponseWriter, q *wire.Msg) {
		u.mu.Lock()
		u.asked = append(u.asked, q)
		u.ports[w.RemoteAddr().String()] = true
		u.mu.Unlock()
		m := new(wire.Msg)
		m.SetReply(q)
		m.RecursionAvailable = true
		m.Rcode = wire.RcodeNameError
		name := q.Question[0].Name
		for _, rr := range records {
			if !strings.EqualFold(rr.Header().Name, name) {
				continue
			}
			m.Rcode = wire.RcodeSuccess
			if rr.Header().Rrtype == q.Question[0].Qtype || rr.Header().Rrtype == wire.TypeCNAME {
				m.Answer = append(m.Answer, rr)
			}
			if c, ok := rr.(*wire.CNAME); ok {
				name = c.Target
			}
		}
		if change != nil {
			m = change(w, m)
		}
		if m != nil {
			w.WriteMsg(m)
		}
	})
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	for _, s := range []*wire.Server{{Listener: tcp, Handler: handler}, {PacketConn: udp, Handler: handler}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		serving.Go(func() { s.ActivateAndServe() })
		<-started
		t.Cleanup(func() { s.Shutdown() })
	}
	u.at = tcp.Addr().(*net.TCPAddr).AddrPort()
	return u
}

// others is a zone of somebody else's.
const others = `
example.com. 300 A 203.0.113.1
example.com. 300 A 203.0.113.2
example.com. 300 MX 10 mail.example.com.
alias.example.com. 40 CNAME elb.example.com.
elb.example.com. 60 A 203.0.113.3
elb.example.com. 60 A 203.0.113.4
`

func (u *upstream) questions() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var out []string
	for _, m := range u.asked {
		out = append(out, wire.TypeToString[m.Question[0].Qtype]+" "+m.Question[0].Name)
	}
	return out
}

// answersOf is the answers of a message, sorted, one space between words.
func answersOf(m *wire.Msg) []string {
	var out []string
	for _, rr := range m.Answer {
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	slices.Sort(out)
	return out
}

func TestForward(t *testing.T) {
	u := newUpstream(t, others, nil)
	s := serveWith(t, corp(t), "127.0.0.1:0", Options{Forward: []netip.AddrPort{u.at}})
	for _, network := range []string{"udp", "tcp"} {
		for _, c := range []struct {
			name  string
			kind  kind
			rcode int
			want  []string
			asks  bool // the upstream
		}{
			{"Example.com.", kindA, 0, []string{"example.com. 300 IN A 203.0.113.1", "example.com. 300 IN A 203.0.113.2"}, true},
			{"example.com.", 15, 0, []string{"example.com. 300 IN MX 10 mail.example.com."}, true},
			{"nobody.example.com.", kindA, wire.RcodeNameError, nil, true},
			{"ext.prod.corp.", kindA, 0, []string{"example.com. 300 IN A 203.0.113.1", "example.com. 300 IN A 203.0.113.2", "ext.prod.corp. 7 IN CNAME example.com."}, true},
			{"elb.prod.corp.", kindA, 0, []string{"elb.prod.corp. 60 IN A 203.0.113.3", "elb.prod.corp. 60 IN A 203.0.113.4"}, true},
			{"elb.prod.corp.", kindAAAA, 0, nil, false},
			{"web.prod.corp.", kindA, 0, []string{"web.prod.corp. 10 IN A 10.0.0.1", "web.prod.corp. 10 IN A 10.0.0.3"}, false},
			{"nobody.prod.corp.", kindA, wire.RcodeNameError, nil, false},
			{"ext.prod.corp.", kindCNAME, 0, []string{"ext.prod.corp. 7 IN CNAME example.com."}, false},
			{"example.com.", kindAny, wire.RcodeRefused, nil, false},
			{"example.com.", 252, wire.RcodeRefused, nil, false},
		} {
			before := len(u.questions())
			m := exchange(t, network, s.addr, c.name, c.kind)
			if got := answersOf(m); m.Rcode != c.rcode || !slices.Equal(got, c.want) || !m.RecursionAvailable || !m.RecursionDesired {
				t.Errorf("%s %s over %s:\n%s\nwant %q", wire.TypeToString[uint16(c.kind)], c.name, network, m, c.want)
			}
			if asked := len(u.questions()) > before; asked != c.asks {
				t.Errorf("%s %s: upstream asked %t", wire.TypeToString[uint16(c.kind)], c.name, asked)
			}
			if strings.HasSuffix(c.name, ".corp.") != m.Authoritative {
				t.Errorf("%s: AA %t", c.name, m.Authoritative)
			}
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	ids := map[uint16]bool{}
	for _, m := range u.asked {
		ids[m.Id] = true
		if !m.RecursionDesired || strings.HasSuffix(m.Question[0].Name, "corp.") {
			t.Errorf("asked upstream:\n%s", m)
		}
	}
	if len(ids) < len(u.asked)-1 || len(u.ports) < len(u.asked)-1 { // chance may repeat one
		t.Errorf("%d questions with %d ids from %d ports", len(u.asked), len(ids), len(u.ports))
	}
}

// TestForwardIsForThoseWhoMay asks from elsewhere, without RD, and a server that
// forwards nothing.
func TestForwardIsForThoseWhoMay(t *testing.T) {
	f := corp(t)
	at := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9")}
	rd := func(on bool) func(*wire.Msg) { return func(m *wire.Msg) { m.RecursionDesired = on } }
	for _, c := range []struct {
		about, from, who string
		opts             Options
		rd               bool
		forwards, ra     bool
	}{
		{"loopback", "127.0.0.1", "example.com.", Options{Forward: at}, true, true, true},
		{"IPv6 loopback", "::1", "example.com.", Options{Forward: at}, true, true, true},
		{"no RD", "127.0.0.1", "example.com.", Options{Forward: at}, false, false, true},
		{"elsewhere", "192.0.2.1", "example.com.", Options{Forward: at}, true, false, false},
		{"elsewhere, a CNAME of ours", "192.0.2.1", "ext.prod.corp.", Options{Forward: at}, true, false, false},
		{"elsewhere, an alias of ours", "192.0.2.1", "elb.prod.corp.", Options{Forward: at}, false, true, false},
		{"elsewhere, widened", "192.0.2.1", "example.com.", Options{Forward: at, ForwardForAll: true}, true, true, true},
		{"off", "127.0.0.1", "example.com.", Options{}, true, false, false},
		{"off and widened", "127.0.0.1", "example.com.", Options{ForwardForAll: true}, true, false, false},
		{"ours", "127.0.0.1", "web.prod.corp.", Options{Forward: at}, true, false, true},
		{"the API's name", "127.0.0.1", "data-map.internal.", Options{Forward: at, API: APIName{"map.internal", netip.MustParseAddr("127.0.0.1")}}, true, false, true},
	} {
		t.Run(c.about, func(t *testing.T) {
			s := newServer(t, f, c.opts)
			packet, e := s.respond(nil, pack(t, rd(c.rd), c.who, kindA), asker{addr: netip.MustParseAddr(c.from)}, s.chooser())
			if (e != nil) != c.forwards || (len(packet) == 0) != c.forwards {
				t.Errorf("forwards: %t, reply %x", e != nil, packet)
			}
			if len(packet) > 0 && (packet[3]&bitRA != 0) != c.ra || e != nil && e.reply.recursion != c.ra {
				t.Errorf("RA is not %t", c.ra)
			}
		})
	}
}

// TestForwardTakesNoStrangersAnswer has an upstream that first answers with
// another id, another question, and no answer at all, then rightly.
func TestForwardTakesNoStrangersAnswer(t *testing.T) {
	u := newUpstream(t, others, func(w wire.ResponseWriter, m *wire.Msg) *wire.Msg {
		forged := func(change func(*wire.Msg)) {
			f := m.Copy()
			f.Answer = []wire.RR{&wire.A{Hdr: wire.RR_Header{Name: m.Question[0].Name, Rrtype: 1, Class: 1, Ttl: 1}, A: net.IPv4(6, 6, 6, 6)}}
			change(f)
			w.WriteMsg(f)
		}
		forged(func(f *wire.Msg) { f.Id++ })
		forged(func(f *wire.Msg) { f.Question[0].Name = "other.example.com." })
		forged(func(f *wire.Msg) { f.Question[0].Qtype = wire.TypeAAAA })
		forged(func(f *wire.Msg) { f.Response = false })
		forged(func(f *wire.Msg) { f.Question = nil })
		w.Write([]byte{1, 2, 3})
		return m
	})
	s := serveWith(t, corp(t), "127.0.0.1:0", Options{Forward: []netip.AddrPort{u.at}})
	if m := exchange(t, "udp", s.addr, "example.com.", kindA); len(m.Answer) != 2 || strings.Contains(m.String(), "6.6.6.6") {
		t.Errorf("%s", m)
	}
}

// TestForwardGoesOn has a first upstream that is not there, a second that fails
// and a third that cuts its answer over UDP.
func TestForwardGoesOn(t *testing.T) {
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := gone.LocalAddr().(*net.UDPAddr).AddrPort()
	gone.Close()
	failing := newUpstream(t, others, func(_ wire.ResponseWriter, m *wire.Msg) *wire.Msg {
		m.Rcode, m.Answer = wire.RcodeServerFailure, nil
		return m
	})
	cutting := newUpstream(t, others, func(w wire.ResponseWriter, m *wire.Msg) *wire.Msg {
		if w.RemoteAddr().Network() == "udp" {
			m.Truncated, m.Answer = true, nil
		}
		return m
	})
	s := serveWith(t, corp(t), "127.0.0.1:0", Options{Forward: []netip.AddrPort{nobody, failing.at, cutting.at}})
	if m := exchange(t, "udp", s.addr, "example.com.", kindA); len(m.Answer) != 2 {
		t.Errorf("%s", m)
	}
	s = serveWith(t, corp(t), "127.0.0.1:0", Options{Forward: []netip.AddrPort{nobody, failing.at}})
	for _, who := range []string{"example.com.", "elb.prod.corp.", "ext.prod.corp."} {
		if m := exchange(t, "udp", s.addr, who, kindA); m.Rcode != wire.RcodeServerFailure || len(m.Answer) != 0 {
			t.Errorf("all fail:\n%s", m)
		}
	}
}

// TestForwardIsBounded has every slot taken by questions that wait. One more
// fails at once, and what is ours is answered meanwhile.
func TestForwardIsBounded(t *testing.T) {
	u := newUpstream(t, others, nil)
	s := newServer(t, corp(t), Options{Forward: []netip.AddrPort{u.at}})
	for range maxForwards {
		s.forward.slots <- struct{}{}
	}
	packet, e := s.respond(nil, pack(t, nil, "example.com.", kindA), asker{addr: netip.MustParseAddr("127.0.0.1")}, s.chooser())
	if len(packet) > 0 || e == nil {
		t.Fatal("the question is not forwarded")
	}
	m := new(wire.Msg)
	if err := m.Unpack(s.run(t.Context(), e)); err != nil || m.Rcode != wire.RcodeServerFailure {
		t.Errorf("one too many: %v\n%s", err, m)
	}
	if got := u.questions(); len(got) > 0 {
		t.Errorf("the upstream was asked: %v", got)
	}
	if m := received(t, s.reply(pack(t, nil, "web.prod.corp.", kindA), false)); len(m.Answer) != 2 {
		t.Errorf("ours:\n%s", m)
	}
}

// TestSilentUpstream answers nothing: the asker learns of it in bounded time,
// and what is ours is answered meanwhile.
func TestSilentUpstream(t *testing.T) {
	u := newUpstream(t, others, func(wire.ResponseWriter, *wire.Msg) *wire.Msg { return nil })
	s := serveWith(t, corp(t), "127.0.0.1:0", Options{Forward: []netip.AddrPort{u.at}})
	failed := make(chan *wire.Msg)
	go func() { failed <- exchange(t, "udp", s.addr, "example.com.", kindA) }()
	for len(u.questions()) == 0 {
		if m := exchange(t, "udp", s.addr, "web.prod.corp.", kindA); len(m.Answer) != 2 {
			t.Errorf("ours:\n%s", m)
		}
	}
	select {
	case m := <-failed:
		if m.Rcode != wire.RcodeServerFailure {
			t.Errorf("%s", m)
		}
	case <-time.After(patience):
		t.Error("the asker waits for ever")
	}
}

// TestAliasesOfOurOwn have their addresses from the registry, whatever the
// upstream would say.
func TestAliasesOfOurOwn(t *testing.T) {
	f := newFleet(t)
	ns := f.namespace("corp", registry.DNSPrivateNamespace, 15)
	f.instance(f.service(ns, "web", false, registry.Multivalue, "A:10"), "i", "IPV4=10.0.0.1")
	for name, target := range map[string]string{"front": "WEB.corp", "empty": "nobody.corp", "loop": "loop.corp"} {
		f.instance(f.service(ns, name, false, registry.Weighted, "A:99"), "i", "ALIAS_DNS_NAME="+target)
	}
	for question, want := range map[string]string{
		"A front.corp": "NOERROR\nfront.corp. 10 A 10.0.0.1",
		"A empty.corp": "NOERROR\nauthority corp. 15 SOA",
		"A loop.corp":  "NOERROR\nauthority corp. 15 SOA",
	} {
		c := inOrder()
		c.aliases = true
		r := answer(f.reg, ask(t, question), c)
		if got := show(r); got != want || r.rest.how != whole {
			t.Errorf("%s:\n%s\nwant\n%s", question, got, want)
		}
	}
}

func TestForwardRefuses(t *testing.T) {
	f := newFleet(t)
	for _, at := range []string{"0.0.0.0:53", "[::]:53", "127.0.0.1:0"} {
		if _, err := New(f.reg, Options{Forward: []netip.AddrPort{netip.MustParseAddrPort(at)}}); err == nil {
			t.Errorf("%s is accepted", at)
		}
	}
	if _, err := New(f.reg, Options{Limit: Limit{PerSecond: -1}}); err == nil {
		t.Error("a negative limit is accepted")
	}
}
