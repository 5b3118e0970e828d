package health_test

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/mapwarden/mapwarden/internal/health"
)

// Every field of a probe decides whether two of them are the same, and whether
// a check has to be proven anew. One that is added and forgotten is found here.
func TestEveryFieldOfAProbeCounts(t *testing.T) {
	base := health.Probe{Combine: health.All, Of: []health.Probe{{}, {}}, N: 1} // so that those of a composite count, too
	seen := map[uint64]string{base.Fingerprint(): "none"}
	for f := range reflect.TypeFor[health.Probe]().Fields() {
		p := base
		v := reflect.ValueOf(&p).Elem().FieldByIndex(f.Index)
		change(t, f.Name, v)
		if p.Equal(base) || base.Equal(p) {
			t.Errorf("%s does not count in Equal", f.Name)
		}
		if f.Name == "Name" { // for people
			if p.Fingerprint() != base.Fingerprint() {
				t.Error("a name changes the fingerprint")
			}
			continue
		}
		if other, ok := seen[p.Fingerprint()]; ok {
			t.Errorf("%s changed has the fingerprint of %s", f.Name, other)
		}
		seen[p.Fingerprint()] = f.Name
	}
}

// change gives v another value.
func change(t *testing.T, name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x" + name)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(v.Uint() + 1)
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[netip.Addr]() {
			v.Set(reflect.ValueOf(netip.MustParseAddr("10.0.0.1")))
			return
		}
		for _, f := range v.Fields() {
			change(t, name, f)
		}
	default:
		t.Fatalf("%s: a kind of field that nobody taught this test: %s", name, v.Kind())
	}
}

// Both members of a credential count, and both of a field.
func TestOptionsAreDistinct(t *testing.T) {
	seen := map[uint64]int{}
	for i, p := range []health.Probe{
		{},
		{Credential: health.Credential{Scheme: health.Basic, File: "f"}},
		{Credential: health.Credential{Scheme: health.Bearer, File: "f"}},
		{Credential: health.Credential{Scheme: health.Bearer, File: "g"}},
		{JSON: []health.Field{{Path: "a", Equals: "b"}}},
		{JSON: []health.Field{{Path: "ab"}}},
		{Body: "a"}, {Match: "a"}, {Service: "a"}, {CA: "a"},
	} {
		if j, ok := seen[p.Fingerprint()]; ok {
			t.Errorf("probes %d and %d have one fingerprint", i, j)
		}
		seen[p.Fingerprint()] = i
	}
}

// An event loop may only be given what it does: a field that is added is one
// that it has to do, that means nothing to it, or that makes a probe not simple.
func TestEveryFieldIsSimpleOrNot(t *testing.T) {
	done := []string{"Port", "HalfOpen", "Method", "Path", "Host", "Headers", "Status", "Contains"}
	meaningless := []string{"Name", "N", "Of", "Service", "ServerName", "Verify", "CA", "ClientCert", "ClientKey", "WarnWithin", "FailWithin"}
	for f := range reflect.TypeFor[health.Probe]().Fields() {
		p := health.Probe{Protocol: health.HTTP}
		change(t, f.Name, reflect.ValueOf(&p).Elem().FieldByIndex(f.Index))
		simple := slices.Contains(done, f.Name) || slices.Contains(meaningless, f.Name)
		if p.Simple() != simple {
			t.Errorf("with %s a probe is simple: %t, want %t", f.Name, p.Simple(), simple)
		}
	}
}
