package probe

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// rig is an engine in a synctest bubble, with a made-up prober and a record of
// all that it delivered. Its clock starts at 1.
type rig struct {
	t      *testing.T
	engine *Engine
	began  time.Time
	jump   atomic.Int64 // added to the clock

	mu      sync.Mutex
	batches [][]health.Observation
	seen    []health.Observation
	arrived []health.Instant // of seen, one each
	doubts  []string         // "doubt@observations seen before"
}

type probeFunc = func(context.Context, *health.Target) health.Observation

func newRig(t *testing.T, size int, f probeFunc) *rig {
	r := &rig{t: t, began: time.Now()}
	engine, err := NewEngine(Config{
		Now: r.now, Deliver: r.deliver, MaxInFlight: size, Probe: f,
		Doubt: func(d health.Doubt) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.doubts = append(r.doubts, fmt.Sprintf("%v@%d", d, len(r.seen)))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.engine = engine
	return r
}

func (r *rig) now() health.Instant {
	return health.Instant(1 + int64(time.Since(r.began)) + r.jump.Load())
}

func (r *rig) deliver(batch []health.Observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = append(r.batches, batch)
	r.seen = append(r.seen, batch...)
	for range batch {
		r.arrived = append(r.arrived, r.now())
	}
}

// run starts the engine; the returned function ends it and waits.
func (r *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.engine.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Run returned %v", err)
		}
	}
}

// of returns the observations of h so far.
func (r *rig) of(h health.Handle) []health.Observation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.seen), func(o health.Observation) bool { return o.Target != h })
}

func watched(index uint32, service string, interval time.Duration) health.Target {
	return health.Target{
		Handle:  health.NewHandle(index, 1),
		Service: health.Service{ID: service},
		Check:   health.Check{Interval: interval, Timeout: interval},
	}
}

func passes(context.Context, *health.Target) health.Observation {
	return health.Observation{Outcome: health.Pass}
}

func fails(context.Context, *health.Target) health.Observation {
	return health.Observation{Outcome: health.Fail, Cause: health.Refused}
}

// takes is a prober that needs d, or until it is called off.
func takes(d time.Duration, then probeFunc) probeFunc {
	return func(ctx context.Context, t *health.Target) health.Observation {
		select {
		case <-time.After(d):
			return then(ctx, t)
		case <-ctx.Done():
			return health.Observation{Cause: health.Cancelled}
		}
	}
}

// byService sends the targets of service id to f and all others to rest.
func byService(id string, f, rest probeFunc) probeFunc {
	return func(ctx context.Context, t *health.Target) health.Observation {
		if t.Service.ID == id {
			return f(ctx, t)
		}
		return rest(ctx, t)
	}
}

func dues(list []health.Observation) (out []time.Duration) {
	for _, o := range list {
		out = append(out, time.Duration(o.Due-1))
	}
	return out
}

const ms = time.Millisecond
