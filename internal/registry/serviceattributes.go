package registry

import (
	"maps"
	"unicode/utf8"
)

// Attributes returns what clients have written down about a service. The map
// is shared: do not change it.
func (r *Registry) Attributes(serviceID string) (*ServiceView, map[string]string, error) {
	view, err := r.service("ServiceId", serviceID)
	if err != nil {
		return nil, nil, err
	}
	return view, view.Attributes, nil
}

// SetAttributes adds attributes to a service and replaces those that it has.
// It is refused as a whole where the service would have more than AWS allows.
func (r *Registry) SetAttributes(serviceID string, attrs map[string]string) error {
	if err := required("ServiceId", serviceID, maxARN); err != nil {
		return err
	}
	if attrs == nil {
		return invalid("Attributes", "is required")
	}
	if err := between("Attributes", int64(len(attrs)), 1, maxServiceAttrs); err != nil {
		return err
	}
	for _, key := range sortedKeys(attrs) {
		if err := checkServiceAttribute(key, attrs[key]); err != nil {
			return err
		}
	}
	return r.reattribute(serviceID, func(m map[string]string) error {
		maps.Copy(m, attrs)
		if len(m) > maxServiceAttrs {
			return refuse(ServiceAttributesLimitExceeded, "the service would have %d attributes, the limit is %d", len(m), maxServiceAttrs)
		}
		return nil
	})
}

// DeleteAttributes removes the attributes with those keys from a service. Keys
// that it does not have are ignored.
func (r *Registry) DeleteAttributes(serviceID string, keys []string) error {
	if err := required("ServiceId", serviceID, maxARN); err != nil {
		return err
	}
	if keys == nil {
		return invalid("Attributes", "is required")
	}
	if err := between("Attributes", int64(len(keys)), 1, maxServiceAttrs); err != nil {
		return err
	}
	for _, key := range keys {
		if err := checkServiceAttribute(key, ""); err != nil {
			return err
		}
	}
	return r.reattribute(serviceID, func(m map[string]string) error {
		for _, key := range keys {
			delete(m, key)
		}
		return nil
	})
}

// checkServiceAttribute knows no pattern: these attributes have none.
func checkServiceAttribute(key, value string) error {
	switch {
	case key == "":
		return invalid("Attributes", "a key is empty")
	case utf8.RuneCountInString(key) > maxAttrKey:
		return invalid("Attributes", "the key %.32q… has %d characters, the limit is %d", key, utf8.RuneCountInString(key), maxAttrKey)
	case utf8.RuneCountInString(value) > maxAttrValue:
		return invalid("Attributes", "the value of %s has %d characters, the limit is %d", key, utf8.RuneCountInString(value), maxAttrValue)
	}
	return nil
}

// reattribute changes a copy of a service's attributes and puts it in place.
func (r *Registry) reattribute(serviceID string, change func(map[string]string) error) error {
	serviceID = r.idOf("service", serviceID)
	return r.write(func(b *batch) error {
		there := b.byService[serviceID]
		if there == nil {
			return noService(serviceID)
		}
		svc := *there.service
		svc.Attributes = make(map[string]string, len(there.service.Attributes))
		maps.Copy(svc.Attributes, there.service.Attributes)
		if err := change(svc.Attributes); err != nil {
			return err
		}
		b.putService(&svc)
		return nil
	})
}
