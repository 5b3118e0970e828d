package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// fakeRegistry is a registry without a network: each call takes its latency,
// and fails where the test says so.
type fakeRegistry struct {
	mu       sync.Mutex
	services []warden.ServiceFound
	partial  bool
	down     error
	latency  map[string]time.Duration // by service id; "" for the services
	broken   map[string]error         // by service id
	half     map[string]bool          // by service id: listed in part
	began    map[string][]time.Time   // by service id; "" for the services
	under    map[string]int           // calls under way
	overlap  bool
}

func newFakeRegistry(n int) *fakeRegistry {
	f := &fakeRegistry{
		latency: map[string]time.Duration{}, broken: map[string]error{}, half: map[string]bool{},
		began: map[string][]time.Time{}, under: map[string]int{},
	}
	for i := range n {
		f.services = append(f.services, serviceFound(i))
	}
	return f
}

func serviceFound(i int) warden.ServiceFound {
	return warden.ServiceFound{Service: health.Service{ID: fmt.Sprintf("srv-%03d", i), Name: fmt.Sprintf("s%d", i), Namespace: fmt.Sprintf("ns%d", i%3)}}
}

func (f *fakeRegistry) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeRegistry) begin(ctx context.Context, id string) error {
	f.mu.Lock()
	f.began[id] = append(f.began[id], time.Now())
	f.under[id]++
	f.overlap = f.overlap || f.under[id] > 1
	wait := f.latency[id]
	f.mu.Unlock()
	defer f.change(func() { f.under[id]-- })
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

func (f *fakeRegistry) ListServices(ctx context.Context) ([]warden.ServiceFound, bool, error) {
	if err := f.begin(ctx, ""); err != nil {
		return nil, false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.down != nil:
		return nil, false, f.down
	case f.partial:
		return slices.Clone(f.services[:1]), false, errors.New("list services of ns1: throttled")
	}
	return slices.Clone(f.services), true, nil
}

func (f *fakeRegistry) ListInstances(ctx context.Context, s warden.ServiceFound) ([]warden.InstanceFound, bool, error) {
	if err := f.begin(ctx, s.Service.ID); err != nil {
		return nil, false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.broken[s.Service.ID]; err != nil {
		return nil, false, err
	}
	found := []warden.InstanceFound{{ID: "i-1"}, {ID: "i-2"}}
	if f.half[s.Service.ID] {
		return found[:1], false, errors.New("second page lost")
	}
	return found, true, nil
}

// times of the polls of a service since start, and whether polls of one
// service ever overlapped.
func (f *fakeRegistry) times(id string, start time.Time) (out []time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, at := range f.began[id] {
		out = append(out, at.Sub(start))
	}
	return out
}

// events keeps what is delivered.
type events struct {
	mu  sync.Mutex
	all []warden.Event
}

func (e *events) deliver(x warden.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, x)
}

func eventsOf[T warden.Event](e *events) (out []T) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.all {
		if x, ok := x.(T); ok {
			out = append(out, x)
		}
	}
	return out
}

// run runs a source for a while in a bubble, and then what the test checks.
func run(t *testing.T, f *fakeRegistry, cfg Config, test func(start time.Time, got *events)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		got := new(events)
		cfg.Deliver = got.deliver
		cfg.Now = func() health.Instant { return health.Instant(1).Add(time.Since(start)) }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- New(f, cfg).Run(ctx) }()
		test(start, got)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if f.overlap {
			t.Error("one service was listed twice at once")
		}
	})
}

func TestEachServiceOncePerPollEvenlySpread(t *testing.T) {
	f := newFakeRegistry(10)
	run(t, f, Config{Poll: 10 * time.Second}, func(start time.Time, got *events) {
		time.Sleep(60*time.Second + 500*time.Millisecond)
		var slots []time.Duration
		for i := range 10 {
			times := f.times(serviceFound(i).Service.ID, start)
			if len(times) != 7 || times[0] != 0 {
				t.Errorf("service %d was listed at %v, want 7 times, first at once", i, times)
			}
			slots = append(slots, times[1:]...)
		}
		slices.Sort(slots)
		for i, at := range slots {
			if want := time.Duration(i+1) * time.Second; at != want {
				t.Fatalf("poll %d began at %s, want %s", i, at, want)
			}
		}
		if n := len(eventsOf[warden.InstancesListed](got)); n != 70 {
			t.Errorf("%d listings told, want 70", n)
		}
		if n := len(f.times("", start)); n != 7 {
			t.Errorf("the services were listed %d times, want 7", n)
		}
	})
}

func TestEventsSayWhatWasFound(t *testing.T) {
	f := newFakeRegistry(3)
	f.latency["srv-001"] = 2 * time.Second
	f.broken["srv-002"] = errors.New("list instances of ns2/s2: refused")
	f.half["srv-000"] = true
	run(t, f, Config{Poll: 30 * time.Second}, func(start time.Time, got *events) {
		time.Sleep(3 * time.Second)
		services := eventsOf[warden.ServicesListed](got)
		if len(services) != 1 || !services[0].Complete || len(services[0].Services) != 3 {
			t.Errorf("services %+v", services)
		}
		listed := eventsOf[warden.InstancesListed](got)
		if len(listed) != 2 {
			t.Fatalf("listings %+v, want 2", listed)
		}
		if l := listed[0]; l.Service != "srv-000" || l.Complete || len(l.Instances) != 1 {
			t.Errorf("a listing in part: %+v", l)
		}
		if l := listed[1]; l.Service != "srv-001" || !l.Complete || len(l.Instances) != 2 || l.Started != 1 {
			t.Errorf("a slow listing: %+v, want it complete and begun at instant 1", l)
		}
		failed := eventsOf[warden.ListingFailed](got)
		want := []warden.ListingFailed{{Service: "srv-000", Message: "second page lost"}, {Service: "srv-002", Message: "list instances of ns2/s2: refused"}}
		slices.SortFunc(failed, func(a, b warden.ListingFailed) int {
			return compareID(warden.ServiceFound{Service: health.Service{ID: a.Service}}, b.Service)
		})
		if !slices.Equal(failed, want) {
			t.Errorf("failures %+v, want %+v", failed, want)
		}
	})
}

func TestASilentServiceHoldsUpNoOther(t *testing.T) {
	f := newFakeRegistry(20)
	for i := range workers - 1 { // all workers but one hang
		f.latency[serviceFound(i).Service.ID] = time.Hour
	}
	run(t, f, Config{Poll: 10 * time.Second}, func(start time.Time, _ *events) {
		time.Sleep(100 * time.Second)
		for i := workers - 1; i < 20; i++ {
			if n := len(f.times(serviceFound(i).Service.ID, start)); n < 9 {
				t.Errorf("service %d was listed %d times in 100 s, want at least 9", i, n)
			}
		}
	})
}

func TestServicesComeAndGo(t *testing.T) {
	f := newFakeRegistry(3)
	run(t, f, Config{Poll: 10 * time.Second, Covers: func(s health.Service) bool { return s.Name != "s1" }}, func(start time.Time, got *events) {
		time.Sleep(25 * time.Second)
		if n := len(f.times("srv-001", start)); n != 0 {
			t.Errorf("a service out of scope was listed %d times", n)
		}
		f.change(func() { f.services = []warden.ServiceFound{serviceFound(2), serviceFound(7)} })
		time.Sleep(5 * time.Second) // the services are listed at 30 s
		synctest.Wait()
		if times := f.times("srv-007", start); !slices.Equal(times, []time.Duration{30 * time.Second}) {
			t.Errorf("a new service was listed at %v, want at once, at 30s", times)
		}
		before := len(f.times("srv-000", start))
		time.Sleep(time.Minute)
		if after := len(f.times("srv-000", start)); after != before {
			t.Errorf("a service that is gone was listed %d times more", after-before)
		}
	})
}

func TestPartialListingsOfServicesForgetNothing(t *testing.T) {
	f := newFakeRegistry(3)
	run(t, f, Config{Poll: 10 * time.Second}, func(start time.Time, got *events) {
		time.Sleep(5 * time.Second)
		f.change(func() { f.partial = true })
		time.Sleep(65 * time.Second)
		for i := range 3 {
			if n := len(f.times(serviceFound(i).Service.ID, start)); n != 8 {
				t.Errorf("service %d was listed %d times, want 8", i, n)
			}
		}
		services := eventsOf[warden.ServicesListed](got)
		if last := services[len(services)-1]; last.Complete || len(last.Services) != 1 {
			t.Errorf("the latest listing is %+v, want one service, not complete", last)
		}
		if failed := eventsOf[warden.ListingFailed](got); len(failed) == 0 || failed[0] != (warden.ListingFailed{Message: "list services of ns1: throttled"}) {
			t.Errorf("failures %+v", failed)
		}
	})
}

func TestARegistryThatIsDownIsAskedAgain(t *testing.T) {
	f := newFakeRegistry(2)
	f.down = errors.New("list namespaces: connection refused")
	run(t, f, Config{Poll: 30 * time.Second}, func(start time.Time, got *events) {
		time.Sleep(12 * time.Second)
		if n := len(eventsOf[warden.ListingFailed](got)); n != 3 { // at 0, 5 and 10 s
			t.Errorf("%d failures told in 12 s, want 3", n)
		}
		if n := len(eventsOf[warden.ServicesListed](got)); n != 0 {
			t.Errorf("%d listings of services told, want none", n)
		}
		f.change(func() { f.down = nil })
		time.Sleep(4 * time.Second)
		if n := len(eventsOf[warden.InstancesListed](got)); n != 2 {
			t.Errorf("%d services listed after the registry came back, want 2", n)
		}
	})
}

func TestThePlanIsToldAfterTheFirstPassAndWhenItChanges(t *testing.T) {
	f := newFakeRegistry(4)
	f.latency["srv-003"] = 2 * time.Second
	var mu sync.Mutex
	var told []Plan
	planned := func(p Plan) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, p)
	}
	run(t, f, Config{Poll: 10 * time.Second, Limited: true, Planned: planned}, func(start time.Time, _ *events) {
		time.Sleep(time.Second)
		mu.Lock()
		if len(told) != 0 {
			t.Errorf("a plan was told before every service was listed: %s", told[0])
		}
		mu.Unlock()
		time.Sleep(2 * time.Second)
		f.change(func() { f.services = newFakeRegistry(300).services })
		time.Sleep(2 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(told) != 2 || told[0].Poll != 10*time.Second || told[1].Poll != 21*time.Second {
			t.Errorf("plans told: %v, want a poll of 10s and then of 21s", told)
		}
	})
}

func TestRunWaitsForCallsUnderWay(t *testing.T) {
	f := newFakeRegistry(5)
	for _, s := range f.services {
		f.latency[s.Service.ID] = time.Hour
	}
	run(t, f, Config{Poll: time.Second}, func(_ time.Time, got *events) {
		time.Sleep(10 * time.Second)
		f.change(func() {
			for _, s := range f.services {
				if n := f.under[s.Service.ID]; n != 1 {
					t.Errorf("%d calls about %s under way, want 1", n, s.Service)
				}
			}
		})
		if len(eventsOf[warden.InstancesListed](got)) != 0 {
			t.Error("a listing was told before it ended")
		}
	})
	for id, n := range f.under {
		if n != 0 {
			t.Errorf("%d calls about %q are still under way after Run", n, id)
		}
	}
}
