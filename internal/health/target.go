package health

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"strconv"
)

// Attribute is one key and value of a Cloud Map instance.
type Attribute struct{ Key, Value string }

// Attributes are all attributes of an instance, sorted by key. The sorted
// slice (not a map) keeps every walk over them in one order.
type Attributes []Attribute

// AttributesOf sorts m.
func AttributesOf(m map[string]string) Attributes {
	if len(m) == 0 {
		return nil
	}
	out := make(Attributes, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, Attribute{k, m[k]})
	}
	return out
}

// Get returns the value of key, or "".
func (a Attributes) Get(key string) string {
	i, ok := slices.BinarySearchFunc(a, key, func(x Attribute, k string) int { return cmp.Compare(x.Key, k) })
	if !ok {
		return ""
	}
	return a[i].Value
}

// Equal reports whether both hold the same keys with the same values.
func (a Attributes) Equal(b Attributes) bool { return slices.Equal(a, b) }

// Map returns the attributes as a new map, the form that the AWS API wants.
func (a Attributes) Map() map[string]string {
	m := make(map[string]string, len(a))
	for _, x := range a {
		m[x.Key] = x.Value
	}
	return m
}

// Registrable returns the attributes that RegisterInstance accepts for a record
// that was read back: beside AWS_EC2_INSTANCE_ID Cloud Map refuses the address
// that it filled in itself (RegisterInstance API reference).
func (a Attributes) Registrable() Attributes {
	if a.Get(AttrEC2) == "" {
		return a
	}
	return slices.DeleteFunc(slices.Clone(a), func(x Attribute) bool { return x.Key == AttrIPv4 })
}

// Reserved attribute names of Cloud Map (RegisterInstance API reference).
const (
	AttrIPv4       = "AWS_INSTANCE_IPV4"
	AttrIPv6       = "AWS_INSTANCE_IPV6"
	AttrPort       = "AWS_INSTANCE_PORT"
	AttrCNAME      = "AWS_INSTANCE_CNAME"
	AttrAlias      = "AWS_ALIAS_DNS_NAME"
	AttrEC2        = "AWS_EC2_INSTANCE_ID"
	AttrInitStatus = "AWS_INIT_HEALTH_STATUS"
	AttrZone       = "AVAILABILITY_ZONE"
)

// Service names a Cloud Map service. ID is what AWS calls take; the names are
// for people and for matching configuration.
type Service struct {
	ID        string // srv-…
	Name      string
	Namespace string // the namespace's name
}

// String is "namespace/service", the form used in logs, commands and the API.
func (s Service) String() string { return s.Namespace + "/" + s.Name }

// Incarnation is one life of an instance: as long as it stays the same, what
// was learnt about it still holds. Other attributes may change without making
// it a new one. Boot is the target's own boot id, or the task start or launch
// time that its owner reports, where one is known.
type Incarnation struct {
	Service  string // service id
	Instance string // instance id
	Addr     netip.Addr
	Port     uint16
	Boot     string
}

// Hash is a 64-bit FNV-1a over all members, for stores and phases.
func (i Incarnation) Hash() uint64 {
	h := fnv.New64a()
	var n [8]byte
	for _, s := range [...]string{i.Service, i.Instance, i.Boot} {
		binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	a := i.Addr.As16()
	h.Write(a[:])
	binary.LittleEndian.PutUint64(n[:], uint64(i.Port))
	h.Write(n[:])
	return h.Sum64()
}

// Target is an instance with the address to probe and the check to probe it
// with. Addr is invalid or Port is 0 where the instance cannot be probed: the
// prober then answers Indeterminate with cause NotProbeable.
type Target struct {
	Handle   Handle
	Service  Service
	Instance string
	Addr     netip.Addr
	Port     uint16
	Zone     string // availability zone, "" where unknown
	Check    Check
	Startup  bool   // Check.Probe is its startup check
	Phase    uint64 // spreads first probes over an interval: a hash of the incarnation
}

// AddrPort is the address to dial.
func (t Target) AddrPort() netip.AddrPort { return netip.AddrPortFrom(t.Addr, t.Port) }

// Endpoint is the address and port that a registration's attributes name. The
// IPv4 address wins where both are given, as it does for Route 53 checks.
// addr is invalid and port 0 where they are missing or malformed.
func Endpoint(a Attributes) (addr netip.Addr, port uint16) {
	for _, key := range [...]string{AttrIPv4, AttrIPv6} {
		if v := a.Get(key); v != "" {
			addr, _ = netip.ParseAddr(v)
			break
		}
	}
	if n, err := strconv.ParseUint(a.Get(AttrPort), 10, 16); err == nil {
		port = uint16(n)
	}
	return addr.Unmap(), port
}
