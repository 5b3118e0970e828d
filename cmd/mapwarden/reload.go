package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

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
		d.reloadNow()
	}
}

func (d *daemon) reloadNow() {
	file, err := d.opts.load()
	if err == nil && (file.Registry != d.opts.file.Registry || file.Account != d.opts.file.Account) {
		err = usagef("%s: registry and account cannot change while running; restart to use it", file.Path)
	}
	d.stats.Reloaded(err == nil)
	if err != nil {
		d.log.Error("config refused; the old one stays", "err", err)
		return
	}
	d.opts.file = file
	d.actuator.allow(file, false)
	d.scope.Store(&file.Scope)
	d.ctl.Send(warden.Configured{Config: file.Warden()})
	d.log.Info("config reloaded", "path", file.Path)
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
