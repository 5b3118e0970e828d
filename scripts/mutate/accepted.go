package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
)

// accepted are the survivors that are no fault: name and reason.
type accepted map[string]string

// entry of the list: the name as it is printed, a full stop, and the reason,
// which may go on in indented lines.
var entry = regexp.MustCompile("^- (`[^`]+`: .+?)\\. ([A-Z].*)$")

func readList(path string) (accepted, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return accepted{}, nil
	} else if err != nil {
		return nil, err
	}
	out := accepted{}
	for i, l := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(l, "- `") {
			continue
		}
		m := entry.FindStringSubmatch(l)
		if m == nil {
			return nil, fmt.Errorf("%s:%d: not of the form \"- `where`: what. Reason\"", path, i+1)
		}
		if _, twice := out[m[1]]; twice {
			return nil, fmt.Errorf("%s:%d: listed twice: %s", path, i+1, m[1])
		}
		out[m[1]] = m[2]
	}
	return out, nil
}

// unknown are the entries that are no mutants (any more).
func (a accepted) unknown(ms []mutant) []string {
	var out []string
	for name := range a {
		if !slices.ContainsFunc(ms, func(m mutant) bool { return m.name == name }) {
			out = append(out, "listed, and there is no such mutant: "+name)
		}
	}
	slices.Sort(out)
	return out
}

// report prints what became of the mutants, and returns what is wrong.
func report(w io.Writer, rs []result, a accepted) []string {
	var wrong []string
	type sum struct{ all, accepted, survived int }
	sums := map[string]*sum{}
	killers := map[string]int{}
	var order []string
	for _, r := range rs {
		pkg, _, _ := strings.Cut(strings.TrimPrefix(r.name, "`"), ".")
		s := sums[pkg]
		if s == nil {
			s = &sum{}
			sums[pkg] = s
			order = append(order, pkg)
		}
		s.all++
		reason, listed := a[r.name]
		switch {
		case r.Killer == "" && listed:
			s.accepted++
			fmt.Fprintf(w, "accepted  %s %s (%s)\n", r.place(), r.name, reason)
		case r.Killer == "":
			s.survived++
			fmt.Fprintf(w, "SURVIVED  %s %s\n", r.place(), r.name)
			wrong = append(wrong, "survived, and is not listed: "+r.name)
		case listed:
			wrong = append(wrong, "listed, and "+r.Killer+" kills it: "+r.name)
		}
		if r.Killer != "" {
			killers[r.Killer]++
		}
	}
	slices.Sort(order)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "package\tmutants\tkilled\taccepted\tsurvived\t")
	for _, pkg := range order {
		s := sums[pkg]
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t\n", pkg, s.all, s.all-s.accepted-s.survived, s.accepted, s.survived)
	}
	t.Flush()
	return wrong
}
