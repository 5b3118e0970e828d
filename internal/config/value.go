package config

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mapwarden/mapwarden/internal/policy"
)

// value is how the text of a key becomes a setting.
type value struct {
	typ    string         // for people
	schema map[string]any // JSON schema
	read   func(r *reader, d *draft, path string, n *yaml.Node) *fault
}

// fault is why a value is refused, and how to mend it.
type fault struct{ what, hint string }

func faultf(hint, format string, args ...any) *fault {
	return &fault{fmt.Sprintf(format, args...), hint}
}

// scalar is a value that is one word. Parse sees it as it stands in the file,
// without what YAML makes of words like off and 012.
func scalar(typ string, schema map[string]any, parse func(d *draft, text string) *fault) value {
	return value{typ, schema, func(_ *reader, d *draft, _ string, n *yaml.Node) *fault {
		switch {
		case n.Kind != yaml.ScalarNode:
			return faultf("write "+article(typ), "%s stands where one value is wanted", kindName(n))
		case isNull(n):
			return faultf("write "+article(typ)+", or leave the key out", "it has no value")
		}
		return parse(d, n.Value)
	}}
}

// article is the type without its bounds, as it stands in a sentence.
func article(typ string) string {
	short, _, _ := strings.Cut(typ, ",")
	switch {
	case strings.Contains(short, "|") || short == truthType:
		return short
	case strings.ContainsRune("aeiouA", rune(short[0])):
		return "an " + short
	}
	return "a " + short
}

const truthType = "true or false"

func pattern(p string) map[string]any { return map[string]any{"type": "string", "pattern": p} }

const durationPattern = `([0-9]+(\.[0-9]*)?(ns|us|ms|s|m|h))+`

// duration accepts Go's notation and a bare 0.
func duration(least, most time.Duration, at func(*draft) *time.Duration) value {
	typ := fmt.Sprintf("duration, %s to %s", short(least), short(most))
	return scalar(typ, pattern("^(0|"+durationPattern+")$"), func(d *draft, text string) *fault {
		v, f := parseDuration(text, least, most)
		if f == nil {
			*at(d) = v
		}
		return f
	})
}

func parseDuration(text string, least, most time.Duration) (time.Duration, *fault) {
	v, err := time.ParseDuration(text)
	if err != nil {
		hint := "write a number and a unit, as in 30s, 5m or 1h"
		if n, err := strconv.ParseUint(text, 10, 32); err == nil {
			return 0, faultf(fmt.Sprintf("write %ds", n), "%s has no unit", quote(text))
		}
		if days, ok := strings.CutSuffix(text, "d"); ok {
			if n, err := strconv.ParseUint(days, 10, 16); err == nil {
				hint = fmt.Sprintf("the largest unit is h: write %dh", 24*n)
			}
		}
		return 0, faultf(hint, "%s is not a duration", quote(text))
	}
	switch {
	case v < least:
		return 0, faultf("at least "+short(least), "%s is too short", text)
	case v > most:
		return 0, faultf("at most "+short(most), "%s is too long", text)
	}
	return v, nil
}

// short is Duration.String without empty units: 5m instead of 5m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// durations is a list that must not decrease.
func durations(most int, least, longest time.Duration, at func(*draft) *[]time.Duration) value {
	typ := fmt.Sprintf("list of 1 to %d durations that do not decrease, %s to %s", most, short(least), short(longest))
	item := pattern("^(0|" + durationPattern + ")$")
	schema := map[string]any{"type": "array", "items": item, "minItems": 1, "maxItems": most}
	return value{typ, schema, func(r *reader, d *draft, path string, n *yaml.Node) *fault {
		var out []time.Duration
		ok := true
		if f := r.list(path, n, func(at *yaml.Node, text string) *fault {
			v, f := parseDuration(text, least, longest)
			switch {
			case f != nil:
				ok = false
				return f
			case len(out) > 0 && v < out[len(out)-1]:
				ok = false
				return faultf("write them in rising order", "%s is shorter than the one before it", text)
			}
			out = append(out, v)
			return nil
		}); f != nil {
			return f
		}
		if n := len(n.Content); n == 0 || n > most {
			return faultf(fmt.Sprintf("write 1 to %d durations, as in [5m, 15m, 60m]", most), "it has %d durations", n)
		}
		if ok {
			*at(d) = out
		}
		return nil
	}}
}

// percent is a share such as 20%.
func percent(least, most float64, at func(*draft) *float64) value {
	typ := fmt.Sprintf("percentage, %g%% to %g%%", least, most)
	return scalar(typ, pattern(`^[0-9]+(\.[0-9]+)?%$`), func(d *draft, text string) *fault {
		v, f := parsePercent(text, least, most)
		if f == nil {
			*at(d) = v
		}
		return f
	})
}

func parsePercent(text string, least, most float64) (float64, *fault) {
	digits, ok := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(digits, 64)
	switch {
	case err != nil || math.IsNaN(v) || math.IsInf(v, 0):
		return 0, faultf("write it as in 20%", "%s is not a percentage", quote(text))
	case !ok && v > 0 && v < 1:
		return 0, faultf(fmt.Sprintf("write %g%%", 100*v), "%s has no %%", quote(text))
	case !ok:
		return 0, faultf("write "+digits+"%", "%s has no %%", quote(text))
	case v < least || v > most:
		return 0, faultf(fmt.Sprintf("from %g%% to %g%%", least, most), "%s is out of range", text)
	}
	return v, nil
}

// Bounds of the time in rates and fractions.
const (
	leastPer = 100 * time.Millisecond
	mostPer  = 24 * time.Hour
)

// rate is so many in so long, such as 1/10s.
func rate(at func(*draft) *policy.Rate) value {
	return scalar("rate, N/DURATION as in 1/10s", pattern(`^[0-9]+/`+durationPattern+`$`), readRate(at))
}

// ownRate is a rate, or none: no limit of its own.
func ownRate(at func(*draft) *policy.Rate) value {
	read := readRate(at)
	return scalar("rate, N/DURATION as in 1/10s, or none", pattern(`^(none|[0-9]+/`+durationPattern+`)$`), func(d *draft, text string) *fault {
		if text == "none" {
			*at(d) = policy.Rate{}
			return nil
		}
		return read(d, text)
	})
}

func readRate(at func(*draft) *policy.Rate) func(*draft, string) *fault {
	return func(d *draft, text string) *fault {
		count, per, ok := strings.Cut(text, "/")
		n, err := strconv.Atoi(count)
		switch {
		case !ok || err != nil:
			return faultf("write how many in how long, as in 1/10s", "%s is not a rate", quote(text))
		case n < 1 || n > 1000:
			return faultf("from 1 to 1000 in a time", "%s is out of range", text)
		}
		v, f := parseDuration(per, leastPer, mostPer)
		if f == nil {
			*at(d) = policy.Rate{N: n, Per: v}
		}
		return f
	}
}

// fraction is such a share in so long, such as 1%/1m.
func fraction(at func(*draft) *policy.Fraction) value {
	return scalar("fraction, P%/DURATION as in 1%/1m", pattern(`^[0-9]+(\.[0-9]+)?%/`+durationPattern+`$`), func(d *draft, text string) *fault {
		share, per, ok := strings.Cut(text, "/")
		if !ok {
			return faultf("write which share in how long, as in 1%/1m", "%s is not a fraction", quote(text))
		}
		p, f := parsePercent(share, 0.01, 100)
		if f != nil {
			return f
		}
		v, f := parseDuration(per, leastPer, mostPer)
		if f == nil {
			at(d).Percent, at(d).Per = p, v
		}
		return f
	})
}

// whole is a whole number.
func whole(least, most int, set func(*draft, int)) value {
	typ := fmt.Sprintf("whole number, %d to %d", least, most)
	schema := map[string]any{"type": "integer", "minimum": least, "maximum": most}
	return scalar(typ, schema, func(d *draft, text string) *fault {
		v, err := strconv.Atoi(text)
		switch {
		case err != nil:
			return faultf(fmt.Sprintf("write a number from %d to %d", least, most), "%s is not a whole number", quote(text))
		case v < least || v > most:
			return faultf(fmt.Sprintf("from %d to %d", least, most), "%d is out of range", v)
		}
		set(d, v)
		return nil
	})
}

// truth is true or false; YAML 1.1's other words for them are refused.
func truth(at func(*draft) *bool) value {
	return scalar(truthType, map[string]any{"type": "boolean"}, func(d *draft, text string) *fault {
		if text != "true" && text != "false" {
			return faultf("write true or false", "%s is neither true nor false", quote(text))
		}
		*at(d) = text == "true"
		return nil
	})
}

// choice is one of a few words.
func choice[T any](at func(*draft) *T, words []string, settings ...T) value {
	typ := strings.Join(words, " | ")
	return scalar(typ, map[string]any{"enum": words}, func(d *draft, text string) *fault {
		for i, w := range words {
			if w == text {
				*at(d) = settings[i]
				return nil
			}
		}
		hint := "choose one"
		if near := nearest(strings.ToLower(text), words); near != "" {
			hint = "did you mean " + near + "?"
		}
		return faultf(hint, "%s is not one of %s", quote(text), strings.Join(words, ", "))
	})
}

// text is a word that check, if any, accepts.
func text(typ string, at func(*draft) *string, check func(string) *fault) value {
	return scalar(typ, map[string]any{"type": "string"}, func(d *draft, s string) *fault {
		if f := check(s); f != nil {
			return f
		}
		*at(d) = s
		return nil
	})
}

// texts is a list of words that check accepts.
func texts(typ string, at func(*draft) *[]string, check func(string) *fault) value {
	schema := map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
	return value{typ, schema, func(r *reader, d *draft, path string, n *yaml.Node) *fault {
		var out []string
		f := r.list(path, n, func(_ *yaml.Node, s string) *fault {
			out = append(out, s)
			return check(s)
		})
		*at(d) = out
		return f
	}}
}

// prefixes is a list of networks and single addresses.
func prefixes(at func(*draft) *[]netip.Prefix) value {
	schema := map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
	return value{"list of CIDRs or addresses", schema, func(r *reader, d *draft, path string, n *yaml.Node) *fault {
		var out []netip.Prefix
		f := r.list(path, n, func(_ *yaml.Node, s string) *fault {
			p, f := parsePrefix(s)
			out = append(out, p)
			return f
		})
		*at(d) = out
		return f
	}}
}

func parsePrefix(s string) (netip.Prefix, *fault) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, faultf("write it as in 10.0.0.0/8 or 10.1.2.3", "%s is not a CIDR or an address", quote(s))
	}
	if p != p.Masked() {
		return p, faultf(fmt.Sprintf("write %s, or %s for the one address", p.Masked(), p.Addr()), "%s has bits beyond its prefix", s)
	}
	return p, nil
}

// list calls use for each word of a list and reports what it returns at the
// word itself.
func (r *reader) list(path string, n *yaml.Node, use func(at *yaml.Node, text string) *fault) *fault {
	if n.Kind != yaml.SequenceNode {
		if n.Kind == yaml.ScalarNode && !isNull(n) {
			return faultf("write ["+n.Value+"]", "%s is not a list", quote(n.Value))
		}
		return faultf("write a list, as in [a, b]", "it is not a list")
	}
	for i, at := range n.Content {
		item, ok := r.follow(at)
		if !ok {
			return nil
		}
		here := fmt.Sprintf("%s[%d]", path, i)
		if item.Kind != yaml.ScalarNode || isNull(item) {
			r.add(at, here+": it is not one value", "write a word or a number")
			continue
		}
		if f := use(at, item.Value); f != nil {
			r.add(at, here+": "+f.what, f.hint)
		}
	}
	return nil
}
