package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
	"github.com/mapwarden/mapwarden/internal/route53"
)

// registryFlags are the flags of everything that runs a registry.
type registryFlags struct {
	listen   string
	dns      dnsFlags
	insecure bool
	door     doorFlags
	options  registry.Options
	checks   route53Flags
}

func (f *registryFlags) add(c *cobra.Command) {
	f.options = registry.DefaultOptions()
	c.Flags().StringVar(&f.listen, "registry-listen", registryAddress, "address of the registry's API")
	f.dns.add(c)
	c.Flags().BoolVar(&f.insecure, "insecure-listen", false, "allow addresses that other machines can reach, though nothing secures them")
	f.door.add(c)
	c.Flags().DurationVar(&f.options.CustomHealthDelay, "custom-health-delay", 30*time.Second, "how long a custom health status waits before it applies, as in AWS")
	c.Flags().DurationVar(&f.options.OperationDelay, "operation-delay", 200*time.Millisecond, "how long an operation takes; 0s: applied before the answer")
	c.Flags().StringVar(&f.options.Account, "account", "", "account id in ARNs; default what the registry's file says, else "+registry.DefaultAccount)
	c.Flags().StringVar(&f.options.Region, "region", "", "region in ARNs, and in the scope of signatures; default what the registry's file says, else "+registry.DefaultRegion)
	f.checks.add(c, &f.options)
	f.addRules(c)
}

// servedRegistry is a registry with its listeners open.
type servedRegistry struct {
	reg    *registry.Registry
	checks *route53.Checkers
	door   *door
	api    net.Listener
	dns    *servedDNS // or nil
}

// check refuses what no registry can be.
func (f *registryFlags) check() error {
	if account := f.options.Account; account != "" && (len(account) != 12 || strings.Trim(account, "0123456789") != "") {
		return usagef("--account %s: give 12 digits", f.options.Account)
	}
	for name, d := range map[string]time.Duration{"custom-health-delay": f.options.CustomHealthDelay, "operation-delay": f.options.OperationDelay} {
		if d < 0 {
			return usagef("--%s %s: give a time that is not negative", name, d)
		}
	}
	return cmp.Or(f.door.check(), f.dns.check(), f.checks.check())
}

// openRegistry opens a registry's file below data and its listeners.
func (a *app) openRegistry(ctx context.Context, f registryFlags, data string) (*servedRegistry, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, unreachablef("create the data directory: %w; choose another with --data", err)
	}
	f.options.Path = registryFile(data)
	f.options.Log = slog.Default()
	reg, err := registry.Open(f.options)
	if err != nil {
		return nil, unreachablef("open the registry: %w", err)
	}
	s := &servedRegistry{reg: reg, checks: f.checks.checkers(reg)}
	slog.Info("the registry is open", "file", f.options.Path, "account", reg.Account(), "region", reg.Region(), "census", reg.Census())
	if s.door, err = openDoor(f.door, data, reg.Account(), reg.Region()); err == nil {
		err = a.openListeners(ctx, f, s)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (a *app) openListeners(ctx context.Context, f registryFlags, s *servedRegistry) (err error) {
	if err := a.securedDNS(f); err != nil { // before the API is open
		return err
	}
	if s.api, err = a.listenIf(ctx, "registry", f.listen, func(at net.Addr) error { return s.door.secured(at, f.insecure) }); err != nil {
		return err
	}
	return a.openDNS(ctx, f, s)
}

func (s *servedRegistry) close() {
	if s.api != nil {
		s.api.Close()
	}
	s.dns.close()
	s.reg.Close()
}

// url is the endpoint for clients of the API.
func (s *servedRegistry) url() string { return s.door.url(s.api.Addr()) }

// onLoopback reports whether this process reaches it without leaving the machine.
func (s *servedRegistry) onLoopback() bool {
	at := addrPort(s.api.Addr()).Addr().Unmap()
	return at.IsLoopback() || at.IsUnspecified()
}

// run serves until ctx ends, then closes the registry.
func (s *servedRegistry) run(ctx context.Context) error {
	defer s.reg.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.reg.Run(ctx) })
	g.Go(func() error { return s.checks.Run(ctx) })
	g.Go(func() error { return s.door.serve(ctx, s.api, withChecks(s.door.guard(awsjson.New(s.reg)), s.checks)) })
	g.Go(func() error { return s.dns.run(ctx) })
	return g.Wait()
}

func (a *app) registryCommand() *cobra.Command {
	var f registryFlags
	var data string
	c := &cobra.Command{
		Use: "registry", Short: "Run a Cloud Map registry: API and DNS, durable, on loopback", GroupID: "serve", Args: cobra.NoArgs,
		Long: "Run a registry that speaks the AWS Cloud Map API and answers DNS for its private namespaces.\n" +
			"Use it with any AWS client: aws --endpoint-url http://" + registryAddress + " servicediscovery …",
		RunE: func(c *cobra.Command, _ []string) error {
			a.logTo("text")
			s, err := a.openRegistry(c.Context(), f, data)
			if err != nil {
				return err
			}
			if err := s.run(c.Context()); err != nil {
				return exitWith(exitFailed, fmt.Errorf("registry: %w", err))
			}
			return nil
		},
	}
	f.add(c)
	c.Flags().StringVar(&data, "data", localData, "directory of the registry's file")
	c.AddCommand(a.keysCommand(), a.registryChecksCommand(), a.registryExport(), a.registryImport())
	return c
}

// logTo sets the process's logger: text for people, json for machines.
func (a *app) logTo(format string) {
	var h slog.Handler = slog.NewTextHandler(a.err, &slog.HandlerOptions{})
	if format == "json" {
		h = slog.NewJSONHandler(a.err, &slog.HandlerOptions{})
	}
	slog.SetDefault(slog.New(h))
}
