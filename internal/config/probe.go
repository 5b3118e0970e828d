package config

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mapwarden/mapwarden/internal/health"
)

// enterProbe begins a new probe: naming a protocol leaves nothing of an
// inherited one but the port.
func enterProbe(p health.Protocol) func(*draft) {
	return func(d *draft) {
		*d.probe() = health.Probe{Protocol: p, Port: d.probe().Port, Name: d.probe().Name}
	}
}

// statuses is a list of HTTP status codes and ranges in one text.
func statuses() value {
	const most = 32
	typ := `text of status codes and ranges, as in "200-399" or "200,204,300-310"`
	schema := map[string]any{"anyOf": []any{
		pattern(`^[1-5][0-9]{2}(-[1-5][0-9]{2})?( *, *[1-5][0-9]{2}(-[1-5][0-9]{2})?)*$`),
		map[string]any{"type": "integer", "minimum": 100, "maximum": 599},
	}}
	return scalar(typ, schema, func(d *draft, text string) *fault {
		var out []health.StatusRange
		for part := range strings.SplitSeq(text, ",") {
			from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
			if !isRange {
				to = from
			}
			first, err1 := strconv.ParseUint(from, 10, 16)
			last, err2 := strconv.ParseUint(to, 10, 16)
			switch {
			case err1 != nil || err2 != nil:
				return faultf(`write codes and ranges, as in "200-399" or "200,204"`, "%s is not a status code or a range", quote(part))
			case first < 100 || last > 599 || first > last:
				return faultf("from 100 to 599, the lower one first", "%s is out of range", strings.TrimSpace(part))
			case len(out) == most:
				return faultf(fmt.Sprintf("at most %d", most), "there are too many status codes")
			}
			out = append(out, health.StatusRange{From: uint16(first), To: uint16(last)})
		}
		d.probe().Status = out
		return nil
	})
}

// headers is a mapping of header names to values. The values may be secrets:
// no error shows them.
func headers() value {
	const most = 32
	schema := map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}, "maxProperties": most}
	return value{"mapping of header names to values", schema, func(r *reader, d *draft, path string, n *yaml.Node) *fault {
		if n.Kind != yaml.MappingNode {
			return faultf("write NAME: VALUE below it", "it is not a mapping")
		}
		if len(n.Content)/2 > most {
			return faultf(fmt.Sprintf("at most %d", most), "there are too many headers")
		}
		var out []health.Header
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i]
			v, ok := r.follow(n.Content[i+1])
			if !ok {
				return nil
			}
			here := path + "." + clip(name.Value)
			switch {
			case !isToken(name.Value):
				r.add(name, fmt.Sprintf("%s: %s is not a header name", path, quote(name.Value)), "use letters, digits and -")
			case strings.EqualFold(name.Value, "Host"):
				r.add(name, here+" is not set by a header", "write host: NAME beside headers")
			case has(out, name.Value):
				r.add(name, here+" stands twice", "keep one")
			case v.Kind != yaml.ScalarNode || isNull(v):
				r.add(n.Content[i+1], here+" is not one value", "write a text")
			case !isFieldValue(v.Value):
				r.add(n.Content[i+1], here+" has a control character in its value", "write it in one line")
			default:
				out = append(out, health.Header{Name: name.Value, Value: v.Value})
			}
		}
		d.probe().Headers = out
		return nil
	}}
}

func has(hs []health.Header, name string) bool {
	for _, h := range hs {
		if strings.EqualFold(h.Name, name) {
			return true
		}
	}
	return false
}

// isToken is the token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	for _, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return true
}

// isFieldValue is a field value of RFC 9110, section 5.5, without the bytes
// that no header of a check needs.
func isFieldValue(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return len(s) <= 4096
}

func checkPath(s string) *fault {
	if !strings.HasPrefix(s, "/") {
		return faultf("begin it with /", "%s is not a path", quote(s))
	}
	if len(s) > 2048 || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == '#' || c >= 0x7f }) {
		return faultf("percent-encode what is not plain", "%s has a character that no path has", quote(s))
	}
	return nil
}

func checkHost(s string) *fault {
	if s == "" || len(s) > 255 || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune("/?#@\\", c) }) {
		return faultf("write it as in payments.prod.internal", "%s is not a host name", quote(s))
	}
	return nil
}

func checkContains(s string) *fault {
	const most = 1024
	if s == "" || len(s) > most {
		return faultf(fmt.Sprintf("write 1 to %d bytes", most), "the text to look for has %d bytes", len(s))
	}
	return nil
}
