package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/store"
	"github.com/mapwarden/mapwarden/internal/web"
)

func (a *app) quarantineCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "quarantine", Short: "What mapwarden has taken out: list, restore, export", GroupID: "act", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.quarantineList(), a.quarantineRestore(), a.quarantineExport())
	return c
}

// entrySource is where list and export read: a daemon, or its data directory
// while no daemon runs.
type entrySource struct {
	api  daemonAPI
	data string
}

func (s *entrySource) flags(c *cobra.Command) {
	s.api.flag(c)
	c.Flags().StringVar(&s.data, "data", "", "read this data directory instead of asking a daemon")
}

// entries are in order of their names, wherever they come from. That they may
// not be all is said to warn.
func (s *entrySource) entries(ctx context.Context, warn io.Writer) ([]web.Entry, error) {
	entries, err := s.read(ctx, warn)
	slices.SortStableFunc(entries, func(a, b web.Entry) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Instance, b.Instance))
	})
	return entries, err
}

func (s *entrySource) read(ctx context.Context, warn io.Writer) ([]web.Entry, error) {
	if s.data == "" {
		var e web.Entries
		err := s.api.call(ctx, "GET", "/api/v1/quarantine", nil, &e)
		return e.Entries, err
	}
	st, err := store.OpenReadOnly(s.data, store.Options{})
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, store.ErrLost) {
		return nil, usagef("--data %s: no mapwarden has kept its state there", s.data)
	}
	if err != nil {
		return nil, unreachablef("--data %s: %w", s.data, err)
	}
	defer st.Close()
	if why := st.Loss(); why != "" {
		fmt.Fprintf(warn, "mapwarden: --data %s: %v; what follows may not be all: %s\n", s.data, store.ErrLost, why)
	}
	stored, err := st.Journal().List(ctx)
	if err != nil {
		return nil, unreachablef("--data %s: %w", s.data, err)
	}
	return shapes(stored), nil
}

func shapes(stored []lever.Entry) []web.Entry {
	out := make([]web.Entry, len(stored))
	for i, e := range stored {
		out[i] = web.EntryOf(e)
	}
	return out
}

func (a *app) quarantineList() *cobra.Command {
	var s entrySource
	var output string
	c := &cobra.Command{
		Use: "list", Short: "The open journal entries, with or without a daemon", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			entries, err := s.entries(c.Context(), a.err)
			if err != nil {
				return err
			}
			if output == "json" {
				return a.printJSON(web.Entries{Entries: entries})
			}
			if len(entries) == 0 {
				fmt.Fprintln(a.out, "nothing is out")
				return nil
			}
			w := a.table()
			fmt.Fprintln(w, "INSTANCE\tADDRESS\tLEVER\tPHASE\tREASON\tCAUSE\tOUT SINCE")
			for _, e := range entries {
				fmt.Fprintf(w, "%s/%s/%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Namespace, e.Service, e.Instance, dash(e.Address),
					e.Kind, e.Phase, dash(string(e.Reason)), dash(e.Cause), instant(e.OutSince))
			}
			return w.Flush()
		},
	}
	s.flags(c)
	outputFlag(c, &output)
	return c
}

func (a *app) quarantineRestore() *cobra.Command {
	var d daemonAPI
	var all bool
	c := &cobra.Command{
		Use: "restore [NAMESPACE/SERVICE/INSTANCE]", Short: "Bring back one instance, or --all, whatever its health", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			req := web.RestoreRequest{All: all, By: me()}
			if all == (len(args) == 1) {
				return usagef("give one NAMESPACE/SERVICE/INSTANCE, or --all")
			}
			if !all {
				var err error
				if req.Service, req.Instance, err = serviceAndInstance(args[0]); err != nil {
					return err
				}
			}
			return a.command(c.Context(), &d, "/api/v1/quarantine/restore", req, "the return is under way; see mapwarden quarantine list")
		},
	}
	d.flag(c)
	c.Flags().BoolVar(&all, "all", false, "everything that is out")
	return c
}

func (a *app) quarantineExport() *cobra.Command {
	var s entrySource
	c := &cobra.Command{
		Use: "export", Short: "Print the AWS CLI commands that bring everything back without mapwarden", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			entries, err := s.entries(c.Context(), a.err)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if !e.IsOut {
					continue
				}
				line, err := exportLine(e)
				if err != nil {
					return err
				}
				fmt.Fprintln(a.out, line)
			}
			return nil
		},
	}
	s.flags(c)
	return c
}

// exportLine is one aws command, quoted for a POSIX shell.
func exportLine(e web.Entry) (string, error) {
	if e.Kind == lever.CustomStatus.String() {
		return fmt.Sprintf("aws servicediscovery update-instance-custom-health-status --service-id %s --instance-id %s --status HEALTHY",
			quoted(e.ServiceID), quoted(e.Instance)), nil
	}
	attributes, err := json.Marshal(health.AttributesOf(e.Attributes).Registrable().Map())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("aws servicediscovery register-instance --service-id %s --instance-id %s --attributes %s",
		quoted(e.ServiceID), quoted(e.Instance), quoted(string(attributes))), nil
}

// quoted is s as one word of a POSIX shell.
func quoted(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
