package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/web"
)

func (a *app) freezeCommand() *cobra.Command {
	var d daemonAPI
	var req web.FreezeRequest
	var length time.Duration
	c := &cobra.Command{
		Use: "freeze", Short: "Stop all writes for a time", GroupID: "act", Args: cobra.NoArgs,
		Long: "Stop all writes, but for finishing what is under way. A freeze survives restarts and ends by itself.",
		RunE: func(c *cobra.Command, _ []string) error {
			req.For, req.By = length.String(), me()
			return a.command(c.Context(), &d, "/api/v1/freeze", req, "frozen for "+req.For)
		},
	}
	d.flag(c)
	c.Flags().DurationVar(&length, "for", time.Hour, "how long, at most 72h")
	c.Flags().StringVar(&req.Note, "note", "", "why, for the records")
	c.Flags().BoolVar(&req.CancelPending, "cancel-pending", false, "also take back statuses that Cloud Map has not applied yet")
	return c
}

func (a *app) unfreezeCommand() *cobra.Command {
	var d daemonAPI
	var storm bool
	c := &cobra.Command{
		Use: "unfreeze", Short: "End a freeze, or with --storm a storm latch", GroupID: "act", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var f web.Fleet
			if err := d.call(c.Context(), "GET", "/api/v1/fleet", nil, &f); err != nil {
				return err
			}
			path, said := "/api/v1/unfreeze", "the freeze is over"
			switch {
			case storm && f.Storm:
				path, said = "/api/v1/release", "the storm latch is released"
			case storm:
				path, said = "/api/v1/release", "no storm latch held"
			case f.FrozenUntil == nil:
				said = "no freeze held"
			}
			return a.command(c.Context(), &d, path, web.ByRequest{By: me()}, said)
		},
	}
	d.flag(c)
	c.Flags().BoolVar(&storm, "storm", false, "release the storm latch (safety rule 8) instead")
	return c
}

func (a *app) command(ctx context.Context, d *daemonAPI, path string, req any, said string) error {
	var ok web.Accepted
	if err := d.call(ctx, "POST", path, req, &ok); err != nil {
		return err
	}
	fmt.Fprintln(a.out, said)
	return nil
}

func (a *app) retireCommand() *cobra.Command {
	var d daemonAPI
	var wait time.Duration
	c := &cobra.Command{
		Use: "retire", Short: "Return everything that mapwarden took out, then end the daemon", GroupID: "act", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.command(c.Context(), &d, "/api/v1/retire", web.ByRequest{By: me()}, "retiring: nothing is removed any more, everything is returned"); err != nil {
				return err
			}
			return a.awaitRetired(c.Context(), &d, wait)
		},
	}
	d.flag(c)
	c.Flags().DurationVar(&wait, "wait", 5*time.Minute, "how long to wait for the end")
	return c
}

// awaitRetired follows a retiring daemon until nothing is left out. A daemon
// that has gone after nothing was left has done what it was asked.
func (a *app) awaitRetired(ctx context.Context, d *daemonAPI, wait time.Duration) error {
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	left := -1
	for {
		var e web.Entries
		err := d.call(ctx, "GET", "/api/v1/quarantine", nil, &e)
		var exit *exitError
		switch {
		case err == nil:
			left = outIn(e.Entries)
		case left == 0 && errors.As(err, &exit) && exit.code == exitUnreachable:
		default:
			return err
		}
		if left == 0 {
			fmt.Fprintln(a.out, "everything is returned")
			return a.awaitEnd(ctx, d)
		}
		select {
		case <-ctx.Done():
			return exitWith(exitFailed, fmt.Errorf("%d instances are still out%s; see mapwarden quarantine list", left, d.frozen(parent)))
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// frozen says that a freeze holds, for those whom it keeps waiting.
func (d *daemonAPI) frozen(ctx context.Context) string {
	var f web.Fleet
	if err := d.call(ctx, "GET", "/api/v1/fleet", nil, &f); err != nil || f.FrozenUntil == nil {
		return ""
	}
	return ", frozen until " + instant(f.FrozenUntil) + ": mapwarden unfreeze"
}

// awaitEnd waits for a retired daemon to stop answering. One that still answers
// was most likely started again, and would take out what it has just returned.
func (a *app) awaitEnd(ctx context.Context, d *daemonAPI) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second) // it ends within 10 s
	defer cancel()
	for {
		var f web.Fleet
		var exit *exitError
		if err := d.call(ctx, "GET", "/api/v1/fleet", nil, &f); ctx.Err() == nil && errors.As(err, &exit) && exit.code == exitUnreachable {
			fmt.Fprintln(a.out, "the daemon has ended")
			return nil
		}
		select {
		case <-ctx.Done():
			return exitWith(exitFailed, errors.New("a daemon still answers; if something starts it again, end that first"))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func outIn(entries []web.Entry) (n int) {
	for _, e := range entries {
		if e.IsOut {
			n++
		}
	}
	return n
}
