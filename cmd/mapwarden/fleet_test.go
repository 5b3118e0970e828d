package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
	"github.com/mapwarden/mapwarden/internal/web"
)

// patience bounds every wait. Most end within a second; a busy machine gets more.
const patience = 60 * time.Second

// server is a real one that can fail and crash and come back, all on its port.
type server struct {
	addr  netip.AddrPort
	does  atomic.Int32
	crash func() // nobody listens any more
}

const (
	serves int32 = iota
	resets       // as the system does for a process that died; the port stays its own
)

func newServer(t testing.TB) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: addrPort(l.Addr())}
	s.serve(t, l)
	return s
}

func (s *server) serve(t testing.TB, l net.Listener) {
	srv := &http.Server{Handler: s}
	srv.SetKeepAlivesEnabled(false)
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	s.crash = func() { srv.Close(); <-done }
	t.Cleanup(s.crash)
}

// restart listens again after a crash.
func (s *server) restart(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	s.serve(t, l)
}

func (s *server) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	switch s.does.Load() {
	case serves:
		w.WriteHeader(http.StatusNoContent)
	case resets:
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}
}

// fleet is a registry behind a wire, with one service of each lever; each has
// three instances on servers of its own. The first instance is the victim.
type fleet struct {
	t       *testing.T
	reg     *registry.Registry
	wire    *wire
	plain   string // id of shop/api: no health check
	custom  string // id of shop/web: custom health check
	servers map[string]*server
	attrs   map[string]map[string]string // as registered
}

// The pace of the registry under test.
const (
	operationDelay = 30 * time.Millisecond
	customDelay    = 600 * time.Millisecond
)

func newFleet(t *testing.T, services ...string) *fleet {
	t.Helper()
	reg, err := registry.Open(registry.Options{OperationDelay: operationDelay, CustomHealthDelay: customDelay})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); reg.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; reg.Close() })
	f := &fleet{t: t, reg: reg, wire: newWire(t, awsjson.New(reg)), servers: map[string]*server{}, attrs: map[string]map[string]string{}}
	if _, err := reg.CreateNamespace(registry.NewNamespace{Name: "shop", Type: registry.HTTPNamespace}); err != nil {
		t.Fatal(err)
	}
	var space string
	f.until("the namespace", func() bool {
		found, _, err := reg.Namespaces(registry.Page{}, nil)
		if err != nil || len(found) != 1 {
			return false
		}
		space = found[0].ID
		return true
	})
	for _, name := range services {
		made := registry.NewService{Name: name, NamespaceID: space}
		if name == "web" {
			made.CustomHealth = true
		}
		s, err := reg.CreateService(made)
		if err != nil {
			t.Fatal(err)
		}
		if name == "web" {
			f.custom = s.ID
		} else {
			f.plain = s.ID
		}
		for n := range 3 {
			f.register(s.ID, name+"-"+strconv.Itoa(n), newServer(t))
		}
	}
	return f
}

// register adds an instance whose attributes hold whatever might get lost on
// the way out and back, and further ones: keys and values.
func (f *fleet) register(service, id string, s *server, more ...string) {
	f.t.Helper()
	f.servers[id] = s
	f.attrs[id] = map[string]string{
		"AWS_INSTANCE_IPV4": s.addr.Addr().String(), "AWS_INSTANCE_PORT": strconv.Itoa(int(s.addr.Port())),
		"empty": "", "text": `quotes " ' \ and <&> and   spaces `, "number": "007", "json": `{"a": [1, 2]}`,
	}
	for i := 0; i < len(more); i += 2 {
		f.attrs[id][more[i]] = more[i+1]
	}
	if _, err := f.reg.Register(registry.Registration{ServiceID: service, InstanceID: id, Attributes: maps.Clone(f.attrs[id])}); err != nil {
		f.t.Fatal(err)
	}
	f.until("the registration of "+id, func() bool { return f.registered(service, id) })
}

// serviceOf is the id of the service that newFleet put an instance into.
func (f *fleet) serviceOf(id string) string {
	if strings.HasPrefix(id, "web-") {
		return f.custom
	}
	return f.plain
}

// registered reports whether an instance is registered exactly as it was.
func (f *fleet) registered(service, id string) bool {
	i := f.reg.View(service).Instance(id)
	return i != nil && maps.Equal(i.Attributes.Map(), f.attrs[id])
}

// status is an instance's status in the registry, "" where it is not registered.
func (f *fleet) status(service, id string) string {
	i := f.reg.View(service).Instance(id)
	if i == nil {
		return ""
	}
	return i.Health.String()
}

// until waits for something to become true.
func (f *fleet) until(what string, is func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); !is(); {
		if time.Now().After(deadline) {
			f.t.Fatalf("waited %s in vain for %s", patience, what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// process is a daemon in a process of its own.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	api  daemonAPI
	done chan struct{} // closed when it has ended
	log  transcript
}

// transcript is what a process says; it may be read while the process lives.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *transcript) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// quick is a configuration with every time shortened, for a registry at url.
func quick(url string) string {
	return fmt.Sprintf(`
mode: enforce
registry: {url: %q, poll: 200ms}
targets: {allow: [127.0.0.0/8]}
pace: {custom_health_delay: %s, cancel_margin: 50ms, operation_poll: 20ms, settle: 300ms, retry: 20ms, operation_deadline: 2s}
defaults:
  check: {http: {path: /}, interval: 300ms, confirm: 50ms, fall: 3, rise: 1, return: {passes: 2, over: 100ms, backoff: [0s]}}
  safety: {warmup: 1s, abstain: 1s, removals: 100/1s, removals_global: 100%%/1s}
`, url, customDelay)
}

// start runs a daemon on the fleet's registry and returns once it listens.
func (f *fleet) start(data string, x fuse, edit ...func(*order)) *process {
	f.t.Helper()
	o := order{Config: quick(f.wire.URL), Data: data, Fuse: x, Hold: 200 * time.Millisecond, WarmUp: 200 * time.Millisecond, Probes: 2}
	for _, e := range edit {
		e(&o)
	}
	text, err := json.Marshal(o)
	if err != nil {
		f.t.Fatal(err)
	}
	p := &process{t: f.t, cmd: exec.Command(os.Args[0]), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), orderEnv+"="+string(text))
	p.cmd.Stderr = &p.log
	stdin, err := p.cmd.StdinPipe() // ends with us, and the daemon with it
	if err != nil {
		f.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	said := bufio.NewReader(out)
	line, _ := said.ReadString('\n')
	go func() {
		defer close(p.done)
		io.Copy(io.Discard, said)
		p.cmd.Wait()
	}()
	f.t.Cleanup(func() {
		p.kill()
		stdin.Close()
		if f.t.Failed() {
			f.t.Logf("the daemon on %s said:\n%s", data, p.log.String())
		}
	})
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening web ")
	if !ok {
		<-p.done
		f.t.Fatalf("the daemon does not listen; it says %q\n%s", line, p.log.String())
	}
	p.api.address = address
	return p
}

// kill ends the process as kill -9 does, and waits for its end.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// dead reports whether the process has ended.
func (p *process) dead() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// end waits for the process to end by itself.
func (p *process) end(why string) {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("the daemon still runs: %s\n%s", why, p.log.String())
	}
}

// terminate ends the process as an operator does; it has to end well, within
// the 10 s of safety rule 21.
func (p *process) terminate() {
	p.t.Helper()
	begin := time.Now()
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.end("after SIGTERM")
	if took, code := time.Since(begin), p.cmd.ProcessState.ExitCode(); code != exitDone || took > 10*time.Second {
		p.t.Errorf("after SIGTERM it ended with %d after %s\n%s", code, took, p.log.String())
	}
}

// ask asks the operator API; ok is false where there is no answer.
func get[T any](p *process, path string) (v T, ok bool) {
	return v, p.api.call(context.Background(), "GET", path, nil, &v) == nil
}

func (p *process) entries() ([]web.Entry, bool) {
	e, ok := get[web.Entries](p, "/api/v1/quarantine")
	return e.Entries, ok
}

// ready waits until the daemon may remove: synced, warmed up, its checks proven.
func (f *fleet) ready(p *process) {
	f.t.Helper()
	f.until("a daemon that is ready", func() bool {
		fl, ok := get[web.Fleet](p, "/api/v1/fleet")
		if !ok || !fl.Synced || len(fl.Gates) > 0 {
			return false
		}
		services, ok := get[web.Services](p, "/api/v1/services")
		return ok && !slices.ContainsFunc(services.Services, func(s web.Service) bool { return !s.CheckArmed })
	})
}

// passing waits until the daemon is ready, so many targets pass, and nothing is
// under way.
func (f *fleet) passing(p *process, n int) {
	f.t.Helper()
	f.ready(p)
	f.until(strconv.Itoa(n)+" targets that pass", func() bool {
		fl, ok := get[web.Fleet](p, "/api/v1/fleet")
		return ok && len(fl.Gates) == 0 && fl.Totals.Passing == n && fl.Totals.Jobs == 0
	})
}

// text is the body of a page of the daemon, such as /metrics.
func (p *process) text(path string) string {
	p.t.Helper()
	resp, err := http.Get("http://" + p.api.address + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(body)
}
