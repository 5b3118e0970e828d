package dns

import (
	"slices"
	"strings"
)

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
	text, from := n.tail()
	return text, from == 0
}

// tail is the text of the labels from the first on after which all can be
// written so.
func (n name) tail() (text string, from int) {
	from = len(n)
	for from > 0 && writable(n[from-1]) {
		from--
	}
	var buf [maxName]byte
	b := buf[:0]
	for i, label := range n[from:] {
		if i > 0 {
			b = append(b, '.')
		}
		for j := range len(label) {
			b = append(b, lower(label[j]))
		}
	}
	return string(b), from
}

func writable(label string) bool {
	for i := range len(label) {
		if label[i] == '.' || label[i] >= 0x80 {
			return false
		}
	}
	return true
}

// same compares names as DNS does.
func (n name) same(o name) bool { return slices.EqualFunc(n, o, sameLabel) }

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
