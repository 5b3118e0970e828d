package registry

import (
	"fmt"
	"slices"
	"strings"
)

// Assumptions are answers to what AWS does not document and people could need
// otherwise. The zero value is what seems most likely.
type Assumptions struct {
	// DiscoverAll makes ALL the filter of a DiscoverInstances that has none,
	// rather than HEALTHY.
	DiscoverAll bool
	// KeepStatus lets an instance that is registered again keep its custom
	// status, rather than start with AWS_INIT_HEALTH_STATUS.
	KeepStatus bool
	// OmitMissing lets GetInstancesHealthStatus leave out instances that are
	// not there, rather than refuse the call.
	OmitMissing bool
	// RefuseEmpty refuses attributes of instances that have an empty value.
	RefuseEmpty bool
	// RaiseAtOnce applies a custom status HEALTHY without delay.
	RaiseAtOnce bool
}

// assumption is one of them by the words that people use.
type assumption struct {
	name, zero, other string
	field             func(*Assumptions) *bool
}

var assumptions = []assumption{
	{"discover-default", "healthy", "all", func(a *Assumptions) *bool { return &a.DiscoverAll }},
	{"status-after-reregistration", "initial", "kept", func(a *Assumptions) *bool { return &a.KeepStatus }},
	{"health-of-missing-instance", "refused", "omitted", func(a *Assumptions) *bool { return &a.OmitMissing }},
	{"empty-attribute-values", "accepted", "refused", func(a *Assumptions) *bool { return &a.RefuseEmpty }},
	{"custom-health-delay", "both-ways", "to-unhealthy", func(a *Assumptions) *bool { return &a.RaiseAtOnce }},
}

// Set takes an assumption in the form NAME=VALUE.
func (a *Assumptions) Set(text string) error {
	name, value, _ := strings.Cut(text, "=")
	at := slices.IndexFunc(assumptions, func(x assumption) bool { return x.name == name })
	if at < 0 {
		var known []string
		for _, x := range assumptions {
			known = append(known, x.name)
		}
		return fmt.Errorf("%q is not one of %s", name, strings.Join(known, ", "))
	}
	x := assumptions[at]
	if value != x.zero && value != x.other {
		return fmt.Errorf("%s is %s or %s, not %q", name, x.zero, x.other, value)
	}
	*x.field(a) = value == x.other
	return nil
}

// AssumptionNames lists the assumptions as Set takes them, the default first.
func AssumptionNames() string {
	var list []string
	for _, x := range assumptions {
		list = append(list, x.name+"="+x.zero+"|"+x.other)
	}
	return strings.Join(list, ", ")
}
