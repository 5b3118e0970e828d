//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stage is where the parts are measured: a directory and the server processes
// of the part at hand.
type stage struct {
	settings
	cores
	dir      string
	children []*child
}

// child is a server process.
type child struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	address string
}

// spawn starts a server and waits until it listens. One that is not pinned has
// the whole machine.
func (st *stage) spawn(pinned bool, args ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if st.taskset != "" {
		cpus := serverCore
		if !pinned {
			cpus = serverCore + "," + clientCore
		}
		program, args = st.taskset, append([]string{"-c", cpus, program}, args...)
	}
	c := &child{cmd: exec.Command(program, args...)}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	st.children = append(st.children, c)
	line, err := c.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the server %v ended before it listened: %w", args, err)
	}
	c.address = strings.TrimSpace(line)
	return c, nil
}

// close ends the servers.
func (st *stage) close() {
	for _, c := range st.children {
		c.in.Close()
		late := time.AfterFunc(15*time.Second, func() { c.cmd.Process.Signal(syscall.SIGKILL) })
		io.Copy(io.Discard, c.out)
		c.cmd.Wait()
		late.Stop()
	}
	st.children = nil
}

// usage asks the server what it has used up so far.
func (c *child) usage() (u usage, err error) {
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		return u, err
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return u, fmt.Errorf("ask the server for its usage: %w", err)
	}
	return u, json.Unmarshal(line, &u)
}

// memory is a line of the server's /proc/PID/status, in bytes.
func (c *child) memory(name string) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("/proc has no %s", name)
}

// series are the figures of the rounds.
type series []float64

func (s series) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// spread is the median with the range of all.
func (s series) spread(format string) string {
	if len(s) == 0 {
		return "-"
	}
	return fmt.Sprintf(format+" ("+format+" to "+format+")", s.median(), slices.Min(s), slices.Max(s))
}

// over is the ratio of two series, round by round.
func (s series) over(t series) series {
	ratios := make(series, len(s))
	for i := range s {
		ratios[i] = s[i] / t[i]
	}
	return ratios
}

// goal prints a ratio or a figure beside what it should be.
func goal(what string, s series, format, limit string, ok bool) {
	verdict := "met"
	if !ok {
		verdict = "MISSED"
	}
	fmt.Printf("  %-58s %s; goal %s: %s\n", what, s.spread(format), limit, verdict)
}
