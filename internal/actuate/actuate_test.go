package actuate_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mapwarden/mapwarden/internal/actuate"
	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
	"github.com/mapwarden/mapwarden/internal/store"
)

// attributes are an instance with every kind of value that Cloud Map takes.
var attributes = health.AttributesOf(map[string]string{
	"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "8080", "AVAILABILITY_ZONE": "eu-west-1a",
	"~!-#$%&'()*+,./:;<=>?@[]^_`{|}": `"quoted" \ <&> %20 'x'`, "long": strings.Repeat("v", 1024),
})

// bench is a registry, a proxy before it, and an Actuator that speaks to the
// proxy with the real SDK.
type bench struct {
	reg     *registry.Registry
	proxy   *proxy
	journal *store.Journal
	do      *actuate.Actuator

	plain, custom health.Service // each with the instance "i"
}

func newBench(t *testing.T) *bench {
	t.Helper()
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	b := &bench{reg: reg, proxy: newProxy(t, awsjson.New(reg))}
	client := newClient(t, b.proxy.URL)
	made, err := client.NewProvisioner()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := made.HTTPNamespace(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		to     *health.Service
		name   string
		custom bool
	}{{&b.plain, "plain", false}, {&b.custom, "custom", true}} {
		if *s.to, err = made.Service(t.Context(), ns, s.name, s.custom); err != nil {
			t.Fatal(err)
		}
		s.to.Namespace = "test"
		if _, err := client.NewWriter().Register(t.Context(), s.to.ID, "i", attributes, ""); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stored.Close() })
	b.journal = stored.Journal()
	b.do = &actuate.Actuator{Journal: b.journal, Reader: client.NewReader(""), Writer: client.NewWriter()}
	return b
}

func newClient(t *testing.T, url string) *cloudmap.Client {
	t.Helper()
	client, err := cloudmap.New(t.Context(), cloudmap.Config{URL: url, LoopbackOnly: true, WritesPerSecond: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// attrs returns what the registry holds for instance "i" of a service, or nil.
func (b *bench) attrs(s health.Service) map[string]string {
	if i := b.reg.View(s.ID).Instance("i"); i != nil {
		return i.Attributes.Map()
	}
	return nil
}

func (b *bench) unhealthy() bool {
	return b.reg.View(b.custom.ID).Instance("i").Health == registry.Unhealthy
}

// The calls of a job, each with the API operation that it makes and a way to
// see whether it took effect (nil for reads).
func (b *bench) calls() map[string]struct {
	call   lever.Call
	effect func() bool
} {
	other := health.AttributesOf(map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.2"})
	return map[string]struct {
		call   lever.Call
		effect func() bool
	}{
		"GetInstance":              {lever.Call{Op: lever.ReadInstance, Service: b.plain, Instance: "i"}, nil},
		"GetInstancesHealthStatus": {lever.Call{Op: lever.ReadStatus, Service: b.custom, Instance: "i"}, nil},
		"RegisterInstance": {lever.Call{Op: lever.Register, Service: b.plain, Instance: "i", Attributes: other, Token: "t"},
			func() bool { return maps.Equal(b.attrs(b.plain), other.Map()) }},
		"DeregisterInstance": {lever.Call{Op: lever.Deregister, Service: b.plain, Instance: "i"},
			func() bool { return b.attrs(b.plain) == nil }},
		"UpdateInstanceCustomHealthStatus": {lever.Call{Op: lever.SetStatus, Service: b.custom, Instance: "i", Status: health.Unhealthy}, b.unhealthy},
	}
}

// TestEveryTrickOnEveryCall: the fault never says "surely not carried out"
// where the registry has, and never "carried out" where it has not.
func TestEveryTrickOnEveryCall(t *testing.T) {
	tricks := map[trick]struct {
		fault  lever.Fault
		effect bool
	}{
		pass:         {lever.OK, true},
		beforeEffect: {lever.Ambiguous, false},
		afterEffect:  {lever.Ambiguous, true},
		halfAnswer:   {lever.Ambiguous, true},
		tooLate:      {lever.Ambiguous, true},
		silence:      {lever.Ambiguous, false},
		throttled:    {lever.Throttled, false},
		faultBefore:  {lever.Ambiguous, false},
		faultAfter:   {lever.Ambiguous, true},
		garbage:      {lever.Ambiguous, true},
		denied:       {lever.Denied, false},
	}
	for trick, want := range tricks {
		for op := range new(bench).calls() {
			t.Run(op+"/"+trick.String(), func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				c := b.calls()[op]
				b.proxy.play(op, trick, -1)
				r := b.proxy.call(b.do, c.call)

				fault := want.fault
				if op == "UpdateInstanceCustomHealthStatus" && trick == garbage {
					fault = lever.OK // it has no answer to misread
				}
				if r.Op != c.call.Op || r.Fault != fault {
					t.Errorf("%s %s (%s), want %s", r.Op, r.Fault, r.Message, fault)
				}
				if (r.Message == "") != (fault == lever.OK) {
					t.Errorf("fault %s with message %q", r.Fault, r.Message)
				}
				if r.Found && r.Fault != lever.OK {
					t.Error("found something without an answer")
				}
				if c.effect != nil && c.effect() != want.effect {
					t.Errorf("took effect: %v, want %v", c.effect(), want.effect)
				}
			})
		}
	}
}

func TestWhatIsRead(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	read := b.do.Do(ctx, lever.Call{Op: lever.ReadInstance, Service: b.plain, Instance: "i"})
	if diff := cmp.Diff(attributes, read.Attributes); diff != "" || !read.Found || read.Fault != lever.OK {
		t.Errorf("%+v %s", read, diff)
	}
	for _, op := range []lever.Op{lever.ReadInstance, lever.ReadStatus} {
		if r := b.do.Do(ctx, lever.Call{Op: op, Service: b.custom, Instance: "none"}); r.Fault != lever.NotFound || r.Found {
			t.Errorf("%s of an instance that is not there: %+v", op, r)
		}
		if r := b.do.Do(ctx, lever.Call{Op: op, Service: health.Service{ID: "srv-none"}, Instance: "i"}); r.Fault != lever.NotFound || r.Found {
			t.Errorf("%s of a service that is not there: %+v", op, r)
		}
	}
	if r := b.do.Do(ctx, lever.Call{Op: lever.ReadStatus, Service: b.custom, Instance: "i"}); r.Status != health.Healthy || !r.Found || r.Fault != lever.OK {
		t.Errorf("status: %+v", r)
	}
	if r := b.do.Do(ctx, lever.Call{Op: lever.ReadStatus, Service: b.plain, Instance: "i"}); r.Status != health.Unknown || r.Fault != lever.OK {
		t.Errorf("status of a service without a check: %+v", r)
	}
	if r := b.do.Do(ctx, lever.Call{Op: lever.SetStatus, Service: b.plain, Instance: "i", Status: health.Unhealthy}); r.Fault != lever.NotCustom {
		t.Errorf("a status for a service without a custom check: %+v", r)
	}
	if r := b.do.Do(ctx, lever.Call{Op: lever.Deregister, Service: b.plain, Instance: "none"}); r.Fault != lever.NotFound {
		t.Errorf("deregistering what is not there: %+v", r)
	}
	bad := health.AttributesOf(map[string]string{"AWS_INSTANCE_IPV4": "not an address"})
	if r := b.do.Do(ctx, lever.Call{Op: lever.Register, Service: b.plain, Instance: "i", Attributes: bad}); r.Fault != lever.Invalid {
		t.Errorf("registering nonsense: %+v", r)
	}
	out := b.do.Do(ctx, lever.Call{Op: lever.Deregister, Service: b.plain, Instance: "i"})
	if out.Fault != lever.OK || out.Operation == "" {
		t.Fatalf("deregister: %+v", out)
	}
	if r := b.do.Do(ctx, lever.Call{Op: lever.PollOperation, Operation: out.Operation}); r.Fault != lever.OK || r.OperationStatus != lever.OperationSuccess {
		t.Errorf("operation: %+v", r)
	}
	if r := b.do.Do(ctx, lever.Call{Op: lever.PollOperation, Operation: "no-such-operation"}); r.Fault != lever.NotFound {
		t.Errorf("no such operation: %+v", r)
	}
	for _, op := range []lever.Op{lever.Nothing, lever.Wait} {
		if r := b.do.Do(ctx, lever.Call{Op: op}); r.Fault != lever.OK || r.Op != op {
			t.Errorf("%s: %+v", op, r)
		}
	}
	if r := b.do.Do(ctx, lever.Call{Op: 99}); r.Fault != lever.Invalid {
		t.Errorf("an unknown call: %+v", r)
	}
}

func TestAnOperationInTheWayIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "registry")
	svc := serviceIn(t, file)
	reg, err := registry.Open(registry.Options{Path: file, OperationDelay: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	client := newClient(t, newProxy(t, awsjson.New(reg)).URL)
	do := &actuate.Actuator{Writer: client.NewWriter(), Reader: client.NewReader("")}
	first := do.Do(t.Context(), lever.Call{Op: lever.Register, Service: svc, Instance: "i", Attributes: attributes, Token: "a"})
	if first.Fault != lever.OK || first.Operation == "" {
		t.Fatalf("register: %+v", first)
	}
	if r := do.Do(t.Context(), lever.Call{Op: lever.PollOperation, Operation: first.Operation}); r.OperationStatus != lever.OperationPending {
		t.Errorf("operation: %+v, want pending", r)
	}
	if r := do.Do(t.Context(), lever.Call{Op: lever.Deregister, Service: svc, Instance: "i"}); r.Fault != lever.InFlight || r.Operation != first.Operation {
		t.Errorf("deregister: %+v, want in-flight by %s", r, first.Operation)
	}
	// The same token is the same submission, not another one.
	if r := do.Do(t.Context(), lever.Call{Op: lever.Register, Service: svc, Instance: "i", Attributes: attributes, Token: "a"}); r.Fault != lever.OK || r.Operation != first.Operation {
		t.Errorf("registering again with the token: %+v, want operation %s", r, first.Operation)
	}
}

// serviceIn makes a registry in a file, with one service, and closes it.
func serviceIn(t *testing.T, file string) health.Service {
	t.Helper()
	reg, err := registry.Open(registry.Options{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	if _, err := reg.CreateNamespace(registry.NewNamespace{Name: "test", Type: registry.HTTPNamespace}); err != nil {
		t.Fatal(err)
	}
	namespaces, _, err := reg.Namespaces(registry.Page{}, nil)
	if err != nil || len(namespaces) != 1 {
		t.Fatalf("namespaces %v, %v", namespaces, err)
	}
	made, err := reg.CreateService(registry.NewService{Name: "slow", NamespaceID: namespaces[0].ID})
	if err != nil {
		t.Fatal(err)
	}
	return health.Service{ID: made.ID, Name: "slow", Namespace: "test"}
}

func TestObserveWritesNothing(t *testing.T) {
	b := newBench(t)
	observe := &actuate.Actuator{Journal: b.journal, Reader: b.do.Reader}
	for op, c := range b.calls() {
		r := observe.Do(t.Context(), c.call)
		if !c.call.Op.Writes() {
			if r.Fault != lever.OK {
				t.Errorf("%s: %+v", op, r)
			}
			continue
		}
		if r.Fault != lever.Denied || r.Message != "observe: no write client exists" {
			t.Errorf("%s: %+v, want it denied", op, r)
		}
		if c.effect() {
			t.Errorf("%s took effect", op)
		}
	}
}

func TestJournalCalls(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	entry := lever.Entry{ID: "e1", Kind: lever.Quarantine, Phase: lever.Intended, Service: b.plain, Instance: "i", Attributes: attributes}
	put := b.do.Do(ctx, lever.Call{Op: lever.PutEntry, Entry: entry})
	if put.Fault != lever.OK || put.Entry.Version != 1 {
		t.Fatalf("put: %+v", put)
	}
	other := entry
	other.ID = "e2"
	if r := b.do.Do(ctx, lever.Call{Op: lever.PutEntry, Entry: other}); r.Fault != lever.Conflict || r.Message == "" {
		t.Errorf("put beside an open entry: %+v", r)
	}
	next := put.Entry
	next.Phase = lever.Sending
	updated := b.do.Do(ctx, lever.Call{Op: lever.UpdateEntry, Entry: next})
	if updated.Fault != lever.OK || updated.Entry.Version != 2 || updated.Entry.Phase != lever.Sending {
		t.Errorf("update: %+v", updated)
	}
	stale := put.Entry
	stale.Phase = lever.Out
	if r := b.do.Do(ctx, lever.Call{Op: lever.UpdateEntry, Entry: stale}); r.Fault != lever.Conflict {
		t.Errorf("update of an older version: %+v", r)
	}
	if r := b.do.Do(ctx, lever.Call{Op: lever.CloseEntry, Entry: put.Entry}); r.Fault != lever.Conflict {
		t.Errorf("close of an older version: %+v", r)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if r := b.do.Do(cancelled, lever.Call{Op: lever.CloseEntry, Entry: updated.Entry}); r.Fault != lever.OK {
		t.Errorf("a journal write of a process that stops: %+v, want it seen through", r)
	}
	if r := b.do.Do(ctx, lever.Call{Op: lever.UpdateEntry, Entry: updated.Entry}); r.Fault != lever.NotFound {
		t.Errorf("update of a closed entry: %+v", r)
	}
}

// brokenJournal fails each call with the same error.
type brokenJournal struct{ err error }

func (j brokenJournal) Put(_ context.Context, e lever.Entry) (lever.Entry, error)    { return e, j.err }
func (j brokenJournal) Update(_ context.Context, e lever.Entry) (lever.Entry, error) { return e, j.err }
func (j brokenJournal) Close(context.Context, lever.Entry) error                     { return j.err }

func TestJournalFaults(t *testing.T) {
	for err, want := range map[error]lever.Fault{
		errors.New("disk full"):                              lever.Ambiguous,
		context.DeadlineExceeded:                             lever.Ambiguous,
		fmt.Errorf("update: %w", store.ErrClosed):            lever.Failed,
		fmt.Errorf("update: %w", store.ErrNotFound):          lever.NotFound,
		fmt.Errorf("put: e1 is open: %w", store.ErrConflict): lever.Conflict,
	} {
		do := &actuate.Actuator{Journal: brokenJournal{err}}
		for _, op := range []lever.Op{lever.PutEntry, lever.UpdateEntry, lever.CloseEntry} {
			if r := do.Do(t.Context(), lever.Call{Op: op}); r.Fault != want || r.Message != err.Error() {
				t.Errorf("%s with %v: %+v, want %s", op, err, r, want)
			}
		}
	}
}
