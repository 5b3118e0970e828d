package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/config"
	"github.com/mapwarden/mapwarden/internal/controller"
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/probe"
	"github.com/mapwarden/mapwarden/internal/source"
	"github.com/mapwarden/mapwarden/internal/store"
	"github.com/mapwarden/mapwarden/internal/warden"
	"github.com/mapwarden/mapwarden/internal/web"
)

// daemonOptions is what `run` and `dev` (and through them `demo`) decide.
type daemonOptions struct {
	file         config.File
	load         func() (config.File, error) // for reloads; nil: there is no file
	data         string
	web          string // address of the operator API
	metrics      string // address of metrics alone; "" is none
	insecure     bool
	registry     registryFlags // where the registry is embedded
	trust        trustFlag     // where it is at a URL
	loopbackOnly bool
}

// daemon is one checker process, wired up: every edge plugged into the
// controller. It owns nothing but the order of starting and ending.
type daemon struct {
	app      *app
	opts     daemonOptions
	log      *slog.Logger
	clock    processClock
	store    *store.Store
	registry *servedRegistry // nil where it is elsewhere
	client   *cloudmap.Client
	reader   *cloudmap.Reader
	actuator *actuators
	engine   *probe.Engine
	sentinel *probe.Sentinel
	source   *source.Source
	ctl      *controller.Controller
	site     *web.Server
	stats    *web.Metrics
	listener net.Listener
	metrics  net.Listener
	own      []netip.AddrPort // our listeners
	loaded   warden.Loaded
	scope    atomic.Pointer[warden.Scope] // of the configuration of the moment
}

// processClock counts from one second before the process began to count, so
// that zero stays "never".
type processClock struct{ start time.Time }

func newProcessClock() processClock { return processClock{time.Now().Add(-time.Second)} }

func (c processClock) now() health.Instant { return health.Instant(time.Since(c.start)) }

// runDaemon runs a checker until ctx ends or it has retired.
func (a *app) runDaemon(ctx context.Context, o daemonOptions) error {
	d := &daemon{app: a, opts: o, log: slog.Default(), clock: newProcessClock()}
	defer d.close()
	if err := checkFiles(o.file); err != nil {
		return exitWith(exitUsage, err)
	}
	for _, open := range []func(context.Context) error{
		d.openStore, d.openRegistry, d.openClient, d.openListeners, d.plug,
	} {
		if err := open(ctx); err != nil {
			return err
		}
	}
	describe(d.log, o.file) // not before: what could not begin is said in one line
	return d.run(ctx)
}

func (d *daemon) openStore(ctx context.Context) (err error) {
	if err := os.MkdirAll(d.opts.data, 0o700); err != nil {
		return unreachablef("create the data directory: %w; choose another with --data", err)
	}
	if d.store, err = store.Open(d.opts.data, store.Options{}); err != nil {
		return unreachablef("open the store: %w", err)
	}
	if d.loaded, err = d.store.Load(ctx); err != nil {
		return unreachablef("load the store: %w", err)
	}
	if d.loaded.Lost {
		d.log.Error("the journal is lost: no removals", "why", d.store.Loss())
	}
	return nil
}

func (d *daemon) openRegistry(ctx context.Context) (err error) {
	r := d.opts.file.Registry
	if r.Kind != config.Embedded {
		return nil
	}
	data := r.Data
	if data == "" {
		data = filepath.Join(d.opts.data, "registry")
	}
	if r.Region != "" {
		d.opts.registry.options.Region = r.Region
	}
	d.opts.registry.checks.loopbackOnly = d.opts.loopbackOnly
	d.registry, err = d.app.openRegistry(ctx, d.opts.registry, data)
	return err
}

// openClient connects to the registry; in observe no writer is made unless
// the journal has open entries that may have to be returned (rule 19).
func (d *daemon) openClient(ctx context.Context) (err error) {
	r := d.opts.file.Registry
	cfg := cloudmap.Config{Region: r.Region, URL: r.URL, LoopbackOnly: d.opts.loopbackOnly}
	if d.opts.trust.file != "" && r.Kind != config.URL {
		return usagef("--ca goes with a registry at a URL, and this one is %s", r.Kind)
	}
	switch r.Kind {
	case config.AWS:
		cfg.AWS = true
	case config.Embedded:
		cfg.URL = d.registry.url()
		cfg.LoopbackOnly = d.registry.onLoopback()
		cfg.AccessKey, cfg.SecretKey = d.registry.door.own.ID, d.registry.door.own.Secret
		cfg.Region = d.opts.registry.options.Region
		cfg.TLS = d.registry.door.trust()
	case config.URL:
		if cfg.TLS, err = d.opts.trust.config(r.URL); err != nil {
			return err
		}
		if r.AccessKeyFile != "" {
			if cfg.AccessKey, cfg.SecretKey, err = readAccessKey(r.AccessKeyFile); err != nil {
				return usagef("registry.access_key_file: %w", err)
			}
		}
	}
	if d.client, err = cloudmap.New(ctx, cfg); err != nil {
		return usagef("registry: %w", err) // it has not been called yet: only settings can be wrong
	}
	account := d.opts.file.Account
	if r.Kind == config.AWS {
		id, err := d.client.CallerIdentity(ctx)
		if err != nil {
			return unreachablef("ask AWS who we are: %w; give credentials as the AWS SDK takes them: AWS_PROFILE, AWS_ACCESS_KEY_ID or a role", err)
		}
		if account != "" && account != id.Account {
			return usagef("the credentials are of account %s, the config is for %s", id.Account, account)
		}
		account = id.Account
		d.log.Info("on AWS", "account", id.Account, "arn", id.ARN)
	}
	d.reader = d.client.NewReader(account)
	d.actuator = newActuators(d.store.Journal(), d.reader, d.client)
	if d.opts.file.Mode == policy.ModeOff {
		return d.printWayBack(d.loaded.Entries)
	}
	d.actuator.allow(d.opts.file, len(d.loaded.Entries) > 0)
	return nil
}

// printWayBack says, in mode off, how to return by hand what is out: nothing
// is written then (rule 19).
func (d *daemon) printWayBack(entries []lever.Entry) error {
	for _, e := range shapes(entries) {
		if !e.IsOut {
			continue
		}
		line, err := exportLine(e)
		if err != nil {
			return err
		}
		d.app.say("%s\n", line)
	}
	return nil
}

func (d *daemon) openListeners(ctx context.Context) (err error) {
	if d.listener, err = d.app.listen(ctx, "web", d.opts.web, d.opts.insecure); err != nil {
		return err
	}
	if d.opts.metrics != "" {
		d.metrics, err = d.app.listen(ctx, "metrics", d.opts.metrics, true)
	}
	return err
}

// addresses is what may be probed: as the file says, and never ourselves.
func (d *daemon) addresses(t config.Targets) probe.AddressPolicy {
	return probe.AddressPolicy{Allow: t.Allow, Deny: t.Deny, Own: d.own}
}

// listening are our listeners: never targets (rule 20).
func (d *daemon) listening() (out []netip.AddrPort, err error) {
	listeners := []net.Listener{d.listener, d.metrics}
	if d.registry != nil {
		listeners = append(listeners, d.registry.api, d.registry.dns.listener())
	}
	for _, l := range listeners {
		if l == nil {
			continue
		}
		own, err := probe.Listeners(addrPort(l.Addr()))
		if err != nil {
			return nil, fmt.Errorf("own addresses: %w", err)
		}
		out = append(out, own...)
	}
	return out, nil
}

// plug builds the edges around a controller.
func (d *daemon) plug(context.Context) error {
	own, err := d.listening()
	if err != nil {
		return err
	}
	d.own = own
	d.engine, err = probe.NewEngine(probe.Config{
		Options: probe.Options{Policy: d.addresses(d.opts.file.Targets)},
		Now:     d.clock.now,
		Deliver: func(o []health.Observation) { d.ctl.Send(warden.Observed{Observations: o}) },
		Doubt:   func(x health.Doubt) { d.ctl.Send(warden.Doubted{Doubt: x}) },
	})
	if err != nil {
		return err
	}
	if is, why := d.engine.Portable(); is {
		d.log.Info("every probe runs on a goroutine of its own", "why", why)
	}
	d.sentinel = &probe.Sentinel{
		Address: addrPort(d.listener.Addr()),
		Doubt:   func(x health.Doubt) { d.ctl.Send(warden.Doubted{Doubt: x}) },
	}
	feed, build := web.NewFeed(), readBuild()
	d.ctl = controller.New(controller.Config{
		Now: d.clock.now, Prober: d.engine, Actuator: d.actuator, Keeper: d.store, Log: d.log,
		Recorded: func(r warden.Record) { d.stats.Observe(r); feed.Publish(r) },
	})
	d.stats = web.NewMetrics(d.ctl, probeCounters{d.engine}, web.Build{Version: build.Version, Revision: build.Revision})
	d.actuator.called = func(op lever.Op, f lever.Fault) { d.stats.ObserveCall(op.String(), f) }
	file, listings := d.opts.file, &listings{log: d.log}
	d.scope.Store(&file.Scope)
	d.source = source.New(d.reader, source.Config{
		Poll: file.Registry.Poll, Limited: file.Registry.Kind == config.AWS,
		Covers: func(s health.Service) bool { return d.scope.Load().Covers(s) }, Now: d.clock.now,
		Deliver: func(e warden.Event) { listings.heed(e); d.ctl.Send(e) },
		Planned: func(p source.Plan) { d.log.Info("plan", "plan", p.String()) },
	})
	d.site = web.New(web.Options{
		Mind: d.ctl, History: history{d.store}, Journal: journal{d.store.Journal()}, Feed: feed, Metrics: d.stats,
		Build:      web.Build{Version: build.Version, Revision: build.Revision},
		AnyAddress: !addrPort(d.listener.Addr()).Addr().IsLoopback(), Log: d.log,
	})
	return nil
}

// run starts everything, and ends it in order: first what brings news, then
// the mind with the calls under way, then those who watch.
func (d *daemon) run(ctx context.Context) error {
	serving, endServing := context.WithCancel(context.WithoutCancel(ctx))
	defer endServing()
	servers, serving := errgroup.WithContext(serving)
	servers.Go(func() error { return web.Serve(serving, d.listener, d.site.Handler()) })
	if d.metrics != nil {
		servers.Go(func() error { return web.Serve(serving, d.metrics, d.site.Plain()) })
	}
	if d.registry != nil {
		servers.Go(func() error { return d.registry.run(serving) })
	}

	first := warden.Configured{Config: d.opts.file.Warden()} // reload may replace the file from here on
	working, endWorking := context.WithCancel(ctx)
	defer endWorking()
	stopOnFailure := context.AfterFunc(serving, endWorking)
	defer stopOnFailure()
	workers, working := errgroup.WithContext(working)
	workers.Go(func() error { return d.engine.Run(working) })
	workers.Go(func() error { return d.source.Run(working) })
	workers.Go(func() error { return d.reload(working) })
	workers.Go(func() error { return d.sentinel.Run(working) })
	workers.Go(func() error {
		defer endWorking() // retired
		return d.ctl.Run(working, first, d.loaded)
	})
	err := workers.Wait()
	endServing()
	if served := servers.Wait(); err == nil {
		err = served
	}
	if err != nil {
		return exitWith(exitFailed, err)
	}
	return nil
}

func (d *daemon) close() {
	for _, c := range []io.Closer{d.listener, d.metrics} {
		if c != nil {
			c.Close()
		}
	}
	if d.registry != nil {
		d.registry.close()
	}
	if d.client != nil {
		d.client.Close()
	}
	if d.store != nil {
		if err := d.store.Close(); err != nil {
			d.log.Error("close the store", "err", err)
		}
	}
}

// describe tells at start how far this process may go.
func describe(log *slog.Logger, f config.File) {
	log.Info("mapwarden starts", "mode", f.Mode.String(), "registry", f.Registry.Kind.String(), "poll", f.Registry.Poll.String(),
		"check", warden.CheckLine(f.Defaults.Check), "hold", f.Defaults.Policy.Hold.String(), "warmup", f.Defaults.Policy.WarmUp.String())
	if f.Mode != policy.ModeEnforce {
		log.Info("nothing is written; decisions are recorded as WOULD", "mode", f.Mode.String())
	}
}
