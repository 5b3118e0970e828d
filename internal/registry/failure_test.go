package registry

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// TestFullDisk makes the file unable to grow, as a full disk would: the write
// says so, nothing of it shows, and writes work again when there is room.
func TestFullDisk(t *testing.T) {
	r, err := Open(Options{Path: filepath.Join(t.TempDir(), "registry.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	op, err := r.CreateNamespace(NewNamespace{Name: "prod", Type: HTTPNamespace})
	if err != nil {
		t.Fatal(err)
	}
	done, err := r.Operation(op, "")
	if err != nil {
		t.Fatal(err)
	}
	svc, err := r.CreateService(NewService{Name: "web", NamespaceID: done.Targets.Namespace})
	if err != nil {
		t.Fatal(err)
	}
	fill := func(n int) error {
		attrs := map[string]string{}
		for i := range 4 {
			attrs[strings.Repeat("k", i+1)] = strings.Repeat("v", 1000)
		}
		_, err := r.Register(Registration{ServiceID: svc.ID, InstanceID: strings.Repeat("i", n+1), Attributes: attrs})
		return err
	}

	r.store.db.MaxSize = 1 << 16
	n := 0
	for ; err == nil && n < 60; n++ {
		err = fill(n)
	}
	if err == nil {
		t.Fatal("the disk never filled up")
	}
	if refusal := new(Error); errors.As(err, &refusal) {
		t.Errorf("a failure of ours is a refusal: %v", err)
	}
	kept := n - 1
	if got := len(r.View(svc.ID).Instances); got != kept {
		t.Errorf("%d instances show, %d were acknowledged", got, kept)
	}
	if list, _, err := r.Operations(Page{}, nil); err != nil || len(list) != kept+1 {
		t.Errorf("%d operations show, want %d, %v", len(list), kept+1, err)
	}

	r.store.db.MaxSize = 0
	if err := fill(n); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	if got := len(r.View(svc.ID).Instances); got != kept+1 {
		t.Errorf("%d instances show, want %d", got, kept+1)
	}
}

// TestLostDisk checks that a registry that can neither write nor read its file
// goes on answering readers and refuses writers.
func TestLostDisk(t *testing.T) {
	r, err := Open(Options{Path: filepath.Join(t.TempDir(), "registry.db")})
	if err != nil {
		t.Fatal(err)
	}
	op, err := r.CreateNamespace(NewNamespace{Name: "prod", Type: HTTPNamespace})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.CreateNamespace(NewNamespace{Name: "more", Type: HTTPNamespace}); err == nil {
		t.Error("a write that cannot be durable was acknowledged")
	}
	if _, err := r.CreateNamespace(NewNamespace{Name: "more", Type: HTTPNamespace}); !errors.Is(err, ErrClosed) {
		t.Errorf("the next write: %v", err)
	}
	if _, err := r.Operation(op, ""); err != nil {
		t.Errorf("reading: %v", err)
	}
	if list, _, err := r.Namespaces(Page{}, nil); err != nil || len(list) != 1 {
		t.Errorf("reading: %v, %v", list, err)
	}
}

// TestPanicInAWrite checks that a change that stopped half way is not carried
// on: no later write may make it durable.
func TestPanicInAWrite(t *testing.T) {
	r, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		r.write(func(*batch) error { panic("bug") })
	}()
	if _, err := r.CreateNamespace(NewNamespace{Name: "prod", Type: HTTPNamespace}); !errors.Is(err, ErrClosed) {
		t.Errorf("the next write: %v", err)
	}
}
