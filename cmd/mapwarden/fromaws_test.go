package main

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
)

// imitation is a registry that stands for AWS: it notes the calls and the
// signatures, may refuse an operation, and says of the instance "guest" that
// another account registered it.
type imitation struct {
	*httptest.Server
	reg *registry.Registry

	mu       sync.Mutex
	calls    map[string]int
	unsigned int
	refuse   string
}

func newImitation(t *testing.T) *imitation {
	t.Helper()
	reg, err := registry.Open(registry.Options{Account: "123456789012", Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	m := &imitation{reg: reg, calls: map[string]int{}}
	face := awsjson.New(reg)
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		m.mu.Lock()
		m.calls[op]++
		if !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/servicediscovery/aws4_request") {
			m.unsigned++
		}
		m.mu.Unlock()
		answer := httptest.NewRecorder()
		face.ServeHTTP(answer, r)
		body := answer.Body.String()
		switch {
		case op == m.refuse:
			answer.Code, body = http.StatusBadRequest, `{"__type":"ThrottlingException","message":"Rate exceeded"}`
		case op == "ListInstances":
			at := max(strings.Index(body, `"guest"`), 0)
			from := max(strings.LastIndex(body[:at], `"CreatedByAccount":"123456789012"`), 0)
			body = body[:from] + strings.Replace(body[from:], "123456789012", "999999999999", 1)
		case op == "GetNamespace":
			body = strings.Replace(body, `"Properties":`, `"Other":"new","Properties":`, 1)
		}
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		w.WriteHeader(answer.Code)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(func() { m.Close(); reg.Close() })
	t.Setenv("AWS_ENDPOINT_URL_SERVICEDISCOVERY", m.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	return m
}

func (m *imitation) populate(t *testing.T) (service string) {
	t.Helper()
	op, err := m.reg.CreateNamespace(registry.NewNamespace{Name: "shop", Type: registry.DNSPrivateNamespace, VPC: "vpc-1", Tags: []registry.Tag{{Key: "team", Value: "blue"}}})
	if err != nil {
		t.Fatal(err)
	}
	done, err := m.reg.Operation(op, "")
	if err != nil {
		t.Fatal(err)
	}
	svc, err := m.reg.CreateService(registry.NewService{Name: "web", NamespaceID: done.Targets.Namespace, Type: "HTTP", CustomHealth: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 150 { // two pages
		id := fmt.Sprintf("i-%d", i)
		if i == 120 {
			id = "guest"
		}
		if _, err := m.reg.Register(registry.Registration{ServiceID: svc.ID, InstanceID: id, Attributes: map[string]string{"n": id}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.reg.SetCustomHealth(svc.ID, "guest", registry.Unhealthy); err != nil {
		t.Fatal(err)
	}
	return svc.ID
}

// command runs a command in this process.
func command(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	var o, e bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &o, err: &e}
	code = a.main(t.Context(), args)
	return code, o.String(), e.String()
}

// TestImportFromAWS: everything arrives under its own id, over signed calls of
// which none writes.
func TestImportFromAWS(t *testing.T) {
	m := newImitation(t)
	service := m.populate(t)
	data := filepath.Join(t.TempDir(), "copy")
	code, out, said := command(t, "registry", "import", "--from-aws", "--region", "eu-west-1", "--data", data)
	if code != exitDone || !strings.HasPrefix(out, "imported 1 namespace, 1 service, 150 instances into ") || !strings.Contains(out, "account 123456789012, region eu-west-1") {
		t.Fatalf("exit %d\n%s%s", code, out, said)
	}
	for _, want := range []string{
		"service shop/web: instance guest was registered by another account, and becomes a plain one\n",
		"the API does not tell its VPC, so it is unknown-ns-",
	} {
		if strings.Count(said, want) != 1 {
			t.Errorf("it says\n%s, want once %q", said, want)
		}
	}
	reads := []string{
		"DiscoverInstancesRevision", "GetInstancesHealthStatus", "GetNamespace", "GetService", "GetServiceAttributes",
		"ListInstances", "ListNamespaces", "ListServices", "ListTagsForResource",
	}
	if called := slices.Sorted(maps.Keys(m.calls)); !slices.Equal(called, reads) {
		t.Errorf("called %v, want %v", called, reads)
	}
	if m.unsigned > 0 {
		t.Errorf("%d calls were not signed for AWS", m.unsigned)
	}
	copied, err := registry.Open(registry.Options{Path: registryFile(data)})
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	want, got := m.reg.View(service), copied.View(service)
	if got == nil || len(got.Instances) != len(want.Instances) || got.Revision != want.Revision || !got.CreateDate.Equal(want.CreateDate) {
		t.Fatalf("%+v, want %+v", got, want)
	}
	if copied.ARN(service) != m.reg.ARN(service) {
		t.Errorf("ARN %s, want %s", copied.ARN(service), m.reg.ARN(service))
	}
	if guest := got.Instance("guest"); guest == nil || guest.Health != registry.Unhealthy {
		t.Errorf("guest is %+v", guest)
	}
}

// TestPartialReadImportsNothing: what AWS did not tell is not taken for what is
// not there.
func TestPartialReadImportsNothing(t *testing.T) {
	m := newImitation(t)
	m.populate(t)
	m.refuse = "GetInstancesHealthStatus"
	data, file := filepath.Join(t.TempDir(), "copy"), filepath.Join(t.TempDir(), "aws.json")
	for _, args := range [][]string{{"--data", data}, {"-o", file}} {
		code, out, said := command(t, append([]string{"registry", "import", "--from-aws", "--region", "eu-west-1"}, args...)...)
		if code != exitUnreachable || out != "" || !strings.Contains(said, "ThrottlingException: Rate exceeded; nothing was written") {
			t.Errorf("exit %d\n%s%s", code, out, said)
		}
	}
	if exists(data) || exists(file) {
		t.Error("something was written")
	}
}

// TestKeepWhatAWSHas: -o only writes the file, which can be imported later.
func TestKeepWhatAWSHas(t *testing.T) {
	m := newImitation(t)
	m.populate(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "aws.json")
	code, out, said := command(t, "registry", "import", "--from-aws", "--region", "eu-west-1", "--namespace", "shop", "-o", file, "--data", filepath.Join(dir, "unused"))
	if code != exitDone || out != "" || !strings.Contains(said, file+": 1 namespace, 1 service, 150 instances of account 123456789012 in eu-west-1\n") {
		t.Fatalf("exit %d\n%s%s", code, out, said)
	}
	if exists(filepath.Join(dir, "unused")) {
		t.Error("a registry was made")
	}
	if code, out, said := command(t, "registry", "import", "--data", filepath.Join(dir, "copy"), file); code != exitDone {
		t.Errorf("exit %d\n%s%s", code, out, said)
	}
	code, out, said = command(t, "registry", "export", "--data", filepath.Join(dir, "copy"))
	if kept, err := os.ReadFile(file); err != nil || code != exitDone || out != string(kept) {
		t.Errorf("exit %d, %v: another document\n%s", code, err, said)
	}
}
