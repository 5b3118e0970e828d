package registry_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// TestCustomHealthDelay holds the rule of UpdateInstanceCustomHealthStatus: a
// status applies 30 seconds after it was first submitted, both ways, unless the
// opposite is submitted meanwhile.
func TestCustomHealthDelay(t *testing.T) {
	type step struct {
		at   time.Duration
		send registry.HealthStatus // Unknown sends nothing
		want registry.HealthStatus // right after sending
	}
	const H, U, none = registry.Healthy, registry.Unhealthy, registry.Unknown
	const second = time.Second
	for name, steps := range map[string][]step{
		"applies late": {
			{0, U, H}, {30*second - 1, none, H}, {30 * second, none, U}},
		"back as late": {
			{0, U, H}, {30 * second, H, U}, {60*second - 1, none, U}, {60 * second, none, H}},
		"a repeat neither hastens nor delays": {
			{0, U, H}, {10 * second, U, H}, {29 * second, U, H}, {30*second - 1, none, H}, {30 * second, none, U}, {70 * second, none, U}},
		"the opposite cancels": {
			{0, U, H}, {29 * second, H, H}, {40 * second, none, H}, {90 * second, none, H}},
		"after a cancel the time starts anew": {
			{0, U, H}, {10 * second, H, H}, {20 * second, U, H}, {30 * second, none, H}, {50*second - 1, none, H}, {50 * second, none, U}},
		"the status that it has already": {
			{0, H, H}, {10 * second, U, H}, {40*second - 1, none, H}, {40 * second, none, U}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open(t, registry.Options{CustomHealthDelay: 30 * time.Second})
				run(t, r)
				svc := service(t, r, true)
				register(t, r, svc, "a", nil)
				start := time.Now()
				for _, s := range steps {
					time.Sleep(time.Until(start.Add(s.at)))
					synctest.Wait()
					if s.send != none {
						if err := r.SetCustomHealth(svc, "a", s.send); err != nil {
							t.Fatal(err)
						}
					}
					if got := r.View(svc).Instance("a").Health; got != s.want {
						t.Errorf("at %s: %s, want %s", s.at, got, s.want)
					}
				}
			})
		})
	}
}

// TestRegisterAgainStartsHealthAnew checks that a status, applied or pending,
// does not outlive the registration that it was submitted for.
func TestRegisterAgainStartsHealthAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, registry.Options{CustomHealthDelay: 30 * time.Second})
		run(t, r)
		svc := service(t, r, true)
		register(t, r, svc, "a", map[string]string{registry.AttrInitHealth: "UNHEALTHY"})
		if got := r.View(svc).Instance("a").Health; got != registry.Unhealthy {
			t.Errorf("first status %s", got)
		}
		register(t, r, svc, "a", nil)
		if got := r.View(svc).Instance("a").Health; got != registry.Healthy {
			t.Errorf("status after registering without %s: %s", registry.AttrInitHealth, got)
		}
		if err := r.SetCustomHealth(svc, "a", registry.Unhealthy); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		register(t, r, svc, "a", nil)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if inst := r.View(svc).Instance("a"); inst.Health != registry.Healthy || inst.Change != nil {
			t.Errorf("the status of the last registration came through: %+v", inst)
		}
	})
}

func TestOperationDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, registry.Options{OperationDelay: 200 * time.Millisecond})
		run(t, r)
		created := must[string](t)(r.CreateNamespace(registry.NewNamespace{Name: "prod", Type: registry.HTTPNamespace}))
		ns := must[*registry.Operation](t)(r.Operation(created, "")).Targets[registry.NamespaceTarget]
		for _, step := range []struct {
			after time.Duration
			want  registry.OperationStatus
		}{{0, registry.Submitted}, {50 * time.Millisecond, registry.Pending}, {149 * time.Millisecond, registry.Pending}, {time.Millisecond, registry.Success}} {
			if _, err := r.Namespace(ns); err == nil {
				t.Error("the namespace is there before its operation succeeded")
			}
			time.Sleep(step.after)
			synctest.Wait()
			if op := must[*registry.Operation](t)(r.Operation(created, "")); op.Status != step.want {
				t.Errorf("status %s, want %s", op.Status, step.want)
			}
		}

		svc := must[*registry.Service](t)(r.CreateService(registry.NewService{Name: "web", NamespaceID: ns})).ID
		first := must[string](t)(r.Register(registry.Registration{
			ServiceID: svc, InstanceID: "a", Attributes: map[string]string{"k": "v"}, CreatorRequestID: "token"}))
		op := must[*registry.Operation](t)(r.Operation(first, ""))
		if op.Targets[registry.ServiceTarget] != svc || op.Targets[registry.InstanceTarget] != "a" {
			t.Errorf("targets at submission = %v", op.Targets)
		}
		if _, err := r.Instance(svc, "a"); err == nil {
			t.Error("the instance is there before its operation succeeded")
		}
		_, err := r.Register(registry.Registration{ServiceID: svc, InstanceID: "a", Attributes: map[string]string{"k": "w"}, CreatorRequestID: "token"})
		refused(t, err, registry.DuplicateRequest, first)
		_, err = r.Deregister(svc, "a")
		refused(t, err, registry.DuplicateRequest, first)
		refused(t, r.DeleteService(svc), registry.ResourceInUse, "1 instances")
		again := must[string](t)(r.Register(registry.Registration{
			ServiceID: svc, InstanceID: "a", Attributes: map[string]string{"k": "v"}, CreatorRequestID: "token"}))
		if again != first {
			t.Errorf("a retry in flight is operation %s, want %s", again, first)
		}

		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		inst := must[*registry.Instance](t)(r.Instance(svc, "a"))
		if inst.Attributes["k"] != "v" {
			t.Errorf("instance = %+v", inst)
		}
		again = must[string](t)(r.Register(registry.Registration{
			ServiceID: svc, InstanceID: "a", Attributes: map[string]string{"k": "v"}, CreatorRequestID: "token"}))
		if again != first {
			t.Errorf("a retry after success is operation %s, want %s", again, first)
		}
		must[string](t)(r.Deregister(svc, "a"))
		if _, err := r.Instance(svc, "a"); err != nil {
			t.Errorf("the instance is gone before its operation succeeded: %v", err)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		_, err = r.Instance(svc, "a")
		refused(t, err, registry.InstanceNotFound, "a")
		_, err = r.Deregister(svc, "a")
		refused(t, err, registry.InstanceNotFound, "a")
	})
}

// TestDeletedNamespaceTakesNoService checks the window between the submission
// of a deletion and its effect.
func TestDeletedNamespaceTakesNoService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, registry.Options{OperationDelay: time.Second})
		run(t, r)
		ns := namespace(t, r, registry.NewNamespace{Name: "prod", Type: registry.HTTPNamespace})
		time.Sleep(time.Second)
		synctest.Wait()
		deletion := must[string](t)(r.DeleteNamespace(ns))
		_, err := r.DeleteNamespace(ns)
		refused(t, err, registry.DuplicateRequest, deletion)
		_, err = r.CreateService(registry.NewService{Name: "web", NamespaceID: ns})
		refused(t, err, registry.NamespaceNotFound, "being deleted")
		time.Sleep(time.Second)
		synctest.Wait()
		_, err = r.Namespace(ns)
		refused(t, err, registry.NamespaceNotFound, ns)
	})
}

// TestDueTimesSurviveRestart reopens a registry with an operation and a status
// in flight: neither is lost, and neither waits longer than its full length.
func TestDueTimesSurviveRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	synctest.Test(t, func(t *testing.T) {
		opts := registry.Options{Path: path, CustomHealthDelay: 30 * time.Second, OperationDelay: 10 * time.Second}
		fast := registry.Options{Path: path, CustomHealthDelay: 30 * time.Second}
		r := open(t, fast)
		svc := service(t, r, true)
		register(t, r, svc, "a", nil)
		if err := r.SetCustomHealth(svc, "a", registry.Unhealthy); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}

		time.Sleep(15 * time.Second)
		r = open(t, opts)
		register(t, r, svc, "b", nil)
		inFlight := register(t, r, svc, "c", nil)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}

		r = open(t, opts)
		run(t, r)
		_, err := r.Deregister(svc, "c")
		refused(t, err, registry.DuplicateRequest, inFlight)
		refused(t, r.DeleteService(svc), registry.ResourceInUse, "3 instances")
		time.Sleep(10*time.Second - 1)
		synctest.Wait()
		if got := ids(r.View(svc).Instances); got != "a" {
			t.Errorf("instances just before the operations are due: %s", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := ids(r.View(svc).Instances); got != "a b c" {
			t.Errorf("instances when the operations are due: %s", got)
		}
		time.Sleep(5*time.Second - 1)
		synctest.Wait()
		if got := r.View(svc).Instance("a").Health; got != registry.Healthy {
			t.Errorf("just before it is due the status is %s", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := r.View(svc).Instance("a").Health; got != registry.Unhealthy {
			t.Errorf("when it is due the status is %s", got)
		}
	})
}

// TestOverdueAppliesAtStart reopens a registry long after something was due.
func TestOverdueAppliesAtStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	synctest.Test(t, func(t *testing.T) {
		r := open(t, registry.Options{Path: path})
		svc := service(t, r, true)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = open(t, registry.Options{Path: path, OperationDelay: time.Minute})
		op := register(t, r, svc, "a", nil)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		r = open(t, registry.Options{Path: path, OperationDelay: time.Minute})
		run(t, r)
		synctest.Wait()
		if got := must[*registry.Operation](t)(r.Operation(op, "")); got.Status != registry.Success {
			t.Errorf("status %s", got.Status)
		}
		if r.View(svc).Instance("a") == nil {
			t.Error("the instance is missing")
		}
	})
}

// TestOperationsAreForgotten checks that what is done does not pile up.
func TestOperationsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, registry.Options{})
		run(t, r)
		svc := service(t, r, false)
		op := register(t, r, svc, "a", nil)
		time.Sleep(23 * time.Hour)
		if _, err := r.Operation(op, ""); err != nil {
			t.Errorf("forgotten within a day: %v", err)
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		_, err := r.Operation(op, "")
		refused(t, err, registry.OperationNotFound, op)
		if list, _, err := r.Operations(registry.Page{}, nil); err != nil || len(list) != 0 {
			t.Errorf("operations = %v, %v", list, err)
		}
	})
}

// TestUpdateInFlight checks that a service takes one update at a time, cannot
// be deleted meanwhile, and gets it after a restart too.
func TestUpdateInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := registry.Options{Path: filepath.Join(t.TempDir(), "registry.db")}
		r := must[*registry.Registry](t)(registry.Open(opts))
		svc := must[*registry.Service](t)(r.CreateService(registry.NewService{
			NamespaceID: newSpaces(t, r).private, Name: "web", DNS: records(registry.RecordA)})).ID
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		opts.OperationDelay = time.Second
		r = must[*registry.Registry](t)(registry.Open(opts))
		u := registry.ServiceUpdate{ID: svc, Description: "new", Records: records(registry.RecordA).Records}
		first := must[string](t)(r.UpdateService(u))
		_, err := r.UpdateService(u)
		refused(t, err, registry.DuplicateRequest, first)
		refused(t, r.DeleteService(svc), registry.ResourceInUse, first)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = open(t, opts)
		run(t, r)
		_, err = r.UpdateService(u)
		refused(t, err, registry.DuplicateRequest, first)
		if got := r.View(svc).Description; got != "" {
			t.Errorf("description is %q before its time", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.View(svc).Description; got != "new" {
			t.Errorf("description is %q", got)
		}
		if err := r.DeleteService(svc); err != nil {
			t.Error(err)
		}
	})
}
