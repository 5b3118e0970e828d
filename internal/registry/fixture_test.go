package registry_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/mapwarden/mapwarden/internal/registry"
)

var update = flag.Bool("update", false, "make testdata/format-N.db of the newest format, and write the exports of all")

func fixture(version int) (file, export string) {
	return fmt.Sprintf("testdata/format-%d.db", version), fmt.Sprintf("testdata/format-%d.json", version)
}

// makeFixture fills a registry with one of everything, among it operations and
// a custom status that are on their way.
func makeFixture(t *testing.T, path string) {
	t.Helper()
	r := open(t, registry.Options{Path: path, Account: "123456789012", Region: "eu-west-1", CustomHealthDelay: time.Hour})
	svc := service(t, r, true)
	ttl := int64(60)
	corp := namespace(t, r, registry.NewNamespace{Name: "corp", Type: registry.DNSPrivateNamespace, VPC: "vpc-1", SOATTL: &ttl, Description: "the office", CreatorRequestID: "r1"})
	must[*registry.Service](t)(r.CreateService(registry.NewService{Name: "db", NamespaceID: corp, CreatorRequestID: "r2", Description: "two records",
		DNS:  &registry.DNSConfig{Records: []registry.DNSRecord{{Type: registry.RecordA, TTL: 5}, {Type: registry.RecordAAAA, TTL: 6}}},
		Tags: []registry.Tag{{Key: "team", Value: "blue"}}}))
	register(t, r, svc, "sick", map[string]string{registry.AttrInitHealth: "UNHEALTHY", registry.AttrIPv4: "10.0.0.1"})
	register(t, r, svc, "falls-sick", nil)
	register(t, r, svc, "leaves", nil)
	if err := r.SetCustomHealth(svc, "falls-sick", registry.Unhealthy); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, registry.Options{Path: path, OperationDelay: time.Hour, CustomHealthDelay: time.Hour})
	register(t, r, svc, "arrives", map[string]string{"k": "v"})
	must[string](t)(r.Deregister(svc, "leaves"))
	must[string](t)(r.CreateNamespace(registry.NewNamespace{Name: "soon", Type: registry.HTTPNamespace}))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFormats opens a file of each format that ever was. The files were written
// by the builds of their time and are never made again; that of the newest
// format is made with -update when the format is raised.
func TestFormats(t *testing.T) {
	if file, _ := fixture(registry.FormatVersion); *update {
		if _, err := os.Stat(file); err != nil {
			makeFixture(t, file)
		}
	}
	for version := 1; version <= registry.FormatVersion; version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			file, export := fixture(version)
			path := filepath.Join(t.TempDir(), "registry.db")
			if err := os.WriteFile(path, must[[]byte](t)(os.ReadFile(file)), 0o600); err != nil {
				t.Fatal(err)
			}
			before := exported(t, path)
			if *update {
				if err := os.WriteFile(export, before, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(must[[]byte](t)(os.ReadFile(export))), string(before)); diff != "" {
				t.Errorf("the export is another (-want +got):\n%s", diff)
			}
			r := open(t, registry.Options{Path: path, OperationDelay: time.Hour, CustomHealthDelay: time.Hour})
			ops, _, err := r.Operations(registry.Page{}, nil)
			if err != nil || len(ops) != 8 || ops[7].Status == registry.Success {
				t.Errorf("operations %+v, %v, want the three of eight that are on their way last", ops, err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if version < registry.FormatVersion {
				if got := formatOf(t, path); got != registry.FormatVersion {
					t.Errorf("it has format %d after it was opened, want %d", got, registry.FormatVersion)
				}
			}
			if diff := cmp.Diff(string(before), string(exported(t, path))); diff != "" {
				t.Errorf("opening changed the content (-before +after):\n%s", diff)
			}
		})
	}
}

// formatOf is the format that a file says it has.
func formatOf(t *testing.T, path string) int {
	t.Helper()
	db := must[*bbolt.DB](t)(bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true}))
	defer db.Close()
	var says struct{ Version int }
	err := db.View(func(tx *bbolt.Tx) error {
		return json.Unmarshal(tx.Bucket([]byte("meta")).Get([]byte("format"))[4:], &says)
	})
	if err != nil {
		t.Fatal(err)
	}
	return says.Version
}
