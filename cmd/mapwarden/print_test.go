package main

import (
	"strings"
	"testing"

	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/web"
)

// What withholds removals everywhere withholds them in each service.
func TestWithheldBy(t *testing.T) {
	everywhere, here := []policy.Reason{policy.Frozen, policy.WarmUp}, []policy.Reason{policy.WarmUp, policy.FailOpen}
	if got := reasons(withheldBy(everywhere, here)); got != "frozen warm-up fail-open" {
		t.Errorf("withheld by %s", got)
	}
	var out strings.Builder
	a := &app{out: &out}
	a.printServices([]web.Service{{Namespace: "shop", Service: "api"}}, []policy.Reason{policy.Frozen})
	if !strings.HasSuffix(out.String(), "  frozen\n") {
		t.Errorf("printed:\n%s", out.String())
	}
}

// TestSentence: what `history` says of a record, before the details.
func TestSentence(t *testing.T) {
	for _, c := range []struct {
		record web.Record
		want   string
	}{
		{web.Record{Kind: "decision", Action: "remove", Admitted: true}, "decided remove"},
		{web.Record{Kind: "decision", Action: "remove", Admitted: true, Shadow: true}, "WOULD remove"},
		{web.Record{Kind: "decision", Action: "remove", Shadow: true}, "WITHHELD remove"},
		{web.Record{Kind: "actuation", Action: "remove", Admitted: true, Lever: "quarantine"}, "done remove"},
		{web.Record{Kind: "actuation", Action: "return", Lever: "quarantine"}, "not done return"},
		{web.Record{Kind: "actuation", Admitted: true, Lever: "drill"}, "drill done"},
		{web.Record{Kind: "actuation", Lever: "drill"}, "drill not done"},
		{web.Record{Kind: "actuation", Admitted: true, Lever: "quarantine"}, "release done"},
		{web.Record{Kind: "transition", From: "healthy", To: "unhealthy"}, "healthy -> unhealthy"},
		{web.Record{Kind: "command"}, "command"},
	} {
		if got := sentence(c.record); got != c.want {
			t.Errorf("%+v: %q, want %q", c.record, got, c.want)
		}
	}
}

// TestStatusSaysWhetherItIsSynced, and claims no age of a reading that there
// was not.
func TestStatusSaysWhetherItIsSynced(t *testing.T) {
	for _, synced := range []bool{false, true} {
		var out strings.Builder
		(&app{out: &out}).printFleet(web.Fleet{Synced: synced})
		if said := strings.Contains(out.String(), "NOT SYNCED: the registry has not been read completely"); said == synced {
			t.Errorf("synced %t:\n%s", synced, out.String())
		}
		if said := strings.Contains(out.String(), "registry read"); said != synced {
			t.Errorf("synced %t:\n%s", synced, out.String())
		}
	}
}
