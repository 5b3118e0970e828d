package source

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
)

// Bounds of the poll on AWS (rule 23).
const (
	ShortestPoll = 10 * time.Second
	LongestPoll  = 60 * time.Second
)

// pageSize is how many entries one call of a list returns.
const pageSize = 100

// Size is how much there is to list.
type Size struct {
	Namespaces      int // that hold services
	Services        int // in scope
	Instances       int // of these services
	CustomServices  int // with a custom health check: their statuses are read too
	CustomInstances int
}

// Cost of one API operation.
type Cost struct {
	Operation string
	PerSecond float64
	Limit     float64 // calls per second that AWS allows, of this account and region; 0 elsewhere
	Stated    bool    // somebody has stated the limit; otherwise it is assumed
}

// Plan is how often the registry is listed, and what that costs.
type Plan struct {
	Asked    time.Duration // as configured
	Poll     time.Duration // each service's instances are listed so often
	Services time.Duration // namespaces and services are listed so often
	Calls    []Cost
	// Over says that even the longest poll needs more than the share of the
	// limits: then the pace of the client stretches it further.
	Over bool
}

// PlanOf computes the plan for a registry of that size. limited is for AWS:
// the poll is then stretched, from 10 s to at most 60 s, until every operation
// stays below its share of the known limits. Elsewhere it is kept as it is.
func PlanOf(size Size, poll time.Duration, limited bool) Plan {
	calls := []struct {
		operation string
		perPass   int
		services  bool // paid per listing of services
	}{
		{"ListNamespaces", pages(1, size.Namespaces), true},
		{"ListServices", pages(size.Namespaces, size.Services), true},
		{"ListInstances", pages(size.Services, size.Instances), false},
		{"GetInstancesHealthStatus", pages(size.CustomServices, size.CustomInstances), false},
	}
	p := Plan{Asked: poll, Poll: poll}
	if limited {
		p.Poll = min(max(poll, ShortestPoll), LongestPoll)
	}
	p.Services = p.Poll
	for _, c := range calls {
		allowed, _, _ := cloudmap.PollRate(c.operation)
		needs := time.Duration(math.Ceil(float64(c.perPass)/allowed)) * time.Second
		switch {
		case !limited:
		case c.services:
			p.Services = max(p.Services, needs)
		case needs > LongestPoll:
			p.Over, p.Poll = true, LongestPoll
		default:
			p.Poll = max(p.Poll, needs)
		}
	}
	p.Services = max(p.Services, p.Poll)
	for _, c := range calls {
		every := p.Poll
		if c.services {
			every = p.Services
		}
		cost := Cost{Operation: c.operation, PerSecond: float64(c.perPass) / every.Seconds()}
		if limited {
			_, cost.Limit, cost.Stated = cloudmap.PollRate(c.operation)
		}
		p.Calls = append(p.Calls, cost)
	}
	return p
}

// pages is the most calls that lists need which together hold so many entries.
func pages(lists, entries int) int {
	if lists == 0 {
		return 0
	}
	return lists + entries/pageSize
}

// String is a line for people: "poll 30s, services every 30s: ListInstances
// 13.7/s (27 % of 50/s), …".
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "poll %s", p.Poll)
	if p.Poll != p.Asked {
		fmt.Fprintf(&b, " (asked for %s)", p.Asked)
	}
	fmt.Fprintf(&b, ", services every %s:", p.Services)
	sep := " "
	for _, c := range p.Calls {
		if c.PerSecond == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s%s %s", sep, c.Operation, c)
		sep = ", "
	}
	if p.Over {
		b.WriteString("; more than our share of AWS's limits: the poll will take longer")
	}
	return b.String()
}

// String is the rate, and its part of the limit where there is one.
func (c Cost) String() string {
	if c.Limit == 0 {
		return fmt.Sprintf("%.3g/s = %.0f/h", c.PerSecond, c.PerSecond*3600)
	}
	known := ""
	if !c.Stated {
		known = ", assumed"
	}
	return fmt.Sprintf("%.3g/s = %.0f/h (%.0f %% of %g/s%s)", c.PerSecond, c.PerSecond*3600, 100*c.PerSecond/c.Limit, c.Limit, known)
}
