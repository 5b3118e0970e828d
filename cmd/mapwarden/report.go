package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapwarden/mapwarden/internal/web"
)

// age is a duration that may be given in days: 7d, 36h.
type age time.Duration

func (a *age) String() string {
	switch d := time.Duration(*a); {
	case d == 0:
		return ""
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	default:
		return d.String()
	}
}

func (a *age) Type() string { return "duration" }

func (a *age) Set(text string) error {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil || n == 0 || n > 3650 {
			return fmt.Errorf("%q is not a number of days from 1 to 3650", days)
		}
		*a = age(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is no duration such as 7d or 36h", text)
	}
	*a = age(d)
	return nil
}

func (a *app) reportCommand() *cobra.Command {
	var d daemonAPI
	var output string
	from := age(7 * 24 * time.Hour)
	c := &cobra.Command{
		Use: "report", Short: "What would have been removed, how it turned out, and which services are ready to enforce", GroupID: "ask", Args: cobra.NoArgs,
		Long: "Sum up the history: each removal that was decided, or in mode observe would have been, and how\n" +
			"it turned out. One that passed again within 60 s was false. What somebody else than the probes\n" +
			"says, too, is confirmed. A service is ready to enforce with a day of history, a proven check, a\n" +
			"lever and no false removal.",
		RunE: func(c *cobra.Command, _ []string) error {
			var r web.Report
			q := url.Values{"since": {time.Duration(from).String()}}
			if err := d.call(c.Context(), "GET", "/api/v1/report?"+q.Encode(), nil, &r); err != nil {
				return err
			}
			if output == "json" {
				return a.printJSON(r)
			}
			return a.printReport(r)
		},
	}
	d.flag(c)
	outputFlag(c, &output)
	c.Flags().Var(&from, "since", "how far back, such as 7d or 36h")
	return c
}

func (a *app) printReport(r web.Report) error {
	fmt.Fprintf(a.out, "from %s to %s", instant(&r.From), instant(&r.To))
	if r.Partial {
		fmt.Fprint(a.out, " (the history does not reach back further)")
	}
	fmt.Fprintln(a.out)
	if n := r.Removals; n.Total > 0 {
		fmt.Fprintf(a.out, "%s %d: %s\n", removed(n), n.Total, fates(n))
	} else {
		fmt.Fprintln(a.out, "no removal was called for")
	}
	if n := r.HeldOut; n.Total > 0 {
		fmt.Fprintf(a.out, "held out %d until their first pass: %d passed, %d gone, %d not yet\n", n.Total, n.Recovered+n.False, n.Confirmed, n.Failing)
	}
	if len(r.Withheld) > 0 {
		parts := make([]string, len(r.Withheld))
		for i, x := range r.Withheld {
			parts[i] = fmt.Sprintf("%s %d (%s)", x.Reason, x.Decisions, plural(x.Instances, "instance"))
		}
		fmt.Fprintf(a.out, "withheld: %s\n", strings.Join(parts, ", "))
	}
	fmt.Fprintf(a.out, "ready to enforce: %d of %s\n", r.Ready, plural(len(r.Services), "service"))
	a.printEpisodes(r.Episodes)
	return a.printLacks(r.Services)
}

// removed is the verb of what was removed, would have been, or both.
func removed(n web.Outcomes) string {
	switch n.Shadow {
	case n.Total:
		return "would have removed"
	case 0:
		return "removed"
	}
	return fmt.Sprintf("removed, or would have (%d in mode observe),", n.Shadow)
}

func fates(n web.Outcomes) string {
	return fmt.Sprintf("%d confirmed, %d passed again within 60s = false, %d recovered later, %d still failing",
		n.Confirmed, n.False, n.Recovered, n.Failing)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// mostEpisodes are printed; JSON has them all.
const mostEpisodes = 50

func (a *app) printEpisodes(episodes []web.Episode) {
	if len(episodes) == 0 {
		return
	}
	if n := len(episodes) - mostEpisodes; n > 0 {
		fmt.Fprintf(a.out, "\nthe latest %d; -o json has %d more", mostEpisodes, n)
		episodes = episodes[n:]
	}
	w := a.table()
	fmt.Fprintln(w, "\nWHEN\tINSTANCE\tACTION\tREASON\tCAUSE\tTURNED OUT")
	for _, e := range episodes {
		action := e.Action
		if e.Shadow {
			action = "would " + action
		}
		fmt.Fprintf(w, "%s\t%s/%s/%s\t%s\t%s\t%s\t%s\n", instant(&e.At), e.Namespace, e.Service, e.Instance, action, e.Reason, dash(e.Cause), turnedOut(e))
	}
	w.Flush()
}

func turnedOut(e web.Episode) string {
	after := (time.Duration(e.After * float64(time.Second))).Round(time.Second)
	switch e.Fate {
	case web.Confirmed:
		return "confirmed: " + e.By
	case web.False:
		return fmt.Sprintf("FALSE: passed again after %s", after)
	case web.Recovered:
		return fmt.Sprintf("passed again after %s", after)
	}
	return "still failing"
}

func (a *app) printLacks(services []web.Readiness) error {
	w := a.table()
	said := false
	for _, s := range services {
		if s.Ready {
			continue
		}
		if !said {
			fmt.Fprintln(w, "\nNOT READY\tMODE\tLACKS")
			said = true
		}
		fmt.Fprintf(w, "%s/%s\t%s\t%s\n", s.Namespace, s.Service, s.Mode, strings.Join(s.Lacks, " "))
	}
	return w.Flush()
}
