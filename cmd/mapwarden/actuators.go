package main

import (
	"context"
	"sync/atomic"

	"github.com/mapwarden/mapwarden/internal/actuate"
	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/config"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// actuators is the actuator of the moment. A writer is made when a
// configuration first lets something be written, or the journal asks for it;
// until then none exists.
type actuators struct {
	journal actuate.Journal
	reader  actuate.Reader
	client  *cloudmap.Client
	now     atomic.Pointer[actuate.Actuator]
	called  func(op lever.Op, f lever.Fault) // told of every call
}

func newActuators(j actuate.Journal, r actuate.Reader, c *cloudmap.Client) *actuators {
	a := &actuators{journal: j, reader: r, client: c, called: func(lever.Op, lever.Fault) {}}
	a.now.Store(&actuate.Actuator{Journal: j, Reader: r})
	return a
}

// allow makes a writer where the configuration enforces anywhere, or entries
// of an earlier process may have to be returned.
func (a *actuators) allow(f config.File, entries bool) {
	if a.now.Load().Writer != nil || !entries && !enforces(f) {
		return
	}
	a.now.Store(&actuate.Actuator{Journal: a.journal, Reader: a.reader, Writer: a.client.NewWriter()})
}

func enforces(f config.File) bool {
	if f.Defaults.Policy.Mode == policy.ModeEnforce {
		return true
	}
	for _, s := range f.Services {
		if s.Config.Policy.Mode == policy.ModeEnforce {
			return true
		}
	}
	return false
}

// Do implements controller.Actuator.
func (a *actuators) Do(ctx context.Context, c lever.Call) lever.Result {
	r := a.now.Load().Do(ctx, c)
	a.called(c.Op, r.Fault)
	return r
}
