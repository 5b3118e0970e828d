package registry

import "maps"

// withEC2Address adds the address of an EC2 instance to the attributes of a
// registration that names one. AWS asks EC2 for it; here it has to be told.
func (b *batch) withEC2Address(attrs map[string]string, svc *Service) (map[string]string, error) {
	id, named := attrs[AttrEC2]
	if !named {
		return attrs, nil
	}
	if b.byNamespace[svc.NamespaceID].Type != HTTPNamespace {
		return attrs, invalid("Attributes", "%s is for HTTP namespaces", AttrEC2)
	}
	for _, key := range sortedKeys(attrs) {
		if key != AttrEC2 && key != AttrInitHealth {
			return attrs, invalid("Attributes", "%s does not go together with %s", key, AttrEC2)
		}
	}
	address, known := b.opts.EC2Addresses[id]
	if !known {
		return attrs, invalid("Attributes", "%s %.32s: this registry does not know its address; register %s instead", AttrEC2, id, AttrIPv4)
	}
	filled := maps.Clone(attrs)
	filled[AttrIPv4] = address.String()
	return filled, nil
}
