package fleetsim

import (
	"strings"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// TestConfigured plays a story under a configuration that is not its own: what
// the configuration says of a service counts, and nothing that the script says.
func TestConfigured(t *testing.T) {
	const script = `config profile=demo mode=enforce fall=2
service shop/web check=custom instances=6
service shop/api check=custom instances=6
at 20s crash web-3
at 20s crash api-3
run 1m
`
	story, err := Parse("s", script)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := profile("local")
	cautious := other.Service
	cautious.Policy.Mode = policy.ModeEnforce
	cautious.Policy.WarmUp = 5 * time.Second
	cautious.Check.Fall = 3
	result, err := Run(story.Configured(warden.Config{
		Default:  other.Service, // observe
		Services: []warden.ServiceRule{{Match: "shop/web", Config: cautious}},
		Fleet:    other.Fleet, Poll: other.Poll,
	}))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	if err := result.WriteTimeline(&got); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"web-3 healthy -> unhealthy: refused, 3 of 3": true,
		"no longer find web-3":                        true,
		"no longer find api-3":                        false,
		"refused, 2 of 2":                             false,
	} {
		if strings.Contains(got.String(), text) != want {
			t.Errorf("%q is in the timeline: %t, want %t\n%s", text, !want, want, got.String())
		}
	}
	if story.Settings.Service.Check.Fall != 2 || story.Services[0].Config.Check.Fall != 2 {
		t.Errorf("the story itself was changed: fall %d", story.Services[0].Config.Check.Fall)
	}
}
