package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestChildIsOnItsOwn: it gets its arguments and the flag that ties its life to
// ours, no credentials and no proxy; what it says to standard error is a file.
func TestChildIsOnItsOwn(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
	t.Setenv("http_proxy", "http://127.0.0.1:9")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:9")
	t.Setenv("MAPWARDEN_TEST_KEPT", "yes")
	p := child(t, "echo", "one", "two")
	if got, want := p.line(t), "args one two "+UntilEOF; got != want {
		t.Errorf("the child was started with %q, want %q", got, want)
	}
	if got, want := p.line(t), "aws  proxy  kept yes"; got != want {
		t.Errorf("its environment shows %q, want %q", got, want)
	}
	address, err := p.listening(within(t), "echo")
	if err != nil || address != "127.0.0.1:2" {
		t.Errorf("listening: %q, %v", address, err)
	}
	p.stop()
	text, err := os.ReadFile(p.log.Name())
	if err != nil || string(text) != "to the log\n" {
		t.Errorf("the log holds %q, %v", text, err)
	}
}

// TestChildEndsWithItsParent: when the pipe to it breaks, however that comes
// to pass, the child ends.
func TestChildEndsWithItsParent(t *testing.T) {
	p := child(t, "server")
	if _, err := p.listening(within(t), "server"); err != nil {
		t.Fatal(err)
	}
	p.stdin.Close() // as the system does when a process dies
	p.ended(t)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
}

// TestStopWakesTheStopped: a child that was stopped by a signal still ends well.
func TestStopWakesTheStopped(t *testing.T) {
	p := child(t, "server")
	if _, err := p.listening(within(t), "server"); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGSTOP)
	p.stop()
	p.ended(t)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	p.stop() // again does nothing
	p.signal(syscall.SIGCONT)
}

// TestKill: a killed child is gone when kill returns, and its address with it.
func TestKill(t *testing.T) {
	p := child(t, "server")
	if _, err := p.listening(within(t), "server"); err != nil {
		t.Fatal(err)
	}
	p.kill()
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", p.cmd.ProcessState)
	}
	if _, more := <-p.lines; more {
		t.Error("a dead child still speaks")
	}
	p.stop() // of what is gone already: nothing to do
}

// TestStopKillsTheDeaf: what does not end by itself is ended.
func TestStopKillsTheDeaf(t *testing.T) {
	p := child(t, "deaf")
	if _, err := p.listening(within(t), "deaf"); err != nil {
		t.Fatal(err)
	}
	p.stop()
	select {
	case <-p.done:
	default:
		t.Fatal("stop returned before the end")
	}
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", p.cmd.ProcessState)
	}
}

// TestListeningFails: of a child that dies, and of one that never listens, the
// error names it and its log.
func TestListeningFails(t *testing.T) {
	p := child(t, "brief")
	_, err := p.listening(within(t), "web")
	if want := fmt.Sprintf("brief ended before it listened; see %s", p.log.Name()); err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
	p = child(t, "echo")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = p.listening(ctx, "web")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "echo does not listen") || !strings.Contains(err.Error(), p.log.Name()) {
		t.Errorf("%v", err)
	}
}

// TestLogsGoOn: a child that is started again under its name adds to its log.
func TestLogsGoOn(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(childEnv, "brief")
	dir := t.TempDir()
	for range 2 {
		p, err := start(binary, dir, "twice", false)
		if err != nil {
			t.Fatal(err)
		}
		p.ended(t)
	}
	text, err := os.ReadFile(filepath.Join(dir, "twice.log"))
	if err != nil || strings.Count(string(text), "to the log\n") != 2 || strings.Count(string(text), "args") != 2 {
		t.Errorf("the log holds %q, %v", text, err)
	}
}

func TestStartFails(t *testing.T) {
	if _, err := start(filepath.Join(t.TempDir(), "none"), t.TempDir(), "x", true); err == nil || !strings.Contains(err.Error(), "start x") {
		t.Errorf("no binary: %v", err)
	}
	if _, err := start(os.Args[0], filepath.Join(t.TempDir(), "none"), "x", true); err == nil {
		t.Error("no directory for the log, and no error")
	}
}
