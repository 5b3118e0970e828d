package dns

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	wire "github.com/miekg/dns"
)

// lengthless leaves the lengths of records out, since names inside may be
// compressed or not.
var lengthless = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Rdlength" }, cmp.Ignore())

// FuzzPlain holds the plain path against the library: whatever it reads the
// library reads alike, and what it writes says the same as the library's.
func FuzzPlain(f *testing.F) {
	fleet := corp(f)
	for _, who := range []string{"web.prod.corp.", "WEB.Prod.corp.", "down.prod.corp.", "both.prod.corp.", "nobody.prod.corp.", "prod.corp.", "www.prod.corp.", "example.com.", "."} {
		for _, k := range []kind{kindA, kindAAAA, kindSOA, kindSRV, kindAny} {
			f.Add(pack(f, nil, who, k))
			f.Add(pack(f, edns(1232, true), who, k))
			f.Add(pack(f, func(m *wire.Msg) { m.CheckingDisabled, m.RecursionDesired = true, false; edns(100, false)(m) }, who, k))
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		q, ok := decode(packet)
		if !ok || q.opcode != opQuery {
			return
		}
		bare := query{id: q.id, rd: q.rd, cd: q.cd, datagram: minDatagram}
		mine, theirs := bare, bare
		isPlain := mine.decodePlain(packet)
		if theirs.decodeAny(packet); isPlain && !reflect.DeepEqual(mine, theirs) {
			t.Fatalf("%x\nread as   %+v\nlibrary's %+v", packet, mine, theirs)
		}
		if q.problem != noError {
			return
		}
		r := answer(fleet.reg, q.question, inOrder())
		for _, most := range []int{q.datagram, maxStream} {
			out, ok := q.encodePlain(nil, r, most)
			if !ok {
				continue
			}
			var mine, theirs wire.Msg
			if err := mine.Unpack(out); err != nil || len(out) > most {
				t.Fatalf("%d bytes %x: %v", len(out), out, err)
			}
			if err := theirs.Unpack(q.encodeAny(r, most)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(theirs, mine, lengthless); diff != "" {
				t.Fatalf("%+v: library's and ours:\n%s", q, diff)
			}
		}
	})
}

// TestPlainIsTheRule proves that the usual traffic is plain, for else the
// comparison above would compare nothing.
func TestPlainIsTheRule(t *testing.T) {
	f := corp(t)
	for _, who := range []string{"web.prod.corp.", "nobody.prod.corp.", "example.com.", "prod.corp."} {
		for _, change := range []func(*wire.Msg){nil, edns(1232, true)} {
			packet := pack(t, change, who, kindA)
			q := query{datagram: minDatagram}
			if !q.decodePlain(packet) {
				t.Errorf("the query for %s is not plain: %x", who, packet)
				continue
			}
			if _, ok := q.encodePlain(nil, answer(f.reg, q.question, inOrder()), q.datagram); !ok {
				t.Errorf("the reply for %s is not plain", who)
			}
		}
	}
}
