package dns

import (
	"net"
	"testing"
)

// TestReplyComesFromTheAddressAsked binds to every address and asks one that
// the system would not choose to reply from. The client's socket is connected,
// so a reply from elsewhere never reaches it.
func TestReplyComesFromTheAddressAsked(t *testing.T) {
	for _, at := range []string{"0.0.0.0:0", ":0"} {
		t.Run(at, func(t *testing.T) {
			s := serve(t, corp(t), at)
			_, port, err := net.SplitHostPort(s.addr)
			if err != nil {
				t.Fatal(err)
			}
			for _, asked := range []string{"127.0.0.1", "127.0.0.2"} {
				if m := exchange(t, "udp", net.JoinHostPort(asked, port), "web.prod.corp.", kindA); len(m.Answer) != 2 {
					t.Errorf("%s:\n%s", asked, m)
				}
			}
		})
	}
}
