package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/registry/access"
)

// Names of the two lines that `registry keys add` prints and that
// registry.access_key_file is read from: those of the AWS tools' environment.
const (
	keyIDName  = "AWS_ACCESS_KEY_ID"
	secretName = "AWS_SECRET_ACCESS_KEY"
)

func (a *app) keysCommand() *cobra.Command {
	var data string
	c := &cobra.Command{
		Use: "keys", Short: "The access keys of a registry: who may call its API", Args: cobra.NoArgs,
		Long: "Add, list and remove access keys. While there are none the registry asks nobody for a signature; from the\n" +
			"first key on it does, within a second, and it does so until it is started without a keys.json.",
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&data, "data", localData, "directory of the registry's file; that of an embedded one is registry below --data of run and dev")
	file := func() string { return filepath.Join(data, access.KeysFile) }
	c.AddCommand(a.keysAddCommand(file), a.keysListCommand(file), a.keysRemoveCommand(file))
	return c
}

func (a *app) keysAddCommand(file func() string) *cobra.Command {
	var readOnly bool
	var note string
	c := &cobra.Command{
		Use: "add", Short: "Make a key and print it, this once", Args: cobra.NoArgs,
		Long: "Make a key and print it in the form that shells, env files and registry.access_key_file take.\n" +
			"It is not shown again.",
		RunE: func(*cobra.Command, []string) error {
			key, err := access.AddKey(file(), readOnly, note)
			if err != nil {
				return unreachablef("add a key: %w", err)
			}
			a.say("%s=%s\n%s=%s\n", keyIDName, key.ID, secretName, key.Secret)
			return nil
		},
	}
	c.Flags().BoolVar(&readOnly, "read-only", false, "a key for Get, List and Discover alone")
	c.Flags().StringVar(&note, "note", "", "what it is for, shown by list")
	return c
}

// listedKey is a key without its secret.
type listedKey struct {
	ID       string    `json:"id"`
	ReadOnly bool      `json:"readOnly"`
	Created  time.Time `json:"created"`
	Note     string    `json:"note,omitempty"`
}

func (a *app) keysListCommand(file func() string) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "list", Short: "List the keys, without their secrets", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			keys, err := access.ReadKeys(file())
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return unreachablef("list the keys: %w", err)
			}
			listed := []listedKey{}
			for _, k := range keys {
				listed = append(listed, listedKey{k.ID, k.ReadOnly, k.Created, k.Note})
			}
			if output == "json" {
				return a.printJSON(listed)
			}
			t := a.table()
			fmt.Fprintln(t, "KEY\tMAY\tCREATED\tNOTE")
			for _, k := range listed {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", k.ID, map[bool]string{true: "read", false: "read, write"}[k.ReadOnly], k.Created.Format(time.RFC3339), k.Note)
			}
			return t.Flush()
		},
	}
	outputFlag(c, &output)
	return c
}

func (a *app) keysRemoveCommand(file func() string) *cobra.Command {
	return &cobra.Command{
		Use: "remove KEY", Short: "Remove a key; a running registry refuses it within a second", Args: one("KEY"),
		RunE: func(_ *cobra.Command, args []string) error {
			err := access.RemoveKey(file(), args[0])
			switch {
			case errors.Is(err, access.ErrNoKey):
				return exitWith(exitFailed, fmt.Errorf("remove key %s: %w", args[0], err))
			case err != nil:
				return unreachablef("remove key %s: %w", args[0], err)
			}
			return nil
		},
	}
}

// readAccessKey reads a key of ours from a file with the lines that
// `registry keys add` prints. Others may not read it.
func readAccessKey(path string) (id, secret string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", "", fmt.Errorf("%s has mode %04o and holds a secret: others may read it; chmod 600 it", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case keyIDName:
			id = value
		case secretName:
			secret = value
		}
	}
	if id == "" || secret == "" {
		return "", "", fmt.Errorf("%s has no lines %s=… and %s=…", path, keyIDName, secretName)
	}
	return id, secret, nil
}
