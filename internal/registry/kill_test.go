package registry_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// writerEnv makes this test binary a process that writes to the registry at
// that path until it is killed.
const writerEnv = "REGISTRY_TEST_WRITER"

const (
	killWriters = 8
	killLag     = 5 // a writer deregisters what it registered so many steps ago
)

func TestMain(m *testing.M) {
	if path := os.Getenv(writerEnv); path != "" {
		fmt.Fprintln(os.Stderr, writeUntilKilled(path, os.Getenv(writerEnv+"_DELAY"), os.Getenv(writerEnv+"_ROUND")))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled prints "begin deregister ID" before and "registered ID",
// "deregistered ID", "unhealthy ID" after the call that did it has returned.
func writeUntilKilled(path, delay, round string) error {
	length, err := time.ParseDuration(delay)
	if err != nil {
		return err
	}
	r, err := registry.Open(registry.Options{Path: path, OperationDelay: length, CustomHealthDelay: length})
	if err != nil {
		return err
	}
	services, _, err := r.ListServices(registry.Page{}, nil)
	if err != nil {
		return err
	}
	svc := services[0].ID
	failed := make(chan error)
	var printing sync.Mutex
	say := func(format string, args ...any) {
		printing.Lock()
		defer printing.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	for w := range killWriters {
		go func() {
			id := func(n int) string { return fmt.Sprintf("%s-%d-%d", round, w, n) }
			for n := 0; ; n++ {
				if _, err := r.Register(registry.Registration{ServiceID: svc, InstanceID: id(n), Attributes: map[string]string{"id": id(n)}}); err != nil {
					failed <- err
				}
				say("registered %s", id(n))
				if length > 0 || n < killLag { // an instance on its way in can be neither marked nor removed
					continue
				}
				if err := r.SetCustomHealth(svc, id(n), registry.Unhealthy); err != nil {
					failed <- err
				}
				say("unhealthy %s", id(n))
				say("begin deregister %s", id(n-killLag))
				if _, err := r.Deregister(svc, id(n-killLag)); err != nil {
					failed <- err
				}
				say("deregistered %s", id(n-killLag))
			}
		}()
	}
	return <-failed
}

// TestKill kills a writing process again and again, with operations that apply
// at once and with operations that are still in flight, and checks that the
// next start has everything that was acknowledged.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	r := open(t, registry.Options{Path: path})
	svc := service(t, r, true)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	want := make(map[string]string) // instance -> the last that was said of it
	acknowledged := 0
	for round := range 10 {
		delay := "0s"
		if round%2 == 1 {
			delay = "1h"
		}
		acknowledged += killRound(t, path, delay, strconv.Itoa(round), want)

		r := open(t, registry.Options{Path: path}) // nothing in flight waits longer than this delay, none
		if err := r.AddTags(r.ARN(svc), []registry.Tag{{Key: "round", Value: strconv.Itoa(round)}}); err != nil {
			t.Fatal(err)
		}
		view := r.View(svc)
		for id, said := range want {
			inst := view.Instance(id)
			switch {
			case said == "deregistered" && inst != nil:
				t.Errorf("round %d: %s is back", round, id)
			case (said == "registered" || said == "unhealthy") && inst == nil:
				t.Errorf("round %d: %s is lost", round, id)
			case said == "unhealthy" && inst.Health != registry.Unhealthy:
				t.Errorf("round %d: the status of %s is lost", round, id)
			case inst != nil && inst.Attributes.Get("id") != id:
				t.Errorf("round %d: %s has the attributes %v", round, id, inst.Attributes)
			}
		}
		if t.Failed() {
			return
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d acknowledged writes in 10 lives, none lost", acknowledged)
}

// killRound runs a writer, kills it after some acknowledgements and notes what
// it said.
func killRound(t *testing.T, path, delay, round string, want map[string]string) (acknowledged int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), writerEnv+"="+path, writerEnv+"_DELAY="+delay, writerEnv+"_ROUND="+round)
	child.Stderr = os.Stderr
	out := must[io.ReadCloser](t)(child.StdoutPipe())
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	killAt := 20 + rand.IntN(400)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		what, id, _ := strings.Cut(lines.Text(), " ")
		if what == "begin" {
			id = strings.TrimPrefix(id, "deregister ")
			what = "uncertain"
		} else if acknowledged++; acknowledged == killAt {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		want[id] = what
	}
	child.Wait() // killed, so always an error
	if acknowledged < killAt {
		t.Fatalf("round %s: the writer ended by itself after %d writes", round, acknowledged)
	}
	return acknowledged
}
