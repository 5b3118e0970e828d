package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/registry"
)

func TestRuleFlags(t *testing.T) {
	aws := registry.AWSQuotas()
	for _, tt := range []struct {
		args []string
		want registry.Options
		says string
	}{
		{nil, registry.Options{Quotas: aws}, ""},
		{[]string{"--quota", "all=none"}, registry.Options{}, ""},
		{[]string{"--quota=all=none", "--quota=namespaces=3", "--quota=instances-per-namespace=7"},
			registry.Options{Quotas: registry.Quotas{Namespaces: 3, InstancesPerNamespace: 7}}, ""},
		{[]string{"--quota", "instances-per-service=5"}, registry.Options{Quotas: registry.Quotas{Namespaces: 50, InstancesPerService: 5, InstancesPerNamespace: 2000}}, ""},
		{[]string{"--quota", "services=5"}, registry.Options{}, `"services" is not one of namespaces`},
		{[]string{"--quota", "namespaces=0"}, registry.Options{}, "neither a number from 1 nor none"},
		{[]string{"--quota", "namespaces"}, registry.Options{}, "neither a number from 1 nor none"},
		{[]string{"--assume", "discover-default=all", "--assume", "empty-attribute-values=refused"},
			registry.Options{Quotas: aws, Assume: registry.Assumptions{DiscoverAll: true, RefuseEmpty: true}}, ""},
		{[]string{"--assume", "discover-default=some"}, registry.Options{}, "healthy or all"},
		{[]string{"--ec2-address", "i-1=10.0.0.1", "--ec2-address", "i-2=10.0.0.2"}, registry.Options{Quotas: aws,
			EC2Addresses: map[string]netip.Addr{"i-1": netip.MustParseAddr("10.0.0.1"), "i-2": netip.MustParseAddr("10.0.0.2")}}, ""},
		{[]string{"--ec2-address", "i-1=::1"}, registry.Options{}, "is not ID=IPV4"},
	} {
		f := registryFlags{options: registry.Options{Quotas: aws}}
		c := new(cobra.Command)
		f.addRules(c)
		err := c.ParseFlags(tt.args)
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v, want an error with %q", tt.args, err, tt.says)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, f.options, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); err != nil || diff != "" {
			t.Errorf("%s: %v %s", tt.args, err, diff)
		}
	}
}
