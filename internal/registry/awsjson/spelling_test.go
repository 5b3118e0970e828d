package awsjson

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// TestSpelledWhenItPays checks that a view is spelled once its answers have
// spelled more instances than it has, and not before.
func TestSpelledWhenItPays(t *testing.T) {
	view := &registry.ServiceView{Service: &registry.Service{}}
	var everyone []int32
	for i := range 10 {
		view.Instances = append(view.Instances, &registry.Instance{ID: fmt.Sprint(i)})
		everyone = append(everyone, int32(i))
	}
	spelled := 0
	for i, tt := range []struct {
		drawn int
		made  bool
	}{{4, false}, {4, false}, {0, false}, {2, false}, {1, true}, {10, true}} {
		appendDiscovery(nil, registry.Query{}, registry.Discovery{View: view, Drawn: everyone[:tt.drawn]})
		spelled += tt.drawn
		if made := view.Derived(registry.JSONFace).(*spelling).made.Load(); (made != nil) != tt.made {
			t.Errorf("answer %d, after %d instances of %d: spelled is %v", i, spelled, len(view.Instances), made != nil)
		}
	}
}

// TestSpellingEndsWithItsView checks that answers that were copied do not
// outlive what they say.
func TestSpellingEndsWithItsView(t *testing.T) {
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fillForDiscovery(t, reg)
	service := reg.ServiceNamed(namespaceNamed(t, reg, "prod"), "checked").ID
	ask := func() (answer string) {
		t.Helper()
		for range 4 {
			body, err := discoverInstances(reg, []byte(`{"NamespaceName":"prod","ServiceName":"checked","HealthStatus":"ALL"}`), nil)
			if err != nil {
				t.Fatal(err)
			}
			answer = string(body)
		}
		return answer
	}
	count := func(when, what string, want int) {
		t.Helper()
		if answer := ask(); strings.Count(answer, what) != want {
			t.Errorf("%s: %d times %s, want %d: %s", when, strings.Count(answer, what), what, want, answer)
		}
	}
	count("at first", `"UNHEALTHY","InstanceId"`, 3)
	if err := reg.SetCustomHealth(service, "i-01", registry.Unhealthy); err != nil {
		t.Fatal(err)
	}
	count("with a status changed", `"UNHEALTHY","InstanceId"`, 4)
	if _, err := reg.Register(registry.Registration{ServiceID: service, InstanceID: "i-01", Attributes: map[string]string{"new": "yes"}}); err != nil {
		t.Fatal(err)
	}
	count("registered again", `{"new":"yes"},"HealthStatus":"HEALTHY","InstanceId":"i-01"`, 1)
	if _, err := reg.Deregister(service, "i-01"); err != nil {
		t.Fatal(err)
	}
	count("deregistered", `"i-01"`, 0)
}
