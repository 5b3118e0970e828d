package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/probe"
	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/route53"
)

// route53Flags are the flags of the checks that the registry makes itself.
type route53Flags struct {
	interval     time.Duration
	vantages     int
	loopbackOnly bool
}

func (f *route53Flags) add(c *cobra.Command, o *registry.Options) {
	c.Flags().DurationVar(&f.interval, "route53-interval", route53.DefaultInterval, "how often each vantage makes a Route 53 health check: 30s as in Cloud Map, 10s is Route 53's fast one; others are for tests")
	c.Flags().IntVar(&f.vantages, "route53-vantages", route53.DefaultVantages, "how many vantages make Route 53 health checks; all look from this machine")
	c.Flags().BoolVar(&o.UnknownIsUnhealthy, "unknown-is-unhealthy", false, "keep instances out of the pool until their first Route 53 health checks; AWS lets them in")
}

// What is sensible: each vantage costs a probe of each instance per interval.
const (
	minRoute53Interval = 100 * time.Millisecond
	maxRoute53Vantages = 64
)

func (f *route53Flags) check() error {
	if f.interval < minRoute53Interval {
		return usagef("--route53-interval %s: give %s or more", f.interval, minRoute53Interval)
	}
	if f.vantages < 1 || f.vantages > maxRoute53Vantages {
		return usagef("--route53-vantages %d: give 1 to %d", f.vantages, maxRoute53Vantages)
	}
	return nil
}

// checkers makes the checkers of a registry.
func (f *route53Flags) checkers(reg *registry.Registry) *route53.Checkers {
	if f.interval != route53.DefaultInterval && f.interval != 10*time.Second {
		slog.Warn("Route 53 checks every 30s or 10s", "route53-interval", f.interval.String())
	}
	prober := probe.NewProber(probe.Options{
		Policy: f.policy(),
		// What sorts health checks out of logs by this beginning works here too.
		UserAgent: "Amazon-Route53-Health-Check-Service (imitated by mapwarden registry)",
	}, nil)
	return route53.New(reg, func(ctx context.Context, t health.Target) (health.Observation, time.Duration) {
		o, phases := prober.Once(ctx, t)
		return o, phases.Connect
	}, route53.Config{Interval: f.interval, Vantages: f.vantages, Log: slog.Default()})
}

// policy lets the checkers ask this machine and the network that it is in,
// which Route 53 cannot; what hands out credentials, never.
func (f *route53Flags) policy() (p probe.AddressPolicy) {
	p.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	if !f.loopbackOnly {
		p.Allow = append(p.Allow, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"))
	}
	return p
}

// withChecks puts the views of the checkers beside the registry's API.
func withChecks(api http.Handler, checks *route53.Checkers) http.Handler {
	views := checks.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		under := r.URL.Path == route53.PathPrefix || strings.HasPrefix(r.URL.Path, route53.PathPrefix+"/")
		if under && !r.URL.IsAbs() { // of a proxy's client it is another machine's path
			views.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

func (a *app) registryChecksCommand() *cobra.Command {
	var address, output string
	var trust trustFlag
	c := &cobra.Command{
		Use: "checks [SERVICE-ID [INSTANCE-ID]]", Short: "Show what each vantage of the registry's Route 53 health checks sees",
		Args: cobra.MaximumNArgs(2),
		Long: "Show the Route 53 health checks of a registry on this machine: the verdict, and what each vantage thinks and saw last.\n" +
			"It reads GET http://" + registryAddress + route53.PathPrefix + ".",
		RunE: func(c *cobra.Command, args []string) error {
			checks, err := readChecks(c.Context(), address, &trust, args)
			if err != nil {
				return err
			}
			if output == "json" {
				return a.printJSON(map[string]any{"checks": checks})
			}
			a.printChecks(checks)
			return nil
		},
	}
	outputFlag(c, &output)
	c.Flags().StringVar(&address, "addr", "http://"+registryAddress, "where the registry's API is")
	trust.add(c)
	return c
}

// readChecks asks a registry for the views of its checkers.
func readChecks(ctx context.Context, address string, trust *trustFlag, args []string) ([]route53.View, error) {
	base := address
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	trusted, err := trust.config(base)
	if err != nil {
		return nil, err
	}
	path := []string{route53.PathPrefix}
	for _, arg := range args {
		path = append(path, url.PathEscape(arg))
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+strings.Join(path, "/"), nil)
	if err != nil {
		return nil, usagef("--addr %s: %w", address, err)
	}
	client := http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true, TLSClientConfig: trusted}}
	resp, err := client.Do(req)
	if err != nil {
		if at := (*url.Error)(nil); errors.As(err, &at) {
			err = at.Err // the address is said already
		}
		if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
			return nil, unreachablef("%s: %w; name its authority with --ca FILE", address, err)
		}
		return nil, unreachablef("no registry answers at %s: %w; is one running? give its address with --addr", address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200)) // the status says enough without
		err := fmt.Errorf("%s says %s: %s", address, resp.Status, strings.TrimSpace(string(text)))
		if resp.StatusCode == http.StatusNotFound {
			return nil, exitWith(exitFailed, err)
		}
		return nil, exitWith(exitUnreachable, err)
	}
	var out struct {
		Checks []route53.View `json:"checks"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 256<<20)).Decode(&out); err != nil {
		return nil, unreachablef("the answer of %s is not a mapwarden registry's: %w", address, err)
	}
	return out.Checks, nil
}

func (a *app) printChecks(checks []route53.View) {
	if len(checks) == 0 {
		fmt.Fprintln(a.out, "no instance has a Route 53 health check")
	}
	for _, v := range checks {
		fmt.Fprintf(a.out, "%s/%s %s  %s %s%s, threshold %d\n",
			v.Service, v.Instance, strings.ToUpper(v.Verdict), v.Type, v.Endpoint, v.Path, v.Threshold)
		for _, x := range v.Vantages {
			line := fmt.Sprintf("  %-11s %-9s since %s", x.Vantage, x.Status, x.Since.Format(time.TimeOnly))
			switch {
			case x.At == nil:
				line += "  has not looked yet"
			default:
				line += fmt.Sprintf("  %s at %s: %s", x.Last, x.At.Format(time.TimeOnly), cmp.Or(x.Detail, x.Cause))
			}
			if x.Against > 0 {
				line += fmt.Sprintf(" (%d of %d against it)", x.Against, v.Threshold)
			}
			fmt.Fprintln(a.out, line)
		}
	}
}
