package awsjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/aws/smithy-go/middleware"
)

var (
	timeType     = reflect.TypeFor[time.Time]()
	metadataType = reflect.TypeFor[middleware.Metadata]()
)

// encode writes one of the SDK's output structs as JSON. A member has the name
// of its field; nil pointers, nil lists, nil maps and empty strings that are no
// pointers (enumerations) are left out; times are epoch seconds. Map keys are
// sorted. No output has no JSON.
func encode(out any) ([]byte, error) {
	v := reflect.ValueOf(out).Elem()
	buf := bytes.NewBuffer(make([]byte, 0, 512))
	if err := appendValue(buf, v); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func appendValue(buf *bytes.Buffer, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		return appendValue(buf, v.Elem())
	case reflect.String:
		buf.Write(appendString(buf.AvailableBuffer(), v.String()))
		return nil
	case reflect.Int32, reflect.Int64:
		buf.Write(strconv.AppendInt(buf.AvailableBuffer(), v.Int(), 10))
		return nil
	case reflect.Struct:
		if v.Type() == timeType {
			millis := v.Interface().(time.Time).UnixMilli()
			buf.Write(strconv.AppendFloat(buf.AvailableBuffer(), float64(millis)/1000, 'f', 3, 64))
			return nil
		}
		return appendStruct(buf, v)
	case reflect.Slice:
		buf.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				buf.WriteByte(',')
			}
			if err := appendValue(buf, v.Index(i)); err != nil {
				return err
			}
		}
		buf.WriteByte(']')
		return nil
	case reflect.Map:
		return appendMap(buf, v)
	}
	return fmt.Errorf("the codec has no %s", v.Type())
}

func appendStruct(buf *bytes.Buffer, v reflect.Value) error {
	buf.WriteByte('{')
	first := true
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || field.Type == metadataType || absent(v.Field(i)) {
			continue
		}
		if !first {
			buf.WriteByte(',')
		}
		first = false
		buf.Write(appendString(buf.AvailableBuffer(), field.Name))
		buf.WriteByte(':')
		if err := appendValue(buf, v.Field(i)); err != nil {
			return fmt.Errorf("%s: %w", field.Name, err)
		}
	}
	buf.WriteByte('}')
	return nil
}

func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0
	}
	return false
}

func appendMap(buf *bytes.Buffer, v reflect.Value) error {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
	buf.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			buf.WriteByte(',')
		}
		buf.Write(appendString(buf.AvailableBuffer(), key.String()))
		buf.WriteByte(':')
		if err := appendValue(buf, v.MapIndex(key)); err != nil {
			return err
		}
	}
	buf.WriteByte('}')
	return nil
}

// appendString appends a JSON string. Nearly all are plain ASCII and are copied.
func appendString(to []byte, s string) []byte {
	for i := range len(s) {
		if !plain[s[i]] {
			quoted, _ := json.Marshal(s) // a string always encodes
			return append(to, quoted...)
		}
	}
	to = append(to, '"')
	to = append(to, s...)
	return append(to, '"')
}

// plain has the characters that stand for themselves in a JSON string.
var plain = func() (is [256]bool) {
	for c := ' '; c <= '~'; c++ {
		is[c] = c != '"' && c != '\\'
	}
	return is
}()
