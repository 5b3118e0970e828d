package component

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// recorder stands in for the test that calls Need.
type recorder struct {
	testing.TB
	fatal, skip string
}

func (r *recorder) Helper()      {}
func (r *recorder) Name() string { return "TestCaller" }
func (r *recorder) Fatal(args ...any) {
	r.fatal = args[0].(string)
	runtime.Goexit()
}
func (r *recorder) Fatalf(format string, _ ...any) {
	r.fatal = format
	runtime.Goexit()
}
func (r *recorder) Skip(args ...any) {
	r.skip = args[0].(string)
	runtime.Goexit()
}

// need runs Need as a test would: on a goroutine that may be ended.
func need(c Name) (r recorder, path string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		path = Need(&r, c)
	}()
	<-done
	return r, path
}

func program(t *testing.T, dir, name, script string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNeedMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())

	t.Setenv(env, "required")
	r, _ := need(AWS)
	if want := "TestCaller needs aws (apt-get install awscli"; !strings.HasPrefix(r.fatal, want) || r.skip != "" {
		t.Errorf("required: fatal %q, skip %q; want a failure that begins %q", r.fatal, r.skip, want)
	}

	t.Setenv(env, "")
	r, _ = need(AWS)
	if want := "LEFT OUT: TestCaller needs aws"; !strings.HasPrefix(r.skip, want) || r.fatal != "" {
		t.Errorf("not required: skip %q, fatal %q; want a skip that begins %q", r.skip, r.fatal, want)
	}
}

func TestNeedFound(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv(env, "required")
	want := program(t, dir, "aws", "exit 0")
	if r, got := need(AWS); got != want {
		t.Errorf("Need = %q (%q), want %q", got, r.fatal, want)
	}
}

// A shim that cannot run its program is as good as none, and the next candidate
// is asked.
func TestNeedPassesOverBrokenPrograms(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv(env, "required")
	program(t, dir, "chromium", "exit 127")
	if r, got := need(Chromium); got != "" || r.fatal == "" {
		t.Errorf("a broken chromium was taken: %q", got)
	}
	want := program(t, dir, "google-chrome", "exit 0")
	if _, got := need(Chromium); got != want {
		t.Errorf("Need = %q, want %q", got, want)
	}
}

func TestNeedUnknown(t *testing.T) {
	if r, _ := need("docker"); r.fatal == "" {
		t.Error("an unknown component was accepted")
	}
}
