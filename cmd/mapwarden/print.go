package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/web"
)

func (a *app) table() *tabwriter.Writer { return tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0) }

func (a *app) printFleet(f web.Fleet) {
	fmt.Fprintf(a.out, "%s\n", f.Headline)
	fmt.Fprintf(a.out, "mode %s, %d services, %d targets: %d pass, %d fail, %d NOT CHECKED; %d out, %d waiting, %d leaving, %d kept\n",
		f.Mode, f.Services, f.Totals.Targets, f.Totals.Passing, f.Totals.Failing, f.Totals.Indeterminate,
		f.Totals.Out, f.Totals.Waiting, f.Totals.Leaving, f.Totals.Kept)
	for _, g := range f.Gates {
		fmt.Fprintf(a.out, "WITHHELD everywhere: %s (%s)\n", g, web.Explain(g))
	}
	if f.FrozenUntil != nil {
		fmt.Fprintf(a.out, "frozen until %s by %s\n", instant(f.FrozenUntil), dash(f.FrozenBy))
	}
	if !f.Synced {
		fmt.Fprintln(a.out, "NOT SYNCED: the registry has not been read completely since the start; what is shown may be a part of it")
		return
	}
	fmt.Fprintf(a.out, "registry read %.0fs ago\n", f.StalenessSeconds)
}

// printServices says of each service what withholds removals in it, with what
// withholds them everywhere first.
func (a *app) printServices(services []web.Service, everywhere []policy.Reason) {
	if len(services) == 0 {
		return
	}
	w := a.table()
	fmt.Fprintln(w, "\nSERVICE\tMODE\tLEVER\tPASS\tOUT\tOF\tWITHHELD BY")
	for _, s := range services {
		fmt.Fprintf(w, "%s/%s\t%s\t%s\t%d\t%d\t%d\t%s\n", s.Namespace, s.Service, s.Mode, s.Lever,
			s.Totals.Passing, s.Out, s.N, dash(reasons(withheldBy(everywhere, s.Gates))))
	}
	w.Flush()
}

func withheldBy(everywhere, here []policy.Reason) []policy.Reason {
	all := slices.Clone(everywhere)
	for _, r := range here {
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}

func (a *app) printInstances(instances []web.Instance) {
	if len(instances) == 0 {
		return // the headline has said that all is well, or that there is none
	}
	w := a.table()
	fmt.Fprintln(w, "\nINSTANCE\tADDRESS\tSTANDING\tPROBE\tREASON\tSINCE")
	for _, i := range instances {
		fmt.Fprintf(w, "%s/%s/%s\t%s\t%s\t%s\t%s\t%s\n", i.Namespace, i.Service, i.Instance, dash(i.Address),
			standing(i), outcome(i), why(i), instant(i.Since))
	}
	w.Flush()
}

// why is the reason of the standing, or what else makes an instance worth a look.
func why(i web.Instance) string {
	if i.Reason == "" && i.Registered && i.Registry == "unhealthy" {
		return "UNHEALTHY in the registry"
	}
	return dash(string(i.Reason))
}

func standing(i web.Instance) string {
	text := i.Standing
	if i.Shadow {
		text = "would be " + text
	}
	if len(i.Flags) > 0 {
		text += " (" + strings.Join(i.Flags, ", ") + ")"
	}
	return text
}

// outcome says NOT CHECKED where nothing is known, so that nobody reads it as bad.
func outcome(i web.Instance) string {
	text := i.Outcome
	if text == "indeterminate" {
		text = "NOT CHECKED"
	}
	if i.Cause != "" && i.Cause != "none" {
		text += " " + i.Cause
	}
	return text
}

func reasons(rs []policy.Reason) string {
	texts := make([]string, len(rs))
	for i, r := range rs {
		texts[i] = string(r)
	}
	return strings.Join(texts, " ")
}

func (a *app) printExplanation(e web.Explanation) {
	i := e.Instance
	fmt.Fprintf(a.out, "%s/%s/%s (%s) is %s\n", i.Namespace, i.Service, i.Instance, dash(i.Address), e.Summary)
	if e.Because != "" {
		fmt.Fprintf(a.out, "  %s\n", e.Because)
	}
	w := a.table()
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %s\t"+format+"\n", append([]any{name}, args...)...)
	}
	row("service", "%d of %d pass, %d of %d out; mode %s, lever %s", e.Passing, e.Ever, e.Out, e.N, e.Mode, e.Lever)
	row("registry", "registered %t, status %s", i.Registered, i.Registry)
	row("check", "%s", e.Check)
	row("in a row", "%d fails (fall %d), %d passes (rise %d); ever passed %t", e.Fails, e.Fall, e.Passes, e.Rise, e.EverPassed)
	row("latest", "%s at %s %s", outcome(i), instant(e.LastProbe), e.LastDetail)
	row("recent", "%s (newest first; . pass, x fail, ? not checked)", dots(e.Recent))
	if len(i.Flags) > 0 {
		row("flags", "%s", strings.Join(i.Flags, ", "))
	}
	if e.Boot != "" {
		row("boot", "%s, since %s", e.Boot, instant(e.BootSince))
	}
	for _, v := range e.Votes {
		row("vote", "%s: %s", strings.TrimSpace(v.Checker+" "+v.Zone), ballot(v))
	}
	if j := e.Entry; j != nil {
		row("journal", "%s %s since %s, %s %s", j.Kind, j.Phase, instant(j.UpdatedAt), j.Reason, j.Cause)
	}
	w.Flush()
	fmt.Fprintln(a.out, "  what the safety rules say of a removal now (docs/safety.md):")
	w = a.table()
	fmt.Fprintln(w, "    RULE\tSAYS\tREASON\tWANTS TO BE TRUE")
	for _, r := range e.Rules {
		word := "ok"
		if r.Withholds {
			word = "WITHHOLDS"
		}
		fmt.Fprintf(w, "    %d\t%s\t%s\t%s\n", r.Rule, word, r.Reason, r.Says)
	}
	w.Flush()
}

// ballot says what one vantage says, and what it is worth.
func ballot(v web.Vote) string {
	switch {
	case !v.Heard:
		return "not heard: it has no vote"
	case v.Abstains:
		return v.Status + ", but it doubts itself: it abstains"
	case v.Cause != "":
		return v.Status + " (" + v.Cause + ")"
	}
	return v.Status
}

// dots draws outcomes: . passes, x fails, ? is not checked.
func dots(outcomes []string) string {
	var b strings.Builder
	for _, o := range outcomes {
		switch o {
		case "pass":
			b.WriteByte('.')
		case "fail":
			b.WriteByte('x')
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

func (a *app) printRecords(records []web.Record) {
	w := a.table()
	for _, r := range records {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.At.Local().Format(time.DateTime), sentence(r), dash(subject(r)), dash(string(r.Reason)), r.Detail)
	}
	w.Flush()
}

func subject(r web.Record) string {
	if r.Service == "" {
		return ""
	}
	s := r.Namespace + "/" + r.Service
	if r.Instance != "" {
		s += "/" + r.Instance
	}
	return s
}

// sentence is what happened, in few words.
func sentence(r web.Record) string {
	switch {
	case r.Kind == "decision" && !r.Admitted:
		return "WITHHELD " + r.Action
	case r.Kind == "decision" && r.Shadow:
		return "WOULD " + r.Action
	case r.Kind == "decision":
		return "decided " + r.Action
	case r.Kind == "actuation":
		return ended(r)
	case r.Kind == "transition":
		return r.From + " -> " + r.To
	}
	return string(r.Kind)
}

// ended is how a procedure ended. One that neither removes nor returns has no
// action: it is a drill, or the release of a journal entry.
func ended(r web.Record) string {
	done := "not done"
	if r.Admitted {
		done = "done"
	}
	switch {
	case r.Action != "":
		return done + " " + r.Action
	case r.Lever == lever.Drill.String():
		return "drill " + done
	}
	return "release " + done
}
