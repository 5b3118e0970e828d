package route53_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/route53"
)

const (
	unknown   = registry.Unknown
	healthy   = registry.Healthy
	unhealthy = registry.Unhealthy
)

// world is a network that exists only as a map, and counts who asks it.
type world struct {
	mu    sync.Mutex
	now   map[string]health.Outcome // by address and port; silent where absent
	asked map[string][]time.Time
}

func (w *world) set(endpoint string, o health.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now[endpoint] = o
}

func (w *world) times(endpoint string) []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[endpoint]
}

func (w *world) probe(ctx context.Context, t health.Target) (health.Observation, time.Duration) {
	w.mu.Lock()
	endpoint := t.AddrPort().String()
	w.asked[endpoint] = append(w.asked[endpoint], time.Now())
	found, answers := w.now[endpoint]
	takes := time.Second
	w.mu.Unlock()
	if !answers {
		found, takes = health.Fail, t.Check.Timeout
	}
	select {
	case <-ctx.Done():
		return health.Observation{Cause: health.Cancelled}, 0
	case <-time.After(takes):
	}
	o := health.Observation{Outcome: found, Start: 1, End: health.Instant(1 + takes)}
	if found == health.Fail {
		o.Cause, o.Detail = health.BadStatus, "HTTP 500"
	}
	return o, 0
}

// rig is a registry under check.
type rig struct {
	*testing.T
	*world
	reg      *registry.Registry
	disk     *disk
	checkers *route53.Checkers
	service  string
}

// newRig runs checkers of a registry that has the service web with that
// threshold, until the test ends.
func newRig(t *testing.T, cfg route53.Config, threshold int32) *rig {
	reg, err := registry.Open(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, world: &world{now: map[string]health.Outcome{}, asked: map[string][]time.Time{}}, reg: reg, disk: &disk{Registry: reg}}
	op, err := reg.CreateNamespace(registry.NewNamespace{Name: "prod", Type: registry.HTTPNamespace})
	if err != nil {
		t.Fatal(err)
	}
	made, err := reg.Operation(op, "")
	if err != nil {
		t.Fatal(err)
	}
	svc, err := reg.CreateService(registry.NewService{NamespaceID: made.Targets[registry.NamespaceTarget], Name: "web",
		HealthCheck: &registry.NewHealthCheck{Type: "HTTP", FailureThreshold: &threshold}})
	if err != nil {
		t.Fatal(err)
	}
	r.service = svc.ID
	r.checkers = route53.New(r.disk, r.probe, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.checkers.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		reg.Close()
	})
	return r
}

// register registers an instance at 10.0.0.n:80, and returns that.
func (r *rig) register(id string, n int) string {
	r.Helper()
	addr := fmt.Sprintf("10.0.%d.%d", n/250, n%250+1)
	_, err := r.reg.Register(registry.Registration{ServiceID: r.service, InstanceID: id,
		Attributes: map[string]string{registry.AttrIPv4: addr, registry.AttrPort: "80"}})
	if err != nil {
		r.Fatal(err)
	}
	return addr + ":80"
}

func (r *rig) status(id string, want registry.HealthStatus) {
	r.Helper()
	synctest.Wait()
	if got := r.reg.View(r.service).Instance(id).Health; got != want {
		r.Errorf("%s is %s, want %s", id, got, want)
	}
}

const second = time.Second

// TestLife follows one instance: not ready, ready, broken, repaired.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, route53.Config{}, 3)
		end := r.register("a", 1)
		r.set(end, health.Fail)
		r.status("a", unknown)
		time.Sleep(59 * second) // two looks of each vantage
		r.status("a", unknown)
		time.Sleep(32 * second)
		r.status("a", unhealthy)
		r.set(end, health.Pass)
		time.Sleep(59 * second)
		r.status("a", unhealthy)
		time.Sleep(32 * second)
		r.status("a", healthy)
		r.set(end, health.Fail)
		time.Sleep(59 * second)
		r.status("a", healthy)
		time.Sleep(32 * second)
		r.status("a", unhealthy)

		// One good look is no reason to come back, and our own faults are none to go.
		r.set(end, health.Pass)
		time.Sleep(30 * second)
		r.set(end, health.Indeterminate)
		time.Sleep(600 * second)
		r.status("a", unhealthy)
	})
}

// TestPace checks that each vantage looks at its interval and at a time of its
// own, wherever the instance is.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, route53.Config{Vantages: 4}, 3)
		end := r.register("a", 1)
		r.set(end, health.Pass)
		time.Sleep(300 * second)
		times := r.times(end)
		if len(times) != 40 {
			t.Fatalf("4 vantages looked %d times in 300 s, want 40", len(times))
		}
		for i, at := range times[4:] {
			if gap := at.Sub(times[i]); gap != 30*second {
				t.Errorf("the look at %s came %s after the one before", at, gap)
			}
		}
		if times[0].Equal(times[1]) && times[1].Equal(times[2]) {
			t.Error("the vantages coordinate")
		}
	})
}

// TestNewLife checks that registering again starts the check anew, and that a
// probe of the old life that is still under way does not count.
func TestNewLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, route53.Config{}, 1)
		end := r.register("a", 1)
		r.set(end, health.Fail)
		time.Sleep(31 * second)
		r.status("a", unhealthy)
		for range 5 {
			for n := len(r.times(end)); len(r.times(end)) == n; {
				time.Sleep(second / 10)
			}
			r.register("a", 1) // while that look is under way
			r.status("a", unknown)
			if views := r.checkers.Views(r.service, "a"); len(views) > 1 {
				t.Errorf("%d views of one instance", len(views))
			}
		}
		r.set(end, health.Pass)
		time.Sleep(40 * second)
		r.status("a", healthy)
		if _, err := r.reg.Deregister(r.service, "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(40 * second)
		looked := len(r.times(end))
		time.Sleep(300 * second)
		if n := len(r.times(end)); n != looked {
			t.Errorf("%d looks at an instance that has gone", n-looked)
		}
		if views := r.checkers.Views("", ""); len(views) != 0 {
			t.Errorf("views %+v", views)
		}
	})
}

// TestSilence checks that many silent instances do not keep the others from
// being looked at: one that answers is HEALTHY within two intervals.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, route53.Config{}, 3)
		for i := range 500 {
			r.register(fmt.Sprint("silent-", i), 10+i)
		}
		r.set(r.register("a", 1), health.Pass)
		time.Sleep(61 * second)
		r.status("a", healthy)
		time.Sleep(60 * second)
		for i := range 500 {
			r.status(fmt.Sprint("silent-", i), unhealthy)
		}
	})
}

// TestSlowerThanTheInterval checks that a vantage never asks twice at once.
func TestSlowerThanTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, route53.Config{Interval: second, Vantages: 1}, 2)
		end := r.register("a", 1) // silent: 6 s
		time.Sleep(60 * second)
		r.status("a", unhealthy)
		for i, at := range r.times(end)[1:] {
			if gap := at.Sub(r.times(end)[i]); gap < 6*second {
				t.Errorf("asked again after %s", gap)
			}
		}
	})
}

// disk is a registry whose disk may be full.
type disk struct {
	*registry.Registry
	full atomic.Bool
}

func (d *disk) SetObserved(o []registry.Observed) error {
	if d.full.Load() {
		return errors.New("no space left on device")
	}
	return d.Registry.SetObserved(o)
}

// TestFilingFails checks that a result which could not be filed is not lost.
func TestFilingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, route53.Config{Log: slog.New(slog.DiscardHandler)}, 3)
		r.disk.full.Store(true)
		r.set(r.register("a", 1), health.Pass)
		time.Sleep(40 * second)
		r.status("a", unknown)
		r.disk.full.Store(false)
		time.Sleep(31 * second)
		r.status("a", healthy)
	})
}
