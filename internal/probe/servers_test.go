package probe

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/component"
	"github.com/mapwarden/mapwarden/internal/health"
)

// server is a program that listens at an address and writes a log.
type server struct {
	at  netip.AddrPort
	log string
}

// serve starts a program and waits until it accepts connections.
func serve(t *testing.T, at netip.AddrPort, log string, cmd *exec.Cmd) server {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		cmd.Wait()
	})
	s := server{at, log}
	for began := time.Now(); ; {
		c, err := net.DialTimeout("tcp", at.String(), time.Second)
		if err == nil {
			c.Close()
			return s
		}
		if time.Since(began) > enough {
			t.Fatalf("%s does not listen: %v\n%s", cmd.Path, err, s.read(t))
		}
	}
}

func (s server) read(t *testing.T) string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// probed has an engine probe the server some sixty times, and returns what
// the server wrote meanwhile.
func (s server) probed(t *testing.T, k kind, p health.Probe) string {
	before := s.read(t)
	w := k.watching(t, Config{})
	target := targetAt(s.at, p, enough)
	target.Check.Interval = minInterval
	w.Watch(*target, 1)
	for range 60 {
		if o := w.until("an observation", func(health.Observation) bool { return true }); o.Outcome != health.Pass {
			t.Fatalf("%v %v %q", o.Outcome, o.Cause, o.Detail)
		}
	}
	w.stop()
	return strings.TrimPrefix(s.read(t), before)
}

func TestNGINXLogsNothing(t *testing.T) {
	t.Parallel()
	program := component.Need(t, component.NGINX)
	dir, at := t.TempDir(), closedPort(t)
	log := filepath.Join(dir, "log")
	config := fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log %[2]s notice;
events {}
http {
  access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen %[3]s; location / { return 200 "ok"; } location /big { root %[1]s; } }
}`, dir, log, at)
	for name, content := range map[string]string{"nginx.conf": config, "big": strings.Repeat("much ", 1<<20)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, at, log, exec.Command(program, "-e", log, "-p", dir, "-c", filepath.Join(dir, "nginx.conf")))
	inBoth(t, func(t *testing.T, k kind) {
		for _, p := range []health.Probe{{Protocol: health.HTTP}, {Protocol: health.HTTP, Path: "/big"}, {}, {HalfOpen: true}} {
			if wrote := s.probed(t, k, p); wrote != "" {
				t.Errorf("%+v: it wrote %q", p, wrote)
			}
		}
	})
}

// PostgreSQL speaks second. It logs a reset, but nothing about a connection
// that ends before its first message.
func TestPostgreSQLLogsNothing(t *testing.T) {
	t.Parallel()
	s := startPostgres(t)
	inBoth(t, func(t *testing.T, k kind) {
		for _, p := range []health.Probe{{}, {HalfOpen: true}} {
			if wrote := s.probed(t, k, p); wrote != "" {
				t.Errorf("%+v: it wrote %q", p, wrote)
			}
		}
	})
}

// house has the servers that the tests of one test share: what takes seconds to begin.
type house struct {
	t    *testing.T
	once sync.Once
	at   netip.AddrPort
}

func (h *house) postgres(t *testing.T) netip.AddrPort {
	component.Need(t, component.Postgres)
	h.once.Do(func() { h.at = startPostgres(h.t).at })
	return h.at
}

func startPostgres(t *testing.T) server {
	program := component.Need(t, component.Postgres)
	dir, err := os.MkdirTemp("", "mapwarden-pg-") // not below the test's own, which others may not enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		if os.Getuid() == 0 {
			const nobody = 65534
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			if err := os.Chown(dir, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
		return cmd
	}
	real, err := filepath.EvalSymlinks(program)
	if err != nil {
		t.Fatal(err)
	}
	initdb := filepath.Join(filepath.Dir(real), "initdb")
	data := filepath.Join(dir, "data")
	if out, err := command(initdb, "-D", data, "-A", "trust", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	at := closedPort(t)
	s := serve(t, at, filepath.Join(t.TempDir(), "log"), command(real, "-D", data, "-k", dir, "-h", at.Addr().String(), "-p", fmt.Sprint(at.Port()), "-F"))
	for began := time.Now(); !strings.Contains(s.read(t), "ready to accept"); {
		if time.Since(began) > enough {
			t.Fatal(s.read(t))
		}
	}
	return s
}
