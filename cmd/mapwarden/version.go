package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what the binary says of itself.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readBuild() build {
	b := build{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String is what version and --version print.
func (b build) String() string {
	name := b.Version
	if b.Revision != "" {
		name += " " + b.Revision
	}
	return fmt.Sprintf("mapwarden %s (%s, %s)", name, b.Go, b.Platform)
}

func (a *app) versionCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "version", Short: "Say which build this is", GroupID: "tool", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			if output == "json" {
				return json.NewEncoder(a.out).Encode(b)
			}
			fmt.Fprintln(a.out, b)
			return nil
		},
	}
	outputFlag(c, &output)
	return c
}

// outputFlag adds -o; the value is checked before the command runs.
func outputFlag(c *cobra.Command, into *string) {
	c.Flags().StringVarP(into, "output", "o", "table", "table or json")
	c.PreRunE = func(*cobra.Command, []string) error {
		if *into != "table" && *into != "json" {
			return usagef("-o %s: give table or json", *into)
		}
		return nil
	}
}
