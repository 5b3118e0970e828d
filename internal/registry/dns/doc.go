// Package dns is the DNS face of the registry: it answers for the DNS
// namespaces, private and public, over UDP and TCP, from what the registry
// publishes. Told to, it asks other servers about the names of others. It keeps
// no answer of theirs, offers no zone transfer, signs nothing, listens nowhere by
// itself and changes nothing. HTTP namespaces have no DNS.
//
// # Names
//
// A service answers at SERVICE.NAMESPACE with the records of its DnsRecords; a
// service named "." answers at the namespace itself. A service with SRV records
// also has the address of each instance at INSTANCE.SERVICE.NAMESPACE, which is
// what the SRV records point to. Where a service and an instance of another
// service claim the same name, the service has it.
//
// An instance id is one label, byte for byte, even where it has dots, colons or
// slashes: the id 10.0.0.7:80 is asked for as 10\.0\.0\.7:80 in the
// presentation format of RFC 1035, section 5.1. Names are compared without
// regard to the case of ASCII letters (RFC 4343), so instances of one service
// whose ids differ by case alone share a name and all of them answer there. An
// id of 64 bytes, the one length that Cloud Map allows and a label does not,
// has no DNS name, and neither has an id that makes the whole name longer than
// 255 bytes: such an instance has no SRV record. The API still finds it.
//
// # Answers
//
// MULTIVALUE services answer with up to eight instances, or as many as
// configured, in random order, drawn anew for each query, WEIGHTED services with
// one. Unhealthy instances are left out, unless all of them are unhealthy: then
// all count as healthy, as in Route 53. A service without records, because it
// has no instances, does not exist (NXDOMAIN). A CNAME is followed as far as the
// namespaces of the registry lead, and beyond where the asker may have names of
// others looked up. Instances that are aliases (AWS_ALIAS_DNS_NAME) make the
// name exist; without a server to ask they have no address.
//
// # Strangers
//
// Whoever asks over UDP may lie about its address and have the answers sent to a
// victim. So answers are counted by network and question (Limit), what is not
// ours is refused, ANY gets one type, and names of others are looked up for the
// machine itself alone unless somebody said otherwise. Whoever holds TCP
// connections and says nothing loses them to those who ask.
package dns
