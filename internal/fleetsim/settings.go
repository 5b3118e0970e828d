package fleetsim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/quorum"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// Settings are what a story configures: the mind, and the registry's pace.
type Settings struct {
	Profile string
	Seed    uint64

	Service warden.ServiceConfig
	Fleet   policy.FleetConfig
	Scope   warden.Scope
	Poll    time.Duration // how often the registry is listed

	OperationDelay time.Duration // until a registration is in effect
	CustomDelay    time.Duration // until a custom health status is
	Lag            time.Duration // of what readers of the registry see behind what is true
	Timeout        time.Duration // of a call to the registry

	Vantages  []Vantage
	Lease     time.Duration // of the leader, where there are several vantages
	VoteDelay time.Duration // of a message between them, beside some milliseconds
	Untraced  bool          // no trace is wanted: a run takes half the time
}

// Vantage is one checker of a story, and where it stands.
type Vantage struct{ Name, Zone string }

// profiles are sets of defaults: those on AWS with one vantage, those elsewhere,
// the latter with the stricter ones of a vantage alone, and those of the demo, a
// tenth of local.
var profiles = []string{"aws", "local", "solo", "demo"}

// profile returns the settings of a profile.
func profile(name string) (Settings, bool) {
	if !slices.Contains(profiles, name) {
		return Settings{}, false
	}
	s := Settings{
		Profile: name,
		Seed:    1,
		Service: warden.ServiceConfig{
			Check: health.Check{
				Interval: 5 * time.Second, Timeout: 2 * time.Second, Confirm: 2 * time.Second,
				Fall: 4, Gray: health.Gray{Fails: 5, Of: 20, Runs: 4}, Slow: health.Slow{Factor: 5, Floor: 500 * time.Millisecond}, Rise: 2, Grace: time.Minute,
			},
			Policy: policy.Config{
				MaxOut: 20, MaxOutHard: 50, FailOpen: 50,
				Removals: policy.Rate{N: 1, Per: 10 * time.Second}, Restores: policy.Rate{N: 1, Per: time.Second},
				WarmUp: time.Minute, WarmUpProbes: 5, Hold: 30 * time.Second,
				Evidence: policy.EvidenceProbe, ReturnPasses: 3, ReturnOver: 15 * time.Second,
				ReturnBackoff: []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour},
				Yield:         30 * time.Minute,
			},
		},
		Fleet: policy.FleetConfig{
			RemovalsGlobal: policy.Fraction{Percent: 1, Per: time.Minute, Least: 2},
			StormPercent:   3, StormCount: 10, StormWindow: 10 * time.Minute, StormCalm: 1,
			Abstain: time.Minute, ThawPercent: 95, ThawFor: 5 * time.Minute,
			MassTargets: 5, MassHosts: 3, MassServices: 3, MassPercent: 20, MassLeast: 20, MassWindow: 30 * time.Second,
			ZoneFor: 8 * time.Second, ZoneLeast: 3, ZoneBad: 80, ZoneFine: 20,
		},
		Poll:           10 * time.Second,
		OperationDelay: 200 * time.Millisecond, CustomDelay: 30 * time.Second, Timeout: 15 * time.Second,
		Vantages: []Vantage{{"a", "a"}}, Lease: 10 * time.Second,
	}
	switch name {
	case "solo":
		Solo(&s.Service)
	case "aws":
		Solo(&s.Service)
		p := &s.Service.Policy
		p.WarmUp, p.Prove, p.RestoreUnproven = 5*time.Minute, 10*time.Minute, 10*time.Minute
		p.Evidence = policy.EvidenceOwner
		s.Poll = 30 * time.Second
	case "demo":
		s.hasten(10)
	}
	return s, true
}

// Solo gives a service the stricter defaults of one vantage on AWS.
func Solo(c *warden.ServiceConfig) {
	c.Check.Fall *= 2
	c.Policy.RemovalsSoft = policy.Rate{N: 1, Per: 5 * time.Minute}
}

// hasten divides every duration by n, as the demo does.
func (s *Settings) hasten(n time.Duration) {
	c, p, f := &s.Service.Check, &s.Service.Policy, &s.Fleet
	for _, d := range []*time.Duration{
		&c.Interval, &c.Timeout, &c.Confirm, &c.Grace,
		&p.Removals.Per, &p.RemovalsSoft.Per, &p.Restores.Per, &p.WarmUp, &p.Hold, &p.ReturnOver, &p.Yield,
		&f.RemovalsGlobal.Per, &f.StormWindow, &f.Abstain, &f.ThawFor, &f.MassWindow, &f.ZoneFor,
		&s.Poll, &s.CustomDelay, &s.Lease,
	} {
		*d /= n
	}
	p.ReturnBackoff = slices.Clone(p.ReturnBackoff)
	for i := range p.ReturnBackoff {
		p.ReturnBackoff[i] /= n
	}
}

// pace is what the levers know of the registry's speed.
func (s *Settings) pace() lever.Pace {
	p := lever.Pace{CustomDelay: s.CustomDelay}
	if s.CustomDelay < 30*time.Second {
		p.Margin = s.CustomDelay / 6
		p.Poll = max(s.OperationDelay/2, 50*time.Millisecond)
		p.Settle = s.CustomDelay
		p.Retry = p.Poll
	}
	return p.WithDefaults()
}

// config is the whole configuration of a checker's mind.
func (st *Story) config(at *checker) warden.Config {
	s := &st.Settings
	c := warden.Config{
		Default: s.complete(s.Service),
		Scope:   s.Scope,
		Fleet:   s.Fleet,
		Vantage: at.vantage(),
		Quorum:  quorum.Rule{Kind: quorum.Majority, Count: len(s.Vantages)},
		Pace:    s.pace(),
		Poll:    s.Poll,
	}
	c.Fleet.StaleAfter = s.staleAfter()
	for _, svc := range st.Services {
		c.Services = append(c.Services, warden.ServiceRule{Match: svc.Namespace + "/" + svc.Name, Config: s.complete(svc.Config)})
	}
	return c
}

// staleAfter is how old a listing may be for removals.
func (s *Settings) staleAfter() time.Duration {
	if s.Fleet.StaleAfter != 0 {
		return s.Fleet.StaleAfter
	}
	return 3 * s.Poll
}

// complete copies into the check what the check and the policy both need.
func (s *Settings) complete(c warden.ServiceConfig) warden.ServiceConfig {
	c.Check.Return = health.Return{
		Passes: c.Policy.ReturnPasses, Over: c.Policy.ReturnOver, Backoff: c.Policy.ReturnBackoff,
	}
	return c
}

// serviceKeys may stand in a config line and in a service line.
var serviceKeys = map[string]func(*warden.ServiceConfig, string) error{
	"mode":     word(func(c *warden.ServiceConfig) *policy.Mode { return &c.Policy.Mode }, modes),
	"evidence": word(func(c *warden.ServiceConfig) *policy.QuarantineEvidence { return &c.Policy.Evidence }, evidences),
	"admission": word(func(c *warden.ServiceConfig) *policy.Admission { return &c.Policy.Admission },
		map[string]policy.Admission{"hold": policy.Hold, "trust": policy.Trust}),
	"gone_last": word(func(c *warden.ServiceConfig) *bool { return &c.Policy.GoneLast },
		map[string]bool{"yes": true, "no": false}),
	"interval": span(func(c *warden.ServiceConfig) *time.Duration { return &c.Check.Interval }),
	"timeout":  span(func(c *warden.ServiceConfig) *time.Duration { return &c.Check.Timeout }),
	"confirm":  span(func(c *warden.ServiceConfig) *time.Duration { return &c.Check.Confirm }),
	"fall":     count(func(c *warden.ServiceConfig) *int { return &c.Check.Fall }),
	"gray": func(c *warden.ServiceConfig, v string) error {
		n, err := fmt.Sscanf(v+"/3", "%d/%d/%d", &c.Check.Gray.Fails, &c.Check.Gray.Of, &c.Check.Gray.Runs)
		if err != nil || n != 3 {
			return fmt.Errorf("%q is not a number of failures among a number of probes, like 5/20, or 5/20/4 for those in four runs", v)
		}
		return nil
	},
	"rise":             count(func(c *warden.ServiceConfig) *int { return &c.Check.Rise }),
	"grace":            span(func(c *warden.ServiceConfig) *time.Duration { return &c.Check.Grace }),
	"passes":           count(func(c *warden.ServiceConfig) *int { return &c.Policy.ReturnPasses }),
	"over":             span(func(c *warden.ServiceConfig) *time.Duration { return &c.Policy.ReturnOver }),
	"max_out":          percent(func(c *warden.ServiceConfig) *float64 { return &c.Policy.MaxOut }),
	"max_out_hard":     percent(func(c *warden.ServiceConfig) *float64 { return &c.Policy.MaxOutHard }),
	"fail_open":        percent(func(c *warden.ServiceConfig) *float64 { return &c.Policy.FailOpen }),
	"removals":         rate(func(c *warden.ServiceConfig) *policy.Rate { return &c.Policy.Removals }),
	"removals_soft":    rate(func(c *warden.ServiceConfig) *policy.Rate { return &c.Policy.RemovalsSoft }),
	"restores":         rate(func(c *warden.ServiceConfig) *policy.Rate { return &c.Policy.Restores }),
	"warmup":           span(func(c *warden.ServiceConfig) *time.Duration { return &c.Policy.WarmUp }),
	"prove":            span(func(c *warden.ServiceConfig) *time.Duration { return &c.Policy.Prove }),
	"hold":             span(func(c *warden.ServiceConfig) *time.Duration { return &c.Policy.Hold }),
	"restore_unproven": span(func(c *warden.ServiceConfig) *time.Duration { return &c.Policy.RestoreUnproven }),
	"all":              combined(health.All), "any": combined(health.Any),
	"startup": func(c *warden.ServiceConfig, v string) error {
		c.Check.Startup = &health.Probe{Protocol: health.HTTP, Path: v}
		return nil
	},
	"path": func(c *warden.ServiceConfig, v string) error {
		c.Check.Probe = health.Probe{Protocol: health.HTTP, Path: v}
		return nil
	},
}

// combined is a check of several paths.
func combined(how health.Combination) func(*warden.ServiceConfig, string) error {
	return func(c *warden.ServiceConfig, v string) error {
		c.Check.Probe = health.Probe{Combine: how}
		for path := range strings.SplitSeq(v, ",") {
			c.Check.Probe.Of = append(c.Check.Probe.Of, health.Probe{Protocol: health.HTTP, Path: path, Name: path})
		}
		return nil
	}
}

// fleetKeys may stand in a config line alone.
var fleetKeys = map[string]func(*Settings, string) error{
	"poll":            span(func(s *Settings) *time.Duration { return &s.Poll }),
	"operation_delay": span(func(s *Settings) *time.Duration { return &s.OperationDelay }),
	"custom_delay":    span(func(s *Settings) *time.Duration { return &s.CustomDelay }),
	"lag":             span(func(s *Settings) *time.Duration { return &s.Lag }),
	"call_timeout":    span(func(s *Settings) *time.Duration { return &s.Timeout }),
	"abstain":         span(func(s *Settings) *time.Duration { return &s.Fleet.Abstain }),
	"stale_after":     span(func(s *Settings) *time.Duration { return &s.Fleet.StaleAfter }),
	"removals_global": fraction(func(s *Settings) *policy.Fraction { return &s.Fleet.RemovalsGlobal }),
	"scope": func(s *Settings, v string) error {
		s.Scope.Services = strings.Split(v, ",")
		return nil
	},
	"vantages": func(s *Settings, v string) (err error) {
		s.Vantages, err = parseVantages(v)
		return err
	},
	"lease":      span(func(s *Settings) *time.Duration { return &s.Lease }),
	"vote_delay": span(func(s *Settings) *time.Duration { return &s.VoteDelay }),
	"seed": func(s *Settings, v string) (err error) {
		s.Seed, err = strconv.ParseUint(v, 10, 64)
		return err
	},
}

var (
	modes     = map[string]policy.Mode{"off": policy.ModeOff, "observe": policy.ModeObserve, "enforce": policy.ModeEnforce}
	evidences = map[string]policy.QuarantineEvidence{"owner": policy.EvidenceOwner, "probe": policy.EvidenceProbe}
)

// mostVantages is how many checkers a story may have: as many as the alphabet.
const mostVantages = 26

// parseVantages reads 3 (a, b and c in zones of these names) or a/x,b/x,c/y.
func parseVantages(v string) (out []Vantage, err error) {
	if n, err := strconv.Atoi(v); err == nil {
		if n < 1 || n > mostVantages {
			return nil, fmt.Errorf("%q is not a number of vantages from 1 to %d", v, mostVantages)
		}
		for i := range n {
			name := string(rune('a' + i))
			out = append(out, Vantage{name, name})
		}
		return out, nil
	}
	for _, one := range strings.Split(v, ",") {
		name, zone, ok := strings.Cut(one, "/")
		if !ok || name == "" || zone == "" || len(out) == mostVantages ||
			slices.ContainsFunc(out, func(x Vantage) bool { return x.Name == name }) {
			return nil, fmt.Errorf("%q is neither a number of vantages nor a list like a/x,b/y", v)
		}
		out = append(out, Vantage{name, zone})
	}
	return out, nil
}

func word[C, T any](at func(*C) *T, words map[string]T) func(*C, string) error {
	return func(c *C, v string) error {
		x, ok := words[v]
		if !ok {
			return fmt.Errorf("%q is not one of %s", v, strings.Join(sortedKeys(words), ", "))
		}
		*at(c) = x
		return nil
	}
}

func span[C any](at func(*C) *time.Duration) func(*C, string) error {
	return func(c *C, v string) (err error) {
		*at(c), err = parseSpan(v)
		return err
	}
}

func count[C any](at func(*C) *int) func(*C, string) error {
	return func(c *C, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is not a number of at least 1", v)
		}
		*at(c) = n
		return nil
	}
}

func percent[C any](at func(*C) *float64) func(*C, string) error {
	return func(c *C, v string) (err error) {
		*at(c), err = parsePercent(v)
		return err
	}
}

func rate[C any](at func(*C) *policy.Rate) func(*C, string) error {
	return func(c *C, v string) (err error) {
		n, per, ok := strings.Cut(v, "/")
		if !ok {
			return fmt.Errorf("%q is not a rate like 1/10s", v)
		}
		if at(c).N, err = strconv.Atoi(n); err != nil || at(c).N < 1 {
			return fmt.Errorf("%q is not a rate like 1/10s", v)
		}
		at(c).Per, err = parseSpan(per)
		return err
	}
}

func fraction[C any](at func(*C) *policy.Fraction) func(*C, string) error {
	return func(c *C, v string) (err error) {
		p, per, ok := strings.Cut(v, "/")
		if !ok {
			return fmt.Errorf("%q is not a share of all in a time, like 1%%/1m", v)
		}
		if at(c).Percent, err = parsePercent(p); err != nil {
			return err
		}
		at(c).Per, err = parseSpan(per)
		return err
	}
}

func parseSpan(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration like 2m30s", v)
	}
	return d, nil
}

func parsePercent(v string) (float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(v, "%"), 64)
	if err != nil || !strings.HasSuffix(v, "%") || !(n >= 0 && n <= 100) {
		return 0, fmt.Errorf("%q is not a share like 20%%", v)
	}
	return n, nil
}
