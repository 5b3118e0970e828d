package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// wholeFile is a registry with a few pages of each kind, and its export.
func wholeFile(t *testing.T) (file, export []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registry.db")
	r := open(t, registry.Options{Path: path})
	registry.NoSync(r)
	svc := service(t, r, true)
	for i := range 60 {
		register(t, r, svc, fmt.Sprintf("%03d", i), map[string]string{"k": strings.Repeat("v", 300)})
	}
	for i := range 20 {
		must[*registry.Service](t)(r.CreateService(registry.NewService{Name: fmt.Sprint("s", i), NamespaceID: r.View(svc).NamespaceID}))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return must[[]byte](t)(os.ReadFile(path)), exported(t, path)
}

// checkDamaged exports and opens a file that was damaged. Either that is an
// error that names the file, or everything is there, as far as a warning does
// not say that the newest write may be missing. It reports whether opening is
// an error.
func checkDamaged(t interface {
	Helper()
	Fatal(...any)
	Errorf(string, ...any)
}, dir string, damaged, export []byte) bool {
	t.Helper()
	// Two files: where bbolt panicked, the lock stays until the process ends.
	var paths [2]string
	for i := range paths {
		file, err := os.CreateTemp(dir, "registry-")
		if err == nil {
			_, err = file.Write(damaged)
		}
		if err = errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		paths[i] = file.Name()
		defer os.Remove(file.Name())
	}
	d, err := registry.ExportFile(paths[0])
	var text, log bytes.Buffer
	if err == nil {
		err = d.Encode(&text)
	}
	r, openErr := registry.Open(registry.Options{Path: paths[1], Log: slog.New(slog.NewTextHandler(&log, nil))})
	if openErr == nil {
		openErr = r.Close()
	}
	switch warned := strings.Contains(log.String(), "level=WARN"); {
	case err != nil && openErr == nil:
		t.Errorf("it opened, and could not be exported: %v", err)
	case err != nil && !strings.Contains(err.Error(), paths[0]), openErr != nil && !strings.Contains(openErr.Error(), paths[1]):
		t.Errorf("an error without the file: %v, %v", err, openErr)
	case openErr != nil && err == nil: // what only writing needs is damaged
		if !bytes.Equal(text.Bytes(), export) && d.Warning == "" {
			t.Errorf("it was exported, and something is missing without a word: there are %s", d.Count())
		}
	case err == nil && warned != (d.Warning != ""):
		t.Errorf("opening warns: %v, exporting: %q", warned, d.Warning)
	case err == nil && !warned && !bytes.Equal(text.Bytes(), export):
		t.Errorf("it opened, and something is missing without a word: there are %s", d.Count())
	}
	return openErr != nil
}

func TestTruncatedAtEveryPage(t *testing.T) {
	file, export := wholeFile(t)
	dir, refused, pages := t.TempDir(), 0, len(file)/os.Getpagesize()
	for page := range pages {
		if checkDamaged(t, dir, file[:page*os.Getpagesize()], export) {
			refused++
		}
	}
	if refused < pages/2 {
		t.Errorf("only %d of %d files were refused: the test damages nothing", refused, pages)
	}
}

// TestFlippedBits: wherever a few bits are wrong, the registry is whole, or not
// opened at all.
func TestFlippedBits(t *testing.T) {
	file, export := wholeFile(t)
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		damaged := bytes.Clone(file)
		page := rapid.IntRange(0, len(file)/os.Getpagesize()-1).Draw(rt, "page")
		for range rapid.IntRange(1, 3).Draw(rt, "flips") {
			// Most of what matters stands at the beginning of a page.
			within := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(0, os.Getpagesize()-1)).Draw(rt, "byte")
			damaged[page*os.Getpagesize()+within] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		}
		checkDamaged(rt, dir, damaged, export)
	})
}

// TestNoFile: what is no file that can be opened is no empty registry either.
func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := registry.Open(registry.Options{Path: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory: %v", err)
	}
	path := filepath.Join(dir, "registry.db")
	if err := os.Symlink(filepath.Join(dir, "none", "registry.db"), path); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Open(registry.Options{Path: path}); err == nil {
		t.Error("a link that leads nowhere was taken for no file")
	}
}
