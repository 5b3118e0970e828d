package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/registry"
)

// addRules adds the flags for which the registry's rules are the defaults:
// quotas, what AWS does not document, and what another AWS service would know.
func (f *registryFlags) addRules(c *cobra.Command) {
	c.Flags().Var(&quotaFlag{&f.options.Quotas}, "quota", "NAME=N, N none: no limit; namespaces, instances-per-service, instances-per-namespace, or all; repeatable")
	c.Flags().Var(&assumeFlag{&f.options.Assume}, "assume", "NAME=VALUE, where AWS documents nothing; "+registry.AssumptionNames()+"; repeatable")
	c.Flags().Var(&ec2Flag{&f.options.EC2Addresses}, "ec2-address", "ID=IPV4, the address for registrations with AWS_EC2_INSTANCE_ID; repeatable")
}

// quotaFlag changes quotas one by one.
type quotaFlag struct{ quotas *registry.Quotas }

// Set takes NAME=N.
func (q *quotaFlag) Set(text string) error {
	name, value, _ := strings.Cut(text, "=")
	n, err := strconv.Atoi(value)
	switch {
	case value == "none":
		n = 0
	case err != nil || n < 1:
		return fmt.Errorf("%q is neither a number from 1 nor none", value)
	}
	switch name {
	case "namespaces":
		q.quotas.Namespaces = n
	case "instances-per-service":
		q.quotas.InstancesPerService = n
	case "instances-per-namespace":
		q.quotas.InstancesPerNamespace = n
	case "all":
		*q.quotas = registry.Quotas{Namespaces: n, InstancesPerService: n, InstancesPerNamespace: n}
	default:
		return fmt.Errorf("%q is not one of namespaces, instances-per-service, instances-per-namespace, all", name)
	}
	return nil
}

// String says nothing: the defaults are AWS's, and stand in the docs.
func (q *quotaFlag) String() string { return "" }

// Type is shown in the help.
func (q *quotaFlag) Type() string { return "quota" }

// assumeFlag takes assumptions one by one.
type assumeFlag struct{ *registry.Assumptions }

// String says nothing: the help lists the defaults first.
func (a *assumeFlag) String() string { return "" }

// Type is shown in the help.
func (a *assumeFlag) Type() string { return "assumption" }

// ec2Flag collects the addresses of EC2 instances.
type ec2Flag struct{ known *map[string]netip.Addr }

// Set takes ID=IPV4.
func (e *ec2Flag) Set(text string) error {
	id, address, _ := strings.Cut(text, "=")
	ip, err := netip.ParseAddr(address)
	if id == "" || err != nil || !ip.Is4() {
		return fmt.Errorf("%q is not ID=IPV4", text)
	}
	if *e.known == nil {
		*e.known = make(map[string]netip.Addr)
	}
	(*e.known)[id] = ip
	return nil
}

// String says nothing: there are none by default.
func (e *ec2Flag) String() string { return "" }

// Type is shown in the help.
func (e *ec2Flag) Type() string { return "address" }
