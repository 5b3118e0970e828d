package awsjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
)

// decode fills a pointer to one of the SDK's input structs from JSON. A member
// has the name of its field, in that spelling; unknown members and nulls are
// ignored, as AWS does. Timestamps occur in no input of the service.
func decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var parsed any
	if err := dec.Decode(&parsed); err != nil {
		return malformed("the request is not JSON: " + err.Error())
	}
	if _, err := dec.Token(); err != io.EOF {
		return malformed("something follows the JSON of the request")
	}
	return assign(reflect.ValueOf(into).Elem(), parsed, "the request")
}

// assign stores a parsed value in a field. Path names it for messages.
func assign(to reflect.Value, from any, path string) error {
	if from == nil {
		return nil
	}
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return assign(to.Elem(), from, path)
	case reflect.String:
		if s, ok := from.(string); ok {
			to.SetString(s)
			return nil
		}
		return mismatch(path, "a string", from)
	case reflect.Int32, reflect.Int64:
		n, ok := from.(json.Number)
		if !ok {
			return mismatch(path, "a number", from)
		}
		i, err := strconv.ParseInt(n.String(), 10, to.Type().Bits())
		if err != nil {
			return malformed(fmt.Sprintf("%s: %s is not an integer of %d bits", path, clip(n.String()), to.Type().Bits()))
		}
		to.SetInt(i)
		return nil
	case reflect.Struct:
		return assignStruct(to, from, path)
	case reflect.Slice:
		return assignSlice(to, from, path)
	case reflect.Map:
		return assignMap(to, from, path)
	}
	return fmt.Errorf("%s: the codec has no %s", path, to.Type())
}

func assignStruct(to reflect.Value, from any, path string) error {
	members, ok := from.(map[string]any)
	if !ok {
		return mismatch(path, "an object", from)
	}
	for i := range to.NumField() {
		field := to.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		if err := assign(to.Field(i), members[field.Name], field.Name); err != nil {
			return err
		}
	}
	return nil
}

func assignSlice(to reflect.Value, from any, path string) error {
	list, ok := from.([]any)
	if !ok {
		return mismatch(path, "a list", from)
	}
	to.Set(reflect.MakeSlice(to.Type(), len(list), len(list)))
	for i, item := range list {
		if item == nil {
			return malformed(fmt.Sprintf("%s[%d] is null", path, i))
		}
		if err := assign(to.Index(i), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

func assignMap(to reflect.Value, from any, path string) error {
	members, ok := from.(map[string]any)
	if !ok {
		return mismatch(path, "an object", from)
	}
	to.Set(reflect.MakeMapWithSize(to.Type(), len(members)))
	for key, item := range members {
		if item == nil {
			return malformed(fmt.Sprintf("%s: the value of %s is null", path, clip(key)))
		}
		value := reflect.New(to.Type().Elem()).Elem()
		if err := assign(value, item, path+"."+clip(key)); err != nil {
			return err
		}
		to.SetMapIndex(reflect.ValueOf(key), value)
	}
	return nil
}

func mismatch(path, want string, got any) error {
	kind := "an object"
	switch got.(type) {
	case string:
		kind = "a string"
	case json.Number:
		kind = "a number"
	case bool:
		kind = "a boolean"
	case []any:
		kind = "a list"
	}
	return malformed(fmt.Sprintf("%s must be %s, not %s", path, want, kind))
}
