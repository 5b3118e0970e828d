package demo

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// status asks a server; -1 is no answer.
func status(ctx context.Context, address string) (int, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/any/path?at=all", nil)
	if err != nil {
		return -1, err.Error()
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return -1, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// comesTo waits until a server answers with a status.
func comesTo(t *testing.T, address string, want int) {
	t.Helper()
	ctx := within(t)
	for {
		got, text := status(ctx, address)
		if got == want {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("it still answers %d %q, want %d", got, text, want)
		}
	}
}

// TestServerIsSpoiltAndMended by signals to its process, as often as one likes.
func TestServerIsSpoiltAndMended(t *testing.T) {
	p := child(t, "server")
	address, err := p.listening(within(t), "server")
	if err != nil {
		t.Fatal(err)
	}
	if code, text := status(within(t), address); code != http.StatusOK || text != "yes\n" {
		t.Errorf("a new server answers %d %q", code, text)
	}
	for range 3 {
		p.signal(spoil)
		comesTo(t, address, http.StatusInternalServerError)
		p.signal(mend)
		comesTo(t, address, http.StatusOK)
	}
}

// TestServerHangs while its process is stopped: connections open, and nothing
// comes; afterwards it goes on.
func TestServerHangs(t *testing.T) {
	p := child(t, "server")
	address, err := p.listening(within(t), "server")
	if err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGSTOP)
	// The signal is delivered to each thread in its own time: the server hangs
	// once an answer stays away.
	hangs := false
	for ctx := within(t); !hangs && ctx.Err() == nil; {
		soon, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		_, text := status(soon, address)
		cancel()
		hangs = strings.Contains(text, context.DeadlineExceeded.Error())
	}
	if !hangs {
		t.Error("a stopped server answers")
	}
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Errorf("connections to a stopped server should open: %v", err)
	} else {
		conn.Close()
	}
	p.signal(syscall.SIGCONT)
	comesTo(t, address, http.StatusOK)
}

// TestServerIsNotReadyAtOnce: until then its port refuses; it ends early, too.
func TestServerIsNotReadyAtOnce(t *testing.T) {
	free := newPorts()
	at, err := free.free()
	if err != nil {
		t.Fatal(err)
	}
	address := at.String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	out, in := io.Pipe()
	go func() { done <- Serve(ctx, in, address, time.Hour) }()
	if code, _ := status(within(t), address); code != -1 {
		t.Errorf("before it is ready it answers %d", code)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}

	ctx, cancel = context.WithCancel(context.Background())
	defer cancel()
	if at, err = free.free(); err != nil {
		t.Fatal(err)
	}
	go func() { done <- Serve(ctx, in, at.String(), 30*time.Millisecond) }()
	var said [100]byte
	n, err := out.Read(said[:])
	if err != nil {
		t.Fatal(err)
	}
	address, ok := strings.CutPrefix(strings.TrimSpace(string(said[:n])), "listening server ")
	if !ok {
		t.Fatalf("it says %q", said[:n])
	}
	comesTo(t, address, http.StatusOK)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if code, _ := status(within(t), address); code != -1 {
		t.Errorf("after its end it answers %d", code)
	}
}

// TestServerWantsItsPort: taken, it is an error and no other port.
func TestServerWantsItsPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := Serve(within(t), io.Discard, l.Addr().String(), 0); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("Serve on a taken port: %v", err)
	}
}
