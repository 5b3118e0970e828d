package registry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// assuming is a registry with one assumption.
func assuming(t *testing.T, text string, opts registry.Options) *registry.Registry {
	t.Helper()
	if err := opts.Assume.Set(text); err != nil {
		t.Fatal(err)
	}
	return open(t, opts)
}

// TestAssumptions shows what each value of each assumption does.
func TestAssumptions(t *testing.T) {
	sick := map[string]string{registry.AttrInitHealth: "UNHEALTHY"}
	for text, check := range map[string]func(r *registry.Registry, svc string) bool{
		"discover-default=healthy": func(r *registry.Registry, svc string) bool { return found(t, r) == 0 },
		"discover-default=all":     func(r *registry.Registry, svc string) bool { return found(t, r) == 1 },
		"status-after-reregistration=initial": func(r *registry.Registry, svc string) bool {
			register(t, r, svc, "a", nil)
			return r.View(svc).Instance("a").Health == registry.Healthy
		},
		"status-after-reregistration=kept": func(r *registry.Registry, svc string) bool {
			register(t, r, svc, "a", map[string]string{"new": "1"})
			register(t, r, svc, "b", sick)
			a, b := r.View(svc).Instance("a"), r.View(svc).Instance("b")
			return a.Health == registry.Unhealthy && a.Attributes.Get("new") == "1" && b.Health == registry.Unhealthy
		},
		"health-of-missing-instance=refused": func(r *registry.Registry, svc string) bool {
			_, _, err := r.Health(svc, []string{"a", "gone"}, registry.Page{})
			return err != nil
		},
		"health-of-missing-instance=omitted": func(r *registry.Registry, svc string) bool {
			some, _, err := r.Health(svc, []string{"a", "gone"}, registry.Page{})
			return err == nil && ids(some) == "a"
		},
		"empty-attribute-values=accepted": func(r *registry.Registry, svc string) bool {
			register(t, r, svc, "a", map[string]string{"k": ""})
			return true
		},
		"empty-attribute-values=refused": func(r *registry.Registry, svc string) bool {
			_, err := r.Register(registry.Registration{ServiceID: svc, InstanceID: "a", Attributes: map[string]string{"k": ""}})
			refused(t, err, registry.InvalidInput, "Attributes: the value of k is empty")
			return true
		},
	} {
		r := assuming(t, text, registry.Options{})
		svc := service(t, r, true)
		register(t, r, svc, "a", sick)
		if !check(r, svc) {
			t.Errorf("with %s it behaves otherwise", text)
		}
	}

	for text, want := range map[string]registry.HealthStatus{
		"custom-health-delay=both-ways": registry.Unhealthy, "custom-health-delay=to-unhealthy": registry.Healthy,
	} {
		r := assuming(t, text, registry.Options{CustomHealthDelay: time.Hour})
		svc := service(t, r, true)
		register(t, r, svc, "up", sick)
		register(t, r, svc, "down", nil)
		for id, to := range map[string]registry.HealthStatus{"up": registry.Healthy, "down": registry.Unhealthy} {
			if err := r.SetCustomHealth(svc, id, to); err != nil {
				t.Fatal(err)
			}
		}
		if up, down := r.View(svc).Instance("up").Health, r.View(svc).Instance("down").Health; up != want || down != registry.Healthy {
			t.Errorf("with %s: %s and %s", text, up, down)
		}
	}

	var a registry.Assumptions
	for text, says := range map[string]string{"colour=red": `"colour" is not one of discover-default`, "discover-default=red": "healthy or all"} {
		if err := a.Set(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// found is the number of instances that a query without a filter finds.
func found(t *testing.T, r *registry.Registry) int {
	t.Helper()
	return len(must[registry.Discovery](t)(r.Discover(registry.Query{Namespace: "prod", Service: "web"})).Drawn)
}
