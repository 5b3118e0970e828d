package main

import (
	"testing"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/config"
	"github.com/mapwarden/mapwarden/internal/store"
)

// TestNoWriterInObserve: where nothing may be written and nothing has to be
// returned, no client exists that could write (rule 19).
func TestNoWriterInObserve(t *testing.T) {
	c, err := cloudmap.New(t.Context(), cloudmap.Config{URL: "http://127.0.0.1:1", LoopbackOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const embedded = "registry: {embedded: {}}\n"
	for _, tt := range []struct {
		name, text string
		entries    bool
		writer     bool
	}{
		{name: "no file", text: ""},
		{name: "observe", text: embedded + "mode: observe"},
		{name: "off", text: embedded + "mode: off"},
		{name: "observe, a service off", text: embedded + "services: [{match: a/b, mode: off}]"},
		{name: "observe, something is out", text: embedded + "mode: observe", entries: true, writer: true},
		{name: "enforce", text: embedded + "mode: enforce", writer: true},
		{name: "observe, a service enforces", text: embedded + "services: [{match: a/b, mode: enforce}]", writer: true},
	} {
		f, err := config.Parse("test.yaml", []byte(tt.text), config.Flags{})
		if err != nil {
			t.Fatal(err)
		}
		a := newActuators((&store.Store{}).Journal(), c.NewReader(""), c)
		a.allow(f, tt.entries)
		if got := a.now.Load().Writer != nil; got != tt.writer {
			t.Errorf("%s: a writer exists: %t, want %t", tt.name, got, tt.writer)
		}
		a.allow(config.File{}, false)
		if got := a.now.Load().Writer != nil; got != tt.writer {
			t.Errorf("%s: a later file took the writer that may still be needed", tt.name)
		}
	}
}
