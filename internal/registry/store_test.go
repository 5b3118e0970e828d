package registry_test

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.etcd.io/bbolt"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// populated returns the bytes of a registry with 200 instances.
func populated(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registry.db")
	r := open(t, registry.Options{Path: path})
	svc := service(t, r, true)
	for i := range 200 {
		register(t, r, svc, fmt.Sprintf("%03d", i), map[string]string{"k": long(900)})
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return must[[]byte](t)(os.ReadFile(path))
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	r := open(t, registry.Options{Path: path})
	svc := service(t, r, true)
	ns := r.View(svc).NamespaceID
	opID := register(t, r, svc, "b", map[string]string{"k": "v"})
	register(t, r, svc, "a", map[string]string{"AWS_INIT_HEALTH_STATUS": "UNHEALTHY"})
	register(t, r, svc, "gone", nil)
	must[string](t)(r.Deregister(svc, "gone"))
	dns := namespace(t, r, registry.NewNamespace{Name: "corp", Type: registry.DNSPrivateNamespace, VPC: "v"})
	must[*registry.Service](t)(r.CreateService(registry.NewService{Name: "db", NamespaceID: dns,
		DNS: &registry.DNSConfig{Records: []registry.DNSRecord{{Type: registry.RecordSRV, TTL: 5}}}}))
	if err := r.AddTags(r.ARN(ns), []registry.Tag{{Key: "owner", Value: "me"}}); err != nil {
		t.Fatal(err)
	}
	type everything struct {
		Namespaces []*registry.Namespace
		Services   []*registry.ServiceView
		Operations []*registry.Operation
		Tags       []registry.Tag
	}
	look := func(r *registry.Registry) (e everything) {
		var err error
		if e.Namespaces, _, err = r.Namespaces(registry.Page{}, nil); err != nil {
			t.Fatal(err)
		}
		if e.Services, _, err = r.ListServices(registry.Page{}, nil); err != nil {
			t.Fatal(err)
		}
		if e.Operations, _, err = r.Operations(registry.Page{}, nil); err != nil {
			t.Fatal(err)
		}
		e.Tags = must[[]registry.Tag](t)(r.Tags(r.ARN(ns)))
		return e
	}
	before := look(r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	refuseWrite := r.SetCustomHealth(svc, "a", registry.Healthy)
	if refuseWrite != registry.ErrClosed {
		t.Errorf("write after Close: %v", refuseWrite)
	}
	r = open(t, registry.Options{Path: path})
	if diff := cmp.Diff(before, look(r), cmpopts.IgnoreUnexported(registry.ServiceView{})); diff != "" {
		t.Errorf("after reopening (-before +after):\n%s", diff)
	}
	if op := must[*registry.Operation](t)(r.Operation(opID, "")); op.Status != registry.Success {
		t.Errorf("operation %s", op.Status)
	}
	if next := register(t, r, svc, "c", nil); next == opID {
		t.Error("an operation id came twice")
	}
}

// TestFilesThatAreNoRegistry checks that nothing but a whole registry opens,
// with an error that says what is wrong, and that the file stays as it was.
func TestFilesThatAreNoRegistry(t *testing.T) {
	edit := func(path string, change func(tx *bbolt.Tx) error) {
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(change); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write := func(path string, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(path string) []byte { return must[[]byte](t)(os.ReadFile(path)) }
	whole := populated(t)
	for name, tt := range map[string]struct {
		damage func(path string)
		says   string
	}{
		"empty":      {func(p string) { write(p, nil) }, "empty"},
		"text":       {func(p string) { write(p, []byte(strings.Repeat("hello ", 5000))) }, "not a registry"},
		"short text": {func(p string) { write(p, []byte("hello")) }, "not a registry"},
		"zeroes":     {func(p string) { write(p, make([]byte, 1<<16)) }, "not a registry"},
		"bbolt file of another program": {func(p string) {
			os.Remove(p)
			edit(p, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err })
		}, "another program"},
		"newer format": {func(p string) {
			edit(p, func(tx *bbolt.Tx) error {
				body := must[[]byte](t)(json.Marshal(map[string]any{"name": "mapwarden registry", "version": 3}))
				sum := crc32.Checksum([]byte("metaformat"+string(body)), crc32.MakeTable(crc32.Castagnoli))
				return tx.Bucket([]byte("meta")).Put([]byte("format"), append([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}, body...))
			})
		}, "format 3 of a newer build"},
		"bucket missing": {func(p string) {
			edit(p, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("instances")) })
		}, "instances are missing"},
		"service missing": {func(p string) {
			edit(p, func(tx *bbolt.Tx) error {
				c := tx.Bucket([]byte("services")).Cursor()
				c.First()
				return c.Delete()
			})
		}, "missing"},
		"a bit of an attribute": {func(p string) {
			// In every copy: some are in pages that are free by now.
			good := long(900)
			write(p, []byte(strings.ReplaceAll(string(read(p)), good, good[:450]+"y"+good[451:])))
		}, "damaged"},
		"cut in half":   {func(p string) { data := read(p); write(p, data[:len(data)/2]) }, ""},
		"last page cut": {func(p string) { data := read(p); write(p, data[:len(data)-4096]) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "registry.db")
			write(path, whole)
			tt.damage(path)
			before := read(path)
			r, err := registry.Open(registry.Options{Path: path})
			if err == nil {
				// A cut page may have been a free one. Then nothing may be missing.
				defer r.Close()
				services, _, listErr := r.ListServices(registry.Page{}, nil)
				if tt.says != "" || listErr != nil || len(services) != 1 || len(services[0].Instances) != 200 {
					t.Fatalf("opened with %d services, %v", len(services), listErr)
				}
				return
			}
			if !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("error = %v, want one with the path and %q", err, tt.says)
			}
			if !cmp.Equal(before, read(path)) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestOpenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	open(t, registry.Options{Path: path})
	_, err := registry.Open(registry.Options{Path: path})
	if err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("error = %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	for says, opts := range map[string]registry.Options{
		"12 digits":   {Account: "1"},
		"negative":    {OperationDelay: -1},
		"no such":     {Path: filepath.Join(t.TempDir(), "none", "registry.db")},
		"is a direct": {Path: t.TempDir()},
	} {
		if _, err := registry.Open(opts); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: error = %v, want %q", opts, err, says)
		}
	}
}

// TestConcurrentWriters checks that writers that share commits all get what
// they wrote, and that exactly one of those that race for a name gets it.
func TestConcurrentWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	r := open(t, registry.Options{Path: path})
	svc := service(t, r, false)
	ns := r.View(svc).NamespaceID
	const writers, each = 16, 20
	won := make([]int, each)
	var mu sync.Mutex
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", w, i)
				if _, err := r.Register(registry.Registration{ServiceID: svc, InstanceID: id, Attributes: map[string]string{"w": id}}); err != nil {
					t.Error(err)
				}
				if inst, err := r.Instance(svc, id); err != nil || inst.Attributes.Get("w") != id {
					t.Errorf("own write of %s is not seen: %v", id, err)
				}
				if _, err := r.CreateService(registry.NewService{Name: fmt.Sprintf("s%d", i), NamespaceID: ns}); err == nil {
					mu.Lock()
					won[i]++
					mu.Unlock()
				} else {
					refused(t, err, registry.ServiceAlreadyExists, "")
				}
			}
		})
	}
	group.Wait()
	for i, n := range won {
		if n != 1 {
			t.Errorf("service s%d was created %d times", i, n)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, registry.Options{Path: path})
	if n := len(r.View(svc).Instances); n != writers*each {
		t.Errorf("%d instances after reopening, want %d", n, writers*each)
	}
	if got := must[*registry.Namespace](t)(r.Namespace(ns)).ServiceCount; got != each+1 {
		t.Errorf("%d services, want %d", got, each+1)
	}
}

func BenchmarkRegisterDurable(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			r := open(b, registry.Options{Path: filepath.Join(b.TempDir(), "registry.db")})
			svc := service(b, r, false)
			var group sync.WaitGroup
			next := make(chan int)
			for range writers {
				group.Go(func() {
					for i := range next {
						_, err := r.Register(registry.Registration{ServiceID: svc, InstanceID: fmt.Sprint(i % 1000), Attributes: map[string]string{registry.AttrIPv4: "10.0.0.1"}})
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			for i := range b.N {
				next <- i
			}
			close(next)
			group.Wait()
		})
	}
}
