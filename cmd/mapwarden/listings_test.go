package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// TestListingsSayWhy: an outage is told with its error at once, then once a
// minute for all services together, and its end once.
func TestListingsSayWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := &listings{log: slog.New(slog.NewTextHandler(&log, nil))}
		said := func() string { defer log.Reset(); return log.String() }
		services := warden.ServicesListed{Complete: true, Services: []warden.ServiceFound{{Service: health.Service{ID: "srv-1"}}}}

		l.heed(services)
		l.heed(warden.InstancesListed{Service: "srv-1", Complete: true})
		if s := said(); s != "" {
			t.Errorf("said without an outage: %s", s)
		}

		for range 119 {
			l.heed(warden.ListingFailed{Message: "access denied"})
			l.heed(warden.ListingFailed{Service: "srv-1", Message: "access denied"})
			l.heed(warden.ListingFailed{Service: "srv-2", Message: "access denied"})
			time.Sleep(time.Second)
		}
		if s := said(); strings.Count(s, "\n") != 2 || strings.Count(s, `err="access denied"`) != 2 || !strings.Contains(s, "failing=3") {
			t.Errorf("two minutes of an outage were told as\n%s", s)
		}

		l.heed(warden.InstancesListed{Service: "srv-1"}) // not complete
		l.heed(warden.InstancesListed{Service: "srv-1", Complete: true})
		if s := said(); s != "" {
			t.Errorf("said before all was listed: %s", s)
		}
		l.heed(services) // srv-2 has gone
		if s := said(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "the registry is read again") {
			t.Errorf("the end of the outage was told as %q", s)
		}
		l.heed(services)
		l.heed(warden.ListingFailed{Message: "access denied"}) // within the minute
		l.heed(services)
		if s := said(); s != "" {
			t.Errorf("one that flaps was told again within the minute: %s", s)
		}
	})
}
