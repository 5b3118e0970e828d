package registry_test

import (
	"encoding/json"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// anyAttributes are plain ones, ones that JSON has to escape, and keys that look
// like the text between two of them.
func anyAttributes() *rapid.Generator[map[string]string] {
	word := rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9 /.:_-]{0,12}`),
		rapid.StringMatching(`["\\,:{}\t<>&a]{0,6}`),
		rapid.String(),
	)
	return rapid.MapOfN(word, word, 0, 8)
}

// TestAttributesAreTheMap checks that packed attributes say what the map says,
// before and after the file, and that equal maps are equal.
func TestAttributesAreTheMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyAttributes().Draw(t, "attributes")
		packed := registry.PackAttributes(m)
		if got := packed.Map(); !maps.Equal(got, m) {
			t.Fatalf("Map() = %q, want %q", got, m)
		}
		if got := maps.Collect(packed.All()); !maps.Equal(got, m) || packed.Len() != len(m) {
			t.Fatalf("All() = %q and Len() = %d, want %q", got, packed.Len(), m)
		}
		for key, value := range m {
			if got, ok := packed.Lookup(key); !ok || got != value || packed.Get(key) != value || !packed.Has(key) {
				t.Fatalf("Lookup(%q) = %q, %v, want %q", key, got, ok, value)
			}
		}
		other := rapid.String().Draw(t, "another key")
		if _, ok := m[other]; packed.Has(other) != ok {
			t.Fatalf("Has(%q) = %v", other, !ok)
		}
		var answer map[string]string
		if err := json.Unmarshal([]byte(packed.JSON()), &answer); err != nil || !maps.Equal(answer, m) {
			t.Fatalf("JSON() = %s: %v", packed.JSON(), err)
		}
		// The file may hold what a map of another build was written as.
		for name, v := range map[string]any{"packed": packed, "map": m} {
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			var back registry.Attributes
			if err := json.Unmarshal(text, &back); err != nil || back != packed {
				t.Fatalf("%s as %s comes back as %s: %v", name, text, back, err)
			}
		}
	})
}

// FuzzAttributesFromFile reads any text. What it takes must be what a map takes.
func FuzzAttributesFromFile(f *testing.F) {
	for _, text := range []string{
		`{}`, `null`, `{"a":"b"}`, `{"b":"","a":"x"}`, `{"a":"1","a":"2"}`, ` { "a" : "b" }`, `{"a":1}`, `{"a":null}`, `[]`, `"a"`,
		`{"a":"\u003c"}`, `{"a":"b",}`, `{"a":"b"`, `{"a":"b"}}`, `{"a":"b"}{`, `{,"a":"b"}`, "{\"a\":\"\t\"}", `{"a":"\""}`, `{`, ``,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var packed registry.Attributes
		var m map[string]string
		err, want := json.Unmarshal(text, &packed), json.Unmarshal(text, &m)
		if (err == nil) != (want == nil) {
			t.Fatalf("%q: %v, a map says %v", text, err, want)
		}
		if err == nil && packed != registry.PackAttributes(m) {
			t.Fatalf("%q is read as %s, want %q", text, packed, m)
		}
		if direct := packed.UnmarshalJSON(text); (direct == nil) != (want == nil) {
			t.Fatalf("%q without the checks of package json: %v, a map says %v", text, direct, want)
		}
	})
}
