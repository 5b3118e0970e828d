package probe

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// TestSentinel: silence while the listener accepts, a doubt once it is gone.
func TestSentinel(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	doubts := make(chan health.Doubt, 16)
	s := &Sentinel{
		Address: l.Addr().(*net.TCPAddr).AddrPort(), Every: 10 * time.Millisecond,
		Doubt: func(d health.Doubt) {
			select {
			case doubts <- d:
			default:
			}
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	for range 3 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if len(doubts) > 0 {
		t.Fatalf("doubt %s while the sentinel answers", <-doubts)
	}
	l.Close()
	select {
	case d := <-doubts:
		if d != health.DoubtSentinel {
			t.Errorf("doubt %s, want %s", d, health.DoubtSentinel)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("no doubt though the sentinel is gone")
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
