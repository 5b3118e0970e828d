package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/config"
	"github.com/mapwarden/mapwarden/internal/warden"
)

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "validate FILE", Short: "Say every mistake of a config file", GroupID: "tool", Args: one("file"),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := config.Load(args[0], config.Flags{})
			if err != nil {
				return exitWith(exitUsage, err)
			}
			fmt.Fprintf(a.out, "%s: good. mode %s, registry %s, check %s; rules for services: %d\n",
				args[0], f.Mode, f.Registry.Kind, warden.CheckLine(f.Defaults.Check), len(f.Services))
			return nil
		},
	}
}
