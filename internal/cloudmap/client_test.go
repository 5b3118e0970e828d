package cloudmap

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// fakeAPI answers each operation with what a test gives, and keeps the
// requests. Semantics are the registry's business; this is about the wire.
type fakeAPI struct {
	*httptest.Server
	answer func(op string, n int, in map[string]any) (status int, body string)

	mu    sync.Mutex
	count map[string]int
	heads []http.Header
}

func newFakeAPI(t *testing.T, answer func(op string, n int, in map[string]any) (int, string)) *fakeAPI {
	t.Helper()
	f := &fakeAPI{answer: answer, count: map[string]int{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var in map[string]any
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	f.count[op]++
	n := f.count[op]
	f.heads = append(f.heads, r.Header)
	f.mu.Unlock()
	status, body := f.answer(op, n, in)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func (f *fakeAPI) calls(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[op]
}

func always(status int, body string) func(string, int, map[string]any) (int, string) {
	return func(string, int, map[string]any) (int, string) { return status, body }
}

func newClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// everyCall makes each call of a Reader and a Writer once.
func everyCall(ctx context.Context, c *Client) map[string]func() error {
	r, w := c.NewReader(""), c.NewWriter()
	svc := warden.ServiceFound{Service: health.Service{ID: "srv-1"}}
	return map[string]func() error{
		"ListNamespaces":                   func() error { _, _, err := r.ListServices(ctx); return err },
		"ListInstances":                    func() error { _, _, err := r.ListInstances(ctx, svc); return err },
		"GetInstance":                      func() error { _, err := r.Instance(ctx, "srv-1", "i"); return err },
		"GetInstancesHealthStatus":         func() error { _, err := r.Status(ctx, "srv-1", "i"); return err },
		"GetOperation":                     func() error { _, _, err := r.Operation(ctx, "op"); return err },
		"DiscoverInstances":                func() error { _, err := r.Discover(ctx, "ns", "svc", All, 10); return err },
		"RegisterInstance":                 func() error { _, err := w.Register(ctx, "srv-1", "i", nil, "token"); return err },
		"DeregisterInstance":               func() error { _, err := w.Deregister(ctx, "srv-1", "i"); return err },
		"UpdateInstanceCustomHealthStatus": func() error { return w.SetStatus(ctx, "srv-1", "i", health.Healthy) },
	}
}

// attempts is how often a call that keeps failing is sent.
func attempts(op string) int {
	switch op {
	case "RegisterInstance", "DeregisterInstance", "UpdateInstanceCustomHealthStatus":
		return 1
	}
	return readAttempts
}

func TestServerFaultsAreAmbiguousAndWritesAreSentOnce(t *testing.T) {
	api := newFakeAPI(t, always(500, `{"__type":"InternalFailure","Message":"x"}`))
	for op, do := range everyCall(context.Background(), newClient(t, Config{URL: api.URL, LoopbackOnly: true})) {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			if err := do(); FaultOf(err) != lever.Ambiguous {
				t.Errorf("%v is %s, want ambiguous", err, FaultOf(err))
			}
			if got := api.calls(op); got != attempts(op) {
				t.Errorf("sent %d times, want %d", got, attempts(op))
			}
		})
	}
}

func TestThrottlesAreNotRepeated(t *testing.T) {
	api := newFakeAPI(t, always(400, `{"__type":"ThrottlingException","message":"Rate exceeded"}`))
	for op, do := range everyCall(t.Context(), newClient(t, Config{URL: api.URL})) {
		if err := do(); FaultOf(err) != lever.Throttled {
			t.Errorf("%s: %v is %s, want throttled", op, err, FaultOf(err))
		}
		if got := api.calls(op); got != 1 {
			t.Errorf("%s was sent %d times, want once", op, got)
		}
	}
}

func TestTypedErrorsCrossTheWire(t *testing.T) {
	api := newFakeAPI(t, always(400, `{"__type":"com.amazonaws.servicediscovery#DuplicateRequest","Message":"busy","DuplicateOperationId":"op-7"}`))
	_, err := newClient(t, Config{URL: api.URL}).NewWriter().Deregister(t.Context(), "srv-1", "i")
	if FaultOf(err) != lever.InFlight || InTheWay(err) != "op-7" {
		t.Errorf("%v is %s by %q, want in-flight by op-7", err, FaultOf(err), InTheWay(err))
	}
}

func TestRefusedConnectionsAreSurelyNotSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for op, do := range everyCall(context.Background(), newClient(t, Config{URL: "http://" + l.Addr().String()})) {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			if err := do(); FaultOf(err) != lever.Failed {
				t.Errorf("%v is %s, want failed", err, FaultOf(err))
			}
		})
	}
}

// rawServer reads a request whole and then does with the connection what the
// test wants.
func rawServer(t *testing.T, then func(net.Conn)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		then(conn)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestLostAnswersAreAmbiguous(t *testing.T) {
	for name, then := range map[string]func(net.Conn){
		"closed": func(net.Conn) {},
		"reset":  func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) },
		"half an answer": func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: 500\r\n\r\n{\"OperationId\":")
		},
		"no HTTP": func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.6\r\n") },
		"no JSON": func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")
		},
		"an endless answer": func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"OperationId\":\"")
			for page := strings.Repeat("x", 1<<20); ; {
				if _, err := io.WriteString(c, page); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newClient(t, Config{URL: rawServer(t, then)}).NewWriter()
			if _, err := w.Deregister(t.Context(), "srv-1", "i"); FaultOf(err) != lever.Ambiguous {
				t.Errorf("%v is %s, want ambiguous", err, FaultOf(err))
			}
		})
	}
}

// closable is a body like the SDK's: closed, it fails in the middle of a copy.
type closable struct {
	*strings.Reader
	closed bool
}

func (c *closable) Close() error { c.closed = true; return nil }

func (c *closable) WriteTo(w io.Writer) (int64, error) {
	if c.closed {
		return 0, io.EOF
	}
	return c.Reader.WriteTo(w)
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(req *http.Request) (*http.Response, error) { return d(req) }

// TestQuickAnswersAreNotLost holds the wire to a body that may be read on after
// the SDK has closed its own, as net/http does behind an answer that is quick.
func TestQuickAnswersAreNotLost(t *testing.T) {
	sdks := &closable{Reader: strings.NewReader(`{"ServiceId":"srv-1"}`)}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1", sdks)
	if err != nil {
		t.Fatal(err)
	}
	_, err = wire{doer(func(sent *http.Request) (*http.Response, error) {
		sdks.Close()
		if got, err := io.ReadAll(sent.Body); string(got) != `{"ServiceId":"srv-1"}` {
			t.Errorf("sent %q, %v", got, err)
		}
		if n, err := io.Copy(io.Discard, sent.Body); n != 0 || err != nil {
			t.Errorf("behind the last byte: %d bytes, %v", n, err)
		}
		return &http.Response{Body: http.NoBody}, nil
	})}.Do(req)
	if err != nil {
		t.Error(err)
	}
	if req.Body != sdks {
		t.Error("the SDK's request was changed: it could no longer close its body")
	}
}

func TestSilenceEndsAtTheTimeout(t *testing.T) {
	release := make(chan struct{})
	url := rawServer(t, func(net.Conn) { <-release })
	defer close(release)
	w := newClient(t, Config{URL: url, Timeout: 50 * time.Millisecond}).NewWriter()
	_, err := w.Deregister(t.Context(), "srv-1", "i")
	if FaultOf(err) != lever.Ambiguous || !strings.HasSuffix(err.Error(), "no answer in time") {
		t.Errorf("%v is %s, want ambiguous: no answer in time", err, FaultOf(err))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Deregister(ctx, "srv-1", "i"); FaultOf(err) != lever.Throttled {
		t.Errorf("with a cancelled context: %v is %s, want a fault that says it was not sent", err, FaultOf(err))
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	target := newFakeAPI(t, always(200, `{"OperationId":"op"}`))
	s := httptest.NewServer(http.RedirectHandler(target.URL, http.StatusTemporaryRedirect))
	t.Cleanup(s.Close)
	if op, err := newClient(t, Config{URL: s.URL}).NewWriter().Deregister(t.Context(), "srv-1", "i"); err == nil {
		t.Errorf("a redirect was followed to operation %s", op)
	}
	if n := target.calls("DeregisterInstance"); n != 0 {
		t.Errorf("the target of the redirect was asked %d times", n)
	}
}

func TestURLIgnoresTheEnvironment(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAREALREALREALREAL")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "real")
	t.Setenv("AWS_SESSION_TOKEN", "real")
	t.Setenv("AWS_REGION", "eu-north-1")
	t.Setenv("AWS_ENDPOINT_URL", "http://192.0.2.1:1")
	t.Setenv("AWS_PROFILE", "no-such-profile")
	api := newFakeAPI(t, always(200, `{}`))
	c := newClient(t, Config{URL: api.URL})
	for op, do := range everyCall(t.Context(), c) {
		if err := do(); err != nil && op != "GetInstance" {
			t.Errorf("%s: %v", op, err)
		}
	}
	if len(api.heads) < 9 {
		t.Fatalf("%d calls arrived, want 9", len(api.heads))
	}
	for _, h := range api.heads {
		if auth := h.Get("Authorization"); !strings.Contains(auth, "Credential=MAPWARDENLOCAL/") || !strings.Contains(auth, "/us-east-1/servicediscovery/") {
			t.Errorf("signed with %q", auth)
		}
		if h.Get("X-Amz-Security-Token") != "" {
			t.Error("a session token of the environment was sent")
		}
	}
	keyed := newClient(t, Config{URL: api.URL, AccessKey: "AKMINE", SecretKey: "s", Region: "eu-west-1"})
	if err := keyed.NewWriter().SetStatus(t.Context(), "srv-1", "i", health.Healthy); err != nil {
		t.Fatal(err)
	}
	if auth := api.heads[len(api.heads)-1].Get("Authorization"); !strings.Contains(auth, "Credential=AKMINE/") || !strings.Contains(auth, "/eu-west-1/") {
		t.Errorf("signed with %q, want the key and region of the configuration", auth)
	}
}

func TestAWSReadsTheEnvironment(t *testing.T) {
	api := newFakeAPI(t, always(200, `{}`))
	identity := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/x</Arn><UserId>AIDA</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	t.Cleanup(identity.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "env")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ENDPOINT_URL_SERVICEDISCOVERY", api.URL)
	t.Setenv("AWS_ENDPOINT_URL_STS", identity.URL)
	c := newClient(t, Config{AWS: true, Region: "eu-west-1"})
	r := c.NewReader("123456789012")
	if _, err := r.Discover(t.Context(), "ns", "svc", HealthyOrElseAll, 10); err != nil {
		t.Fatalf("discover through an endpoint of the environment: %v", err)
	}
	if auth := api.heads[0].Get("Authorization"); !strings.Contains(auth, "Credential=AKIAENV/") {
		t.Errorf("signed with %q, want the key of the environment", auth)
	}
	id, err := c.CallerIdentity(t.Context())
	if err != nil || id.Account != "123456789012" || id.ARN != "arn:aws:iam::123456789012:user/x" {
		t.Errorf("CallerIdentity = %+v, %v", id, err)
	}
	if _, err := newClient(t, Config{URL: api.URL}).CallerIdentity(t.Context()); err == nil {
		t.Error("a registry at a url has told an identity")
	}
}

func TestConfigMistakes(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "no registry: neither AWS nor a url is given"},
		{Config{AWS: true, URL: "http://127.0.0.1:1"}, "a registry is either AWS or a url, not both (for AWS behind another endpoint set AWS_ENDPOINT_URL)"},
		{Config{AWS: true, LoopbackOnly: true}, "loopback only: AWS is not at a loopback address"},
		{Config{AWS: true}, "no AWS region: set registry.aws.region or AWS_REGION"},
		{Config{URL: "127.0.0.1:9751"}, "the registry's url cannot be parsed: write it like http://127.0.0.1:9751"},
		{Config{URL: "ftp://127.0.0.1"}, `registry url "ftp://127.0.0.1": write it like http://127.0.0.1:9751`},
		{Config{URL: "http://"}, `registry url "http://": write it like http://127.0.0.1:9751`},
		{Config{URL: "http://127.0.0.1:1/?a=b"}, `registry url "http://127.0.0.1:1/?a=b": write it like http://127.0.0.1:9751`},
		{Config{URL: "http://u:secret@127.0.0.1:1"}, "the registry's url holds a password: give keys by access key and secret key instead"},
		{Config{URL: "http://192.0.2.1:1", LoopbackOnly: true}, `registry url "http://192.0.2.1:1": only loopback addresses are allowed here`},
		{Config{URL: "http://[::ffff:192.0.2.1]:1", LoopbackOnly: true}, `registry url "http://[::ffff:192.0.2.1]:1": only loopback addresses are allowed here`},
	} {
		client, err := New(t.Context(), c.cfg)
		if err == nil || err.Error() != c.want {
			t.Errorf("New(%+v) = %v, want %q", c.cfg, err, c.want)
		}
		if client != nil {
			t.Errorf("New(%+v) returned a client beside its error", c.cfg)
		}
	}
	for _, ok := range []string{"http://127.0.0.1:1", "http://[::1]:1", "https://localhost:1", "http://127.9.9.9:1"} {
		if _, err := New(t.Context(), Config{URL: ok, LoopbackOnly: true}); err != nil {
			t.Errorf("New(%s): %v", ok, err)
		}
	}
}

func TestLoopbackOnlyIsCheckedAtTheDial(t *testing.T) {
	for address, refused := range map[string]bool{
		"127.0.0.1:80": false, "127.1.2.3:1": false, "[::1]:80": false, "[::ffff:127.0.0.1]:80": false,
		"192.0.2.1:80": true, "169.254.169.254:80": true, "0.0.0.0:80": true, "[::]:80": true, "[fe80::1%lo]:80": true, "localhost:80": true, "": true,
	} {
		if err := refuseBeyondLoopback(t.Context(), "tcp", address, nil); (err != nil) != refused {
			t.Errorf("%s: %v, want refused %v", address, err, refused)
		}
	}
	// A name that resolves elsewhere passes the check of the URL, not that of the dial.
	cfg := Config{URL: "http://registry.example:1", LoopbackOnly: true}
	if newTransport(cfg).Proxy != nil {
		t.Error("loopback only, and a proxy of the environment may be used")
	}
	if newTransport(Config{URL: "http://localhost:1"}).Proxy != nil || newTransport(Config{URL: "http://[::1]:1"}).Proxy != nil {
		t.Error("a proxy of the environment may be used for a loopback url")
	}
	if newTransport(Config{URL: "http://registry.example:1"}).Proxy == nil {
		t.Error("the proxy of the environment is not used for a url elsewhere")
	}
	_, err := newTransport(cfg).DialContext(t.Context(), "tcp", "192.0.2.1:9")
	if err == nil || !strings.Contains(err.Error(), "loopback only: not connecting to 192.0.2.1:9") {
		t.Errorf("dialled 192.0.2.1: %v", err)
	}
	if FaultOf(err) != lever.Failed {
		t.Errorf("a refused dial is %s, want failed", FaultOf(err))
	}
}

// TestReaderCannotWrite holds the Reader's view of the SDK to reads.
func TestReaderCannotWrite(t *testing.T) {
	api := reflect.TypeFor[readAPI]()
	for i := range api.NumMethod() {
		name := api.Method(i).Name
		if !strings.HasPrefix(name, "List") && !strings.HasPrefix(name, "Get") && !strings.HasPrefix(name, "Discover") {
			t.Errorf("a Reader can reach %s", name)
		}
	}
	if _, err := newClientAWS(t).NewProvisioner(); err == nil {
		t.Error("a Provisioner was made for AWS")
	}
}

func newClientAWS(t *testing.T) *Client {
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	return newClient(t, Config{AWS: true, Region: "eu-west-1"})
}
