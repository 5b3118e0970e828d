package warden_test

import (
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "prod/web", true},
		{"prod/web", "prod/web", true}, {"prod/web", "prod/web2", false},
		{"prod*", "prod", true}, {"prod*", "production", true}, {"prod*", "preprod", false},
		{"*web", "prod/web", true}, {"*web", "prod/webs", false},
		{"prod/*-api", "prod/pay-api", true}, {"prod/*-api", "prod/-api", true}, {"prod/*-api", "prod/api", false},
		{"a*b*c", "abc", true}, {"a*b*c", "aXbYc", true}, {"a*b*c", "acb", false}, {"a*b*c", "abcb", false},
		{"ab*ba", "aba", false}, // the two ends may not share a letter
		{"**", "x", true}, {"*a*", "bab", true}, {"*a*", "bbb", false},
	} {
		if got := warden.Match(c.pattern, c.name); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.name, got, c.want)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a*b*c", "aXbYc")
	f.Add("ab*ba", "aba")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 100 || len(name) > 100 {
			return // the oracle takes long
		}
		parts := strings.Split(pattern, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		oracle, err := regexp.Compile(`(?s)\A` + strings.Join(parts, ".*") + `\z`)
		if err != nil {
			return // not UTF-8
		}
		if strings.ToValidUTF8(name, "") != name || strings.ToValidUTF8(pattern, "") != pattern {
			return
		}
		if got, want := warden.Match(pattern, name), oracle.MatchString(name); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, name, got, want)
		}
	})
}

func TestScope(t *testing.T) {
	list := func(s ...string) []string { return s }
	for _, c := range []struct {
		namespaces, services []string
		name                 string // namespace/service
		want                 bool
	}{
		{nil, nil, "prod/web", true},
		{list("prod*"), nil, "prod/web", true},
		{list("prod*"), nil, "test/web", false},
		{nil, list("*", "!legacy-*"), "prod/legacy-a", false},
		{nil, list("*", "!legacy-*"), "prod/web", true},
		{nil, list("!legacy-*"), "prod/web", true}, // only exceptions: all but them
		{nil, list("!legacy-*"), "prod/legacy-a", false},
		{nil, list("!legacy-*", "legacy-b"), "prod/legacy-b", true}, // the last that matches wins
		{list("prod"), list("web"), "prod/api", false},
	} {
		namespace, name, _ := strings.Cut(c.name, "/")
		s := warden.Scope{Namespaces: c.namespaces, Services: c.services}
		if got := s.Covers(health.Service{Namespace: namespace, Name: name}); got != c.want {
			t.Errorf("%v covers %s: %v, want %v", s, c.name, got, c.want)
		}
	}
}

func TestResolve(t *testing.T) {
	fall := func(n int) warden.ServiceConfig { return warden.ServiceConfig{Check: health.Check{Fall: n}} }
	c := warden.Config{Default: fall(1), Services: []warden.ServiceRule{
		{Match: "prod/*", Config: fall(2)}, {Match: "prod/web", Config: fall(3)}, {Match: "*/cart", Config: fall(4)},
	}}
	for name, want := range map[string]int{"test/web": 1, "prod/api": 2, "prod/web": 3, "prod/cart": 4, "test/cart": 4} {
		namespace, service, _ := strings.Cut(name, "/")
		if got := c.Resolve(health.Service{Namespace: namespace, Name: service}).Check.Fall; got != want {
			t.Errorf("%s gets rule %d, want %d", name, got, want)
		}
	}
}

// TestEqualSeesEveryField: a field that is added later and left out of Equal
// would make a reload of it go unnoticed.
func TestEqualSeesEveryField(t *testing.T) {
	var base warden.ServiceConfig
	if !base.Equal(warden.ServiceConfig{}) {
		t.Fatal("nothing equals itself")
	}
	changed := base
	fields := 0
	var each func(v reflect.Value, name string)
	each = func(v reflect.Value, name string) {
		if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[netip.Addr]() {
			for i := range v.NumField() {
				each(v.Field(i), name+"."+v.Type().Field(i).Name)
			}
			return
		}
		before := reflect.ValueOf(v.Interface())
		v.Set(other(t, v.Type()))
		if fields++; base.Equal(changed) {
			t.Errorf("%s makes no difference", name)
		}
		v.Set(before)
	}
	each(reflect.ValueOf(&changed).Elem(), "ServiceConfig")
	if fields < 30 {
		t.Errorf("only %d fields", fields)
	}
}

// other is a value that is not the zero one.
func other(t *testing.T, typ reflect.Type) reflect.Value {
	v := reflect.New(typ).Elem()
	switch {
	case v.CanInt():
		v.SetInt(1)
	case v.CanUint():
		v.SetUint(1)
	case v.CanFloat():
		v.SetFloat(1)
	case typ.Kind() == reflect.Bool:
		v.SetBool(true)
	case typ.Kind() == reflect.String:
		v.SetString("x")
	case typ == reflect.TypeFor[netip.Addr]():
		return reflect.ValueOf(netip.IPv6Loopback())
	case typ.Kind() == reflect.Pointer:
		return reflect.New(typ.Elem())
	case typ.Kind() == reflect.Slice:
		return reflect.MakeSlice(typ, 1, 1)
	default:
		t.Fatalf("a configuration holds a %s: how does it compare?", typ)
	}
	return v
}
