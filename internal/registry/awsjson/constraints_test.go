package awsjson_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
)

// constraint is one rule of the model for one member of a request.
type constraint struct {
	operation string
	path      string // Filters.Values, as messages spell it
	rule      string // max 64
	breaks    []members
	fits      members // at the limit, nil where the rule has none
}

// member is the last name of the path, which a refusal has to have.
func (c constraint) member() string { return c.path[strings.LastIndex(c.path, ".")+1:] }

// name is the constraint's among the subtests, and in the table of the docs.
func (c constraint) name() string { return c.path + " " + c.rule }

// deriver collects the constraints of an operation.
type deriver struct {
	t         *testing.T
	m         *model
	operation string
	whole     members // the request that is changed in one place
	found     map[string]constraint
}

// constraints derives them all from the model and the operation's requests.
func constraints(t *testing.T, m *model, operation string, whole []members) []constraint {
	d := deriver{t: t, m: m, operation: operation, found: make(map[string]constraint)}
	for _, d.whole = range whole {
		d.members(m.Operations[operation].Input.Shape, d.whole, "", func(v any) members { return v.(members) })
	}
	return slices.SortedFunc(maps.Values(d.found), func(a, b constraint) int { return strings.Compare(a.name(), b.name()) })
}

func (d *deriver) add(path, rule string, fits members, breaks ...members) {
	c := constraint{d.operation, path, rule, breaks, fits}
	if _, known := d.found[c.name()]; !known {
		d.found[c.name()] = c
	}
}

// members goes through a structure. Put makes a request with another value in
// the structure's place.
func (d *deriver) members(shapeName string, value members, path string, put func(any) members) {
	s := d.m.Shapes[shapeName]
	for _, name := range slices.Sorted(maps.Keys(s.Members)) {
		at := strings.TrimPrefix(path+"."+name, ".")
		set := func(v any) members {
			changed := maps.Clone(value)
			if changed[name] = v; v == nil {
				delete(changed, name)
			}
			return put(changed)
		}
		there, given := value[name]
		if !given {
			continue
		}
		if slices.Contains(s.Required, name) {
			d.add(at, "required", nil, set(nil))
		}
		d.value(s.Members[name].Shape, there, at, set)
	}
}

func (d *deriver) value(shapeName string, value any, path string, set func(any) members) {
	s := d.m.Shapes[shapeName]
	switch s.Type {
	case "structure":
		d.members(shapeName, value.(members), path, set)
	case "list":
		d.list(s, value.([]any), path, set)
	case "map":
		d.mapping(s, value.(members), path, set)
	case "string":
		d.text(s, value.(string), path, set)
	case "integer", "long":
		if s.Min != nil {
			d.add(path, fmt.Sprint("min ", *s.Min), set(*s.Min), set(*s.Min-1))
		}
		if s.Max != nil {
			d.add(path, fmt.Sprint("max ", *s.Max), set(*s.Max), set(*s.Max+1))
		}
	default:
		d.t.Fatalf("%s %s: the model has a %s, which this test does not know", d.operation, path, s.Type)
	}
}

func (d *deriver) list(s shape, value []any, path string, set func(any) members) {
	many := func(n int64) []any {
		list := make([]any, n)
		for i := range list {
			switch v := value[0].(type) {
			case string:
				list[i] = fmt.Sprint("k", i)
			case members:
				list[i] = maps.Clone(v)
				list[i].(members)["Key"] = fmt.Sprint("k", i)
			}
		}
		return list
	}
	if s.Min != nil && *s.Min > 0 {
		d.add(path, fmt.Sprint("min ", *s.Min, " elements"), set(value[:*s.Min]), set(many(*s.Min-1)))
	}
	if s.Max != nil {
		d.add(path, fmt.Sprint("max ", *s.Max, " elements"), set(many(*s.Max)), set(many(*s.Max+1)))
	}
	d.value(s.Member.Shape, value[0], path, func(v any) members { return set([]any{v}) })
}

func (d *deriver) mapping(s shape, value members, path string, set func(any) members) {
	many := func(n int64) members {
		m := make(members)
		for i := range n {
			m[fmt.Sprint("k", i)] = "v"
		}
		return m
	}
	if s.Min != nil {
		d.add(path, fmt.Sprint("min ", *s.Min, " entries"), set(many(*s.Min)), set(many(*s.Min-1)))
	}
	if s.Max != nil {
		d.add(path, fmt.Sprint("max ", *s.Max, " entries"), set(many(*s.Max)), set(many(*s.Max+1)))
	}
	for key, v := range value {
		d.text(d.m.Shapes[s.Key.Shape], key, path+" key", func(k any) members { return set(members{k.(string): v}) })
		d.text(d.m.Shapes[s.Value.Shape], v.(string), path+" value", func(v any) members { return set(members{key: v}) })
	}
}

func (d *deriver) text(s shape, value string, path string, set func(any) members) {
	if s.Max != nil {
		d.add(path, fmt.Sprint("max ", *s.Max), set(d.pad(s, value, *s.Max)), set(d.pad(s, value, *s.Max+1)))
	}
	if s.Min != nil && *s.Min > 0 {
		d.add(path, fmt.Sprint("min ", *s.Min), nil, set(value[:*s.Min-1]))
	}
	if len(s.Enum) > 0 {
		d.add(path, "enum", nil, set("NO_SUCH_WORD"))
	}
	var wrong []members
	for _, bad := range []string{"a b", "é", "arn:x", " a", "a\nb", "a..b"} {
		if !s.matches(d.t, bad) {
			wrong = append(wrong, set(bad))
		}
	}
	if len(wrong) > 0 {
		d.add(path, "pattern", set(value), wrong...)
	}
}

// pad makes the value n characters long, and still one that the pattern has
// if n is within the limit.
func (d *deriver) pad(s shape, value string, n int64) string {
	long := value
	for i := int64(len(value)); i < n; i++ {
		long += "a"
	}
	if n > *s.Max || s.matches(d.t, long) {
		return long
	}
	labels := []byte(strings.Repeat("a", int(n)))
	for i := 50; i < len(labels)-1; i += 50 {
		labels[i] = '.'
	}
	if !s.matches(d.t, string(labels)) {
		d.t.Fatalf("%s: no value of %d characters has the pattern %s", d.operation, n, s.Pattern)
	}
	return string(labels)
}

// undeclared are the members that the model knows and no request has.
func undeclared(m *model, shapeName, path string, values []any) (paths []string) {
	s := m.Shapes[shapeName]
	switch s.Type {
	case "structure":
		for _, name := range slices.Sorted(maps.Keys(s.Members)) {
			at := strings.TrimPrefix(path+"."+name, ".")
			var given []any
			for _, v := range values {
				if v, ok := v.(members)[name]; ok {
					given = append(given, v)
				}
			}
			if len(given) == 0 {
				paths = append(paths, at)
				continue
			}
			paths = append(paths, undeclared(m, s.Members[name].Shape, at, given)...)
		}
	case "list":
		var elements []any
		for _, v := range values {
			elements = append(elements, v.([]any)...)
		}
		return undeclared(m, s.Member.Shape, path, elements)
	}
	return paths
}

// TestConstraints breaks every rule of AWS's model, one at a time, and expects
// an InvalidInput that names the member. At the limit the member must pass.
func TestConstraints(t *testing.T) {
	m := loadModel(t)
	face, n := furnished(t)
	all := requests(n)
	for _, operation := range awsjson.OperationNames() {
		t.Run(operation, func(t *testing.T) {
			var whole []any
			for _, request := range all[operation] {
				whole = append(whole, request)
			}
			if missing := undeclared(m, m.Operations[operation].Input.Shape, "", whole); len(missing) > 0 {
				t.Errorf("no request of this test has %v", missing)
			}
			for _, c := range constraints(t, m, operation, all[operation]) {
				t.Run(c.name(), func(t *testing.T) {
					member := c.member()
					member, _, _ = strings.Cut(member, " ") // the key and the value of a map go by its name
					for _, request := range c.breaks {
						code, message := post(t, face, operation, request)
						if code != "InvalidInput" || !regexp.MustCompile(`\b`+member+`\b`).MatchString(message) {
							t.Errorf("%v: %s %s; want InvalidInput that names %s", request, code, message, member)
						}
					}
					if c.fits == nil || c.path == "NextToken" { // no token has that length
						return
					}
					code, message := post(t, face, operation, c.fits)
					if code == "InvalidInput" && regexp.MustCompile(`\b`+member+`: `).MatchString(message) {
						t.Errorf("at the limit: %s", message)
					}
				})
			}
		})
	}
}

// post makes a call without a network and returns the error's code, empty for
// none, and its message.
func post(t *testing.T, face http.Handler, operation string, in members) (code, message string) {
	t.Helper()
	w := send(t, face, operation, in)
	if w.Code == http.StatusOK {
		return "", ""
	}
	body := refusal(t, w)
	return body["__type"], body["Message"]
}

func send(t *testing.T, face http.Handler, operation string, in members) *httptest.ResponseRecorder {
	t.Helper()
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(string(raw)))
	r.Header.Set("X-Amz-Target", target+operation)
	w := httptest.NewRecorder()
	face.ServeHTTP(w, r)
	return w
}

// refusal is the body of an error.
func refusal(t *testing.T, w *httptest.ResponseRecorder) (body map[string]string) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusBadRequest {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return body
}

// furnished is the face of a registry that has one of everything.
func furnished(t *testing.T) (http.Handler, names) {
	t.Helper()
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return awsjson.New(reg), furnish(t, reg)
}

func furnish(t *testing.T, reg *registry.Registry) (n names) {
	t.Helper()
	namespace := func(new registry.NewNamespace) string {
		n.operation = must[string](t)(reg.CreateNamespace(new))
		return must[*registry.Operation](t)(reg.Operation(n.operation, "")).Targets.Namespace
	}
	service := func(new registry.NewService) string { return must[*registry.Service](t)(reg.CreateService(new)).ID }
	n.http = namespace(registry.NewNamespace{Name: "shop", Type: registry.HTTPNamespace, CreatorRequestID: "made"})
	n.spare = namespace(registry.NewNamespace{Name: "spare", Type: registry.HTTPNamespace})
	n.private = namespace(registry.NewNamespace{Name: "shop.internal", Type: registry.DNSPrivateNamespace, VPC: "vpc-1", CreatorRequestID: "made"})
	n.public = namespace(registry.NewNamespace{Name: "shop.example", Type: registry.DNSPublicNamespace, CreatorRequestID: "made"})
	n.api = service(registry.NewService{Name: "api", NamespaceID: n.http, CustomHealth: true, CreatorRequestID: "made"})
	dns := &registry.DNSConfig{Records: []registry.DNSRecord{{Type: registry.RecordA, TTL: 60}}}
	n.web = service(registry.NewService{Name: "web", NamespaceID: n.private, DNS: dns})
	n.open = service(registry.NewService{Name: "open", NamespaceID: n.public, DNS: dns})
	n.instance = "i-1"
	must[string](t)(reg.Register(registry.Registration{ServiceID: n.api, InstanceID: n.instance, Attributes: map[string]string{"k": "v"}}))
	return n
}
