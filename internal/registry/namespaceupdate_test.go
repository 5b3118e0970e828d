package registry_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// TestUpdateNamespace changes what can be changed, bit by bit.
func TestUpdateNamespace(t *testing.T) {
	r := open(t, registry.Options{})
	http := namespace(t, r, registry.NewNamespace{Name: "h", Type: registry.HTTPNamespace, Description: "old"})
	private := namespace(t, r, registry.NewNamespace{Name: "p", Type: registry.DNSPrivateNamespace, VPC: "v", Description: "old", SOATTL: ptr(int64(7))})
	public := namespace(t, r, registry.NewNamespace{Name: "p.example", Type: registry.DNSPublicNamespace})
	for i, tt := range []struct {
		u           registry.NamespaceUpdate
		description string
		ttl         int64
	}{
		{registry.NamespaceUpdate{ID: http, Type: registry.HTTPNamespace, Description: ptr("new")}, "new", 0},
		{registry.NamespaceUpdate{ID: r.ARN(http), Type: registry.HTTPNamespace, Description: ptr("")}, "", 0},
		{registry.NamespaceUpdate{ID: private, Type: registry.DNSPrivateNamespace, SOATTL: ptr(int64(60))}, "old", 60},
		{registry.NamespaceUpdate{ID: private, Type: registry.DNSPrivateNamespace, Description: ptr("new")}, "new", 60},
		{registry.NamespaceUpdate{ID: private, Type: registry.DNSPrivateNamespace}, "new", 60},
		{registry.NamespaceUpdate{ID: public, Type: registry.DNSPublicNamespace, Description: ptr("d"), SOATTL: ptr(int64(0))}, "d", 0},
	} {
		op := must[*registry.Operation](t)(r.Operation(must[string](t)(r.UpdateNamespace(tt.u)), ""))
		ns := must[*registry.Namespace](t)(r.Namespace(tt.u.ID))
		if ns.Description != tt.description || ns.SOATTL != tt.ttl || op.Type != registry.UpdateNamespaceOp || op.Targets.Namespace != ns.ID {
			t.Errorf("row %d: %q %d after %s of %s", i, ns.Description, ns.SOATTL, op.Type, op.Targets)
		}
	}
	for says, u := range map[string]registry.NamespaceUpdate{
		"Id: is required":                    {Type: registry.HTTPNamespace},
		"Id: has 256":                        {Type: registry.HTTPNamespace, ID: long(256)},
		"Namespace.Description: is required": {Type: registry.HTTPNamespace, ID: http},
		"Namespace.Description: has 1025":    {Type: registry.HTTPNamespace, ID: http, Description: ptr(long(1025))},
		"UpdaterRequestId: has 65":           {Type: registry.HTTPNamespace, ID: http, Description: ptr(""), UpdaterRequestID: long(65)},
		"SOA.TTL: -1":                        {Type: registry.DNSPublicNamespace, ID: public, SOATTL: ptr(int64(-1))},
		"has the type DNS_PRIVATE":           {Type: registry.DNSPublicNamespace, ID: private, SOATTL: ptr(int64(1))},
		"has the type HTTP":                  {Type: registry.DNSPublicNamespace, ID: http, SOATTL: ptr(int64(1))},
	} {
		_, err := r.UpdateNamespace(u)
		refused(t, err, registry.InvalidInput, says)
	}
	_, err := r.UpdateNamespace(registry.NamespaceUpdate{ID: "ns-none", Type: registry.HTTPNamespace, Description: ptr("")})
	refused(t, err, registry.NamespaceNotFound, "ns-none")
}

// TestUpdateNamespaceAgain checks what a retry does: while the operation is in
// flight, after it, after another update, and after a restart.
func TestUpdateNamespaceAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := registry.Options{OperationDelay: time.Second, Path: filepath.Join(t.TempDir(), "r")}
		r := must[*registry.Registry](t)(registry.Open(opts))
		op := must[*registry.Operation](t)(r.Operation(must[string](t)(r.CreateNamespace(registry.NewNamespace{Name: "h", Type: registry.HTTPNamespace})), ""))
		time.Sleep(time.Second)
		id := op.Targets.Namespace
		update := func(token, description string) (string, error) {
			return r.UpdateNamespace(registry.NamespaceUpdate{ID: id, Type: registry.HTTPNamespace, Description: &description, UpdaterRequestID: token})
		}
		first := must[string](t)(update("t1", "one"))
		if again := must[string](t)(update("t1", "one")); again != first {
			t.Errorf("a retry in flight is %s, want %s", again, first)
		}
		_, err := update("t2", "two")
		refused(t, err, registry.DuplicateRequest, first)
		_, err = r.DeleteNamespace(id)
		refused(t, err, registry.DuplicateRequest, first)
		time.Sleep(time.Second)
		second := must[string](t)(update("t2", "two"))
		time.Sleep(time.Second)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = open(t, opts)
		if late := must[string](t)(update("t1", "one")); late != first {
			t.Errorf("a late retry is %s, want %s", late, first)
		}
		_, err = update("t2", "three")
		refused(t, err, registry.InvalidInput, "UpdaterRequestId: operation "+second)
		if ns := must[*registry.Namespace](t)(r.Namespace(id)); ns.Description != "two" {
			t.Errorf("the description is %q", ns.Description)
		}
	})
}
