package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/probe"
)

// checkResult is what `check -o json` prints.
type checkResult struct {
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
}

// checkPart is one part of a check that is made of others.
type checkPart struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"`
	Cause   string `json:"cause,omitempty"`
}

func (a *app) checkCommand() *cobra.Command {
	var output, status string
	var allow []string
	check := health.Check{}
	var from configured
	c := &cobra.Command{
		Use: "check TARGET", Short: "Probe one target once and explain the answer", GroupID: "tool", Args: one("target"),
		Long:    "Probe one target: http://HOST:PORT/PATH, https://… or tcp://HOST:PORT. Exit 0: pass, 1: fail, 3: could not tell.",
		Example: "  mapwarden check http://10.0.0.5:8080/healthz\n  mapwarden check tcp://127.0.0.1:5432 --allow 127.0.0.0/8",
		RunE: func(c *cobra.Command, args []string) error {
			var t health.Target
			var err error
			if c.Flags().Changed("config") {
				t, err = from.target(c, args[0])
			} else if t, err = parseTarget(args[0], check); err == nil {
				err = asksHTTP(c, t.Check.Probe.Protocol)
			}
			if err != nil {
				return exitWith(exitUsage, err)
			}
			policy, err := parseAllow(allow)
			if err != nil {
				return exitWith(exitUsage, err)
			}
			return a.check(c, args[0], t, policy, output)
		},
	}
	outputFlag(c, &output)
	from.flags(c)
	c.Flags().DurationVar(&check.Timeout, "timeout", 2*time.Second, "bound on the whole probe")
	c.Flags().StringVar(&check.Probe.Host, "host", "", "Host header")
	c.Flags().StringVar(&check.Probe.Method, "method", "", "HTTP method (default GET)")
	c.Flags().StringVar(&check.Probe.Contains, "contains", "", "text expected in the first 5,120 bytes of the body")
	c.Flags().BoolVar(&check.Probe.Verify, "verify", false, "verify the certificate")
	c.Flags().StringVar(&status, "status", "200-399", "expected HTTP status range, FROM-TO")
	c.Flags().StringArrayVar(&allow, "allow", []string{"127.0.0.0/8", "::1/128"}, "network that may be dialled though it is loopback or link-local")
	before := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		r, err := parseRange(status)
		if err != nil {
			return exitWith(exitUsage, err)
		}
		check.Probe.Status = []health.StatusRange{r}
		return before(c, args)
	}
	return c
}

func (a *app) check(c *cobra.Command, name string, t health.Target, policy probe.AddressPolicy, output string) error {
	o, phases := probe.Once(c.Context(), t, policy)
	r := checkResult{
		Target: name, Outcome: o.Outcome.String(), Detail: o.Detail,
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
	if output == "json" {
		if err := json.NewEncoder(a.out).Encode(r); err != nil {
			return err
		}
	} else {
		a.printCheck(r, o)
	}
	switch o.Outcome {
	case health.Pass:
		return nil
	case health.Fail:
		return exitWith(exitFailed, nil)
	}
	return exitWith(exitUnreachable, nil)
}

func (a *app) printCheck(r checkResult, o health.Observation) {
	word := map[health.Outcome]string{health.Pass: "PASS", health.Fail: "FAIL", health.Indeterminate: "NOT CHECKED"}[o.Outcome]
	fmt.Fprintf(a.out, "%s %s", word, r.Target)
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
	if o.Outcome == health.Fail && o.Cause.NeedsPath() {
		fmt.Fprintln(a.out, "  silence is no proof: the daemon counts it only where another target of the subnet answers")
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// parseTarget reads a URL. The address stays invalid where the host is a name.
func parseTarget(text string, check health.Check) (t health.Target, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return t, fmt.Errorf("%q is no target: give http://HOST:PORT/PATH, https://… or tcp://HOST:PORT", text)
	}
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	protocol, ok := map[string]health.Protocol{"http": health.HTTP, "https": health.HTTPS, "tcp": health.TCP}[u.Scheme]
	if !ok {
		return t, fmt.Errorf("%q: this release checks http, https and tcp", text)
	}
	number, err := strconv.ParseUint(cmp.Or(u.Port(), port), 10, 16)
	if err != nil || number == 0 {
		return t, fmt.Errorf("%q: give a port from 1 to 65535", text)
	}
	check.Probe.Protocol = protocol
	if protocol != health.TCP {
		check.Probe.Path = u.RequestURI()
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil { // a name: looked up by the probe
		check.Probe.Host = cmp.Or(check.Probe.Host, u.Host)
		check.Probe.ServerName = u.Hostname()
	}
	return health.Target{Handle: 1, Addr: addr, Port: uint16(number), Check: check}, nil
}

// asksHTTP refuses flags that a connect cannot answer: a pass would promise too much.
func asksHTTP(c *cobra.Command, p health.Protocol) error {
	if p != health.TCP {
		return nil
	}
	for _, name := range []string{"contains", "host", "method", "status", "verify"} {
		if c.Flags().Changed(name) {
			return fmt.Errorf("--%s goes with http and https; tcp only connects", name)
		}
	}
	return nil
}

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
	if n, _ := fmt.Sscanf(text, "%d-%d", &r.From, &r.To); n == 1 {
		r.To = r.From
	} else if n != 2 {
		return r, fmt.Errorf("--status %q is no range such as 200-399", text)
	}
	if r.From < 100 || r.To > 599 || r.From > r.To {
		return r, fmt.Errorf("--status %q: give codes from 100 to 599, the lower one first", text)
	}
	return r, nil
}
