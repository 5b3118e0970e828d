package warden

import (
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/quorum"
)

// Config is everything that the mind is configured with. It holds values
// only; defaults are filled in by package config.
type Config struct {
	Default  ServiceConfig
	Services []ServiceRule // the last rule that matches wins as a whole
	Scope    Scope
	Fleet    policy.FleetConfig
	Vantage  quorum.Vantage
	Quorum   quorum.Rule
	VoteTTL  time.Duration // a vantage's votes count so long after it was heard; 0 is 3 intervals
	Pace     lever.Pace
	Poll     time.Duration // how often the registry is listed

	OwnerPoll time.Duration // how often owners are asked; 0 is Poll
}

// ServiceConfig is the configuration of the services that a rule matches.
type ServiceConfig struct {
	Check  health.Check
	Policy policy.Config
}

// Equal reports whether two configurations are the same in everything.
func (c ServiceConfig) Equal(d ServiceConfig) bool {
	return c.Check.Equal(d.Check) && c.Policy.Equal(d.Policy)
}

// ServiceRule applies a configuration to services whose "namespace/name"
// matches the pattern, in which * stands for any run of characters.
type ServiceRule struct {
	Match  string
	Config ServiceConfig
}

// Scope says which services are looked at. An empty list matches all; a
// pattern that starts with ! takes away; the last pattern that matches wins.
type Scope struct {
	Namespaces []string
	Services   []string
}

// Resolve returns the configuration of a service.
func (c Config) Resolve(s health.Service) ServiceConfig {
	out := c.Default
	for _, r := range c.Services {
		if Match(r.Match, s.String()) {
			out = r.Config
		}
	}
	return out
}

// Covers reports whether a service is in scope.
func (s Scope) Covers(svc health.Service) bool {
	return covers(s.Namespaces, svc.Namespace) && covers(s.Services, svc.Name)
}

func covers(patterns []string, name string) bool {
	if len(patterns) == 0 {
		return true
	}
	in := strings.HasPrefix(patterns[0], "!")
	for _, p := range patterns {
		if not, ok := strings.CutPrefix(p, "!"); ok {
			if Match(not, name) {
				in = false
			}
		} else if Match(p, name) {
			in = true
		}
	}
	return in
}

// Match reports whether name matches pattern, in which * stands for any run
// of characters, also none.
func Match(pattern, name string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, head)
	if !ok {
		return false
	}
	for {
		part, tail, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(part):], tail
	}
}
