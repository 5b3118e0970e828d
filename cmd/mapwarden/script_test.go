package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/health"
)

// TestScripts runs testdata/script: the commands as a user types them, with
// their exit codes. Beside what testscript knows, a script may say:
//
//	exits CODE COMMAND…      run a command, which has to end with CODE
//	until PATTERN COMMAND…   run a command until it ends well and its output matches
//	daemon NAME ARGUMENTS…   start mapwarden; sets $NAME_web and so on, from its "listening" lines
//	ends NAME CODE [SIGNAL]  send a signal if one is named; the daemon has to end with CODE, within 10 s
//	said NAME PATTERN        wait until what the daemon wrote to standard error matches
//	printed NAME PATTERN     the same for standard output
//	counts NAME PATTERN      the same for its metrics, at $NAME_web
//	hup NAME                 send it a SIGHUP
//	fleet REGISTRY N         create shop/api and, with custom health, shop/web, with N servers each
//	certificate CERT KEY     write a certificate for localhost and 127.0.0.1, and its key
//	crash INSTANCE, recover INSTANCE   its server resets connections, or serves again
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Values[stageKey{}] = &stage{t: e.T().(testing.TB), daemons: map[string]*background{}, servers: map[string]*server{}}
			return nil
		},
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   scriptExits,
			"until":   scriptUntil,
			"daemon":  scriptDaemon,
			"ends":    scriptEnds,
			"said":    shows(func(_ *testscript.TestScript, d *background) string { return d.log.String() }),
			"printed": shows(func(_ *testscript.TestScript, d *background) string { return d.out.String() }),
			"counts":  shows(metricsOf),
			"hup": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(named(ts, args).cmd.Process.Signal(syscall.SIGHUP))
			},
			"fleet":       scriptFleet,
			"certificate": scriptCertificate,
			"crash":       func(ts *testscript.TestScript, _ bool, args []string) { serverOf(ts, args).does.Store(resets) },
			"recover":     func(ts *testscript.TestScript, _ bool, args []string) { serverOf(ts, args).does.Store(serves) },
		},
	})
}

type stageKey struct{}

// stage is what runs beside a script.
type stage struct {
	t       testing.TB
	daemons map[string]*background
	servers map[string]*server
}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

// want ends the script unless a command has so many arguments.
func want(ts *testscript.TestScript, args []string, least int, usage string) {
	if len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
}

func scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, args, 2, "exits CODE COMMAND…")
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitCode(ts.Exec(args[1], args[2:]...)); got != code {
		ts.Fatalf("it ended with %d, want %d", got, code)
	}
}

// exitCode is what a command ended with; -1 where it did not run.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

func scriptUntil(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, args, 2, "until PATTERN COMMAND…")
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(patience); ; {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("waited %s in vain; the latest attempt: %v", patience, err)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// background is a daemon of a script.
type background struct {
	cmd  *exec.Cmd
	web  string // address of its operator API
	out  transcript
	log  transcript
	done chan struct{}
}

func scriptDaemon(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, args, 2, "daemon NAME ARGUMENTS…")
	name := args[0]
	d := &background{cmd: exec.Command("mapwarden", args[1:]...), done: make(chan struct{})}
	d.cmd.Dir = ts.MkAbs(".")
	d.cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"))
	d.cmd.Stderr = &d.log
	out, err := d.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(d.cmd.Start())
	lines := make(chan string)
	go func() {
		defer close(d.done)
		defer d.cmd.Wait()
		defer close(lines)
		for in := bufio.NewScanner(io.TeeReader(out, &d.out)); in.Scan(); {
			lines <- in.Text()
		}
	}()
	ts.Defer(func() {
		d.cmd.Process.Kill()
		for range lines {
		}
		<-d.done
	})
	stageOf(ts).daemons[name] = d
	for line := range lines {
		if at, ok := strings.CutPrefix(line, "listening "); ok {
			what, address, _ := strings.Cut(at, " ")
			ts.Setenv(name+"_"+what, address)
			if what == "web" {
				d.web = address
			}
			if what == listensLast(args[1:]) {
				go func() {
					for range lines {
					}
				}()
				return
			}
		}
	}
	ts.Fatalf("it does not listen:\n%s", d.log.String())
}

// listensLast is the listener that a command opens last.
func listensLast(args []string) string {
	switch {
	case args[0] == "registry":
		return "dns"
	case slices.Contains(args, "--metrics-listen"):
		return "metrics"
	}
	return "web"
}

func daemonOf(ts *testscript.TestScript, name string) *background {
	d := stageOf(ts).daemons[name]
	if d == nil {
		ts.Fatalf("no daemon is called %s", name)
	}
	return d
}

func scriptEnds(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, args, 2, "ends NAME CODE [SIGNAL]")
	d := daemonOf(ts, args[0])
	code, err := strconv.Atoi(args[1])
	ts.Check(err)
	limit := patience
	if len(args) > 2 {
		limit = 10 * time.Second // safety rule 21
		signal := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL}[args[2]]
		ts.Check(d.cmd.Process.Signal(signal))
	}
	select {
	case <-d.done:
	case <-time.After(limit):
		ts.Fatalf("it still runs after %s:\n%s", limit, d.log.String())
	}
	if got := d.cmd.ProcessState.ExitCode(); got != code {
		ts.Fatalf("it ended with %d, want %d:\n%s", got, code, d.log.String())
	}
}

func named(ts *testscript.TestScript, args []string) *background {
	want(ts, args, 1, "NAME")
	return daemonOf(ts, args[0])
}

// shows is a command that waits until what a daemon shows matches; or, negated,
// that it does not match now.
func shows(what func(*testscript.TestScript, *background) string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		want(ts, args, 2, "NAME PATTERN")
		d := daemonOf(ts, args[0])
		pattern, err := regexp.Compile("(?m)" + args[1])
		ts.Check(err)
		for deadline := time.Now().Add(patience); ; {
			text := what(ts, d)
			matches := pattern.MatchString(text)
			switch {
			case neg && matches:
				ts.Fatalf("it matches:\n%s", text)
			case neg || matches:
				return
			case time.Now().After(deadline):
				ts.Fatalf("waited %s in vain for %q in:\n%s", patience, args[1], text)
			}
			<-time.After(50 * time.Millisecond)
		}
	}
}

// metricsOf is a daemon's /metrics, "" where it does not answer.
func metricsOf(ts *testscript.TestScript, d *background) string {
	resp, err := http.Get("http://" + d.web + "/metrics")
	if err != nil {
		ts.Logf("metrics: %v", err)
		return ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	return string(text)
}

func serverOf(ts *testscript.TestScript, args []string) *server {
	want(ts, args, 1, "crash|recover INSTANCE")
	s := stageOf(ts).servers[args[0]]
	if s == nil {
		ts.Fatalf("no server is called %s", args[0])
	}
	return s
}

func scriptFleet(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, args, 2, "fleet REGISTRY N")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	at := stageOf(ts)
	ctx := at.t.Context()
	c, err := cloudmap.New(ctx, cloudmap.Config{URL: "http://" + args[0], LoopbackOnly: true})
	ts.Check(err)
	defer c.Close()
	p, err := c.NewProvisioner()
	ts.Check(err)
	space, err := p.HTTPNamespace(ctx, "shop")
	ts.Check(err)
	for _, name := range []string{"api", "web"} {
		s, err := p.Service(ctx, space, name, name == "web")
		ts.Check(err)
		ts.Setenv(name, s.ID)
		for i := range n {
			id := fmt.Sprintf("%s-%d", name, i)
			at.servers[id] = newServer(at.t)
			addr := at.servers[id].addr
			operation, err := c.NewWriter().Register(ctx, s.ID, id, health.AttributesOf(map[string]string{
				"AWS_INSTANCE_IPV4": addr.Addr().String(), "AWS_INSTANCE_PORT": strconv.Itoa(int(addr.Port())), "note": "it's one",
			}), id)
			ts.Check(err)
			ts.Check(p.Await(ctx, operation))
		}
	}
	io.WriteString(ts.Stdout(), space)
}
