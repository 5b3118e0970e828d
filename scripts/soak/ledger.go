package main

import (
	"fmt"
	"slices"
	"strings"
)

// slice is one row of the ledger.
type slice struct {
	kind       string
	from, to   uint64 // seeds, both played
	commit     string
	runs       int
	days       float64 // of one target, where it is noise
	wrong      int     // targets removed that had no outage
	accused    int     // verdicts against such targets
	outages    int     // targets removed that had one
	writes     int
	violations int
}

const row = "| %s | %d-%d | %s | %d | %.0f | %d | %d | %d | %d | %d |"

func (s slice) String() string {
	return fmt.Sprintf(row, s.kind, s.from, s.to, s.commit, s.runs, s.days, s.wrong, s.accused, s.outages, s.writes, s.violations)
}

// ledger is all that was played, in the order of the kinds.
type ledger struct{ slices []slice }

const heading = "## The ledger"

// parse reads back what String wrote: the rows of the ledger, and nothing else.
func parse(text string) (l ledger, err error) {
	_, rows, found := strings.Cut(text, heading)
	if !found {
		return ledger{}, nil
	}
	for _, line := range strings.Split(rows, "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| kind ") || strings.HasPrefix(line, "| ---") {
			continue
		}
		var s slice
		fields := strings.Fields(strings.ReplaceAll(line, "|", " "))
		if len(fields) != 10 {
			return ledger{}, fmt.Errorf("%q is no row of a ledger", line)
		}
		s.kind, s.commit = fields[0], fields[2]
		if _, err := fmt.Sscanf(fields[1], "%d-%d", &s.from, &s.to); err != nil {
			return ledger{}, fmt.Errorf("seeds in %q: %w", line, err)
		}
		if _, err := fmt.Sscan(strings.Join(fields[3:], " "), &s.runs, &s.days, &s.wrong, &s.accused, &s.outages, &s.writes, &s.violations); err != nil {
			return ledger{}, fmt.Errorf("numbers in %q: %w", line, err)
		}
		l.slices = append(l.slices, s)
	}
	return l, nil
}

// next is the first seed of a kind that no slice played.
func (l *ledger) next(kind string) (seed uint64) {
	for _, s := range l.slices {
		if s.kind == kind {
			seed = max(seed, s.to+1)
		}
	}
	return max(seed, 1)
}

// add takes a slice in; one that goes on where another of the same commit ended
// becomes part of it.
func (l *ledger) add(s slice) {
	for i := range l.slices {
		if o := &l.slices[i]; o.kind == s.kind && o.commit == s.commit && o.to+1 == s.from {
			o.to = s.to
			o.sum(s)
			return
		}
	}
	l.slices = append(l.slices, s)
	rank := func(s slice) int { return slices.Index(names(), s.kind) }
	slices.SortStableFunc(l.slices, func(a, b slice) int { return rank(a) - rank(b) })
}

func (s *slice) sum(o slice) {
	s.runs += o.runs
	s.days += o.days
	s.wrong += o.wrong
	s.accused += o.accused
	s.outages += o.outages
	s.writes += o.writes
	s.violations += o.violations
}

// String is the page. Everything above the ledger is computed from it.
func (l ledger) String() string {
	var b strings.Builder
	b.WriteString(preface)
	b.WriteString("| kind | runs | target-days | removed without an outage | … called off in time | removed in an outage | writes a target-day | violations |\n")
	b.WriteString("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	runs, violations := 0, 0
	for _, k := range kinds {
		var t slice
		for _, s := range l.slices {
			if s.kind == k.name {
				t.sum(s)
			}
		}
		runs, violations = runs+t.runs, violations+t.violations
		if t.days == 0 {
			fmt.Fprintf(&b, "| %s | %d | | | | | | %d |\n", k.name, t.runs, t.violations)
			continue
		}
		fmt.Fprintf(&b, "| %s | %d | %.0f | %d | %d | %d | %.3f | %d |\n",
			k.name, t.runs, t.days, t.wrong, max(t.accused-t.wrong, 0), t.outages, float64(t.writes)/t.days, t.violations)
	}
	fmt.Fprintf(&b, "\n%d runs in all, %d violations.\n\n", runs, violations)
	for _, k := range kinds {
		fmt.Fprintf(&b, "- `%s`: %s\n", k.name, k.says)
	}
	fmt.Fprintf(&b, "\n%s\n\n%s\n", heading, "A commit with a + had changes on top of it.")
	b.WriteString("\n| kind | seeds | commit | runs | target-days | false | accused | outages | writes | violations |\n")
	b.WriteString("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, s := range l.slices {
		b.WriteString(s.String() + "\n")
	}
	return b.String()
}

const preface = `# Soak

What the simulator has played so far, slice by slice. ` + "`go run ./scripts/soak -for 10m`" + ` (or
` + "`make test-deep`" + `) adds the next seeds; this page is written by it. It exits 1 where an
invariant breaks or an expectation does not hold.

The noise is that of ordinary days on which nothing is broken: each checker stalls six times a
day for 5 to 40 s (it stands still, or gets a tenth of a processor); each target pauses four
times a day, for 4 s on average; each path from a checker to a zone of targets breaks once a day,
for 15 s on average; one probe in a thousand is lost. A target that pauses for 30 s or longer has
an outage, and it is right to remove it. Any other removal is false.

Quiet time is left out: where every target passed so often that another pass changes no verdict,
the rest of the noise is brought forward. What leads to no verdict is left out, too: a probe lost
here and there, a pause too short for as many failures as a verdict takes, with nothing else near
it. Tests of internal/health prove both, and one of internal/fleetsim plays the same days with
and without leaving anything out. Traces are off (they prove that a seed is always the same run,
and take as long as it); every invariant is on.

`
