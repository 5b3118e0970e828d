package main

import (
	"fmt"

	"github.com/mapwarden/mapwarden/internal/config"
	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/probe"
)

// checkFiles reads what the checks of a config name: certificates, keys and
// credentials. A file that cannot be used is a mistake before it is a health
// check that tells nothing.
func checkFiles(f config.File) error {
	check := func(where string, c health.Check) error {
		if err := probe.Files(c.Probe); err != nil {
			return fmt.Errorf("%s.check: %w", where, err)
		}
		if c.Startup != nil {
			if err := probe.Files(*c.Startup); err != nil {
				return fmt.Errorf("%s.startup_check: %w", where, err)
			}
		}
		return nil
	}
	if err := check("defaults", f.Defaults.Check); err != nil {
		return err
	}
	for i, rule := range f.Services {
		if err := check(fmt.Sprintf("services[%d]", i), rule.Config.Check); err != nil {
			return err
		}
	}
	return nil
}
