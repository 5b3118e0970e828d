//go:build linux

package main

import (
	"bufio"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	firstPort = 12000
	ports     = 16
)

// load is what the checkers have to do.
type load struct {
	targets  int
	interval time.Duration
	probe    string // http, tcp or half
}

func (l load) String() string {
	return fmt.Sprintf("%d targets x %v, %s", l.targets, l.interval, l.probe)
}

func (l load) rate() float64 { return float64(l.targets) / l.interval.Seconds() }

// address of target i, as c/responder.c counts them.
func (l load) address(i int) string {
	return fmt.Sprintf("127.%d.%d.%d:%d", 1+i/(256*200), i/200%256, 1+i%200, firstPort+i%ports)
}

// stage is what stands through all rounds.
type stage struct {
	settings
	dir      string
	checkers []string
	core     int // the checker's; -1: not pinned
	others   string
}

//go:embed c/*.c
var sources embed.FS

func setStage(ctx context.Context, s settings, dir string) (*stage, error) {
	st := &stage{settings: s, dir: dir, core: -1}
	if n := runtime.NumCPU(); s.pin && n > 1 {
		if _, err := exec.LookPath("taskset"); err == nil {
			st.core, st.others = 0, fmt.Sprintf("1-%d", n-1)
		}
	}
	for _, name := range []string{"responder", "floor"} {
		source, err := sources.ReadFile("c/" + name + ".c")
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".c"), source, 0o600); err != nil {
			return nil, err
		}
		cmd := command(ctx, "cc", "-O2", "-o", filepath.Join(dir, name), filepath.Join(dir, name+".c"))
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("NOT MEASURED: the responder and the floor need a C compiler as cc: %w", err)
		}
	}
	for _, c := range strings.Split(s.peers, ",") {
		if c == "haproxy" {
			if _, err := exec.LookPath("haproxy"); err != nil {
				fmt.Println("NOT COMPARED with HAProxy: there is no haproxy here. scripts/components.sh installs it on Debian.")
				continue
			}
		}
		st.checkers = append(st.checkers, c)
	}
	fmt.Printf("%s; %d CPUs, checker %s; %d rounds of %v; %s", runtime.Version(), runtime.NumCPU(), st.placing(), s.rounds, s.length, loadavg())
	if slices.Contains(st.checkers, "haproxy") {
		out, _ := exec.Command("haproxy", "-v").Output()
		first, _, _ := strings.Cut(string(out), " https")
		fmt.Print("; ", first)
	}
	fmt.Println()
	return st, nil
}

func (st *stage) placing() string {
	if st.core < 0 {
		return "not pinned"
	}
	return fmt.Sprintf("on CPU %d, all else on %s", st.core, st.others)
}

func loadavg() string {
	b, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(b), " ")
	return "load before: " + one
}

func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// child is a process of the measurement.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// spawn starts a program on the checker's core or beside it.
func (st *stage) spawn(ctx context.Context, checker bool, name string, args ...string) (*child, error) {
	if st.core >= 0 {
		cpus := st.others
		if checker {
			cpus = strconv.Itoa(st.core)
		}
		name, args = "taskset", append([]string{"-c", cpus, name}, args...)
	}
	c := &child{cmd: command(ctx, name, args...)}
	if checker {
		c.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	}
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.in, c.out = in, bufio.NewReaderSize(out, 1<<16)
	return c, c.cmd.Start()
}

func (c *child) stop() {
	c.in.Close()
	c.cmd.Process.Signal(syscall.SIGTERM)
	io.Copy(io.Discard, c.out)
	c.cmd.Wait()
}

// ask writes a line and reads the line of JSON that answers it.
func (c *child) ask(into any) error {
	if _, err := io.WriteString(c.in, "now\n"); err != nil {
		return err
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, into)
}

// startChecker starts what is measured.
func (st *stage) startChecker(ctx context.Context, name string, l load) (*child, error) {
	switch name {
	case "floor", "floor-reset":
		mode := l.probe
		if name == "floor-reset" {
			mode = "reset"
		}
		return st.spawn(ctx, true, filepath.Join(st.dir, "floor"), mode, strconv.Itoa(firstPort), strconv.Itoa(ports), strconv.Itoa(l.targets), strconv.FormatInt(l.interval.Milliseconds(), 10))
	case "haproxy":
		config := filepath.Join(st.dir, "haproxy.cfg")
		if err := os.WriteFile(config, haproxy(l), 0o600); err != nil {
			return nil, err
		}
		return st.spawn(ctx, true, "haproxy", "-db", "-q", "-f", config)
	case "engine", "portable":
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return st.spawn(ctx, true, self, "-part", name, "-profile", st.profile, "-job", fmt.Sprintf("%d %v %s", l.targets, l.interval, l.probe))
	}
	return nil, fmt.Errorf("there is no checker %q", name)
}

// haproxy is a configuration that does nothing but check. HAProxy takes back a
// plain connect check before its target sees it: its tcp and half are the same.
func haproxy(l load) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "global\n  nbthread 1\n  maxconn 1000\ndefaults\n  mode tcp\n  timeout connect %dms\n  timeout check %dms\n  timeout client 1s\n  timeout server 1s\nlisten nobody\n  bind 127.0.0.1:%d\nbackend b\n", l.interval.Milliseconds()/2, l.interval.Milliseconds()/2, firstPort+ports)
	if l.probe == "http" {
		b.WriteString("  option httpchk\n  http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host bench hdr Connection close\n")
	}
	for i := range l.targets {
		fmt.Fprintf(&b, "  server s%d %s check inter %dms\n", i, l.address(i), l.interval.Milliseconds())
	}
	return []byte(b.String())
}
