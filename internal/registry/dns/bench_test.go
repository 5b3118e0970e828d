package dns

import (
	"fmt"
	"testing"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// BenchmarkRespond is a query from its bytes to the bytes of its reply, for a
// service of a thousand instances among a thousand services.
func BenchmarkRespond(b *testing.B) {
	f := newFleet(b)
	ns := f.namespace("corp", registry.DNSPrivateNamespace, 15)
	web := f.service(ns, "web", true, registry.Multivalue, "A:10")
	rpc := f.service(ns, "rpc", true, registry.Multivalue, "SRV:10")
	few := f.service(ns, "few", true, registry.Multivalue, "A:10")
	f.instance(few, "i", "IPV4=10.0.0.1")
	hundred := f.service(ns, "hundred", true, registry.Multivalue, "A:10")
	for i := range 100 {
		f.instance(hundred, fmt.Sprint("i", i), fmt.Sprintf("IPV4=10.0.0.%d", i))
	}
	for i := range 1000 {
		f.instance(web, fmt.Sprint("i", i), fmt.Sprintf("IPV4=10.0.%d.%d", i/250, i%250))
		f.instance(rpc, fmt.Sprint("i", i), fmt.Sprintf("IPV4=10.0.%d.%d PORT=80", i/250, i%250))
		f.service(ns, fmt.Sprint("other", i), false, registry.Multivalue, "A:10")
	}
	s := newServer(b, f, Options{})
	for _, c := range []struct {
		about, name string
		kind        kind
	}{
		{"A1", "few.corp.", kindA}, {"A100", "hundred.corp.", kindA}, {"A1000", "web.corp.", kindA},
		{"SRV", "rpc.corp.", kindSRV}, {"target", "i7.rpc.corp.", kindA}, {"nobody", "nobody.corp.", kindA},
	} {
		b.Run(c.about, func(b *testing.B) {
			packet := pack(b, edns(1232, false), c.name, c.kind)
			buf, c := make([]byte, 0, maxDatagram), s.chooser()
			b.ReportAllocs()
			for b.Loop() {
				if out, _ := s.respond(buf, packet, asker{}, c); len(out) == 0 {
					b.Fatal("no reply")
				}
			}
		})
	}
}
