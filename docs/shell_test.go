package docs_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long an answer may be waited for. It is a bound for a busy
// machine and no promise: most come within seconds.
const patience = 90 * time.Second

// again is how long to wait before a command is repeated.
const again = 300 * time.Millisecond

// shell is one bash that lives through a page: what a block sets or starts is
// there for the next one.
type shell struct {
	t     *testing.T
	stdin io.Writer
	lines chan string // of standard output; closed when the shell ends
	errs  *noise
}

// noise is what was written to standard error, for the report of a failure.
type noise struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (n *noise) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.buf.Write(b)
}

func (n *noise) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.buf.String()
}

// newShell starts a bash in an empty directory, with bin first in its PATH.
// The shell and all that it started are killed when the test ends.
func newShell(t *testing.T, bin string) *shell {
	t.Helper()
	cmd := exec.Command("bash", "--noprofile", "--norc")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s := &shell{t: t, lines: make(chan string), errs: &noise{}}
	cmd.Stderr = s.errs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, write, err := os.Pipe() // ours, so that Wait does not wait for what the shell started
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = write
	s.stdin = stdin
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(s.lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			s.lines <- in.Text()
		}
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		for range s.lines { // until everything that could write is gone
		}
		<-ended
		cmd.Wait()
		out.Close()
	})
	return s
}

// must runs a command and fails the test unless it ends well.
func (s *shell) must(command string) {
	s.t.Helper()
	if out, status := s.run(command); status != "0" {
		s.t.Fatalf("this ended with status %s:\n%s\nit printed:\n%s\nstandard error so far:\n%s", status, command, out, s.errs)
	}
}

// until repeats a command until it prints want, or patience ends.
func (s *shell) until(command, want string) {
	s.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		out, _ := s.run(command)
		if out == want {
			return
		}
		select {
		case <-deadline.C:
			s.t.Fatalf("after %s this printed\n%s\ninstead of\n%s\ncommand:\n%s\nstandard error so far:\n%s", patience, out, want, command, s.errs)
		case <-time.After(again):
		}
	}
}

// lastLineEnded is s with a line break at its end, if it has anything at all.
func lastLineEnded(s string) string {
	if s == "" || strings.HasSuffix(s, "\n") {
		return s
	}
	return s + "\n"
}

// run returns what a command printed, and the status of its last part.
func (s *shell) run(command string) (out, status string) {
	s.t.Helper()
	const end = "== end of block, status"
	if _, err := fmt.Fprintf(s.stdin, "%s\nprintf '\\n%s %%s\\n' $?\n", command, end); err != nil {
		s.t.Fatalf("the shell has ended: %v\n%s", err, s.errs)
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	var printed strings.Builder
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				s.t.Fatalf("the shell ended in:\n%s\nstandard error:\n%s", command, s.errs)
			}
			if status, ok := strings.CutPrefix(line, end+" "); ok {
				return lastLineEnded(strings.TrimSuffix(printed.String(), "\n")), status
			}
			printed.WriteString(line + "\n")
		case <-timeout.C:
			s.t.Fatalf("this did not end within %s:\n%s\nit printed:\n%s\nstandard error:\n%s", patience, command, printed.String(), s.errs)
		}
	}
}
