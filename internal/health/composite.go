package health

import (
	"cmp"
	"fmt"
	"strings"
)

// Combination says how a probe is made of others, calculated as Route 53
// calculates checks of checks.
type Combination uint8

const (
	// Single: it is not; it asks by itself.
	Single Combination = iota
	// All of its parts have to pass.
	All
	// Any one of them suffices.
	Any
	// AtLeast N of them have to pass.
	AtLeast
)

func (c Combination) String() string {
	return [...]string{"single", "all", "any", "at-least"}[c]
}

// Composite reports whether more is to be done than to ask once and take the
// answer as it is.
func (p *Probe) Composite() bool { return p.Combine != Single || p.Invert }

// String is the probe in one line: what is asked.
func (p Probe) String() string {
	var b strings.Builder
	if p.Invert {
		b.WriteString("not ")
	}
	switch p.Combine {
	case Single:
		b.WriteString(p.Protocol.String())
		switch p.Protocol {
		case HTTP, HTTPS:
			b.WriteString(" " + cmp.Or(p.Path, "/"))
		case GRPC, GRPCS:
			if p.Service != "" {
				b.WriteString(" " + p.Service)
			}
		}
	case AtLeast:
		fmt.Fprintf(&b, "at least %d", p.N)
	default:
		b.WriteString(p.Combine.String())
	}
	for i, of := range p.Of {
		b.WriteString([...]string{" of (", ", "}[min(i, 1)])
		if of.Name != "" {
			b.WriteString(of.Name + ": ")
		}
		b.WriteString(of.String())
	}
	if len(p.Of) > 0 {
		b.WriteString(")")
	}
	if p.Port != 0 {
		fmt.Fprintf(&b, " :%d", p.Port)
	}
	return b.String()
}

// Leaves appends the probes that are really asked, in the order of the config.
func (p *Probe) Leaves(to []Probe) []Probe {
	if p.Combine == Single {
		return append(to, *p)
	}
	for i := range p.Of {
		to = p.Of[i].Leaves(to)
	}
	return to
}

// Judge makes one result of those of the leaves, which come as the leaves say
// themselves, before Invert. It is three-valued: what is Indeterminate decides
// nothing, and where it could decide, the whole is Indeterminate. A stranger
// at any leaf is a failure of the whole, whatever is combined how.
func (p *Probe) Judge(leaves []Part) Part {
	for _, leaf := range leaves {
		if leaf.Outcome == Fail && leaf.Cause == Stranger {
			return Part{Name: p.Name, Outcome: Fail, Cause: Stranger}
		}
	}
	out, _ := p.judge(leaves)
	return out
}

// judge takes the leaves of p and returns the rest.
func (p *Probe) judge(leaves []Part) (Part, []Part) {
	out := Part{}
	if p.Combine == Single {
		out, leaves = leaves[0], leaves[1:]
	} else {
		parts := make([]Part, len(p.Of))
		for i := range p.Of {
			parts[i], leaves = p.Of[i].judge(leaves)
		}
		out = p.combine(parts)
	}
	out.Name = p.Name
	if p.Invert {
		switch out.Outcome {
		case Pass:
			out.Outcome, out.Cause = Fail, Inverted
		case Fail:
			out.Outcome, out.Cause = Pass, NoCause
		}
	}
	return out, leaves
}

func (p *Probe) combine(parts []Part) Part {
	need := p.N
	switch p.Combine {
	case All:
		need = len(parts)
	case Any:
		need = 1
	}
	passes, unknown := 0, 0
	for _, part := range parts {
		switch part.Outcome {
		case Pass:
			passes++
		case Indeterminate:
			unknown++
		}
	}
	switch {
	case passes >= need:
		return Part{Outcome: Pass}
	case passes+unknown < need:
		// One failure suffices where all have to pass: the surest speaks. Else
		// each is needed, and the whole is no surer than the least sure.
		return Part{Outcome: Fail, Cause: cause(parts, Fail, need == len(parts))}
	}
	return Part{Outcome: Indeterminate, Cause: cause(parts, Indeterminate, true)}
}

// cause returns that of the first part with the outcome which is the surest,
// or the least sure.
func cause(parts []Part, o Outcome, surest bool) Cause {
	var best Cause
	rank := -1
	for _, part := range parts {
		if part.Outcome != o {
			continue
		}
		r := 2
		switch {
		case part.Cause.NeedsPath():
			r = 0
		case part.Cause.Class() == Hard: // something else answered, or may have
			r = 1
		}
		if !surest {
			r = [...]int{2, 0, 1}[r]
		}
		if r > rank {
			best, rank = part.Cause, r
		}
	}
	return best
}
