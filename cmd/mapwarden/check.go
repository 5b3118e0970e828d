package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/probe"
)

// checkResult is what `check -o json` prints.
type checkResult struct {
	At        string      `json:"at,omitempty"`
	Target    string      `json:"target"`
	Address   string      `json:"address,omitempty"`
	Outcome   string      `json:"outcome"`
	Cause     string      `json:"cause,omitempty"`
	Detail    string      `json:"detail,omitempty"`
	Parts     []checkPart `json:"parts,omitempty"`
	Draining  bool        `json:"draining,omitempty"`
	Resolve   float64     `json:"resolve_ms"`
	Connect   float64     `json:"connect_ms"`
	TLS       float64     `json:"tls_ms"`
	FirstByte float64     `json:"first_byte_ms"`
	Total     float64     `json:"total_ms"`
	Expires   string      `json:"certificate_expires,omitempty"`
	Config    string      `json:"config,omitempty"`
}

// checkPart is one part of a check that is made of others.
type checkPart struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"`
	Cause   string `json:"cause,omitempty"`
}

func (a *app) checkCommand() *cobra.Command {
	var output, every string
	var allow []string
	var asked checkFlags
	var from configured
	c := &cobra.Command{
		Use: "check TARGET", Short: "Probe one target once and explain the answer", GroupID: "tool", Args: one("target"),
		Long: "Probe one target: http://HOST:PORT/PATH, https://…, tcp://HOST:PORT, tls://…, grpc://HOST:PORT/SERVICE or grpcs://….\n" +
			"It says how long each phase took, the verdict and its cause, and the part of a config file that makes this check.\n" +
			"Exit 0: pass, 1: fail, 3: could not tell.",
		Example: "  mapwarden check http://10.0.0.5:8080/healthz\n  mapwarden check tcp://127.0.0.1:5432 --allow 127.0.0.0/8\n" +
			"  mapwarden check https://10.0.0.5/ --host payments.prod --verify --json status=UP --watch=5s\n  mapwarden check grpc://10.0.0.5:50051/shop.v1.Orders",
		RunE: func(c *cobra.Command, args []string) error {
			k := checking{app: a, asked: args[0], output: output, shows: !c.Flags().Changed("config")}
			var err error
			if k.shows {
				k.target, k.name, err = asked.target(c, args[0])
			} else {
				k.target, err = from.target(c, args[0])
			}
			if err != nil {
				return exitWith(exitUsage, err)
			}
			if k.policy, err = parseAllow(allow); err != nil {
				return exitWith(exitUsage, err)
			}
			if !c.Flags().Changed("watch") {
				return k.once(c.Context())
			}
			interval, err := time.ParseDuration(every)
			if err != nil || interval < 100*time.Millisecond {
				return usagef("--watch=%s: give how often, at least 100ms, as in --watch=5s", every)
			}
			return k.watch(c.Context(), interval)
		},
	}
	outputFlag(c, &output)
	from.flags(c)
	asked.flags(c)
	c.Flags().StringArrayVar(&allow, "allow", []string{"127.0.0.0/8", "::1/128"}, "network that may be dialled though it is loopback or link-local")
	c.Flags().StringVar(&every, "watch", "1s", "probe again and again, this often (default 1s), a line each")
	c.Flags().Lookup("watch").NoOptDefVal = "1s"
	return c
}

// checking is a target that is probed by hand.
type checking struct {
	app    *app
	asked  string // as typed
	target health.Target
	name   string // where to find it, if it has no address
	policy probe.AddressPolicy
	output string
	shows  bool // the config that makes the check
}

func (k *checking) probe(ctx context.Context) (checkResult, health.Observation) {
	var o health.Observation
	var phases probe.Phases
	if k.name != "" {
		o, phases = probe.OnceAt(ctx, k.name, k.target, k.policy)
	} else {
		o, phases = probe.Once(ctx, k.target, k.policy)
	}
	r := checkResult{
		Target: k.asked, Outcome: o.Outcome.String(), Detail: o.Detail,
		Resolve: ms(phases.Resolve), Connect: ms(phases.Connect), TLS: ms(phases.TLS),
		FirstByte: ms(phases.FirstByte), Total: ms(phases.Total),
	}
	r.Draining = o.Draining
	for _, p := range o.Parts {
		part := checkPart{Name: p.Name, Outcome: p.Outcome.String()}
		if p.Cause != health.NoCause {
			part.Cause = p.Cause.String()
		}
		r.Parts = append(r.Parts, part)
	}
	if phases.Addr.IsValid() {
		r.Address = phases.Addr.String()
	}
	if o.Cause != health.NoCause {
		r.Cause = o.Cause.String()
	}
	if !phases.Expires.IsZero() {
		r.Expires = phases.Expires.UTC().Format(time.RFC3339)
	}
	if k.shows {
		addr := k.target.Addr
		if phases.Addr.IsValid() {
			addr = phases.Addr.Addr()
		}
		r.Config = configFor(k.target.Check, addr)
	}
	return r, o
}

func (k *checking) once(ctx context.Context) error {
	r, o := k.probe(ctx)
	if k.output == "json" {
		if err := json.NewEncoder(k.app.out).Encode(r); err != nil {
			return err
		}
	} else {
		k.app.printCheck(r, o)
	}
	return exitFor(o.Outcome)
}

func exitFor(o health.Outcome) error {
	switch o {
	case health.Pass:
		return nil
	case health.Fail:
		return exitWith(exitFailed, nil)
	}
	return exitWith(exitUnreachable, nil)
}

// watch probes until ctx ends, start to start, and exits as the last probe that
// came to its end would.
func (k *checking) watch(ctx context.Context, interval time.Duration) error {
	k.shows = false
	next := time.NewTicker(interval)
	defer next.Stop()
	var last health.Outcome
	counts := map[health.Outcome]int{}
	for {
		at := time.Now()
		r, o := k.probe(ctx)
		if ctx.Err() == nil {
			last = o.Outcome
			counts[last]++
			if err := k.line(at, r, o); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			if k.output != "json" {
				fmt.Fprintf(k.app.out, "%d passed, %d failed, %d not checked\n", counts[health.Pass], counts[health.Fail], counts[health.Indeterminate])
			}
			return exitFor(last)
		case <-next.C:
		}
	}
}

func (k *checking) line(at time.Time, r checkResult, o health.Observation) error {
	if k.output == "json" {
		r.At = at.UTC().Format(time.RFC3339Nano)
		return json.NewEncoder(k.app.out).Encode(r)
	}
	_, err := fmt.Fprintf(k.app.out, "%s %s %.1f ms %s\n", at.Format(time.TimeOnly), verdict(o.Outcome), r.Total, r.Detail)
	return err
}

func verdict(o health.Outcome) string {
	switch o {
	case health.Pass:
		return "PASS"
	case health.Fail:
		return "FAIL"
	}
	return "NOT CHECKED"
}

func (a *app) printCheck(r checkResult, o health.Observation) {
	fmt.Fprintf(a.out, "%s %s", verdict(o.Outcome), r.Target)
	if r.Address != "" {
		fmt.Fprintf(a.out, " (%s)", r.Address)
	}
	if r.Cause != "" {
		fmt.Fprintf(a.out, " %s", r.Cause)
	}
	fmt.Fprintln(a.out)
	if r.Detail != "" {
		fmt.Fprintf(a.out, "  %s\n", r.Detail)
	}
	a.printParts(o)
	fmt.Fprintf(a.out, "  resolve %.1f ms, connect %.1f ms, tls %.1f ms, first byte %.1f ms, total %.1f ms\n",
		r.Resolve, r.Connect, r.TLS, r.FirstByte, r.Total)
	if r.Expires != "" {
		fmt.Fprintf(a.out, "  the certificate expires at %s\n", r.Expires)
	}
	if o.Outcome == health.Fail && o.Cause.NeedsPath() {
		fmt.Fprintln(a.out, "  silence is no proof: the daemon counts it only where another target of the subnet answers")
	}
	if r.Config != "" {
		fmt.Fprintln(a.out, "\nthe same check in a config file, on the ports that instances register:")
		for line := range strings.Lines(r.Config) {
			fmt.Fprint(a.out, "  ", line)
		}
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func parseAllow(allow []string) (p probe.AddressPolicy, err error) {
	for _, text := range allow {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return p, fmt.Errorf("--allow %q is no network such as 127.0.0.0/8", text)
		}
		p.Allow = append(p.Allow, prefix)
	}
	// An allow list is everything that is allowed; here it only unlocks.
	p.Allow = append(p.Allow, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"))
	return p, nil
}

func parseRange(text string) (r health.StatusRange, err error) {
	if n, _ := fmt.Sscanf(strings.TrimSpace(text), "%d-%d", &r.From, &r.To); n == 1 {
		r.To = r.From
	} else if n != 2 {
		return r, fmt.Errorf("--status %q is no range such as 200-399", text)
	}
	if r.From < 100 || r.To > 599 || r.From > r.To {
		return r, fmt.Errorf("--status %q: give codes from 100 to 599, the lower one first", text)
	}
	return r, nil
}
