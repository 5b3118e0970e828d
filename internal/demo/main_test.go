package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The environment in which this test binary is a child of a test: what it does.
const childEnv = "MAPWARDEN_TEST_CHILD"

func TestMain(m *testing.M) {
	switch part := os.Getenv(childEnv); part {
	case "":
		os.Exit(m.Run())
	case "server":
		os.Exit(beServer())
	default:
		os.Exit(beOther(part))
	}
}

// beServer is a server of the fleet that ends as the real one does.
func beServer() int {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := Serve(ctx, os.Stdout, "127.0.0.1:0", 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// beOther is a child that says what it was told, and then behaves as its part
// wants.
func beOther(part string) int {
	fmt.Fprintln(os.Stderr, "to the log")
	fmt.Println("args", strings.Join(os.Args[1:], " "))
	fmt.Println("aws", os.Getenv("AWS_ACCESS_KEY_ID"), "proxy", os.Getenv("http_proxy")+os.Getenv("HTTPS_PROXY"), "kept", os.Getenv("MAPWARDEN_TEST_KEPT"))
	switch part {
	case "deaf": // neither the end of its input nor a polite signal ends it
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		fmt.Println("listening deaf 127.0.0.1:1")
		select {}
	case "brief":
		return 3
	}
	fmt.Println("listening echo 127.0.0.1:2")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println("heard", lines.Text())
	}
	return 0
}

// patience bounds every wait of the tests; most end at once.
const patience = 30 * time.Second

// child starts this test binary in a part.
func child(t *testing.T, part string, args ...string) *process {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(childEnv, part)
	p, err := start(binary, t.TempDir(), part, true, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case <-p.done:
		default:
			go drain(p)
			p.kill()
		}
	})
	return p
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// line is the child's next line.
func (p *process) line(t *testing.T) string {
	t.Helper()
	select {
	case l, ok := <-p.lines:
		if !ok {
			t.Fatalf("%s said nothing more", p.name)
		}
		return l
	case <-time.After(patience):
		t.Fatalf("%s says nothing", p.name)
	}
	return ""
}

// ended waits for a child's end.
func (p *process) ended(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("%s does not end", p.name)
	}
}
