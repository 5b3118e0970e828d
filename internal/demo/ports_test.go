package demo

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

// TestPortsAreFree: every port can be listened on, lies in the range, and is
// handed out once.
func TestPortsAreFree(t *testing.T) {
	p, seen := newPorts(), map[netip.AddrPort]bool{}
	for range 100 {
		at, err := p.free()
		if err != nil {
			t.Fatal(err)
		}
		if seen[at] || at.Port() < firstPort || at.Port() > lastPort || !at.Addr().IsLoopback() {
			t.Errorf("%s: given before %t", at, seen[at])
		}
		seen[at] = true
	}
}

// TestPortsPassOverTakenOnes, also at the end of the range, where they begin anew.
func TestPortsPassOverTakenOnes(t *testing.T) {
	var taken net.Listener
	var err error
	p := newPorts()
	for taken == nil { // any that nobody else has
		at, ferr := p.free()
		if ferr != nil {
			t.Fatal(ferr)
		}
		taken, err = net.Listen("tcp", at.String())
		if err != nil {
			taken = nil
		}
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	at, err := (&ports{next: port - 1}).free()
	if err != nil || int(at.Port()) == port {
		t.Errorf("%s, %v: port %d is taken", at, err, port)
	}
	at, err = (&ports{next: lastPort}).free()
	if err != nil || at.Port() < firstPort || at.Port() > lastPort {
		t.Errorf("after the last port comes %s, %v", at, err)
	}
}

// TestEnvironment: what could lead a child elsewhere is taken away, and
// nothing else.
func TestEnvironment(t *testing.T) {
	t.Setenv("AWS_PROFILE", "prod")
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
	t.Setenv("NO_PROXY", "x")
	t.Setenv("all_proxy", "x")
	t.Setenv("MAPWARDEN_TEST_PROXY_NOT", "kept")
	kept := false
	for _, kv := range environment() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasSuffix(strings.ToLower(name), "_proxy") {
			t.Errorf("a child would get %s", name)
		}
		kept = kept || name == "MAPWARDEN_TEST_PROXY_NOT"
	}
	if !kept {
		t.Error("what is harmless was taken away")
	}
}
