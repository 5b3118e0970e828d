package controller

import (
	"context"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// Prober probes targets and delivers what it saw with Controller.Send, in
// batches. Its methods do not block and are called by one goroutine.
type Prober interface {
	Watch(t health.Target, first health.Instant)
	Unwatch(h health.Handle)
	Reschedule(h health.Handle, at health.Instant)
}

// Actuator carries out one call of a job and reports what came of it. It is
// called by many goroutines at once, never twice at once for one job. It
// returns soon after ctx ends; what was sent by then is Ambiguous.
type Actuator interface {
	Do(ctx context.Context, c lever.Call) lever.Result
}

// Keeper stores what should outlive the process and is not needed to be safe:
// the history and the memory. It is never called twice at once. What it could
// not store it is given again, in the same order, while there is room for what
// waits. It returns soon after ctx ends.
type Keeper interface {
	Append(ctx context.Context, records []warden.Record) error
	Learn(ctx context.Context, m warden.Memory) error
}
