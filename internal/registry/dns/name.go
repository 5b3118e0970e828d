package dns

import "strings"

// name is a domain name as its labels, the most specific first, each with the
// bytes that stand on the wire. The root has none.
type name []string

const (
	maxLabel = 63  // bytes (RFC 1035, section 2.3.4)
	maxName  = 255 // bytes on the wire, lengths and the root included
)

// splitName reads a name as people write it, where every dot is a separator.
func splitName(s string) name {
	s = strings.TrimSuffix(s, ".")
	if s == "" {
		return nil
	}
	return strings.Split(s, ".")
}

// valid reports whether the name can stand in a message.
func (n name) valid() bool {
	size := 1
	for _, label := range n {
		if label == "" || len(label) > maxLabel {
			return false
		}
		size += 1 + len(label)
	}
	return size <= maxName
}

// text is the name as people write it, in lower case and without a final dot.
// It is false for a name that cannot be written so: one of its labels contains
// a dot or a byte beyond ASCII, which no namespace or service has.
func (n name) text() (string, bool) {
	var b strings.Builder
	for i, label := range n {
		if i > 0 {
			b.WriteByte('.')
		}
		for j := range len(label) {
			c := label[j]
			if c == '.' || c >= 0x80 {
				return "", false
			}
			b.WriteByte(lower(c))
		}
	}
	return b.String(), true
}

// sameLabel compares as DNS does: ASCII letters without regard to case, every
// other byte exactly (RFC 4343).
func sameLabel(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
