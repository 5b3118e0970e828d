package registry_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// exported is the registry of a file as text.
func exported(t testing.TB, path string) []byte {
	t.Helper()
	d, err := registry.ExportFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := d.Encode(&text); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// imported makes a registry of a text.
func imported(t testing.TB, path string, text []byte, how registry.ImportOptions) registry.Imported {
	t.Helper()
	d, err := registry.ParseDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	return must[registry.Imported](t)(registry.ImportFile(path, d, how))
}

var (
	drawName  = rapid.StringMatching(`[a-zA-Z0-9_]{1,12}`)
	drawText  = rapid.StringN(0, 20, 1024)
	drawAttrs = rapid.MapOfN(rapid.StringMatching(`[!-~]{1,9}`), rapid.StringMatching(`([!-~][ -~]{0,9})?`), 0, 5)
	drawTags  = rapid.MapOfN(rapid.StringMatching(`[b-z<>&é]{1,5}`), drawText, 0, 3)
	drawDNS   = rapid.SampledFrom([]*registry.DNSConfig{
		nil,
		{Records: []registry.DNSRecord{{Type: registry.RecordA, TTL: 0}}},
		{RoutingPolicy: registry.Weighted, Records: []registry.DNSRecord{{Type: registry.RecordCNAME, TTL: 60}}},
		{Records: []registry.DNSRecord{{Type: registry.RecordSRV, TTL: 5}}},
		{Records: []registry.DNSRecord{{Type: registry.RecordAAAA, TTL: 5}, {Type: registry.RecordA, TTL: 5}}},
	})
	addresses = map[string]string{
		registry.AttrIPv4: "10.0.0.1", registry.AttrIPv6: "fd00::1", registry.AttrPort: "80", registry.AttrCNAME: "example.com",
	}
)

func drawnTags(t *rapid.T) []registry.Tag {
	var tags []registry.Tag
	for key, value := range drawTags.Draw(t, "tags") {
		tags = append(tags, registry.Tag{Key: key, Value: value})
	}
	return tags
}

// fill does random things to a registry. What it refuses is no matter.
func fill(t *rapid.T, r *registry.Registry) {
	for range rapid.IntRange(0, 3).Draw(t, "namespaces") {
		n := registry.NewNamespace{
			Name: drawName.Draw(t, "name"), Type: registry.HTTPNamespace, Description: drawText.Draw(t, "text"),
			CreatorRequestID: rapid.StringN(0, 5, 64).Draw(t, "creator"), Tags: drawnTags(t),
		}
		if rapid.Bool().Draw(t, "private") {
			n.Type, n.VPC = registry.DNSPrivateNamespace, drawName.Draw(t, "vpc")
			n.SOATTL = rapid.Ptr(rapid.Int64Range(0, 100), true).Draw(t, "soa")
		}
		r.CreateNamespace(n)
	}
	namespaces, _, err := r.Namespaces(registry.Page{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, ns := range namespaces {
		for range rapid.IntRange(0, 3).Draw(t, "services") {
			fillService(t, r, ns)
		}
	}
}

func fillService(t *rapid.T, r *registry.Registry, ns *registry.Namespace) {
	n := registry.NewService{
		Name: drawName.Draw(t, "service"), NamespaceID: ns.ID, Description: drawText.Draw(t, "text"),
		CustomHealth: rapid.Bool().Draw(t, "custom"), Tags: drawnTags(t),
	}
	if ns.Type != registry.HTTPNamespace {
		if n.DNS = drawDNS.Draw(t, "dns"); n.DNS == nil {
			n.Type = string(registry.HTTPService)
		}
	}
	svc, err := r.CreateService(n)
	if err != nil {
		return
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "instances") {
		attrs := drawAttrs.Draw(t, "attributes")
		if svc.DNS != nil {
			for key, value := range addresses {
				attrs[key] = value
			}
		}
		id := fmt.Sprintf("i:%d/%s", i, drawName.Draw(t, "id"))
		r.Register(registry.Registration{ServiceID: svc.ID, InstanceID: id, Attributes: attrs, CreatorRequestID: drawName.Draw(t, "creator")})
		if rapid.Bool().Draw(t, "sick") {
			r.SetCustomHealth(svc.ID, id, registry.Unhealthy)
		}
		if rapid.IntRange(0, 4).Draw(t, "leaves") == 0 {
			r.Deregister(svc.ID, id)
		}
	}
}

// TestRoundTrip: for every registry, what is exported, imported and exported
// again is the same text, and importing it once more adds nothing. Some of the
// operations, and some of the statuses, are still on their way at the export.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		path := func(name string) string { return filepath.Join(dir, fmt.Sprintf("%s-%d.db", name, n)) }
		delays := rapid.SliceOfN(rapid.SampledFrom([]time.Duration{0, time.Hour}), 2, 2).Draw(rt, "delays")
		for _, operation := range []time.Duration{0, delays[0]} {
			r, err := registry.Open(registry.Options{
				Path: path("a"), Account: "123456789012", Region: "eu-central-1",
				OperationDelay: operation, CustomHealthDelay: delays[1],
			})
			if err != nil {
				rt.Fatal(err)
			}
			registry.NoSync(r)
			fill(rt, r)
			if err := r.Close(); err != nil {
				rt.Fatal(err)
			}
		}
		before := must[[]byte](t)(os.ReadFile(path("a")))
		first := exported(t, path("a"))
		if !bytes.Equal(before, must[[]byte](t)(os.ReadFile(path("a")))) {
			rt.Error("exporting changed the file")
		}
		done := imported(t, path("b"), first, registry.ImportOptions{})
		second := exported(t, path("b"))
		if diff := cmp.Diff(string(first), string(second)); diff != "" {
			rt.Fatalf("another text (-first +second):\n%s", diff)
		}
		again := imported(t, path("b"), first, registry.ImportOptions{Merge: true})
		if again.Present != done.Added || again.Added != (registry.Census{}) {
			rt.Errorf("the first import: %+v, the same again: %+v", done, again)
		}
		if !bytes.Equal(first, exported(t, path("b"))) {
			rt.Error("importing the same again changed something")
		}
		os.Remove(path("a"))
		os.Remove(path("b"))
	})
}

// TestExportFinishesWhatWasAcknowledged: an answered registration is in the
// export, though its operation had not ended when the process did.
func TestExportFinishesWhatWasAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	r := open(t, registry.Options{Path: path})
	svc := service(t, r, true)
	register(t, r, svc, "leaves", nil)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, registry.Options{Path: path, OperationDelay: time.Hour, CustomHealthDelay: time.Hour})
	register(t, r, svc, "arrives", nil)
	must[string](t)(r.Deregister(svc, "leaves"))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	d := must[*registry.Document](t)(registry.ExportFile(path))
	if got := d.Namespaces[0].Services[0].Instances; len(got) != 1 || got[0].ID != "arrives" {
		t.Errorf("instances %+v, want the one that arrives", got)
	}
	if text := exported(t, path); !bytes.Equal(text, exported(t, path)) || strings.Contains(string(text), "operation") {
		t.Errorf("the export changes, or holds operations:\n%s", text)
	}
}

// TestWhatSurvivesAnImport looks at the imported registry through its API.
func TestWhatSurvivesAnImport(t *testing.T) {
	dir := t.TempDir()
	from := open(t, registry.Options{Path: filepath.Join(dir, "from.db"), Account: "123456789012", Region: "eu-west-1", CustomHealthDelay: time.Hour})
	svc := service(t, from, true)
	older := namespace(t, from, registry.NewNamespace{Name: "corp", Type: registry.DNSPrivateNamespace, VPC: "vpc-1"})
	namespace(t, from, registry.NewNamespace{Name: "corp", Type: registry.DNSPrivateNamespace, VPC: "vpc-2"})
	register(t, from, svc, "a", map[string]string{registry.AttrInitHealth: "UNHEALTHY", "k": "v"})
	register(t, from, svc, "b", nil)
	if err := from.SetCustomHealth(svc, "b", registry.Unhealthy); err != nil {
		t.Fatal(err)
	}
	want, arn := *from.View(svc), from.ARN(svc)
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}
	imported(t, filepath.Join(dir, "to.db"), exported(t, filepath.Join(dir, "from.db")), registry.ImportOptions{})

	to := open(t, registry.Options{Path: filepath.Join(dir, "to.db"), CustomHealthDelay: time.Hour})
	got := to.View(svc)
	if diff := cmp.Diff(want.Service, got.Service); diff != "" {
		t.Errorf("service (-want +got):\n%s", diff)
	}
	a, b := got.Instance("a"), got.Instance("b")
	if a == nil || a.Health != registry.Unhealthy || b == nil || b.Health != registry.Healthy || b.Change == nil || b.Change.To != registry.Unhealthy {
		t.Errorf("instances %+v, %+v", a, b)
	}
	if to.ARN(svc) != arn {
		t.Errorf("ARN %s, was %s", to.ARN(svc), arn)
	}
	if zone := to.Zone("corp"); zone.ID != older {
		t.Errorf("DNS answers from %s, and from the oldest, %s, before", zone.ID, older)
	}
	younger := namespace(t, to, registry.NewNamespace{Name: "corp", Type: registry.DNSPrivateNamespace, VPC: "vpc-3"})
	if zone := to.Zone("corp"); zone.ID == younger {
		t.Error("a new namespace is older than the imported ones")
	}
	register(t, to, svc, "c", nil)
	if now := to.View(svc).Revision; now <= want.Revision {
		t.Errorf("revision %d after %d", now, want.Revision)
	}
}

// TestForeignIDs: ids that the registry would not have given stay as they are,
// and are not given a second time.
func TestForeignIDs(t *testing.T) {
	dir := t.TempDir()
	from := open(t, registry.Options{Path: filepath.Join(dir, "from.db")})
	svc := service(t, from, false)
	register(t, from, svc, "a", nil)
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(exported(t, filepath.Join(dir, "from.db"))), `"name": "web"`, `"name": "other"`, 1)
	imported(t, filepath.Join(dir, "to.db"), []byte(text), registry.ImportOptions{})
	to := open(t, registry.Options{Path: filepath.Join(dir, "to.db")})
	created := must[*registry.Service](t)(to.CreateService(registry.NewService{Name: "web", NamespaceID: to.View(svc).NamespaceID}))
	if created.ID == svc || to.View(svc).Name != "other" || len(to.View(svc).Instances) != 1 {
		t.Errorf("%s was created over %s, which is %+v now", created.ID, svc, to.View(svc))
	}
	must[string](t)(to.Deregister(svc, "a"))
	if err := to.DeleteService(svc); err != nil {
		t.Fatal(err)
	}
	if again := must[*registry.Service](t)(to.CreateService(registry.NewService{Name: "other", NamespaceID: created.NamespaceID})); to.View(again.ID) == nil {
		t.Error("the name of an imported service that is gone cannot be used again")
	}
}
