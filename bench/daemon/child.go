//go:build linux || darwin

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// cores says where the parts run: what is measured has one core to itself as
// far as the machine and taskset(1) allow.
type cores struct {
	pinned           bool
	measured, others string // CPU lists
}

func placing(pin bool) cores {
	_, err := exec.LookPath("taskset")
	n := runtime.NumCPU()
	if err != nil || n < 2 || !pin {
		return cores{}
	}
	c := cores{pinned: true, measured: strconv.Itoa(n - 1), others: "0"}
	if n > 2 {
		c.others = fmt.Sprintf("0-%d", n-2)
	}
	return c
}

func (c cores) String() string {
	if !c.pinned {
		return "not pinned"
	}
	return "pinned to CPU " + c.measured + ", all else on CPU " + c.others
}

// child is a process of the measurement. It ends when its standard input does.
type child struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	log   *os.File
	ended sync.Once
}

// spawn starts a program with its log in dir. What is measured gets
// GOMAXPROCS=1 and the core for it.
func (st *stage) spawn(measured bool, name, program string, args ...string) (*child, error) {
	if st.cores.pinned {
		cpus := st.cores.others
		if measured {
			cpus = st.cores.measured
		}
		program, args = "taskset", append([]string{"-c", cpus, program}, args...)
	}
	c := &child{name: name, cmd: exec.Command(program, args...)}
	c.cmd.Env = environment(measured)
	var err error
	if c.log, err = os.Create(st.dir + "/" + name + ".log"); err != nil {
		return nil, err
	}
	c.cmd.Stderr = c.log
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReaderSize(out, 1<<16)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return c, nil
}

// environment is ours without what could lead a child elsewhere.
func environment(measured bool) (out []string) {
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case strings.HasPrefix(name, "AWS_"), strings.HasSuffix(strings.ToLower(name), "_proxy"), name == "GOMAXPROCS":
		default:
			out = append(out, kv)
		}
	}
	if measured {
		out = append(out, "GOMAXPROCS=1")
	}
	return out
}

// stop ends the child and waits for it. It may be called again.
func (c *child) stop() {
	c.ended.Do(func() {
		c.in.Close()
		late := time.AfterFunc(15*time.Second, func() { c.cmd.Process.Signal(syscall.SIGKILL) })
		defer late.Stop()
		io.Copy(io.Discard, c.out)
		c.cmd.Wait()
		c.log.Close()
	})
}

// listening reads the child's output up to "listening NAME ADDRESS".
func (c *child) listening(name string) (string, error) {
	for {
		line, err := c.out.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("%s ended before it listened: %w; its log: %s", c.name, err, c.lastLines())
		}
		if address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening "+name+" "); ok {
			return address, nil
		}
	}
}

// ask writes a line to the child and decodes the line of JSON that it answers.
func (c *child) ask(line string, into any) error {
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		return fmt.Errorf("ask %s: %w", c.name, err)
	}
	answer, err := c.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("answer of %s: %w; its log: %s", c.name, err, c.lastLines())
	}
	return json.Unmarshal(answer, into)
}

// lastLines is the end of the child's log.
func (c *child) lastLines() string {
	b, err := os.ReadFile(c.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-500):])
}
