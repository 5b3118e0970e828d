package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/demo"
)

// demoProfile is the demo's configuration: the defaults, with every time a
// tenth of what it is, and loopback allowed as targets.
const demoProfile = `targets: {allow: [127.0.0.0/8]}
pace: {custom_health_delay: 3s, cancel_margin: 500ms, operation_poll: 100ms, settle: 3s, retry: 100ms, operation_deadline: 12s}
defaults:
  check: {http: {path: /}, interval: 500ms, timeout: 400ms, confirm: 200ms, fall: 4, rise: 2, return: {passes: 3, over: 1.5s}}
  safety: {warmup: 6s, abstain: 6s, removals: 1/1s, removals_global: 20%/6s, restores: 1/100ms}
  quarantine: {hold: 3s}
`

// demoShortened tells everything that is not as it would be by default.
const demoShortened = "default / 10, but for the rate over the whole fleet: 1 % of so small a fleet is nothing\n" +
	demoProfile +
	"registry: {poll: 1s}; 18+18 servers in 3+3 services, 200 requests/s to each; clients refresh every 0.5s, wait 1s for an answer, never retry"

func (a *app) demoCommand() *cobra.Command {
	o := demo.Options{Config: demoProfile, Profile: demoShortened}
	var output string
	c := &cobra.Command{
		Use: "demo", Short: "Real servers, real faults, real clients: without and with mapwarden, side by side", GroupID: "serve", Args: cobra.NoArgs,
		Long: "Start a registry, a fleet, clients and two daemons as processes on loopback, and play the same faults to both\n" +
			"halves. Needs no AWS, no Docker and no configuration. Exit 0 only if every promise held.",
		RunE: func(c *cobra.Command, _ []string) error {
			if o.For < demo.Shortest {
				return usagef("--for %s is too short to be fair: give at least %s", o.For, demo.Shortest)
			}
			binary, err := os.Executable()
			if err != nil {
				return exitWith(exitFailed, err)
			}
			o.Binary, o.Progress = binary, a.out
			if output == "json" {
				o.Progress = a.err
			}
			fmt.Fprintf(o.Progress, "profile demo = %s\n", o.Profile)
			r, err := demo.Run(c.Context(), o)
			if err != nil {
				return unreachablef("demo: %w", err)
			}
			if output == "json" {
				err = a.printJSON(r)
			} else {
				fmt.Fprintln(a.out)
				r.Print(a.out)
			}
			if err == nil && !r.OK() {
				return exitWith(exitFailed, fmt.Errorf("a promise was broken; the logs are in %s", r.Logs))
			}
			return err
		},
	}
	outputFlag(c, &output)
	c.Flags().DurationVar(&o.For, "for", demo.Default, "how long, at least "+demo.Shortest.String())
	c.Flags().StringVar(&o.Data, "data", localData, "a new directory is made in here")
	c.Flags().StringVar(&o.Listen, "listen", webAddress, "operator API and page of the enforcing daemon")
	return c
}

// demoServerCommand and demoClientCommand are the demo's own processes.
func (a *app) demoServerCommand() *cobra.Command {
	var address string
	var readyAfter time.Duration
	c := &cobra.Command{
		Use: "demo-server", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return demo.Serve(c.Context(), a.out, address, readyAfter)
		},
	}
	c.Flags().StringVar(&address, "listen", "127.0.0.1:0", "address")
	c.Flags().DurationVar(&readyAfter, "ready-after", 0, "listen only after this")
	return c
}

func (a *app) demoClientCommand() *cobra.Command {
	var url, namespace, service string
	c := &cobra.Command{
		Use: "demo-client", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return demo.Call(c.Context(), a.out, url, namespace, service)
		},
	}
	c.Flags().StringVar(&url, "registry", "", "URL of the registry")
	c.Flags().StringVar(&namespace, "namespace", "", "namespace")
	c.Flags().StringVar(&service, "service", "", "service")
	return c
}

// untilEOF ends the command when standard input ends: children of a demo do
// not outlive it, however it ends.
func (a *app) untilEOF(c *cobra.Command) {
	ctx, cancel := context.WithCancel(c.Context())
	c.SetContext(ctx)
	signal.Ignore(syscall.SIGINT) // a terminal sends it to the whole group; the parent decides
	go func() {
		io.Copy(io.Discard, a.in)
		cancel()
	}()
}
