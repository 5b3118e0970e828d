// Package access is the door of a registry's API: who may call it, how often,
// and how many may be connected. It stands as an http.Handler in front of the
// face that answers, and as the server under both.
//
// Who may call: a request must be signed with AWS's Signature Version 4 by one
// of the keys of a Ring, where a Ring is asked at all; a read-only key may only
// read. How often: a Throttle imitates AWS's rates. How many: Serve bounds
// connections, and the time and size of what they send.
//
// The package knows the names of operations and nothing of what they mean. It
// issues no temporary credentials, keeps no policies beyond read-only, and
// takes no signature from a query string, as Cloud Map takes none. A signed
// request that is sent again within its fifteen minutes is good again, as on
// AWS: signatures keep a call from being forged or changed, and only TLS keeps
// it from being read.
package access
