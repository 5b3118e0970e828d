package main

import (
	"cmp"
	"os"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/config"
)

// Where `run` keeps its state: the system's place when it can be written, else here.
const (
	systemData = "/var/lib/mapwarden"
	localData  = "./mapwarden-data"
)

func (a *app) runCommand() *cobra.Command {
	var o daemonOptions
	var path, logs string
	var flags config.Flags
	c := &cobra.Command{
		Use: "run", Short: "Run the daemon: probe, judge, and keep the registry true", GroupID: "serve", Args: cobra.NoArgs,
		Long: "Run the daemon. Without a config file it observes AWS Cloud Map with the credentials of the environment:\n" +
			"it probes, judges, and records what it would do, and has no client that could write.",
		RunE: func(c *cobra.Command, _ []string) error {
			if logs != "text" && logs != "json" {
				return usagef("--log %s: give text or json", logs)
			}
			a.logTo(logs)
			load := func() (config.File, error) { return config.Load(path, flags) }
			file, err := load()
			if err != nil {
				return exitWith(exitUsage, err)
			}
			o.file = file
			o.data = cmp.Or(o.data, defaultData())
			if path != "" {
				o.load = load
			}
			return a.runDaemon(c.Context(), o)
		},
	}
	o.registry.add(c)
	a.daemonFlags(c, &o)
	c.Flags().StringVar(&o.data, "data", "", "directory of journal, history and memory; default "+systemData+" where it can be written, else "+localData)
	o.trust.add(c)
	c.Flags().StringVarP(&path, "config", "c", "", "config file (docs/configuration.md)")
	c.Flags().StringVar(&flags.Registry, "registry", "", "aws, embedded, or the URL of a registry; wins over the file")
	c.Flags().StringVar(&flags.Mode, "mode", "", "off or observe: may only lower the file's mode")
	c.Flags().StringVar(&logs, "log", "text", "log format: text or json")
	return c
}

func (a *app) devCommand() *cobra.Command {
	o := daemonOptions{loopbackOnly: true}
	c := &cobra.Command{
		Use: "dev", Short: "Registry, DNS, enforcing checker and page in one process, for a laptop", GroupID: "serve", Args: cobra.NoArgs,
		Long: "Run a registry with an enforcing checker on loopback. AWS credentials are ignored, and only loopback is dialled.",
		RunE: func(c *cobra.Command, _ []string) error {
			a.logTo("text")
			o.file = config.Dev()
			o.file.Pace.CustomDelay = o.registry.options.CustomHealthDelay
			return a.runDaemon(c.Context(), o)
		},
	}
	o.registry.add(c)
	a.daemonFlags(c, &o)
	c.Flags().StringVar(&o.data, "data", localData, "directory of all state")
	return c
}

// daemonFlags are the addresses that run and dev share.
func (a *app) daemonFlags(c *cobra.Command, o *daemonOptions) {
	c.Flags().StringVar(&o.web, "listen", webAddress, "address of the operator API, page and metrics")
	c.Flags().StringVar(&o.metrics, "metrics-listen", "", "address of /metrics, /livez and /readyz alone; may be wide")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		o.insecure = o.registry.insecure
		return nil
	}
}

func defaultData() string {
	if err := os.MkdirAll(systemData, 0o700); err != nil {
		return localData
	}
	probe, err := os.CreateTemp(systemData, ".writable-*")
	if err != nil {
		return localData
	}
	probe.Close()
	os.Remove(probe.Name())
	return systemData
}
