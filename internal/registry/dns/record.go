package dns

import "net/netip"

// kind is a type of record, or what a question asks for in its place.
type kind uint16

// The types that are answered with something of their own, by the numbers of
// the IANA registry.
const (
	kindA     kind = 1
	kindNS    kind = 2
	kindCNAME kind = 5
	kindSOA   kind = 6
	kindAAAA  kind = 28
	kindSRV   kind = 33
	kindAny   kind = 255
)

// meta reports whether the type is a transfer or another request that is no
// question about records. ANY is one about records (RFC 8482).
func (k kind) meta() bool { return k >= 249 && k <= 254 }

const classIN = 1

// rcode says how a query went (RFC 6895, section 2.3).
type rcode int

const (
	noError        rcode = 0
	formatError    rcode = 1
	serverFailure  rcode = 2
	nameError      rcode = 3 // NXDOMAIN
	notImplemented rcode = 4
	refused        rcode = 5
	badVersion     rcode = 16 // of EDNS
)

// question is what a query asks.
type question struct {
	name  name
	kind  kind
	class uint16
}

// record is one resource record of class IN.
type record struct {
	name name
	kind kind
	ttl  uint32 // seconds

	addr   netip.Addr // A, AAAA
	target name       // CNAME, NS, SRV
	port   uint16     // SRV

	foreign bool   // somebody else's, with data instead of the above, and no address
	data    string // in hexadecimal
}

// isAlias reports whether it stands for the addresses of another name.
func (r record) isAlias() bool {
	return !r.addr.IsValid() && !r.foreign && (r.kind == kindA || r.kind == kindAAAA)
}

// contains reports whether a record is there, which a set of records has only
// once (RFC 2181, section 5).
func contains(records []record, r *record) bool {
	for i := range records {
		o := &records[i]
		if r.kind == o.kind && r.addr == o.addr && r.port == o.port && r.data == o.data && r.target.same(o.target) {
			return true
		}
	}
	return false
}

// reply is what a query is answered with.
type reply struct {
	code          rcode
	authoritative bool
	recursion     bool // names of others are looked up for this asker
	cut           bool // says nothing, and that TCP would
	answers       []record
	authority     []record
	additional    []record // left out, without a trace, where there is no room
	rest          rest
}

// rest is what an answer lacks that no namespace has. Left as it is, the reply
// is what a server says that asks nobody else.
type rest struct {
	how   how
	name  name // whom to ask for
	owner name // whose address it becomes, where it is an alias's
}

// how says why somebody else would have to be asked.
type how int

const (
	whole     how = iota // nothing is lacking
	foreign              // the question is for a name that no namespace is above
	continued            // a CNAME leads there
	aliased              // an alias (AWS_ALIAS_DNS_NAME) takes its address from there
)

// The SOA of every namespace: the timers are Route 53's. The server has no name
// of its own and nobody answers for the zone by mail; both say so with the
// domain that never exists (RFC 6761, section 6.4).
var (
	soaServer = name{"ns", "invalid"}
	soaMail   = name{"nobody", "invalid"}
)

const (
	soaSerial  = 1
	soaRefresh = 7200    // seconds
	soaRetry   = 900     // seconds
	soaExpire  = 1209600 // seconds
	soaMinimum = 86400   // seconds
)

// nsTTL is Route 53's, in seconds.
const nsTTL = 172800
