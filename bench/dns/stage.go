//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The servers, as the table calls them.
const (
	ours    = "mapwarden"
	dnsmasq = "dnsmasq"
	bare    = "bare handler"
)

// stage is the processes of a measurement.
type stage struct {
	settings
	servers []*child
	load    *child
	pinned  bool
	version string // of dnsmasq; empty: it is left out
}

// child is a process of the measurement. It ends when its standard input does,
// or is ended.
type child struct {
	name string
	at   string // the address that it answers at
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

func setStage(s settings) (*stage, error) {
	st := &stage{settings: s}
	_, err := exec.LookPath("taskset")
	st.pinned = err == nil && runtime.NumCPU() > 1 && s.pin
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	last := strconv.Itoa(runtime.NumCPU() - 1)
	for _, p := range []struct{ name, part string }{{ours, "mapwarden"}, {bare, "bare"}} {
		c, err := st.spawn(p.name, last, self, "-part", p.part, "-instances", strconv.Itoa(s.instances), "-profile", s.profile)
		if err == nil {
			st.servers = append(st.servers, c)
			c.at, err = c.line()
		}
		if err != nil {
			st.close()
			return nil, fmt.Errorf("start %s: %w", p.name, err)
		}
	}
	if err := st.startDnsmasq(last); err != nil {
		st.close()
		return nil, fmt.Errorf("start dnsmasq: %w", err)
	}
	if st.load, err = st.spawn("load", "0", self, "-part", "load"); err != nil {
		st.close()
		return nil, err
	}
	return st, nil
}

// startDnsmasq starts dnsmasq where it is installed.
func (st *stage) startDnsmasq(cpu string) error {
	path, err := exec.LookPath(st.dnsmasq)
	if err != nil {
		return nil
	}
	version, err := exec.Command(path, "--version").Output()
	if err != nil {
		return err
	}
	st.version, _, _ = strings.Cut(string(version), "  ")
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	at := free.LocalAddr().String()
	if err := free.Close(); err != nil {
		return err
	}
	_, port, _ := strings.Cut(at, ":")
	args := []string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=", "--local-ttl=10",
		"--user=", "--group=", "--bind-interfaces", "--listen-address=127.0.0.1", "--port=" + port, "--local=/bench.internal/",
	}
	for _, c := range cases {
		for i := range c.records {
			args = append(args, fmt.Sprintf("--host-record=%s,10.0.0.%d", strings.TrimSuffix(c.question, "."), i+1))
		}
	}
	c, err := st.spawn(dnsmasq, cpu, path, args...)
	if err != nil {
		return err
	}
	c.at = at
	st.servers = append(st.servers, c)
	return nil
}

// spawn starts a program on a core.
func (st *stage) spawn(name, cpu, program string, args ...string) (*child, error) {
	if st.pinned {
		program, args = "taskset", append([]string{"-c", cpu, program}, args...)
	}
	c := &child{name: name, cmd: exec.Command(program, args...)}
	c.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	c.cmd.Stderr = os.Stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	return c, c.cmd.Start()
}

// line is the next line that a child writes.
func (c *child) line() (string, error) {
	text, err := c.out.ReadString('\n')
	return strings.TrimSpace(text), err
}

// close ends every child.
func (st *stage) close() {
	for _, c := range append(st.servers, st.load) {
		if c == nil {
			continue
		}
		c.in.Close()
		if c.name == dnsmasq {
			c.cmd.Process.Signal(syscall.SIGTERM)
		}
		late := time.AfterFunc(10*time.Second, func() { c.cmd.Process.Kill() })
		c.cmd.Wait()
		late.Stop()
	}
}

// figures are what one measurement gave.
type figures struct {
	perSecond  float64 // answers
	perRequest float64 // microseconds of CPU
	busy       float64 // part of one core
	lost       int
}

// ask measures a server.
func (st *stage) ask(server *child, c testCase) (figures, error) {
	order := order{At: server.at, Question: c.question, Records: c.records, Sockets: c.sockets, Window: c.window, Gather: c.gather}
	for _, order.For = range []time.Duration{100 * time.Millisecond, st.length} { // the first warms up
		before, err := cpuTime(server.cmd.Process.Pid)
		if err != nil {
			return figures{}, err
		}
		if err := json.NewEncoder(st.load.in).Encode(order); err != nil {
			return figures{}, err
		}
		var got result
		text, err := st.load.line()
		if err != nil {
			return figures{}, fmt.Errorf("the asker ended: %w", err)
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			return figures{}, err
		}
		if got.Error != "" {
			return figures{}, errors.New(got.Error)
		}
		after, err := cpuTime(server.cmd.Process.Pid)
		if err != nil {
			return figures{}, err
		}
		if order.For == st.length {
			return figures{
				perSecond:  float64(got.Answers) / got.Took.Seconds(),
				perRequest: float64((after - before).Microseconds()) / float64(max(got.Answers, 1)),
				busy:       (after - before).Seconds() / got.Took.Seconds(),
				lost:       got.Lost,
			}, nil
		}
	}
	return figures{}, nil
}

// cpuTime is the CPU time of a process so far, kernel included. The kernel
// counts it in hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	const user, system = 11, 12 // fields 14 and 15 of proc(5)
	if len(fields) <= system {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, b)
	}
	var ticks int
	for _, f := range []string{fields[user], fields[system]} {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
