package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/config"
	"github.com/mapwarden/mapwarden/internal/health"
)

// configured is the check that a config file has for a service.
type configured struct {
	file    string
	service string
}

func (f *configured) flags(c *cobra.Command) {
	c.Flags().StringVarP(&f.file, "config", "c", "", "ask what this config file asks; the target is ADDRESS:PORT")
	c.Flags().StringVar(&f.service, "service", "", "with --config: the NAMESPACE/SERVICE whose rule counts (default: defaults)")
}

// target is an address with the check of the file. What the file says is not
// to be mixed with other flags: the answer is about what the daemon would ask.
func (f *configured) target(c *cobra.Command, text string) (t health.Target, err error) {
	for name := range flagProtocols {
		if c.Flags().Changed(name) {
			return t, fmt.Errorf("--%s and --config: the file says what to ask", name)
		}
	}
	ap, err := netip.ParseAddrPort(strings.TrimPrefix(text, "tcp://"))
	if err != nil || ap.Port() == 0 {
		return t, fmt.Errorf("%q: with --config give ADDRESS:PORT, as an instance registers it", text)
	}
	file, err := config.Load(f.file, config.Flags{})
	if err != nil {
		return t, err
	}
	namespace, name, ok := strings.Cut(f.service, "/")
	if f.service != "" && (!ok || namespace == "" || name == "") {
		return t, fmt.Errorf("--service %q: give NAMESPACE/SERVICE", f.service)
	}
	s := health.Service{Name: name, Namespace: namespace}
	return health.Target{Handle: 1, Service: s, Addr: ap.Addr(), Port: ap.Port(), Check: file.Warden().Resolve(s).Check}, nil
}

// printParts tells what each part of a check says, and what the target says of itself.
func (a *app) printParts(o health.Observation) {
	for _, p := range o.Parts {
		word := map[health.Outcome]string{health.Pass: "passes", health.Fail: "fails", health.Indeterminate: "NOT CHECKED"}[p.Outcome]
		if p.Outcome != health.Pass {
			word += " (" + p.Cause.String() + ")"
		}
		fmt.Fprintf(a.out, "  part %s: %s\n", p.Name, word)
	}
	if o.Draining {
		fmt.Fprintln(a.out, "  it says that it is about to stop: the daemon would take it out at once")
	}
	if o.Identity != (health.Identity{}) {
		fmt.Fprintf(a.out, "  it says that it is service %s, instance %s, boot %s\n", dash(o.Identity.Service), dash(o.Identity.Instance), dash(o.Identity.Boot))
	}
}
