package registry

import (
	"maps"
	"strings"
	"unicode/utf8"
)

// Tag is a label on a namespace or service.
type Tag struct{ Key, Value string }

// checkTags checks the tags that a request has for a resource, which is named
// as well as it is known.
func checkTags(resource string, tags []Tag) error {
	if len(tags) > maxTagsPerCall {
		return invalid("Tags", "%d tags, the limit is %d", len(tags), maxTagsPerCall)
	}
	seen := make(map[string]bool, len(tags))
	for _, t := range tags {
		if err := checkTagKey("Tags.Key", t.Key); err != nil {
			return err
		}
		if utf8.RuneCountInString(t.Value) > maxTagValue {
			return invalid("Tags.Value", "the value of %s is longer than %d characters", t.Key, maxTagValue)
		}
		if seen[t.Key] {
			return invalid("Tags.Key", "%s stands twice", t.Key)
		}
		seen[t.Key] = true
	}
	return tagsFit(resource, len(tags))
}

func tagsFit(resource string, n int) error {
	if n > maxTags {
		return refuse(TooManyTags, "%d tags, the limit is %d for a resource", n, maxTags).with("ResourceName", resource)
	}
	return nil
}

func checkTagKey(member, key string) error {
	if err := required(member, key, maxTagKey); err != nil {
		return err
	}
	if strings.HasPrefix(strings.ToLower(key), "aws:") {
		return invalid(member, "%s: keys that begin with aws: are AWS's own", key)
	}
	return nil
}

func tagMap(tags []Tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// Tags returns the tags of the namespace or service with that ARN, in order of
// their keys.
func (r *Registry) Tags(arn string) ([]Tag, error) {
	namespaceID, serviceID, err := r.resource(arn)
	if err != nil {
		return nil, err
	}
	var tags map[string]string
	if ns := r.published.namespaces.Load().byID[namespaceID]; ns != nil {
		tags = ns.Tags
	} else if svc := r.View(serviceID); svc != nil {
		tags = svc.Tags
	} else {
		return nil, noResource(arn)
	}
	list := make([]Tag, 0, len(tags))
	for _, key := range sortedKeys(tags) {
		list = append(list, Tag{key, tags[key]})
	}
	return list, nil
}

// resource splits an ARN; the id of the kind that it is not is empty.
func (r *Registry) resource(arn string) (namespaceID, serviceID string, err error) {
	if err := required("ResourceARN", arn, maxTagARN); err != nil {
		return "", "", err
	}
	if !strings.HasPrefix(arn, "arn:") {
		return "", "", invalid("ResourceARN", "%.64q is not an ARN", arn)
	}
	if id, ok := strings.CutPrefix(arn, r.arnPrefix("namespace")); ok {
		return id, "", nil
	}
	if id, ok := strings.CutPrefix(arn, r.arnPrefix("service")); ok {
		return "", id, nil
	}
	return "", "", noResource(arn)
}

func noResource(arn string) error { return refuse(ResourceNotFound, "no resource %s", arn) }

// AddTags adds tags to the namespace or service with that ARN and replaces
// those that it has.
func (r *Registry) AddTags(arn string, tags []Tag) error {
	if tags == nil {
		return invalid("Tags", "is required")
	}
	if err := checkTags(arn, tags); err != nil {
		return err
	}
	return r.retag(arn, func(m map[string]string) error {
		maps.Copy(m, tagMap(tags))
		return tagsFit(arn, len(m))
	})
}

// RemoveTags removes the tags with those keys from the namespace or service
// with that ARN. Keys that it does not have are ignored.
func (r *Registry) RemoveTags(arn string, keys []string) error {
	if keys == nil {
		return invalid("TagKeys", "is required")
	}
	if len(keys) > maxTagsPerCall {
		return invalid("TagKeys", "%d keys, the limit is %d", len(keys), maxTagsPerCall)
	}
	for _, key := range keys {
		if err := checkTagKey("TagKeys", key); err != nil {
			return err
		}
	}
	return r.retag(arn, func(m map[string]string) error {
		for _, key := range keys {
			delete(m, key)
		}
		return nil
	})
}

// retag changes a copy of a resource's tags and puts it in place.
func (r *Registry) retag(arn string, change func(map[string]string) error) error {
	namespaceID, serviceID, err := r.resource(arn)
	if err != nil {
		return err
	}
	changed := func(tags map[string]string) (map[string]string, error) {
		next := make(map[string]string, len(tags))
		maps.Copy(next, tags)
		return next, change(next)
	}
	return r.write(func(b *batch) error {
		if there := b.byNamespace[namespaceID]; there != nil {
			ns := *there
			if ns.Tags, err = changed(there.Tags); err == nil {
				b.putNamespace(&ns)
			}
			return err
		}
		if there := b.byService[serviceID]; there != nil {
			svc := *there.service
			if svc.Tags, err = changed(there.service.Tags); err == nil {
				b.putService(&svc)
			}
			return err
		}
		return noResource(arn)
	})
}
