package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/web"
)

func (a *app) drainCommand() *cobra.Command {
	var d daemonAPI
	var req web.DrainRequest
	var length time.Duration
	c := &cobra.Command{
		Use: "drain NAMESPACE/SERVICE/INSTANCE", Short: "Take one instance out for a time, well or not", GroupID: "act", Args: one("NAMESPACE/SERVICE/INSTANCE"),
		Long: "Take one instance out for a time, well or not: for a look at it, or before work on its host. It never\n" +
			"takes the last one that passes. A drain survives restarts and ends by itself; the instance then\n" +
			"comes back once it passes.",
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if req.Service, req.Instance, err = serviceAndInstance(args[0]); err != nil {
				return err
			}
			req.For, req.By = length.String(), me()
			return a.command(c.Context(), &d, "/api/v1/drain", req, "to be drained for "+req.For+"; see mapwarden explain "+args[0])
		},
	}
	d.flag(c)
	c.Flags().DurationVar(&length, "for", time.Hour, "how long, at most 72h")
	c.Flags().StringVar(&req.Note, "note", "", "why, for the records")
	return c
}

func (a *app) undrainCommand() *cobra.Command {
	var d daemonAPI
	c := &cobra.Command{
		Use: "undrain NAMESPACE/SERVICE/INSTANCE", Short: "End a drain: bring the instance back, whatever its health", GroupID: "act", Args: one("NAMESPACE/SERVICE/INSTANCE"),
		RunE: func(c *cobra.Command, args []string) error {
			req := web.UndrainRequest{By: me()}
			var err error
			if req.Service, req.Instance, err = serviceAndInstance(args[0]); err != nil {
				return err
			}
			return a.command(c.Context(), &d, "/api/v1/undrain", req, "the drain is over")
		},
	}
	d.flag(c)
	return c
}

// serviceAndInstance splits a name as commands take it.
func serviceAndInstance(name string) (service, instance string, err error) {
	parts, err := instanceParts(name)
	if err != nil {
		return "", "", exitWith(exitUsage, err)
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], "/"), parts[last], nil
}
