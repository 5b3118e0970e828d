// Package source finds out what is registered: it lists the registry again and
// again and tells what it found as events of the mind.
//
// It does a constant amount of work: each service once per poll, evenly spread
// over it, whatever else goes on. A service that cannot be listed never keeps
// another from being listed, and a listing that is not whole says so.
//
// The package compares no listing with the one before, removes nothing from
// one, and concludes nothing from an empty or missing one: that is judgement.
// How fast calls may follow each other is up to the client (package cloudmap).
package source

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

const (
	defaultPoll = 30 * time.Second
	// workers is how many services are listed at once, so that a slow answer
	// does not hold up the others.
	workers = 8
	// relistAfter is how soon services are listed again when that failed.
	relistAfter = 5 * time.Second
)

// Reader lists the registry. Both methods return what they could read even
// where complete is false; err then says what is missing and why.
type Reader interface {
	// ListServices returns the services of all namespaces, sorted by id.
	ListServices(context.Context) (found []warden.ServiceFound, complete bool, err error)
	// ListInstances returns a service's instances, sorted by id.
	ListInstances(context.Context, warden.ServiceFound) (found []warden.InstanceFound, complete bool, err error)
}

// Config of a Source.
type Config struct {
	// Poll is how often each service is listed; default 30 s.
	Poll time.Duration
	// Limited keeps the poll within what AWS allows; see PlanOf.
	Limited bool
	// Covers says whether a service's instances are of interest. It is asked
	// after each listing of services, which tells of all. Default: all are.
	Covers func(health.Service) bool
	// Deliver takes the events. Several goroutines call it; it may block,
	// which slows the poll down. Events about one service come in order.
	Deliver func(warden.Event)
	// Now is the clock of the process.
	Now func() health.Instant
	// Planned, if set, is told the plan once every service was listed, and
	// again when the registry has grown or shrunk so that the poll changes.
	Planned func(Plan)
}

// Source lists one registry.
type Source struct {
	cfg     Config
	reader  Reader
	changed chan struct{} // the ring has other members
	workers chan struct{} // a token for each poll under way

	mu         sync.Mutex // guards the fields below
	ring       ring
	namespaces int
	plan       Plan
	told       Plan // the latest that Planned was told; zero: none
}

// New makes a Source.
func New(r Reader, cfg Config) *Source {
	if cfg.Poll <= 0 {
		cfg.Poll = defaultPoll
	}
	if cfg.Covers == nil {
		cfg.Covers = func(health.Service) bool { return true }
	}
	return &Source{
		cfg: cfg, reader: r,
		changed: make(chan struct{}, 1),
		workers: make(chan struct{}, workers),
		plan:    PlanOf(Size{}, cfg.Poll, cfg.Limited),
	}
}

// Run lists until ctx ends, waits for the calls under way and returns nil.
func (s *Source) Run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { s.listServices(ctx); return nil })
	s.listInstances(ctx, &g)
	return g.Wait()
}

// listServices lists namespaces and services at the plan's pace.
func (s *Source) listServices(ctx context.Context) {
	for {
		again := s.servicesOnce(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

// servicesOnce lists once and returns when to list again.
func (s *Source) servicesOnce(ctx context.Context) time.Duration {
	found, complete, err := s.reader.ListServices(ctx)
	if ctx.Err() != nil {
		return 0
	}
	if len(found) > 0 || complete {
		s.cfg.Deliver(warden.ServicesListed{Services: found, Complete: complete})
		s.setServices(found, complete)
	}
	if !complete {
		s.cfg.Deliver(warden.ListingFailed{Message: message(err)})
	}
	again := s.currentPlan().Services
	if !complete {
		again = min(again, relistAfter)
	}
	return again
}

// setServices puts the services in scope into the ring. Those that a partial
// listing does not name stay.
func (s *Source) setServices(found []warden.ServiceFound, complete bool) {
	covered := slices.DeleteFunc(slices.Clone(found), func(f warden.ServiceFound) bool { return !s.cfg.Covers(f.Service) })
	namespaces := map[string]bool{}
	for _, f := range found {
		namespaces[f.Service.Namespace] = true
	}
	s.mu.Lock()
	if !complete {
		for _, m := range s.ring.members {
			if _, named := slices.BinarySearchFunc(found, m.found.Service.ID, compareID); !named {
				covered = append(covered, m.found)
			}
		}
		slices.SortFunc(covered, func(a, b warden.ServiceFound) int { return compareID(a, b.Service.ID) })
	}
	s.ring.set(covered)
	s.namespaces = max(len(namespaces), 1)
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func compareID(f warden.ServiceFound, id string) int { return cmp.Compare(f.Service.ID, id) }

func (s *Source) currentPlan() Plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plan
}

// listInstances starts the poll of one service after the other, one in each
// slot of the poll; services that were never listed do not wait for a slot.
func (s *Source) listInstances(ctx context.Context, g *errgroup.Group) {
	slot := time.NewTimer(0)
	defer slot.Stop()
	latest := time.Now()
	for {
		slot.Reset(s.untilNext(latest))
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
			continue
		case <-slot.C:
		}
		select {
		case <-ctx.Done():
			return
		case s.workers <- struct{}{}:
		}
		latest = time.Now()
		m := s.take()
		if m == nil {
			<-s.workers
			continue
		}
		g.Go(func() error {
			defer func() { <-s.workers }()
			s.poll(ctx, m)
			return nil
		})
	}
}

// untilNext is how long the next poll has to wait, when the latest began at latest.
func (s *Source) untilNext(latest time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n := len(s.ring.members); {
	case n == 0:
		return s.plan.Poll
	case s.ring.fresh():
		return 0
	default:
		return time.Until(latest.Add(s.plan.Poll / time.Duration(n)))
	}
}

func (s *Source) take() *member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ring.take()
}

// poll lists one service and tells what came of it.
func (s *Source) poll(ctx context.Context, m *member) {
	s.mu.Lock()
	service := m.found
	s.mu.Unlock()

	started := s.cfg.Now()
	found, complete, err := s.reader.ListInstances(ctx, service)
	if ctx.Err() != nil {
		return
	}
	if len(found) > 0 || complete {
		s.cfg.Deliver(warden.InstancesListed{Service: service.Service.ID, Instances: found, Complete: complete, Started: started})
	}
	if !complete {
		s.cfg.Deliver(warden.ListingFailed{Service: service.Service.ID, Message: message(err)})
	}
	s.polled(m, len(found), complete)
}

// polled gives a member back to the ring and makes the plan anew.
func (s *Source) polled(m *member, instances int, complete bool) {
	s.mu.Lock()
	m.busy, m.polled = false, true
	if complete {
		m.instances = instances
	}
	s.plan = PlanOf(s.ring.size(s.namespaces), s.cfg.Poll, s.cfg.Limited)
	plan := s.plan
	tell := s.cfg.Planned != nil && s.ring.whole() && (s.told.Poll != plan.Poll || s.told.Over != plan.Over)
	if tell {
		s.told = plan
	}
	s.mu.Unlock()
	if tell {
		s.cfg.Planned(plan)
	}
}

func message(err error) string {
	if err == nil {
		err = errors.New("the listing is not complete")
	}
	return err.Error()
}
