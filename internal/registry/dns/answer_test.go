package dns

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// inOrder picks the first that is left, which is the order of the ids.
func inOrder() *chooser {
	return &chooser{pick: func(int) int { return 0 }, values: defaultValues}
}

var kindNames = map[string]kind{
	"A": kindA, "AAAA": kindAAAA, "SRV": kindSRV, "CNAME": kindCNAME, "SOA": kindSOA, "NS": kindNS, "ANY": kindAny,
	"TXT": 16, "IXFR": 251, "AXFR": 252, "MAILA": 254,
}

// ask reads a question like "A web.prod.corp"; the name is in presentation
// format.
func ask(t testing.TB, text string) question {
	t.Helper()
	what, who, _ := strings.Cut(text, " ")
	k, ok := kindNames[what]
	n, err := parse(who)
	if !strings.HasSuffix(who, ".") {
		n, err = parse(who + ".")
	}
	if !ok || err != nil {
		t.Fatalf("no question: %q: %v", text, err)
	}
	return question{name: n, kind: k, class: classIN}
}

// show writes a reply as a line per record: the section unless it is the
// answer, the owner, the TTL, the type and what it says.
func show(r reply) string {
	codes := map[rcode]string{noError: "NOERROR", nameError: "NXDOMAIN", refused: "REFUSED"}
	lines := []string{codes[r.code]}
	if !r.authoritative {
		lines[0] += " not authoritative"
	}
	for _, section := range []struct {
		mark    string
		records []record
	}{{"", r.answers}, {"authority ", r.authority}, {"additional ", r.additional}} {
		for _, rec := range section.records {
			lines = append(lines, section.mark+showRecord(rec))
		}
	}
	return strings.Join(lines, "\n")
}

func showRecord(r record) string {
	head := fmt.Sprintf("%s %d", r.name.escaped(), r.ttl)
	switch r.kind {
	case kindA:
		return fmt.Sprintf("%s A %s", head, r.addr)
	case kindAAAA:
		return fmt.Sprintf("%s AAAA %s", head, r.addr)
	case kindSRV:
		return fmt.Sprintf("%s SRV 1 1 %d %s", head, r.port, r.target.escaped())
	case kindCNAME:
		return fmt.Sprintf("%s CNAME %s", head, r.target.escaped())
	case kindNS:
		return fmt.Sprintf("%s NS %s", head, r.target.escaped())
	}
	return head + " SOA"
}

func TestAnswer(t *testing.T) {
	const (
		id1     = `10\0460\0463\0461\05880.rpc.Prod.corp.`
		nothing = "NOERROR\nauthority prod.corp. 15 SOA"
		noName  = "NXDOMAIN\nauthority prod.corp. 15 SOA"
		notOurs = "REFUSED not authoritative"
	)
	f := corp(t)
	for _, c := range []struct{ about, question, want string }{
		{"healthy ones alone", "A web.prod.corp",
			"NOERROR\nweb.prod.corp. 10 A 10.0.0.1\nweb.prod.corp. 10 A 10.0.0.3"},
		{"the asker's spelling comes back", "A wEb.PROD.coRP",
			"NOERROR\nwEb.PROD.coRP. 10 A 10.0.0.1\nwEb.PROD.coRP. 10 A 10.0.0.3"},
		{"all of them when none is healthy; TTL 0 is a TTL", "A down.prod.corp",
			"NOERROR\ndown.prod.corp. 0 A 10.0.1.1\ndown.prod.corp. 0 A 10.0.1.2"},
		{"A where the healthy one has it", "A both.prod.corp", "NOERROR\nboth.prod.corp. 10 A 10.0.2.1"},
		{"each type fails open for itself, with its own TTL", "AAAA both.prod.corp", "NOERROR\nboth.prod.corp. 20 AAAA fd00::2"},
		{"one value when weighted, a healthy one", "A one.prod.corp", "NOERROR\none.prod.corp. 10 A 10.0.5.2"},
		{"the same value once", "A same.prod.corp", "NOERROR\nsame.prod.corp. 10 A 10.0.6.1"},

		{"SRV with the addresses of its targets", "SRV RPC.prod.corp", "NOERROR\n" +
			"RPC.prod.corp. 30 SRV 1 1 80 " + id1 + "\n" +
			"RPC.prod.corp. 30 SRV 1 1 65535 Node-2.rpc.Prod.corp.\n" +
			"additional " + id1 + " 30 A 10.0.3.1\n" +
			"additional " + id1 + " 30 AAAA fd00:3::1\n" +
			"additional Node-2.rpc.Prod.corp. 30 A 10.0.3.2"},
		{"an instance's own name", "A node-2.rpc.prod.corp", "NOERROR\nnode-2.rpc.prod.corp. 30 A 10.0.3.2"},
		{"an id with dots is one label", `AAAA 10\.0\.3\.1:80.rpc.prod.corp`,
			"NOERROR\n" + `10\0460\0463\0461\05880.rpc.prod.corp. 30 AAAA fd00:3::1`},
		{"and not several", "A 10.0.3.1:80.rpc.prod.corp", noName},
		{"ids that differ by case share a name", "A t.twins.prod.corp",
			"NOERROR\nt.twins.prod.corp. 5 A 10.0.4.1\nt.twins.prod.corp. 5 A 10.0.4.2"},
		{"an instance has its address alone", "SRV node-2.rpc.prod.corp", nothing},
		{"an instance of that family alone", "AAAA node-2.rpc.prod.corp", nothing},
		{"nobody of that id", "A node-3.rpc.prod.corp", noName},
		{"below an instance", "A x.node-2.rpc.prod.corp", noName},
		{"an id that is no label has no record", "SRV toolong.prod.corp", noName},
		{"instances of address services have no name", "A a.web.prod.corp", noName},

		{"another type", "AAAA web.prod.corp", nothing},
		{"a type of no service", "TXT web.prod.corp", nothing},
		{"SRV service asked for A", "A rpc.prod.corp", nothing},
		{"no service", "A nobody.prod.corp", noName},
		{"a service without instances", "A none.prod.corp", noName},
		{"a service found by API alone", "A http-only.prod.corp", noName},
		{"a name between", "A _tcp.api.prod.corp", nothing},
		{"a name further up between", "A api.prod.corp", nothing},
		{"half a label is no name between", "A pi.prod.corp", noName},
		{"a dotted service", "SRV _grpc._tcp.api.prod.corp",
			"NOERROR\n_grpc._tcp.api.prod.corp. 10 SRV 1 1 9 i._grpc._tcp.api.Prod.corp.\nadditional i._grpc._tcp.api.Prod.corp. 10 A 10.0.8.1"},
		{"a dot inside a label is no separator", `SRV _grpc\._tcp.api.prod.corp`, noName},
		{"a letter that only Unicode folds to a k", `A \226\132\170iosk.prod.corp`, noName},
		{"the k itself", "A Kiosk.prod.corp", "NOERROR\nKiosk.prod.corp. 10 A 10.0.13.1"},
		{"a byte beyond ASCII", `A w\226\132\170b.prod.corp`, noName},
		{"a service before an instance", "A x.clash.prod.corp", "NOERROR\nx.clash.prod.corp. 10 A 10.0.11.2"},
		{"an instance before a service without records", "A x.hollow.prod.corp", "NOERROR\nx.hollow.prod.corp. 10 A 10.0.12.1"},

		{"SOA with the namespace's TTL", "SOA prod.corp", "NOERROR\nprod.corp. 15 SOA"},
		{"SOA longer than it may be believed", "SOA corp", "NOERROR\ncorp. 100000 SOA"},
		{"the lesser of both where nothing is", "A web.corp", "NXDOMAIN\nauthority corp. 86400 SOA"},
		{"NS", "NS prod.corp", "NOERROR\nprod.corp. 172800 NS ns.invalid."},
		{"SOA is the apex's alone", "SOA web.prod.corp", nothing},
		{"the apex as a service", "A prod.corp", "NOERROR\nprod.corp. 60 A 10.0.9.1"},
		{"the apex without one", "A corp", "NOERROR\nauthority corp. 86400 SOA"},
		{"the closest namespace", "NS web.prod.corp", nothing},

		{"a CNAME and what it leads to", "A www.prod.corp",
			"NOERROR\nwww.prod.corp. 7 CNAME WEB.prod.corp.\nWEB.prod.corp. 10 A 10.0.0.1\nWEB.prod.corp. 10 A 10.0.0.3"},
		{"the CNAME itself", "CNAME www.prod.corp", "NOERROR\nwww.prod.corp. 7 CNAME WEB.prod.corp."},
		{"a CNAME to elsewhere", "A chain.prod.corp",
			"NOERROR\nchain.prod.corp. 7 CNAME ext.prod.corp.\next.prod.corp. 7 CNAME example.com."},
		{"a CNAME to no name", "A dangling.prod.corp",
			"NXDOMAIN\ndangling.prod.corp. 7 CNAME nobody.corp.\nauthority corp. 86400 SOA"},
		{"a CNAME to another type", "AAAA www.prod.corp",
			"NOERROR\nwww.prod.corp. 7 CNAME WEB.prod.corp.\nauthority prod.corp. 15 SOA"},
		{"a CNAME to itself", "A loop.prod.corp", "NOERROR\nloop.prod.corp. 7 CNAME loop.prod.corp."},
		{"an alias exists and has no address here", "A elb.prod.corp", nothing},

		{"ANY is one type", "ANY both.prod.corp", "NOERROR\nboth.prod.corp. 10 A 10.0.2.1"},
		{"ANY at the apex", "ANY prod.corp", "NOERROR\nprod.corp. 15 SOA"},
		{"ANY of an alias is the alias", "ANY www.prod.corp", "NOERROR\nwww.prod.corp. 7 CNAME WEB.prod.corp."},
		{"ANY of nobody", "ANY nobody.prod.corp", noName},

		{"no transfer", "AXFR prod.corp", notOurs},
		{"no transfer by steps", "IXFR prod.corp", notOurs},
		{"no mail", "MAILA prod.corp", notOurs},
		{"the root", "NS .", notOurs},
		{"someone else's", "A example.com", notOurs},
		{"above a namespace", "A xcorp", notOurs},
		{"an HTTP namespace", "A web", notOurs},
	} {
		t.Run(c.about, func(t *testing.T) {
			if got := show(answer(f.reg, ask(t, c.question), inOrder())); got != c.want {
				t.Errorf("%s:\n%s\nwant\n%s", c.question, got, c.want)
			}
		})
	}
}

func TestAnswerOtherClasses(t *testing.T) {
	f := corp(t)
	for _, class := range []uint16{3, 254, 255} {
		q := ask(t, "A web.prod.corp")
		q.class = class
		if got := show(answer(f.reg, q, inOrder())); got != "REFUSED not authoritative" {
			t.Errorf("class %d: %s", class, got)
		}
	}
}

// TestAnswerFollowsAliasesInBounds has a chain that is longer than an answer
// follows; what was found so far is the answer.
func TestAnswerFollowsAliasesInBounds(t *testing.T) {
	f := newFleet(t)
	ns := f.namespace("corp", registry.DNSPrivateNamespace, 15)
	for i := range maxChain + 2 {
		f.instance(f.service(ns, fmt.Sprint("c", i), false, registry.Weighted, "CNAME:7"), "i", fmt.Sprintf("CNAME=c%d.corp", i+1))
	}
	r := answer(f.reg, ask(t, "A c0.corp"), inOrder())
	if r.code != noError || len(r.answers) != maxChain || len(r.authority) != 0 {
		t.Errorf("want %d aliases:\n%s", maxChain, show(r))
	}
}

// TestAnswerIsAFreshChoice draws from twenty instances: eight different ones
// each time, each of the twenty about as often as the others.
func TestAnswerIsAFreshChoice(t *testing.T) {
	const fleetSize, draws = 20, 5000
	f := newFleet(t)
	svc := f.service(f.namespace("corp", registry.DNSPrivateNamespace, 15), "web", false, registry.Multivalue, "A:10")
	for i := range fleetSize {
		f.instance(svc, fmt.Sprint("i", i), fmt.Sprintf("IPV4=10.0.0.%d", i))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	seen, first := map[string]int{}, map[string]int{}
	for range draws {
		r := answer(f.reg, ask(t, "A web.corp"), &chooser{pick: rnd.IntN, values: defaultValues})
		distinct := map[string]bool{}
		for i, rec := range r.answers {
			distinct[rec.addr.String()] = true
			seen[rec.addr.String()]++
			if i == 0 {
				first[rec.addr.String()]++
			}
		}
		if len(r.answers) != defaultValues || len(distinct) != defaultValues {
			t.Fatalf("%d values, %d different, want %d: %s", len(r.answers), len(distinct), defaultValues, show(r))
		}
	}
	for i := range fleetSize {
		addr := fmt.Sprintf("10.0.0.%d", i)
		if n, want := seen[addr], draws*defaultValues/fleetSize; n < want*9/10 || n > want*11/10 {
			t.Errorf("%s is in %d of %d answers, want about %d", addr, n, draws, want)
		}
		if n, want := first[addr], draws/fleetSize; n < want*7/10 || n > want*13/10 {
			t.Errorf("%s is first in %d of %d answers, want about %d", addr, n, draws, want)
		}
	}
}

// TestAnswerProperties holds what every fleet must see: a healthy instance is
// never passed over for an unhealthy one, and the service never vanishes while
// it has instances.
func TestAnswerProperties(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		reg, err := registry.Open(registry.Options{})
		if err != nil {
			r.Fatal(err)
		}
		defer reg.Close()
		f := fleet{t, reg}
		checked := rapid.Bool().Draw(r, "checked")
		policy := rapid.SampledFrom([]registry.RoutingPolicy{registry.Multivalue, registry.Weighted}).Draw(r, "policy")
		svc := f.service(f.namespace("corp", registry.DNSPrivateNamespace, 15), "web", checked, policy, "SRV:10")
		n := rapid.IntRange(0, 20).Draw(r, "instances")
		pool := map[string]bool{}
		healthy := map[string]bool{}
		for i := range n {
			id := fmt.Sprint("i", i)
			f.instance(svc, id, fmt.Sprintf("IPV4=10.0.0.%d PORT=80", i))
			pool[id] = true
			if checked && rapid.Bool().Draw(r, "unhealthy") {
				f.health(svc, id, registry.Unhealthy)
			} else {
				healthy[id] = true
			}
		}
		if len(healthy) > 0 {
			pool = healthy
		}
		most := defaultValues
		if policy == registry.Weighted {
			most = 1
		}
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 0))
		before := slices.Clone(reg.View(svc).Instances)
		got := answer(reg, ask(t, "SRV web.corp"), &chooser{pick: rnd.IntN, values: defaultValues})
		if len(got.answers) != min(most, len(pool)) || len(got.additional) != len(got.answers) {
			r.Fatalf("%d answers with %d addresses, want %d:\n%s", len(got.answers), len(got.additional), min(most, len(pool)), show(got))
		}
		if (got.code == nameError) != (n == 0) {
			r.Fatalf("%d instances: %s", n, show(got))
		}
		drawn := map[string]bool{}
		for _, rec := range got.answers {
			if id := rec.target[0]; !pool[id] || drawn[id] {
				r.Fatalf("%s is not of %v, or twice:\n%s", id, pool, show(got))
			} else {
				drawn[id] = true
			}
		}
		if !slices.Equal(before, reg.View(svc).Instances) {
			r.Fatal("the answer reordered the registry's own list")
		}
	})
}

// public shows every DNS namespace as a public one.
type public struct{ *registry.Registry }

func (p public) Zone(name string) *registry.Namespace {
	ns := p.Registry.Zone(name)
	if ns == nil {
		return nil
	}
	shown := *ns
	shown.Type, shown.VPC = registry.DNSPublicNamespace, ""
	return &shown
}

func TestPublicNamespacesAnswerLikePrivateOnes(t *testing.T) {
	f := corp(t)
	for _, question := range []string{
		"A web.prod.corp", "SRV rpc.prod.corp", "A node-2.rpc.prod.corp", "A nobody.prod.corp", "SOA prod.corp", "NS prod.corp",
		"A www.prod.corp", "A api.prod.corp", "A prod.corp", "A elb.prod.corp",
	} {
		want := show(answer(f.reg, ask(t, question), inOrder()))
		if got := show(answer(public{f.reg}, ask(t, question), inOrder())); got != want || strings.HasPrefix(got, "REFUSED") {
			t.Errorf("%s:\n%s\nprivate:\n%s", question, got, want)
		}
	}
}

// TestAnswerHasAsManyValuesAsConfigured draws from ten instances.
func TestAnswerHasAsManyValuesAsConfigured(t *testing.T) {
	f := newFleet(t)
	svc := f.service(f.namespace("corp", registry.DNSPrivateNamespace, 15), "web", false, registry.Multivalue, "A:10")
	for i := range 10 {
		f.instance(svc, fmt.Sprint("i", i), fmt.Sprintf("IPV4=10.0.0.%d", i))
	}
	for values, want := range map[int]int{0: defaultValues, 1: 1, 3: 3, 10: 10, MaxValues: 10} {
		s := newServer(t, f, Options{Values: values})
		if m := received(t, s.reply(pack(t, nil, "web.corp.", kindA), false)); len(m.Answer) != want {
			t.Errorf("%d configured: %d values, want %d", values, len(m.Answer), want)
		}
	}
	for _, values := range []int{-1, MaxValues + 1} {
		if _, err := New(f.reg, Options{Values: values}); err == nil {
			t.Errorf("%d values are accepted", values)
		}
	}
}

// TestPoolsFollowTheService asks between changes: no answer is from before one.
func TestPoolsFollowTheService(t *testing.T) {
	f := newFleet(t)
	svc := f.service(f.namespace("corp", registry.DNSPrivateNamespace, 15), "web", true, registry.Multivalue, "A:10")
	expect := func(want string) {
		t.Helper()
		for range 2 { // the second from what the first made
			if got := show(answer(f.reg, ask(t, "A web.corp"), inOrder())); got != want {
				t.Errorf("%s\nwant\n%s", got, want)
			}
		}
	}
	expect("NXDOMAIN\nauthority corp. 15 SOA")
	f.instance(svc, "a", "IPV4=10.0.0.1")
	expect("NOERROR\nweb.corp. 10 A 10.0.0.1")
	f.instance(svc, "b", "IPV4=10.0.0.2")
	expect("NOERROR\nweb.corp. 10 A 10.0.0.1\nweb.corp. 10 A 10.0.0.2")
	f.health(svc, "a", registry.Unhealthy)
	expect("NOERROR\nweb.corp. 10 A 10.0.0.2")
	f.instance(svc, "b", "IPV4=10.0.0.3")
	expect("NOERROR\nweb.corp. 10 A 10.0.0.3")
	f.health(svc, "b", registry.Unhealthy)
	expect("NOERROR\nweb.corp. 10 A 10.0.0.1\nweb.corp. 10 A 10.0.0.3")
	for _, id := range []string{"a", "b"} {
		if _, err := f.reg.Deregister(svc, id); err != nil {
			t.Fatal(err)
		}
	}
	expect("NXDOMAIN\nauthority corp. 15 SOA")
}
