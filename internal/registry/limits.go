package registry

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// The length limits of the service model, in characters.
const (
	maxARN           = 255
	maxResourceID    = 64
	maxDescription   = 1024
	maxNameHTTP      = 1024
	maxNameDNS       = 253
	maxServiceName   = 127
	maxAttrKey       = 255
	maxAttrValue     = 1024
	maxAttrTotal     = 5000 // keys and values of one instance together
	maxAttrCustom    = 30   // attributes of one instance that are not reserved
	maxServiceAttrs  = 30
	maxTTL           = 1<<31 - 1
	maxTagKey        = 128
	maxTagValue      = 256
	maxTagsPerCall   = 200
	maxTags          = 50 // per resource
	maxTagARN        = 1011
	maxOperationID   = 255
	maxFilterValue   = 255
	maxNextToken     = 4096
	maxListResults   = 100
	maxDiscover      = 1000
	defaultDiscover  = 100
	accountIDLength  = 12
	defaultSOATTL    = 900
	defaultListPage  = 100
	maxVPC           = maxResourceID
	maxFailThreshold = 10
	maxResourcePath  = 255
)

var (
	instanceIDPattern = regexp.MustCompile(`^[0-9a-zA-Z_/:.@-]+$`)
	publicNamePattern = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)
	serviceNameLabels = regexp.MustCompile(`^([a-zA-Z0-9_][a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_]|[a-zA-Z0-9])(\.([a-zA-Z0-9_][a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_]|[a-zA-Z0-9]))*$`)
)

// required refuses an empty value, and one that is longer than most characters.
func required(member, value string, most int) error {
	if value == "" {
		return invalid(member, "is required")
	}
	return optional(member, value, most)
}

// optional refuses a value that is longer than most characters.
func optional(member, value string, most int) error {
	if n := utf8.RuneCountInString(value); n > most {
		return invalid(member, "has %d characters, the limit is %d", n, most)
	}
	return nil
}

// between refuses a number outside [low, high].
func between(member string, value, low, high int64) error {
	if value < low || value > high {
		return invalid(member, "%d is not between %d and %d", value, low, high)
	}
	return nil
}

// first is the first error of its arguments, in the order in which they stand.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// graphic reports whether s is made of printable ASCII without white space.
func graphic(s string) bool {
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return true
}

// checkOwner checks an account id that a request may leave out.
func checkOwner(account string) error {
	if account != "" && len(account) != accountIDLength {
		return invalid("OwnerAccount", "%.32q does not have %d digits", account, accountIDLength)
	}
	return nil
}

// owns reports whether resources of that account are here.
func (r *Registry) owns(account string) bool { return account == "" || account == r.opts.Account }

// checkName checks a name that a namespace of the type shall have.
func (t NamespaceType) checkName(name string) error {
	most := maxNameDNS
	if t == HTTPNamespace {
		most = maxNameHTTP
	}
	if err := required("Name", name, most); err != nil {
		return err
	}
	switch {
	case t == DNSPublicNamespace && !publicNamePattern.MatchString(name):
		return invalid("Name", "%q is not made of two or more labels of letters, digits and -, separated by dots", name)
	case strings.HasPrefix(name, "arn:"):
		return invalid("Name", "must not begin with arn:")
	case !graphic(name):
		return invalid("Name", "%q may only have printable ASCII characters without spaces", name)
	}
	return nil
}

func checkServiceName(member, name string) error {
	if err := required(member, name, maxServiceName); err != nil {
		return err
	}
	if name != "." && !serviceNameLabels.MatchString(name) {
		return invalid(member, "%q is not made of labels of letters, digits, - and _, separated by dots", name)
	}
	return nil
}

// checkAttribute checks an attribute of an instance, or a parameter that is
// compared with one.
func checkAttribute(member, key, value string) error {
	switch {
	case key == "":
		return invalid(member, "a key is empty")
	case len(key) > maxAttrKey:
		return invalid(member, "the key %.32q… has %d characters, the limit is %d", key, utf8.RuneCountInString(key), maxAttrKey)
	case !graphic(key):
		return invalid(member, "the key %q may only have printable ASCII characters without spaces", key)
	case len(value) > maxAttrValue:
		return invalid(member, "the value of %s has %d characters, the limit is %d", key, utf8.RuneCountInString(value), maxAttrValue)
	case value != "" && (value[0] == ' ' || value[0] == '\t'):
		return invalid(member, "the value of %s begins with white space", key)
	}
	for i := range len(value) {
		if c := value[i]; c != ' ' && c != '\t' && (c < '!' || c > '~') {
			return invalid(member, "the value of %s may only have printable ASCII characters, spaces and tabs", key)
		}
	}
	return nil
}
