package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// registryKind looks ahead, before anything else is read: defaults follow from it.
func (r *reader) registryKind(root *yaml.Node, flags Flags) RegistryKind {
	switch flags.Registry {
	case "":
	case "aws":
		return AWS
	case "embedded":
		return Embedded
	default:
		if f := checkURL(flags.Registry); f != nil {
			hint := f.hint + ", aws or embedded"
			if f.hint == asAWS {
				hint = "give aws"
			}
			r.report(Mistake{File: "--registry", What: f.what, Hint: hint})
		}
		return URL
	}
	registry := child(root, "registry")
	switch {
	case child(registry, "aws") != nil:
		return AWS
	case child(registry, "embedded") != nil:
		return Embedded
	case child(registry, "url") != nil:
		return URL
	}
	return AWS
}

// child returns the value of a key, or nil.
func child(n *yaml.Node, name string) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// finish settles what depends on several keys, and checks them together.
func (r *reader) finish(f *File, flags Flags) {
	switch {
	case f.Registry.Kind != URL:
		f.Registry.URL = ""
	case flags.Registry != "":
		f.Registry.URL = flags.Registry
	}
	if n := r.at["registry.region"]; n != nil && f.Registry.Kind != URL {
		r.add(n, "registry.region goes with registry.url", "for AWS write aws: {region: …}")
	}
	if n := r.at["registry.access_key_file"]; n != nil && f.Registry.Kind != URL {
		r.add(n, "registry.access_key_file goes with registry.url", "for AWS give credentials as the AWS SDK takes them; an embedded registry makes a key for the daemon by itself")
	}
	if n := r.at["vantage.quorum"]; n != nil && f.Quorum.N > f.Quorum.Count {
		r.add(n, fmt.Sprintf("vantage.quorum: %d votes cannot come from %d vantage", f.Quorum.N, f.Quorum.Count), "write majority")
	}
	if n := r.at["registry.poll"]; n != nil && f.Registry.Kind == AWS && f.Registry.Poll < 10*time.Second {
		r.add(n, fmt.Sprintf("registry.poll: %s is too often for AWS, whose limits are shared by the whole account", short(f.Registry.Poll)), "at least 10s")
	}
	r.finishPace(f)
	standard := base(f.Registry.Kind).Defaults
	r.finishService("defaults", &f.Defaults, standard)
	for i := range f.Services {
		r.finishService(fmt.Sprintf("services[%d]", i), &f.Services[i].Config, standard)
	}
	f.settle()
	r.lowerModes(f, flags.Mode)
	r.refuseEnforcing(f)
}

// finishPace shortens the margin that nobody set along with the delay.
func (r *reader) finishPace(f *File) {
	delay, margin := r.at["pace.custom_health_delay"], r.at["pace.cancel_margin"]
	if delay != nil && f.Registry.Kind == AWS && f.Pace.CustomDelay != (lever.Pace{}.WithDefaults().CustomDelay) {
		r.add(delay, "pace.custom_health_delay: AWS applies a custom health status after 30s, whatever is written here", "leave the key out")
	}
	switch {
	case f.Pace.Margin < f.Pace.CustomDelay:
	case margin == nil:
		f.Pace.Margin = f.Pace.CustomDelay / 6
	default:
		r.add(margin, fmt.Sprintf("pace.cancel_margin: %s leaves no time within the delay of %s", short(f.Pace.Margin), short(f.Pace.CustomDelay)),
			"make it shorter than custom_health_delay")
	}
}

// finishService checks the keys of one service configuration against each
// other. A timeout and a confirm spacing that nobody set give way to a shorter
// interval. What a rule merely inherits is a mistake once, where it stands.
func (r *reader) finishService(path string, s *warden.ServiceConfig, standard warden.ServiceConfig) {
	c := &s.Check
	for _, x := range []struct {
		name     string
		d        *time.Duration
		standard time.Duration
	}{{"timeout", &c.Timeout, standard.Check.Timeout}, {"confirm", &c.Confirm, standard.Check.Confirm}} {
		if r.at[path+".check."+x.name] == nil && r.at["defaults.check."+x.name] == nil {
			*x.d = min(x.standard, c.Interval)
		}
		if n := r.first(path+".check."+x.name, path+".check.interval"); n != nil && *x.d > c.Interval {
			r.add(n,
				fmt.Sprintf("%s.check: %s %s is longer than the interval %s", path, x.name, short(*x.d), short(c.Interval)),
				"make "+x.name+" at most the interval")
		}
	}
	r.finishAtLeast(path+".check", &c.Probe)
	r.finishAsked(path+".check", &c.Probe)
	if c.Startup != nil {
		r.finishAsked(path+".startup_check", c.Startup)
	}
	if n := r.first(path+".check.gray.fails", path+".check.gray.of"); n != nil && c.Gray.Fails > c.Gray.Of {
		r.add(n,
			fmt.Sprintf("%s.check.gray: %d of %d probes cannot fail", path, c.Gray.Fails, c.Gray.Of),
			"make fails at most of")
	}
	if n := r.first(path+".safety.max_out", path+".safety.max_out_hard"); n != nil && s.Policy.MaxOut > s.Policy.MaxOutHard {
		r.add(n,
			fmt.Sprintf("%s.safety: max_out %g%% is more than max_out_hard %g%%", path, s.Policy.MaxOut, s.Policy.MaxOutHard),
			"soft evidence must not take out more than hard: raise max_out_hard too")
	}
}

// first returns where the first of the keys stands that the file has.
func (r *reader) first(paths ...string) *yaml.Node {
	for _, p := range paths {
		if n := r.at[p]; n != nil {
			return n
		}
	}
	return nil
}

// lowerModes applies --mode, which can only take power away: who may change
// the file decides what may be written, not who starts the process.
func (r *reader) lowerModes(f *File, flag string) {
	var limit policy.Mode
	switch flag {
	case "":
		return
	case "off":
		limit = policy.ModeOff
	case "observe":
		limit = policy.ModeObserve
	case "enforce":
		r.report(Mistake{File: "--mode", What: "enforce cannot be switched on by a flag", Hint: "set mode: enforce in the file"})
		return
	default:
		r.report(Mistake{File: "--mode", What: quote(flag) + " is not one of off, observe", Hint: "choose one"})
		return
	}
	if reach(limit) > reach(f.Mode) {
		r.report(Mistake{File: "--mode", What: fmt.Sprintf("%s goes further than mode: %s of the file", limit, f.Mode), Hint: "a flag can only lower the mode; change the file"})
		return
	}
	*f = f.Lowered(limit)
}

// refuseEnforcing is safety rules 14, 15 and 20 as far as this release goes.
func (r *reader) refuseEnforcing(f *File) {
	if f.Registry.Kind != AWS {
		return
	}
	refuse := func(path string, m policy.Mode) {
		if n := r.at[path]; n != nil && m == policy.ModeEnforce {
			r.add(n, path+": enforce is refused with registry aws: it needs evidence from the owners of instances and a claim on each namespace, which are not in this release",
				"write observe")
		}
	}
	refuse("mode", f.Mode)
	for i, rule := range f.Services {
		refuse(fmt.Sprintf("services[%d].mode", i), rule.Config.Policy.Mode)
	}
}

const urlHint = "write it as in http://127.0.0.1:9751"

func checkURL(s string) *fault {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		if u != nil && u.User != nil {
			return faultf(urlHint, "not a URL of a registry")
		}
		return faultf(urlHint, "%s is not a URL of a registry", quote(s))
	case u.User != nil:
		return faultf("name a file with the key in registry.access_key_file", "a URL of a registry holds no user or password")
	case u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return faultf(urlHint, "%s has more than scheme, host and port", quote(s))
	case ofAWS(u.Hostname()):
		return faultf(asAWS, "%s is AWS, where other rules hold than for a registry by URL", quote(s))
	}
	return nil
}

const asAWS = "write registry: {aws: {}}; AWS_ENDPOINT_URL_SERVICEDISCOVERY names an endpoint of your own"

// ofAWS reports whether a host is in a domain that AWS serves its API from,
// in any of its partitions, VPC endpoints among them.
func ofAWS(host string) bool {
	host = "." + strings.ToLower(strings.TrimRight(host, "."))
	return slices.ContainsFunc([]string{
		".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws", ".on.aws", ".api.amazonwebservices.com.cn",
		".c2s.ic.gov", ".sc2s.sgov.gov", ".cloud.adc-e.uk", ".csp.hci.ic.gov",
	}, func(domain string) bool { return strings.HasSuffix(host, domain) })
}
