package registry

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The attributes that Cloud Map gives a meaning.
const (
	AttrIPv4       = "AWS_INSTANCE_IPV4"
	AttrIPv6       = "AWS_INSTANCE_IPV6"
	AttrPort       = "AWS_INSTANCE_PORT"
	AttrCNAME      = "AWS_INSTANCE_CNAME"
	AttrAlias      = "AWS_ALIAS_DNS_NAME"
	AttrEC2        = "AWS_EC2_INSTANCE_ID"
	AttrInitHealth = "AWS_INIT_HEALTH_STATUS"
)

var reservedAttributes = []string{AttrIPv4, AttrIPv6, AttrPort, AttrCNAME, AttrAlias, AttrEC2, AttrInitHealth}

// checkAttributes checks what holds for every service. It looks at the keys in
// order, so that the same mistakes always give the same message.
func checkAttributes(attrs map[string]string) error {
	custom, total := 0, 0
	for _, key := range sortedKeys(attrs) {
		value := attrs[key]
		if err := first(checkAttribute("Attributes", key, value), checkReserved(key, value)); err != nil {
			return err
		}
		total += len(key) + len(value)
		if !slices.Contains(reservedAttributes, key) {
			custom++
		}
	}
	if custom > maxAttrCustom {
		return invalid("Attributes", "%d custom attributes, the limit is %d", custom, maxAttrCustom)
	}
	if total > maxAttrTotal {
		return invalid("Attributes", "keys and values have %d characters together, the limit is %d", total, maxAttrTotal)
	}
	return nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// checkReserved checks the value of an attribute that has a meaning.
func checkReserved(key, value string) error {
	switch key {
	case AttrIPv4:
		if addr, err := netip.ParseAddr(value); err != nil || !addr.Is4() {
			return invalid("Attributes", "%s %q is not an IPv4 address", key, value)
		}
	case AttrIPv6:
		if addr, err := netip.ParseAddr(value); err != nil || !addr.Is6() || addr.Zone() != "" {
			return invalid("Attributes", "%s %q is not an IPv6 address", key, value)
		}
	case AttrPort:
		if port, err := strconv.ParseUint(value, 10, 16); err != nil || port == 0 {
			return invalid("Attributes", "%s %q is not a port from 1 to 65535", key, value)
		}
	case AttrCNAME, AttrAlias:
		if !hostName(value) {
			return invalid("Attributes", "%s %q is not a domain name", key, value)
		}
	case AttrInitHealth:
		if value != Healthy.String() && value != Unhealthy.String() {
			return invalid("Attributes", "%s %q is neither HEALTHY nor UNHEALTHY", key, value)
		}
	}
	return nil
}

func hostName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return false
			}
		}
	}
	return true
}

// fitAttributes checks what the records and the health check of the service
// ask of an instance.
func fitAttributes(attrs map[string]string, svc *Service) error {
	has := func(key string) bool { _, ok := attrs[key]; return ok }
	missing := func(key, record string) error {
		return invalid("Attributes", "%s is required: service %s has %s records", key, svc.ID, record)
	}
	if has(AttrInitHealth) && !svc.CustomHealth {
		return invalid("Attributes", "%s is for services with HealthCheckCustomConfig, which %s has not", AttrInitHealth, svc.ID)
	}
	if has(AttrAlias) {
		return fitAlias(attrs, svc)
	}
	ipv4, ipv6 := svc.DNS.Has(RecordA), svc.DNS.Has(RecordAAAA)
	switch {
	case ipv4 && ipv6 && !has(AttrIPv4) && !has(AttrIPv6):
		return missing(AttrIPv4+" or "+AttrIPv6, "A and AAAA")
	case ipv4 && !ipv6 && !has(AttrIPv4):
		return missing(AttrIPv4, "A")
	case ipv6 && !ipv4 && !has(AttrIPv6):
		return missing(AttrIPv6, "AAAA")
	case svc.DNS.Has(RecordCNAME) && !has(AttrCNAME):
		return missing(AttrCNAME, "CNAME")
	case svc.DNS.Has(RecordSRV) && !has(AttrPort):
		return missing(AttrPort, "SRV")
	case svc.DNS.Has(RecordSRV) && !has(AttrIPv4) && !has(AttrIPv6):
		return missing(AttrIPv4+" or "+AttrIPv6, "SRV")
	case svc.HealthCheck != nil && !has(AttrPort):
		return unchecked(AttrPort, svc)
	case svc.HealthCheck != nil && !has(AttrIPv4) && !has(AttrIPv6):
		return unchecked(AttrIPv4+" or "+AttrIPv6, svc)
	}
	return nil
}

func unchecked(key string, svc *Service) error {
	return invalid("Attributes", "%s is required: service %s has a HealthCheckConfig", key, svc.ID)
}

// fitAlias checks an instance that is an alias of a load balancer.
func fitAlias(attrs map[string]string, svc *Service) error {
	if !svc.DNS.Has(RecordA) && !svc.DNS.Has(RecordAAAA) || svc.DNS.RoutingPolicy != Weighted {
		return invalid("Attributes", "%s is for services with A or AAAA records and RoutingPolicy WEIGHTED", AttrAlias)
	}
	for _, key := range []string{AttrIPv4, AttrIPv6, AttrPort, AttrCNAME} {
		if _, both := attrs[key]; both {
			return invalid("Attributes", "%s does not go together with %s", key, AttrAlias)
		}
	}
	return nil
}
