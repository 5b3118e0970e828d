package main

import (
	"strings"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/config"
)

// TestDemoProfile holds the demo to what it prints: every time is a tenth of its
// default, and what shortens it is shown as it is.
func TestDemoProfile(t *testing.T) {
	const at = "registry: {url: 'http://127.0.0.1:9751'}\n"
	demo, err := config.Parse("demo", []byte(at+demoProfile), config.Flags{})
	if err != nil {
		t.Fatal(err)
	}
	normal, err := config.Parse("normal", []byte(at), config.Flags{})
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]time.Duration{
		"interval":    {demo.Defaults.Check.Interval, normal.Defaults.Check.Interval},
		"confirm":     {demo.Defaults.Check.Confirm, normal.Defaults.Check.Confirm},
		"return over": {demo.Defaults.Policy.ReturnOver, normal.Defaults.Policy.ReturnOver},
		"hold":        {demo.Defaults.Policy.Hold, normal.Defaults.Policy.Hold},
		"warm-up":     {demo.Defaults.Policy.WarmUp, normal.Defaults.Policy.WarmUp},
		"removals":    {demo.Defaults.Policy.Removals.Per, normal.Defaults.Policy.Removals.Per},
		"restores":    {demo.Defaults.Policy.Restores.Per, normal.Defaults.Policy.Restores.Per},
		"all removed": {demo.Fleet.RemovalsGlobal.Per, normal.Fleet.RemovalsGlobal.Per},
		"abstain":     {demo.Fleet.Abstain, normal.Fleet.Abstain},
		"delay":       {demo.Pace.CustomDelay, normal.Pace.CustomDelay},
		"margin":      {demo.Pace.Margin, normal.Pace.Margin},
		"operation":   {demo.Pace.Poll, normal.Pace.Poll},
		"deadline":    {demo.Pace.Deadline, normal.Pace.Deadline},
		"settle":      {demo.Pace.Settle, normal.Pace.Settle},
		"retry":       {demo.Pace.Retry, normal.Pace.Retry},
	} {
		if pair[0] != pair[1]/10 || pair[0] == 0 {
			t.Errorf("%s is %s, a tenth of %s is wanted", name, pair[0], pair[1])
		}
	}
	// A busy machine must not fail servers that are merely late.
	if demo.Defaults.Check.Timeout != normal.Defaults.Check.Timeout/5 {
		t.Errorf("timeout is %s", demo.Defaults.Check.Timeout)
	}
	if d, n := demo.Defaults.Check, normal.Defaults.Check; d.Fall != n.Fall || d.Rise != n.Rise || d.Return.Passes != n.Return.Passes {
		t.Errorf("counts differ: %+v, %+v", d, n)
	}
	for line := range strings.Lines(demoProfile) {
		if !strings.Contains(demoShortened, line) {
			t.Errorf("the demo does not show %s", line)
		}
	}
}
