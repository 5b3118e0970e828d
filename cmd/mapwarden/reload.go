package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mapwarden/mapwarden/internal/config"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// watchEvery is how often a config file is looked at for a change.
const watchEvery = 2 * time.Second

// reload takes a changed config file into use, on SIGHUP or when it changes. A
// bad file is refused as a whole, and the old configuration stays.
func (d *daemon) reload(ctx context.Context) error {
	if d.opts.load == nil {
		<-ctx.Done()
		return nil
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	look := time.NewTicker(watchEvery)
	defer look.Stop()
	seen := stamp(d.opts.file.Path)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
		case <-look.C:
			if stamp(d.opts.file.Path) == seen {
				continue
			}
		}
		seen = stamp(d.opts.file.Path)
		d.reloadNow(ctx)
	}
}

func (d *daemon) reloadNow(ctx context.Context) {
	file, entries, err := d.reread(ctx)
	d.stats.Reloaded(err == nil)
	if err != nil {
		d.log.Error("config refused; the old one stays", "err", err)
		return
	}
	if file.Mode != policy.ModeOff {
		d.actuator.allow(file, len(entries) > 0)
	} else if d.opts.file.Mode != policy.ModeOff {
		if err := d.printWayBack(entries); err != nil {
			d.log.Error("print the way back", "err", err)
		}
	}
	d.opts.file = file
	d.engine.SetPolicy(d.addresses(file.Targets))
	d.scope.Store(&file.Scope)
	d.ctl.Send(warden.Configured{Config: file.Warden()})
	d.log.Info("config reloaded", "path", file.Path)
}

// reread returns the file as it is now, if it can be taken into use, and the
// open entries, on which it depends whether a writer is needed.
func (d *daemon) reread(ctx context.Context) (config.File, []lever.Entry, error) {
	file, err := d.opts.load()
	if err != nil {
		return file, nil, err
	}
	if file.Registry != d.opts.file.Registry || file.Account != d.opts.file.Account {
		return file, nil, fmt.Errorf("%s: registry and account cannot change while running; restart to use it", file.Path)
	}
	if err := checkFiles(file); err != nil {
		return file, nil, err
	}
	entries, err := d.store.Journal().List(ctx)
	return file, entries, err
}

// stamp changes when a file is written or replaced; zero where there is none.
func stamp(path string) (s struct {
	size int64
	at   time.Time
}) {
	if info, err := os.Stat(path); err == nil {
		s.size, s.at = info.Size(), info.ModTime()
	}
	return s
}
