package registry

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Attributes are the attributes of an instance, by key. They are immutable; the
// zero value has none.
//
// They are kept as the text of a JSON object whose keys are in order. That is a
// third of the memory of a map, it is what the file holds, and a face that
// speaks JSON copies it. The same attributes have the same text, so two of them
// can be compared with ==.
type Attributes struct{ text string } // empty, or an object that has members

// PackAttributes keeps what is in the map now.
func PackAttributes(attrs map[string]string) Attributes {
	if len(attrs) == 0 {
		return Attributes{}
	}
	size := 1
	for key, value := range attrs {
		size += len(key) + len(value) + len(`"":"",`)
	}
	text := make([]byte, 0, size)
	separator := byte('{')
	for _, key := range sortedKeys(attrs) {
		text = append(text, separator)
		text = appendQuoted(text, key)
		text = append(text, ':')
		text = appendQuoted(text, attrs[key])
		separator = ','
	}
	return Attributes{string(append(text, '}'))}
}

// appendQuoted appends a JSON string. Nearly all are plain and are copied.
func appendQuoted(text []byte, s string) []byte {
	for i := range len(s) {
		if !plain(s[i]) {
			quoted, _ := json.Marshal(s) // a string always encodes
			return append(text, quoted...)
		}
	}
	text = append(text, '"')
	text = append(text, s...)
	return append(text, '"')
}

// plain reports whether a character stands for itself in a JSON string.
func plain(c byte) bool { return c >= ' ' && c <= '~' && c != '"' && c != '\\' }

// JSON is the attributes as a JSON object.
func (a Attributes) JSON() string {
	if a.text == "" {
		return "{}"
	}
	return a.text
}

// All are the keys and values, in order of the keys.
func (a Attributes) All() iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		escaped := strings.IndexByte(a.text, '\\') >= 0
		for rest := a.text; len(rest) > 1; {
			var key, value string
			key, rest = cutQuoted(rest[1:], escaped)   // after { or ,
			value, rest = cutQuoted(rest[1:], escaped) // after :
			if !yield(key, value) {
				return
			}
		}
	}
}

// cutQuoted returns the JSON string at the beginning of text, and what follows.
func cutQuoted(text string, escaped bool) (s, rest string) {
	if !escaped {
		end := 1 + strings.IndexByte(text[1:], '"')
		return text[1:end], text[end+1:]
	}
	end, odd := 1, false
	for ; text[end] != '"'; end++ {
		if text[end] == '\\' {
			odd = true
			end++
		}
	}
	if !odd {
		return text[1:end], text[end+1:]
	}
	if err := json.Unmarshal([]byte(text[:end+1]), &s); err != nil {
		panic(fmt.Sprintf("registry: attributes are no JSON: %v", err)) // PackAttributes wrote it
	}
	return s, text[end+1:]
}

// Lookup is the value of a key, and whether there is one.
func (a Attributes) Lookup(key string) (value string, ok bool) {
	for k, v := range a.All() {
		if k == key {
			return v, true
		}
	}
	return "", false
}

// Get is the value of a key, or empty.
func (a Attributes) Get(key string) string {
	value, _ := a.Lookup(key)
	return value
}

// Has reports whether the key is there.
func (a Attributes) Has(key string) bool {
	_, ok := a.Lookup(key)
	return ok
}

// Len is the number of keys.
func (a Attributes) Len() int {
	n := 0
	for range a.All() {
		n++
	}
	return n
}

// Equal is ==.
func (a Attributes) Equal(b Attributes) bool { return a == b }

// Map is a new map of the attributes, never nil.
func (a Attributes) Map() map[string]string {
	m := make(map[string]string, 8)
	for key, value := range a.All() {
		m[key] = value
	}
	return m
}

// String is JSON.
func (a Attributes) String() string { return a.JSON() }

// MarshalJSON writes an object.
func (a Attributes) MarshalJSON() ([]byte, error) { return []byte(a.JSON()), nil }

// UnmarshalJSON reads an object of strings, and null as none.
func (a *Attributes) UnmarshalJSON(text []byte) error {
	if packed(text) {
		a.text = string(text)
		return nil
	}
	var attrs map[string]string
	if err := json.Unmarshal(text, &attrs); err != nil {
		return err
	}
	*a = PackAttributes(attrs)
	return nil
}

// packed reports whether text is what PackAttributes makes of it, so that it
// can be taken as it is. It may say no of text with escapes that is.
func packed(text []byte) bool {
	last, after := []byte(nil), byte('{')
	for first := true; ; first = false {
		if len(text) == 0 || text[0] != after {
			return !first && string(text) == "}"
		}
		key, rest, ok := cutPlain(text[1:])
		if !ok || len(rest) == 0 || rest[0] != ':' || !first && slices.Compare(last, key) >= 0 {
			return false
		}
		if _, text, ok = cutPlain(rest[1:]); !ok {
			return false
		}
		last, after = key, ','
	}
}

// cutPlain is cutQuoted for text that may be anything. It wants a string
// without escapes.
func cutPlain(text []byte) (s, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return nil, nil, false
	}
	for i, c := range text[1:] {
		if c == '"' {
			return text[1 : i+1], text[i+2:], true
		}
		if !plain(c) {
			break
		}
	}
	return nil, nil, false
}
