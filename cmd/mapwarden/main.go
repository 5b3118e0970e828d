// Command mapwarden keeps an AWS Cloud Map registry true: it probes every
// instance, judges it, and sets its health or quarantines it, safely.
//
// This package is the only main: it parses flags, plugs edges into the
// controller and chooses exit codes. It decides nothing about health; whatever
// could be wanted elsewhere lives in a package under internal.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/config"
	"github.com/mapwarden/mapwarden/internal/demo"
)

// Exit codes, the same for every command.
const (
	exitDone        = 0
	exitFailed      = 1 // the thing asked about is false, or failed
	exitUsage       = 2 // usage or configuration
	exitUnreachable = 3 // could not reach what it needs, or could not tell
)

// exitError carries an exit code. A nil err prints nothing: all was said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func exitWith(code int, err error) error { return &exitError{code, err} }

func usagef(format string, args ...any) error {
	return exitWith(exitUsage, fmt.Errorf(format, args...))
}

func unreachablef(format string, args ...any) error {
	return exitWith(exitUnreachable, fmt.Errorf(format, args...))
}

// app is what commands share: the standard streams.
type app struct {
	in       io.Reader
	out, err io.Writer
	began    bool // arguments were understood; errors from here on are not usage
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	os.Exit(a.main(ctx, os.Args[1:]))
}

func (a *app) main(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	a.complain(err)
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		return exit.code
	case !a.began:
		return exitUsage
	}
	return exitFailed
}

// complain says what went wrong. Mistakes of a file stand alone in their lines,
// so that editors find file, line and column at the beginning of each.
func (a *app) complain(err error) {
	var mistakes config.Mistakes
	if !errors.As(err, &mistakes) {
		if text := err.Error(); text != "" {
			fmt.Fprintf(a.err, "mapwarden: %s\n", text)
		}
		return
	}
	for _, m := range mistakes {
		if m.Line == 0 { // of a flag
			fmt.Fprint(a.err, "mapwarden: ")
		}
		fmt.Fprintln(a.err, m)
	}
}

// one takes exactly one argument, and says which.
func one(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("give one %s; see %s --help", what, c.CommandPath())
		}
		return nil
	}
}

// known refuses what is no command.
func known(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unknown command %q; see mapwarden --help", args[0])
	}
	return nil
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "mapwarden",
		Short:         "Health for AWS Cloud Map: probe every instance, keep the registry true, stay safe",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          known,
		Version:       readBuild().String(),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	var untilEOF bool
	root.PersistentFlags().BoolVar(&untilEOF, strings.TrimPrefix(demo.UntilEOF, "--"), false, "end when standard input does")
	root.PersistentFlags().MarkHidden(strings.TrimPrefix(demo.UntilEOF, "--"))
	root.PersistentPreRun = func(c *cobra.Command, _ []string) {
		a.began = true
		if untilEOF {
			a.untilEOF(c)
		}
	}
	root.AddGroup(
		&cobra.Group{ID: "serve", Title: "Daemons:"},
		&cobra.Group{ID: "ask", Title: "Ask a running daemon:"},
		&cobra.Group{ID: "act", Title: "Act on a running daemon:"},
		&cobra.Group{ID: "tool", Title: "Tools:"},
	)
	root.AddCommand(
		a.runCommand(), a.devCommand(), a.registryCommand(), a.demoCommand(), a.demoServerCommand(), a.demoClientCommand(),
		a.statusCommand(), a.explainCommand(), a.historyCommand(), a.reportCommand(),
		a.freezeCommand(), a.unfreezeCommand(), a.drainCommand(), a.undrainCommand(), a.quarantineCommand(), a.retireCommand(),
		a.checkCommand(), a.validateCommand(), a.simulateCommand(), a.versionCommand(),
	)
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}
