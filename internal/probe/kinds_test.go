package probe

import (
	"context"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/component"
	"github.com/mapwarden/mapwarden/internal/health"
)

// kind is one of the two ways in which the engine runs probes.
type kind string

const (
	portable  kind = "portable"
	eventLoop kind = "event loop"
)

// inBoth runs a test once for each kind that this system has.
func inBoth(t *testing.T, f func(t *testing.T, k kind)) {
	for _, k := range []kind{portable, eventLoop} {
		t.Run(string(k), func(t *testing.T) { f(t, k) })
	}
}

// engine makes an engine of the kind.
func (k kind) engine(t testing.TB, c Config) *Engine {
	t.Helper()
	c.Portable = k == portable
	if c.Now == nil {
		c.Now = clock()
	}
	e, err := NewEngine(c)
	if err != nil {
		t.Fatal(err)
	}
	if missing, why := e.Portable(); missing && k == eventLoop {
		if runtime.GOOS == "linux" {
			t.Fatal("no event loop on Linux: ", why)
		}
		component.LeftOut(t, "no event loop here: "+why.Error())
	}
	return e
}

// ask probes ap once with p.
func (k kind) ask(t testing.TB, ap netip.AddrPort, p health.Probe, timeout time.Duration) health.Observation {
	t.Helper()
	return k.askWith(t, Options{Policy: loopbackOnly}, ap, p, timeout)
}

func (k kind) askWith(t testing.TB, o Options, ap netip.AddrPort, p health.Probe, timeout time.Duration) health.Observation {
	t.Helper()
	return k.askTarget(t, o, targetAt(ap, p, timeout))
}

// askTarget has an engine probe a target, and returns its first observation.
func (k kind) askTarget(t testing.TB, o Options, target *health.Target) health.Observation {
	t.Helper()
	if k == portable {
		return NewProber(o, clock()).Probe(context.Background(), target)
	}
	first := make(chan health.Observation, 1)
	e := k.engine(t, Config{Options: o, Deliver: func(batch []health.Observation) {
		select {
		case first <- batch[0]:
		default:
		}
	}, Doubt: o.Doubt})
	stop := launched(t, e)
	e.Watch(*target, e.cfg.Now())
	var seen health.Observation
	select {
	case seen = <-first:
	case <-time.After(2 * enough):
		t.Error("the engine made no observation")
	}
	stop()
	if k == eventLoop && e.loop.workers > 0 && e.carrier.carries(target) {
		t.Error("a goroutine ran the probe")
	}
	return seen
}

// launched runs e until the returned function is called, which waits for its end.
func launched(t testing.TB, e *Engine) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}
