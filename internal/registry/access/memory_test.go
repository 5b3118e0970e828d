package access_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/mapwarden/mapwarden/internal/registry/access"
)

// serverEnv makes a process of the test binary a server, whose memory nothing
// else uses. It holds the files of a certificate, or "plain".
const serverEnv = "MAPWARDEN_TEST_SERVER"

func TestMain(m *testing.M) {
	if how := os.Getenv(serverEnv); how != "" {
		if err := serveMemory(how); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// memory is what a process uses, in bytes.
type memory struct {
	Go   uint64 // heap and stacks
	Anon uint64 // as the system sees it; 0 where it does not tell
}

func serveMemory(how string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	if cert, key, ok := strings.Cut(how, " "); ok {
		certificate, err := access.OpenCertificate(cert, key, nil)
		if err != nil {
			return err
		}
		ln = certificate.Listener(ln)
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	return access.Serve(ctx, ln, access.DefaultConnections, access.New(access.Options{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/memory" {
			w.Write(body)
			return
		}
		runtime.GC()
		debug.FreeOSMemory()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		m := memory{Go: s.HeapInuse + s.StackInuse}
		if status, err := os.ReadFile("/proc/self/status"); err == nil {
			if kib := regexp.MustCompile(`RssAnon:\s*(\d+) kB`).FindSubmatch(status); kib != nil {
				n, _ := strconv.ParseUint(string(kib[1]), 10, 64)
				m.Anon = n << 10
			}
		}
		json.NewEncoder(w).Encode(m)
	})))
}

// TestIdleConnections measures what a connection costs that has made a call and
// may make another. TLS has ciphers and buffers of its own to keep.
func TestIdleConnections(t *testing.T) {
	dir := t.TempDir()
	cert, key := dir+"/cert.pem", dir+"/key.pem"
	issue(t, cert, key, "localhost")
	for _, tt := range []struct {
		name, how string
		open      func(testing.TB, string) net.Conn
		idle      uint64
		most      uint64
	}{
		{"plain", "plain", dial, 2000, 24 << 10},
		{"TLS", cert + " " + key, handshake, 500, 32 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := startMemory(t, tt.how)
			asker := tt.open(t, address)
			used(t, asker) // warms up
			before := used(t, asker)
			for range tt.idle {
				if err := asks(tt.open(t, address), `{"ServiceId":"srv-0123456789abcdef"}`); err != nil {
					t.Fatal(err)
				}
			}
			after := used(t, asker)
			each := (after.Go - before.Go) / tt.idle
			t.Logf("an idle connection costs %d bytes of Go's memory, %d of the process's", each, (after.Anon-before.Anon)/tt.idle)
			if each > tt.most*raceCosts {
				t.Errorf("an idle connection costs %d bytes, want at most %d", each, tt.most*raceCosts)
			}
		})
	}
}

// startMemory starts serveMemory in a process of its own, and returns its address.
func startMemory(t *testing.T, how string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverEnv+"="+how)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(address)
}

// used asks a process of startMemory what it uses.
func used(t *testing.T, conn net.Conn) (m memory) {
	t.Helper()
	io.WriteString(conn, "GET /memory HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}
