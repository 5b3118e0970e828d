package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/store"
	"github.com/mapwarden/mapwarden/internal/web"
)

// moment of a call to the registry at which the daemon dies.
type moment string

const (
	beforeEffect moment = "before effect"
	afterEffect  moment = "after effect"
	afterAnswer  moment = "after answer"
)

// point is a call to the registry about the victim: the nth of its operation
// since so many writes about the victim.
type point struct {
	writes int
	op     string
	nth    int
}

// procedure is a job of a lever and where a daemon can die in it.
type procedure struct {
	name    string
	service string // api or web
	back    bool   // the daemon dies when the victim has recovered, not when it crashed
	undo    bool   // the victim recovers while its removal is pending
	fresh   bool   // the victim never crashes: it is registered UNHEALTHY, and passes
	leaves  bool   // the victim recovers, comes back, and is deregistered by its owner
	points  []point
	writes  []string // to the journal; see fuse
}

// procedures are the calls of every job, in their order. A test that waits for
// a call which is not made fails, so the list cannot tell of more than is there.
var procedures = []procedure{
	{name: "drill", service: "api",
		points: []point{{0, "GetInstance", 1}, {0, "RegisterInstance", 1}, {1, "GetOperation", 1}, {1, "GetInstance", 1}},
		writes: []string{"put drill intended", "update drill sending", "update drill submitted", "close drill"}},
	{name: "quarantine", service: "api",
		points: []point{{1, "GetInstance", 2}, {1, "DeregisterInstance", 1}, {2, "GetOperation", 1}, {2, "GetInstance", 1}},
		writes: []string{"put quarantine intended", "update quarantine sending", "update quarantine submitted", "update quarantine out"}},
	{name: "restore", service: "api", back: true,
		points: []point{{2, "GetInstance", 2}, {2, "RegisterInstance", 1}, {3, "GetOperation", 1}, {3, "GetInstance", 1}},
		writes: []string{"update quarantine returning", "update quarantine accepted", "update quarantine returned"}},
	{name: "set UNHEALTHY", service: "web",
		points: []point{{0, "GetInstance", 1}, {0, "GetInstancesHealthStatus", 1}, {0, "UpdateInstanceCustomHealthStatus", 1}, {1, "GetInstancesHealthStatus", 1}},
		writes: []string{"put custom-status intended", "update custom-status sending", "update custom-status submitted", "update custom-status out"}},
	{name: "set HEALTHY", service: "web", back: true,
		points: []point{{1, "GetInstancesHealthStatus", 2}, {1, "UpdateInstanceCustomHealthStatus", 1}, {2, "GetInstancesHealthStatus", 1}},
		writes: []string{"update custom-status returning", "update custom-status accepted", "close custom-status"}},
	{name: "cancel", service: "web", undo: true,
		points: []point{{1, "UpdateInstanceCustomHealthStatus", 1}, {2, "GetInstancesHealthStatus", 1}},
		writes: []string{"update custom-status returning", "update custom-status accepted", "close custom-status"}},
	{name: "first pass", service: "web", fresh: true,
		points: []point{{0, "GetInstancesHealthStatus", 1}, {0, "UpdateInstanceCustomHealthStatus", 1}, {1, "GetInstancesHealthStatus", 1}},
		writes: []string{"put custom-status intended", "update custom-status returning", "update custom-status accepted", "close custom-status"}},
	{name: "release", service: "api", back: true, leaves: true,
		points: []point{{3, "GetInstance", 2}},
		writes: []string{"close quarantine"}},
}

// TestKillEverywhere kills the daemon at every step of every job: around each
// call to the registry and around each journal write. The next daemon has to
// bring everything to rest: nothing lost, nothing twice, every attribute as it
// was. The daemons are processes, and kill -9 is what kills them.
func TestKillEverywhere(t *testing.T) {
	type death struct {
		name string
		die  func(*testing.T)
	}
	var deaths []death
	for _, p := range procedures {
		for i, at := range p.points {
			for _, m := range []moment{beforeEffect, afterEffect, afterAnswer} {
				deaths = append(deaths, death{fmt.Sprintf("%s/%d %s %s", p.name, i, at.op, m), func(t *testing.T) { die(t, p, fuse{}, at, m) }})
			}
		}
		for _, write := range p.writes {
			for _, x := range []fuse{{Write: write}, {Write: write, After: true}} {
				when := map[bool]string{false: "before", true: "after"}[x.After]
				deaths = append(deaths, death{fmt.Sprintf("%s/%s %s", p.name, when, write), func(t *testing.T) { die(t, p, x, point{}, "") }})
			}
		}
	}
	rand.Shuffle(len(deaths), func(i, j int) { deaths[i], deaths[j] = deaths[j], deaths[i] })
	// They wait more than they work, so more run at once than t.Parallel would let.
	var next atomic.Int32
	var undertakers sync.WaitGroup
	for range 12 {
		undertakers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(deaths); i = int(next.Add(1)) - 1 {
				t.Run(deaths[i].name, deaths[i].die)
			}
		})
	}
	undertakers.Wait()
}

// die plays one death and what follows. A daemon that came to doubt itself, on
// a machine that is too busy, takes other steps than those that were planned:
// then it is played again.
func die(t *testing.T, p procedure, x fuse, at point, m moment) {
	for range 10 {
		f := newFleet(t, p.service)
		data := t.TempDir()
		if f.dieAt(data, p, x, at, m) {
			f.recover(data, p)
			return
		}
	}
	t.Fatal("the machine is too busy: the daemon doubted itself each time")
}

// dieAt runs a daemon until it dies in the procedure; ok is false where it
// doubted itself before that.
func (f *fleet) dieAt(data string, p procedure, x fuse, at point, m moment) (ok bool) {
	svc, victim := f.victim(p)
	d := f.start(data, x)
	defer d.kill()
	f.passing(d, 3)
	if m != "" {
		f.killAt(d, victim, at, m)
	}
	if p.fresh {
		f.register(svc, victim, newServer(f.t), "AWS_INIT_HEALTH_STATUS", "UNHEALTHY")
		return f.unless(d, "its death at "+x.Write+at.op, d.dead)
	}
	f.servers[victim].does.Store(resets)
	if p.back {
		ok = d.dead() || f.unless(d, "the removal", func() bool { return f.atRest(d) && !f.serving(svc, victim) })
	} else if p.undo {
		ok = d.dead() || f.unless(d, "the pending removal", func() bool { return f.reg.View(svc).Instance(victim).Change != nil })
	}
	if p.back || p.undo {
		if !ok {
			return false
		}
		f.servers[victim].does.Store(serves)
	}
	if p.leaves && !f.leave(d, svc, victim) {
		return false
	}
	return f.unless(d, "its death at "+x.Write+at.op, d.dead)
}

// leave deregisters the victim as its owner would, once it is back.
func (f *fleet) leave(d *process, svc, victim string) (ok bool) {
	f.t.Helper()
	if !f.unless(d, "the return", func() bool { return f.atRest(d) && f.serving(svc, victim) }) {
		return false
	}
	if _, err := f.reg.Deregister(svc, victim); err != nil {
		f.t.Error(err)
	}
	delete(f.servers, victim)
	return true
}

func (f *fleet) victim(p procedure) (service, instance string) {
	if p.fresh {
		return f.custom, "web-new"
	}
	return f.plain + f.custom, p.service + "-0"
}

// unless waits until something is true, and gives up where the daemon doubts
// itself: ok is false then. A daemon that is dead has nothing more to do.
func (f *fleet) unless(d *process, what string, is func() bool) (ok bool) {
	f.t.Helper()
	f.until(what, func() bool {
		ok = is() || d.dead()
		return ok || strings.Contains(d.log.String(), "the checker doubts itself")
	})
	return ok
}

// recover starts another daemon on what the dead one left.
func (f *fleet) recover(data string, p procedure) {
	f.t.Helper()
	svc, victim := f.victim(p)
	f.wire.set(nil)
	f.notLost(data, p)

	d := f.start(data, fuse{})
	f.ready(d)
	f.until("rest after the restart", func() bool { return f.atRest(d) })
	if entries, ok := d.entries(); !ok || len(entries) > 1 {
		f.t.Errorf("%d journal entries after the restart, want at most one: %+v", len(entries), entries)
	}
	if p.leaves {
		f.until("the end of the last entry", func() bool {
			entries, ok := d.entries()
			return ok && len(entries) == 0
		})
		if f.reg.View(svc).Instance(victim) != nil {
			f.t.Errorf("%s was deregistered by its owner, and is back", victim)
		}
	} else {
		f.servers[victim].does.Store(serves)
	}
	f.allWell(d)
	d.terminate()
}

// killAt kills a daemon around a call of its.
func (f *fleet) killAt(d *process, victim string, at point, m moment) {
	var writes, nth atomic.Int32
	f.wire.set(func(w http.ResponseWriter, _ *http.Request, c call, ask ask) {
		if !c.about(victim) && c.op != "GetOperation" {
			pass(w, ask())
			return
		}
		here := int(writes.Load()) == at.writes && c.op == at.op && int(nth.Add(1)) == at.nth
		if !here {
			if c.writes() {
				writes.Add(1)
				nth.Store(0)
			}
			pass(w, ask())
			return
		}
		switch m {
		case beforeEffect:
			d.kill()
			cut()
		case afterEffect:
			ask()
			d.kill()
			cut()
		case afterAnswer:
			pass(w, ask())
			http.NewResponseController(w).Flush()
			d.kill()
		}
	})
}

// atRest reports whether no procedure is under way: every entry says that its
// instance is out, or back.
func (f *fleet) atRest(d *process) bool {
	fl, ok := get[web.Fleet](d, "/api/v1/fleet")
	if !ok || fl.Totals.Jobs > 0 {
		return false
	}
	entries, ok := d.entries()
	return ok && !slices.ContainsFunc(entries, func(e web.Entry) bool {
		return e.Phase != string(lever.Out) && e.Phase != string(lever.Returned)
	})
}

// serving reports whether clients are led to an instance.
func (f *fleet) serving(service, id string) bool {
	return f.registered(service, id) && f.status(service, id) != "UNHEALTHY"
}

// notLost looks at what a dead daemon left: an instance that is not registered
// as it was needs an open entry, and there is no second one.
func (f *fleet) notLost(data string, p procedure) {
	f.t.Helper()
	service, victim := f.victim(p)
	s, err := store.OpenReadOnly(data, store.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	defer s.Close()
	entries, err := s.Journal().List(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Instance != victim {
			f.t.Errorf("an entry about %s, which never failed: %+v", e.Instance, e)
		}
	}
	if len(entries) > 1 {
		f.t.Errorf("%d entries about one instance", len(entries))
	}
	if p.leaves {
		return
	}
	now := f.reg.View(service).Instance(victim)
	touched := !f.registered(service, victim) || f.status(service, victim) == "UNHEALTHY" && !p.fresh || now.Change != nil
	if touched && len(entries) == 0 {
		f.t.Errorf("%s is touched and no entry knows: registered %t, status %q", victim, f.registered(service, victim), f.status(service, victim))
	}
}

// allWell waits until every instance is registered as it was, healthy, and
// nothing is counted as out any more.
func (f *fleet) allWell(d *process) {
	f.t.Helper()
	f.passing(d, len(f.servers))
	f.until("the return of everything", func() bool {
		entries, ok := d.entries()
		if !ok || !f.atRest(d) || slices.ContainsFunc(entries, func(e web.Entry) bool { return e.IsOut }) {
			return false
		}
		for id := range f.servers {
			svc := f.serviceOf(id)
			if !f.serving(svc, id) || f.reg.View(svc).Instance(id).Change != nil {
				return false
			}
		}
		return true
	})
}

// TestRestartWritesNothing kills a daemon at rest and starts another on an
// unchanged fleet: before anything happened, with instances out, and with
// instances that are back. Neither registry nor journal is written to.
func TestRestartWritesNothing(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "api", "web")
	data := t.TempDir()
	d := f.start(data, fuse{})
	f.allWell(d)
	d = f.calmRestart(d, data, 6)

	f.servers["api-0"].does.Store(resets)
	f.servers["web-0"].does.Store(resets)
	f.until("the removals", func() bool {
		return f.atRest(d) && !f.serving(f.plain, "api-0") && !f.serving(f.custom, "web-0")
	})
	d = f.calmRestart(d, data, 4)
	if f.serving(f.plain, "api-0") || f.serving(f.custom, "web-0") {
		t.Error("the restart brought back what still fails")
	}

	f.servers["api-0"].does.Store(serves)
	f.servers["web-0"].does.Store(serves)
	f.allWell(d)
	f.calmRestart(d, data, 6).terminate()
}

// calmRestart kills a daemon at rest and starts another, which may write
// nothing by the time that it could remove.
func (f *fleet) calmRestart(d *process, data string, passing int) *process {
	f.t.Helper()
	before, ok := d.entries()
	if !ok {
		f.t.Fatal("no answer about the journal")
	}
	writes := len(f.wire.written())
	d.kill()
	d = f.start(data, fuse{})
	f.passing(d, passing)
	after, ok := d.entries()
	if b, a := versions(before), versions(after); !ok || a != b {
		f.t.Errorf("a restart with an unchanged fleet changed the journal from %q to %q", b, a)
	}
	if calls := f.wire.written()[writes:]; len(calls) > 0 {
		f.t.Errorf("a restart with an unchanged fleet wrote %v", calls)
	}
	return d
}

// versions tells entries apart by when they were last written.
func versions(entries []web.Entry) string {
	var said []string
	for _, e := range entries {
		said = append(said, fmt.Sprintf("%s %s %s", e.ID, e.Phase, e.UpdatedAt))
	}
	return strings.Join(said, "; ")
}

// TestKilledDrillIsRepeated: a daemon that died in its drill proves nothing
// about the way back. The next one drills again, and removes.
func TestKilledDrillIsRepeated(t *testing.T) {
	for _, x := range []fuse{{Write: "put drill intended", After: true}, {Write: "update drill sending", After: true}, {Write: "update drill submitted", After: true}} {
		t.Run(x.Write, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, "api")
			data := t.TempDir()
			d := f.start(data, x)
			f.passing(d, 3)
			f.servers["api-0"].does.Store(resets)
			d.end("it should have died at " + x.Write)
			d = f.start(data, fuse{})
			f.until("the removal", func() bool { return f.atRest(d) && !f.serving(f.plain, "api-0") })
			f.servers["api-0"].does.Store(serves)
			f.allWell(d)
		})
	}
}
