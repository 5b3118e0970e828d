// Package demo shows what mapwarden is for: the same faults at the same time
// in two halves of one registry, one watched by a daemon that enforces, one by
// a daemon that only observes, and what the clients of both halves get.
//
// Nothing in it is a mock. It starts this binary again as a registry, two
// daemons, a fleet of servers and their clients; faults are signals to the
// servers' processes, and the figures are what the clients counted. Its one
// trick is a wire between the enforcing daemon and the registry on which it
// can end the daemon at the worst moment.
//
// It has no rules of its own about health, and it leaves nothing behind but
// its data directory.
package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Length of a demo: shorter than Shortest the acts would not be fair.
const (
	Default  = 90 * time.Second
	Shortest = 60 * time.Second
)

// Options of a demo.
type Options struct {
	For      time.Duration
	Data     string    // its own subdirectory is made in here, empty
	Listen   string    // operator API of the enforcing daemon; port 0 picks one
	Binary   string    // this program
	Config   string    // YAML of the profile, without mode, scope and registry
	Profile  string    // the shortened settings for people, in lines
	Progress io.Writer // what happens, line by line
}

// Run plays the demo and reports. An error means that it could not be played;
// a broken promise is in the report.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.For < Shortest {
		return Report{}, fmt.Errorf("a demo of %s is too short to be fair; give at least %s", o.For, Shortest)
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return Report{}, fmt.Errorf("create %s: %w", o.Data, err)
	}
	dir, err := os.MkdirTemp(o.Data, "demo-")
	if err != nil {
		return Report{}, fmt.Errorf("create a directory for the demo: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return Report{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &stage{opts: o, dir: dir, plan: planFor(o.For), began: time.Now(), tally: newTally()}
	defer s.close()
	if err := s.set(ctx); err != nil {
		return Report{}, s.failed(ctx, "set the stage", err)
	}
	if err := s.play(ctx); err != nil {
		return Report{}, s.failed(ctx, "play", err)
	}
	return s.report(ctx)
}

// failed says why there is no report, and where to look. A terminal interrupts
// the children as well, and one that is just starting may end of it before we
// have heard of it ourselves: so a failure waits a moment for its reason.
func (s *stage) failed(ctx context.Context, doing string, err error) error {
	select {
	case <-ctx.Done(): // whatever err is, it follows from that
		return fmt.Errorf("interrupted (logs are in %s)", s.dir)
	case <-time.After(time.Second):
		return fmt.Errorf("%s: %w (logs are in %s)", doing, err, s.dir)
	}
}

// Sides of the registry: the same services, with and without mapwarden.
type side string

const (
	with    side = "with"
	without side = "without"
)

var sides = [...]side{with, without}

// A service of each side: how its health can be told, and what befalls it.
type serviceKind struct {
	name   string
	custom bool // has a custom health check; otherwise quarantine is the lever
}

var services = [...]serviceKind{
	{"web", false},  // crash, slow start, kill -9: quarantine, like ECS Service Connect
	{"api", true},   // fast-fail, shared failure: custom health status
	{"jobs", false}, // hang
}

// serversPerService is the fleet's size: 3 services of 6 on each side.
const serversPerService = 6

// rate of requests to each service of each side, per second.
const rate = 200
