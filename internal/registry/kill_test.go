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

// writeUntilKilled prints "begin deregister ID" before and "registered ID
// OPERATION", "deregistered ID OPERATION", "unhealthy ID", "created SERVICE"
// after the call that did it has returned.
func writeUntilKilled(path, delay, round string) error {
	length, err := time.ParseDuration(delay)
	if err != nil {
		return err
	}
	r, err := registry.Open(registry.Options{Path: path, OperationDelay: length, CustomHealthDelay: length})
	if err != nil {
		return err
	}
	namespaces, _, err := r.Namespaces(registry.Page{}, nil)
	if err != nil {
		return err
	}
	ns := namespaces[0]
	svc := r.ServiceNamed(ns, "web").ID
	failed := make(chan error)
	var printing sync.Mutex
	say := func(format string, args ...any) {
		printing.Lock()
		defer printing.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	for w := range killWriters {
		id := func(n int) string { return fmt.Sprintf("%s-%d-%d", round, w, n) }
		step := func(n int) error {
			op, err := r.Register(registry.Registration{ServiceID: svc, InstanceID: id(n), Attributes: map[string]string{"id": id(n)}})
			if err != nil {
				return err
			}
			say("registered %s %s", id(n), op)
			if n%16 == w {
				created, err := r.CreateService(registry.NewService{Name: id(n), NamespaceID: ns.ID})
				if err != nil {
					return err
				}
				say("created %s", created.ID)
			}
			if length > 0 || n < killLag { // an instance on its way in can be neither marked nor removed
				return nil
			}
			if err := r.SetCustomHealth(svc, id(n), registry.Unhealthy); err != nil {
				return err
			}
			say("unhealthy %s", id(n))
			say("begin deregister %s", id(n-killLag))
			if op, err = r.Deregister(svc, id(n-killLag)); err != nil {
				return err
			}
			say("deregistered %s %s", id(n-killLag), op)
			return nil
		}
		go func() {
			for n := 0; ; n++ {
				if err := step(n); err != nil {
					failed <- err
				}
			}
		}()
	}
	return <-failed
}

const (
	killsPerFile = 20 // so that files stay small however many kills there are
	leastKills   = 20
)

// kills is how many processes TestKill kills; MAPWARDEN_SEEDS raises it.
func kills(t *testing.T) int {
	v := os.Getenv("MAPWARDEN_SEEDS")
	if v == "" {
		return leastKills
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("MAPWARDEN_SEEDS=%q is not a number of seeds", v)
	}
	return max(n, leastKills)
}

// TestKill kills a writing process again and again, with operations that apply
// at once and with operations that are still in flight, and checks that the
// next start has everything that was acknowledged, and nothing by halves.
func TestKill(t *testing.T) {
	acknowledged, n := 0, kills(t)
	for killed := 0; killed < n && !t.Failed(); killed += killsPerFile {
		acknowledged += killFile(t, filepath.Join(t.TempDir(), "registry.db"), min(killsPerFile, n-killed))
	}
	if !t.Failed() {
		t.Logf("%d acknowledged writes in %d lives, none lost", acknowledged, n)
	}
}

func killFile(t *testing.T, path string, rounds int) (acknowledged int) {
	r := open(t, registry.Options{Path: path})
	svc := service(t, r, true)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	want := said{instances: make(map[string]string)}
	for round := range rounds {
		delay := "0s"
		if round%2 == 1 {
			delay = "1h"
		}
		acknowledged += killRound(t, path, delay, strconv.Itoa(round), &want)

		if _, err := registry.ExportFile(path); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		r := open(t, registry.Options{Path: path}) // nothing in flight waits longer than this delay, none
		if err := r.AddTags(r.ARN(svc), []registry.Tag{{Key: "round", Value: strconv.Itoa(round)}}); err != nil {
			t.Fatal(err)
		}
		want.check(t, round, r, svc)
		checkWhole(t, round, r, svc)
		if t.Failed() {
			return acknowledged
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return acknowledged
}

// said is what writers have acknowledged.
type said struct {
	instances            map[string]string // id -> the last that was said of it
	operations, services []string
}

func (want *said) check(t *testing.T, round int, r *registry.Registry, svc string) {
	t.Helper()
	view := r.View(svc)
	for id, last := range want.instances {
		inst := view.Instance(id)
		switch {
		case last == "deregistered" && inst != nil:
			t.Errorf("round %d: %s is back", round, id)
		case (last == "registered" || last == "unhealthy") && inst == nil:
			t.Errorf("round %d: %s is lost", round, id)
		case last == "unhealthy" && inst.Health != registry.Unhealthy:
			t.Errorf("round %d: the status of %s is lost", round, id)
		}
	}
	for _, id := range want.operations {
		if op, err := r.Operation(id, ""); err != nil || op.Status != registry.Success {
			t.Errorf("round %d: operation %s: %+v, %v", round, id, op, err)
		}
	}
	for _, id := range want.services {
		if r.View(id) == nil {
			t.Errorf("round %d: service %s is lost", round, id)
		}
	}
}

// checkWhole checks that what one write changed together is there together: an
// instance is registered if, and only if, the newest operation on it says so,
// and the counts agree.
func checkWhole(t *testing.T, round int, r *registry.Registry, svc string) {
	t.Helper()
	newest := make(map[string]*registry.Operation)
	for page := (registry.Page{}); ; {
		ops, next, err := r.Operations(page, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range ops {
			if op.ServiceID == svc {
				newest[op.Targets.Instance] = op
			}
		}
		if page.Token = next; next == "" {
			break
		}
	}
	view := r.View(svc)
	for id, op := range newest {
		if there := view.Instance(id) != nil; there != (op.Type == registry.RegisterInstanceOp) {
			t.Errorf("round %d: %s is there: %v, after %s", round, id, there, op.Type)
		}
	}
	for _, inst := range view.Instances {
		if op := newest[inst.ID]; op == nil || op.ID != inst.RegisteredBy || attributesOf(inst)["id"] != inst.ID {
			t.Errorf("round %d: instance %+v comes from %+v", round, inst, op)
		}
	}
	ns, err := r.Namespace(view.NamespaceID)
	if err != nil || ns.ServiceCount != len(r.Services(ns.ID)) {
		t.Errorf("round %d: namespace %+v has %d services, %v", round, ns, len(r.Services(view.NamespaceID)), err)
	}
}

func attributesOf(inst *registry.Instance) map[string]string { return inst.Attributes.Map() }

// killRound runs a writer, kills it after some acknowledgements and notes what
// it said.
func killRound(t *testing.T, path, delay, round string, want *said) (acknowledged int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), writerEnv+"="+path, writerEnv+"_DELAY="+delay, writerEnv+"_ROUND="+round)
	child.Stderr = os.Stderr
	out := must[io.ReadCloser](t)(child.StdoutPipe())
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	killAt := 1 + rand.IntN(150)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if words[0] == "begin" {
			want.instances[words[2]] = "uncertain"
			continue
		}
		if acknowledged++; acknowledged == killAt {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if words[0] == "created" {
			want.services = append(want.services, words[1])
			continue
		}
		want.instances[words[1]] = words[0]
		if len(words) > 2 {
			want.operations = append(want.operations, words[2])
		}
	}
	child.Wait() // killed, so always an error
	if acknowledged < killAt {
		t.Fatalf("round %s: the writer ended by itself after %d writes", round, acknowledged)
	}
	return acknowledged
}
