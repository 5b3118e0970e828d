package registry_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/mapwarden/mapwarden/internal/registry"
)

func TestServiceAttributes(t *testing.T) {
	r := open(t, registry.Options{})
	id := service(t, r, false)
	before := r.View(id).Revision
	has := func(want map[string]string) {
		t.Helper()
		if _, got, err := r.Attributes(r.ARN(id)); err != nil || !maps.Equal(got, want) {
			t.Errorf("attributes = %v, %v; want %v", got, err, want)
		}
	}
	set := func(attrs map[string]string) {
		t.Helper()
		if err := r.SetAttributes(id, attrs); err != nil {
			t.Fatal(err)
		}
	}
	has(nil)
	set(map[string]string{"a": "1", "b c": " é"})
	set(map[string]string{"a": "2", long(255): long(1024)})
	has(map[string]string{"a": "2", "b c": " é", long(255): long(1024)})
	if err := r.DeleteAttributes(id, []string{"b c", "never", long(255)}); err != nil {
		t.Error(err)
	}
	has(map[string]string{"a": "2"})
	many := func(n int) map[string]string {
		m := make(map[string]string)
		for i := range n {
			m[fmt.Sprint("k", i)] = ""
		}
		return m
	}
	set(many(29))
	refused(t, r.SetAttributes(id, map[string]string{"a": "3", "more": ""}), registry.ServiceAttributesLimitExceeded, "31 attributes")
	set(map[string]string{"a": "4"})
	if _, got, _ := r.Attributes(id); len(got) != 30 || got["a"] != "4" {
		t.Errorf("%d attributes, a is %q", len(got), got["a"])
	}
	if r.View(id).Revision != before {
		t.Error("attributes of the service changed the revision of its instances")
	}

	for says, err := range map[string]error{
		"ServiceId: is required":              r.SetAttributes("", many(1)),
		"Attributes: is required":             r.SetAttributes(id, nil),
		"Attributes: 0 is not":                r.SetAttributes(id, many(0)),
		"Attributes: 31 is not":               r.SetAttributes(id, many(31)),
		"Attributes: a key is empty":          r.SetAttributes(id, map[string]string{"": ""}),
		"has 256 characters":                  r.SetAttributes(id, map[string]string{long(256): ""}),
		"Attributes: the value of k has 1025": r.SetAttributes(id, map[string]string{"k": long(1025)}),
	} {
		refused(t, err, registry.InvalidInput, says)
	}
	for says, err := range map[string]error{
		"ServiceId: is required":     r.DeleteAttributes("", []string{"a"}),
		"Attributes: is required":    r.DeleteAttributes(id, nil),
		"Attributes: 0 is not":       r.DeleteAttributes(id, []string{}),
		"Attributes: 31 is not":      r.DeleteAttributes(id, make([]string, 31)),
		"Attributes: a key is empty": r.DeleteAttributes(id, []string{""}),
		"has 256 characters":         r.DeleteAttributes(id, []string{long(256)}),
	} {
		refused(t, err, registry.InvalidInput, says)
	}
	_, _, err := r.Attributes("srv-none")
	refused(t, err, registry.ServiceNotFound, "srv-none")
	refused(t, r.SetAttributes("srv-none", many(1)), registry.ServiceNotFound, "srv-none")
	refused(t, r.DeleteAttributes("srv-none", []string{"a"}), registry.ServiceNotFound, "srv-none")
}
