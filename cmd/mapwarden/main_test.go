package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mapwarden/mapwarden/internal/actuate"
	"github.com/mapwarden/mapwarden/internal/config"
	"github.com/mapwarden/mapwarden/internal/lever"
)

// orderEnv makes a process of the test binary a daemon: it holds its order.
const orderEnv = "MAPWARDEN_TEST_ORDER"

// TestMain is also the main of the processes that the tests start: a daemon
// with shortened times, a client, or, for the scripts, the command itself.
func TestMain(m *testing.M) {
	if order := os.Getenv(orderEnv); order != "" {
		os.Exit(obey(order))
	}
	if endpoint := os.Getenv(discoverEnv); endpoint != "" {
		if err := goDiscover(endpoint, os.Getenv("BARE") != ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailed)
		}
		os.Exit(exitDone)
	}
	testscript.Main(m, map[string]func(){"mapwarden": main})
}

// order is what a daemon under test is to do.
type order struct {
	Config string // YAML
	Data   string
	Fuse   fuse
	Hold   time.Duration // shorter than a file may say
	WarmUp time.Duration // likewise
	Probes int           // of each target before it may be removed
}

// fuse kills the process that it is in at a journal write, as kill -9 would.
// The zero fuse never blows.
type fuse struct {
	Write string // "put", "update" or "close", the lever, and for the first two the phase
	After bool   // once the write is durable, instead of before it is made
}

// obey runs a daemon as an order says, and returns its exit code. It differs
// from `run` in nothing but where the configuration comes from and the fuse.
func obey(text string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() { // not outlive the test
		io.Copy(io.Discard, os.Stdin)
		os.Exit(exitFailed)
	}()
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err := runOrder(ctx, text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	return exitDone
}

func runOrder(ctx context.Context, text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	file, err := config.Parse("order", []byte(o.Config), config.Flags{})
	if err != nil {
		return err
	}
	safety := &file.Defaults.Policy
	safety.Hold, safety.WarmUp, safety.WarmUpProbes = o.Hold, o.WarmUp, o.Probes
	d := &daemon{
		app: &app{out: os.Stdout, err: os.Stderr}, log: slog.Default(), clock: newProcessClock(),
		opts: daemonOptions{file: file, data: o.Data, web: "127.0.0.1:0"},
	}
	defer d.close()
	fit := func(context.Context) error {
		d.actuator.journal = fused{d.store.Journal(), o.Fuse}
		d.actuator.now.Store(&actuate.Actuator{Journal: d.actuator.journal, Reader: d.reader, Writer: d.client.NewWriter()})
		return nil
	}
	for _, open := range []func(context.Context) error{d.openStore, d.openClient, fit, d.openListeners, d.plug} {
		if err := open(ctx); err != nil {
			return err
		}
	}
	return d.run(ctx)
}

// fused is a journal with a fuse.
type fused struct {
	actuate.Journal
	fuse fuse
}

func (j fused) Put(ctx context.Context, e lever.Entry) (lever.Entry, error) {
	name := "put " + e.Kind.String() + " " + string(e.Phase)
	j.blow(name, false)
	stored, err := j.Journal.Put(ctx, e)
	j.blow(name, true)
	return stored, err
}

func (j fused) Update(ctx context.Context, e lever.Entry) (lever.Entry, error) {
	name := "update " + e.Kind.String() + " " + string(e.Phase)
	j.blow(name, false)
	stored, err := j.Journal.Update(ctx, e)
	j.blow(name, true)
	return stored, err
}

func (j fused) Close(ctx context.Context, e lever.Entry) error {
	name := "close " + e.Kind.String()
	j.blow(name, false)
	err := j.Journal.Close(ctx, e)
	j.blow(name, true)
	return err
}

func (j fused) blow(write string, after bool) {
	if j.fuse.Write == write && j.fuse.After == after {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // nothing may happen any more
	}
}
