package registry

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// walk visits every value of a JSON text that is valid, with its path and the
// Go type that it is for, nil where any value will do.
type walk struct {
	text  []byte
	dec   *json.Decoder
	visit func(path string, offset int64)
	wrong func(path string, offset int64, what string)

	members map[reflect.Type]map[string]reflect.Type // by their JSON names
}

func newWalk(text []byte) *walk {
	return &walk{
		text: text, dec: json.NewDecoder(bytes.NewReader(text)),
		visit: func(string, int64) {}, wrong: func(string, int64, string) {},
		members: make(map[reflect.Type]map[string]reflect.Type),
	}
}

// checkShape looks for what does not fit the type of into.
func checkShape(text []byte, into any) (ms Mistakes) {
	w := newWalk(text)
	w.wrong = func(path string, offset int64, what string) {
		if len(ms) < maxMistakes {
			m := Mistake{Path: path, What: what}
			m.Line, m.Column = position(text, offset)
			ms = append(ms, m)
		}
	}
	w.value("", reflect.TypeOf(into).Elem())
	return ms
}

// offsets finds where the paths of mistakes are; for a value that is not there,
// where the value is that it is missing from.
func offsets(text []byte, ms Mistakes) map[string]int64 {
	at := make(map[string]int64)
	for _, m := range ms {
		for path := m.Path; path != ""; path = parent(path) {
			at[path] = -1
		}
	}
	w := newWalk(text)
	w.visit = func(path string, offset int64) {
		if _, wanted := at[path]; wanted {
			at[path] = offset
		}
	}
	w.value("", nil)
	for _, m := range ms {
		for path := m.Path; at[m.Path] < 0; path = parent(path) {
			at[m.Path] = max(at[path], at[m.Path])
			if path == "" {
				at[m.Path] = 0
			}
		}
	}
	return at
}

func parent(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// position is the line and column of an offset, from 1; columns are characters.
func position(text []byte, offset int64) (line, column int) {
	before := text[:min(int(offset), len(text))]
	line = 1 + bytes.Count(before, []byte("\n"))
	return line, 1 + utf8.RuneCount(before[1+bytes.LastIndexByte(before, '\n'):])
}

// next is where the next token begins.
func (w *walk) next() int64 {
	at := w.dec.InputOffset()
	for at < int64(len(w.text)) && strings.IndexByte(" \t\r\n:,", w.text[at]) >= 0 {
		at++
	}
	return at
}

func (w *walk) value(path string, t reflect.Type) {
	at := w.next()
	w.visit(path, at)
	token, err := w.dec.Token()
	if err != nil {
		return // the text is valid
	}
	whole := t != nil && readsItself(t) // then t says what is right, members included
	switch {
	case token == json.Delim('{'):
		if t != nil && !whole && t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
			w.wrong(path, at, "is an object, and should be "+kindOf(t))
			t = nil
		}
		w.object(path, t, whole)
	case token == json.Delim('['):
		if t != nil && !whole && t.Kind() != reflect.Slice {
			w.wrong(path, at, "is a list, and should be "+kindOf(t))
			t = nil
		}
		w.list(path, t, whole)
	case token == nil:
		return // as good as left out
	case t != nil && !whole && (t.Kind() == reflect.Struct || t.Kind() == reflect.Map || t.Kind() == reflect.Slice):
		w.wrong(path, at, "should be "+kindOf(t))
		return
	}
	if t != nil && (whole || t.Kind() != reflect.Struct && t.Kind() != reflect.Map && t.Kind() != reflect.Slice) {
		w.fits(path, at, t)
	}
}

// fits tries the value that ends here in a variable of its type.
func (w *walk) fits(path string, at int64, t reflect.Type) {
	err := json.Unmarshal(w.text[at:w.dec.InputOffset()], reflect.New(t).Interface())
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		w.wrong(path, at, fmt.Sprintf("is a %s, and should be %s", kind.Value, kindOf(t)))
	} else if err != nil {
		w.wrong(path, at, err.Error())
	}
}

func (w *walk) object(path string, t reflect.Type, whole bool) {
	seen := make(map[string]bool)
	for w.dec.More() {
		at := w.next()
		token, err := w.dec.Token()
		if err != nil {
			return
		}
		name := token.(string)
		below := name
		if path != "" {
			below = path + "." + name
		}
		if seen[name] {
			w.wrong(below, at, "stands twice in the same object")
		}
		seen[name] = true
		var of reflect.Type
		switch {
		case t == nil || whole:
		case t.Kind() == reflect.Map:
			of = t.Elem()
		default:
			var known bool
			if of, known = w.membersOf(t)[name]; !known {
				w.wrong(below, at, "is not known here")
			}
		}
		w.value(below, deref(of))
	}
	w.dec.Token()
}

func (w *walk) list(path string, t reflect.Type, whole bool) {
	var of reflect.Type
	if t != nil && !whole {
		of = deref(t.Elem())
	}
	for i := 0; w.dec.More(); i++ {
		w.value(fmt.Sprintf("%s[%d]", path, i), of)
	}
	w.dec.Token()
}

func deref(t reflect.Type) reflect.Type {
	if t != nil && t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// readsItself reports whether values of the type parse their own JSON.
func readsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func (w *walk) membersOf(t reflect.Type) map[string]reflect.Type {
	if known := w.members[t]; known != nil {
		return known
	}
	members := make(map[string]reflect.Type)
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			members[name] = f.Type
		}
	}
	w.members[t] = members
	return members
}

func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	}
	if readsItself(t) {
		return "a string"
	}
	return "a whole number"
}
