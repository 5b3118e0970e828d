package main

import (
	"log/slog"
	"sync"
	"time"

	"github.com/mapwarden/mapwarden/internal/warden"
)

// sayListings is how often an outage of the registry is told again.
const sayListings = time.Minute

// listings tells the log why the registry cannot be read. To the mind that is
// mere absence of news; whoever runs the daemon wants to know the error.
type listings struct {
	log *slog.Logger

	mu      sync.Mutex
	failing map[string]bool // by service id; "" is the listing of the services
	said    time.Time
	told    bool // of the outage that is going on
}

// heed looks at an event on its way to the mind.
func (l *listings) heed(e warden.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e := e.(type) {
	case warden.ListingFailed:
		l.failed(e)
	case warden.InstancesListed:
		if e.Complete {
			l.listed(e.Service)
		}
	case warden.ServicesListed:
		if e.Complete {
			l.forgetAllBut(e.Services)
			l.listed("")
		}
	}
}

func (l *listings) failed(e warden.ListingFailed) {
	if l.failing == nil {
		l.failing = map[string]bool{}
	}
	l.failing[e.Service] = true
	if time.Since(l.said) < sayListings {
		return
	}
	l.said, l.told = time.Now(), true
	what := "services"
	if e.Service != "" {
		what = "instances of " + e.Service
	}
	l.log.Warn("the registry cannot be read; nothing is removed on an old listing", "listing", what, "err", e.Message, "failing", len(l.failing))
}

func (l *listings) listed(service string) {
	delete(l.failing, service)
	if l.told && len(l.failing) == 0 {
		l.told = false
		l.log.Info("the registry is read again")
	}
}

// forgetAllBut drops services that have gone: nobody lists them any more.
func (l *listings) forgetAllBut(found []warden.ServiceFound) {
	there := map[string]bool{"": true}
	for _, s := range found {
		there[s.Service.ID] = true
	}
	for id := range l.failing {
		if !there[id] {
			delete(l.failing, id)
		}
	}
}
