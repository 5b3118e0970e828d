package main

import (
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
	"github.com/mapwarden/mapwarden/internal/registry/dns"
	"github.com/mapwarden/mapwarden/internal/web"
)

// registryFlags are the flags of everything that runs a registry.
type registryFlags struct {
	listen   string
	dns      string
	insecure bool
	options  registry.Options
}

func (f *registryFlags) add(c *cobra.Command) {
	f.options = registry.DefaultOptions()
	c.Flags().StringVar(&f.listen, "registry-listen", registryAddress, "address of the registry's API")
	c.Flags().StringVar(&f.dns, "dns-listen", dnsAddress, "address of the registry's DNS, UDP and TCP; empty: none")
	c.Flags().BoolVar(&f.insecure, "insecure-listen", false, "allow addresses that other machines can reach, though nothing secures them")
	c.Flags().DurationVar(&f.options.CustomHealthDelay, "custom-health-delay", 30*time.Second, "how long a custom health status waits before it applies, as in AWS")
	c.Flags().DurationVar(&f.options.OperationDelay, "operation-delay", 200*time.Millisecond, "how long an operation takes; 0s: applied before the answer")
	c.Flags().StringVar(&f.options.Account, "account", "", "account id in ARNs; default what the registry's file says, else "+registry.DefaultAccount)
	c.Flags().StringVar(&f.options.Region, "region", "", "region in ARNs; default what the registry's file says, else "+registry.DefaultRegion)
}

// servedRegistry is a registry with its listeners open.
type servedRegistry struct {
	reg *registry.Registry
	api net.Listener
	tcp net.Listener
	udp net.PacketConn
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
	return nil
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
	slog.Info("the registry is open", "file", f.options.Path, "account", reg.Account(), "region", reg.Region(), "census", reg.Census())
	s := &servedRegistry{reg: reg}
	if err := a.openListeners(ctx, f, s); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (a *app) openListeners(ctx context.Context, f registryFlags, s *servedRegistry) (err error) {
	if s.api, err = a.listen(ctx, "registry", f.listen, f.insecure); err != nil {
		return err
	}
	if f.dns == "" {
		return nil
	}
	if s.tcp, err = a.listen(ctx, "dns", f.dns, f.insecure); err != nil {
		return err
	}
	s.udp, err = listenUDP(ctx, s.tcp.Addr())
	return err
}

func (s *servedRegistry) close() {
	for _, c := range []interface{ Close() error }{s.api, s.tcp, s.udp} {
		if c != nil {
			c.Close()
		}
	}
	s.reg.Close()
}

// url is the endpoint for clients of the API.
func (s *servedRegistry) url() string { return "http://" + s.api.Addr().String() }

// run serves until ctx ends, then closes the registry.
func (s *servedRegistry) run(ctx context.Context) error {
	defer s.reg.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.reg.Run(ctx) })
	g.Go(func() error { return web.Serve(ctx, s.api, awsjson.New(s.reg)) })
	if s.udp != nil {
		g.Go(func() error { return dns.New(s.reg).Serve(ctx, s.udp, s.tcp) })
	}
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
	c.AddCommand(a.registryExport(), a.registryImport())
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
