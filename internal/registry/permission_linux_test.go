package registry_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// TestNoPermission opens a file that may not be read, also where the tests run
// as root: this thread gives up what root may.
func TestNoPermission(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	if err := open(t, registry.Options{Path: path}).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked, so the thread ends with this function
		if os.Getuid() == 0 {
			if err := syscall.Setfsuid(65534); err != nil {
				done <- err
				return
			}
		}
		r, err := registry.Open(registry.Options{Path: path})
		if err == nil {
			r.Close()
		}
		done <- err
	}()
	if err := <-done; !errors.Is(err, os.ErrPermission) {
		t.Errorf("error = %v", err)
	}
}
