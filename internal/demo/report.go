package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mapwarden/mapwarden/internal/cloudmap"
	"github.com/mapwarden/mapwarden/internal/health"
)

// Report is what came of a demo.
type Report struct {
	Profile  string      `json:"profile"`
	Seconds  float64     `json:"seconds"`
	Acts     []ActReport `json:"acts"`
	Kept     int         `json:"promises_kept"`
	Promises int         `json:"promises"`
	Sent     int         `json:"requests"`
	Logs     string      `json:"logs"` // directory of the children's logs
}

// ActReport is what one act did to the clients of both sides.
type ActReport struct {
	Act           int     `json:"act"`
	Name          string  `json:"name"`
	WithoutFailed int     `json:"without_failed"`
	WithoutStop   float64 `json:"without_stop_s"` // the last failed request, after the fault; -1: it never stopped
	WithFailed    int     `json:"with_failed"`
	WithStop      float64 `json:"with_stop_s"`
	Back          float64 `json:"back_s"`   // the first good request after the fault ended; -1: none
	Capacity      float64 `json:"capacity"` // least share of the healthy instances that clients were offered
	Reason        string  `json:"reason"`   // why mapwarden did what it did
	Promise       string  `json:"promise"`
	Kept          bool    `json:"kept"`

	counted bool // failed and stop mean something
}

// OK reports whether every promise was kept.
func (r Report) OK() bool { return r.Kept == r.Promises }

// healthyOthers is how many instances of a service are well while one is not.
const healthyOthers = serversPerService - 1

// fair: with mapwarden at most this share of the failures without it.
const fair = 0.25

func (s *stage) report(ctx context.Context) (Report, error) {
	records, err := s.history(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("read the history: %w", err)
	}
	r := Report{Profile: s.opts.Profile, Logs: s.dir}
	back := ActReport{Act: 6, Name: "recovery", Capacity: 1, Kept: true, Promise: "all that was out serves again"}
	for _, a := range s.plan {
		var x ActReport
		switch a.fault {
		case sharedOut:
			x = s.reportShared(a, records)
		case killDaemon:
			if x, err = s.reportKill(ctx, a, records); err != nil {
				return Report{}, err
			}
		default:
			x = s.reportOne(a, records)
			if a.fault != slowStart {
				back.Back = max(back.Back, x.Back)
				back.Kept = back.Kept && x.Back >= 0
				back.Reason = "3 passes, then restored or set HEALTHY"
			}
		}
		if a.fault == killDaemon {
			r.Acts = append(r.Acts, back)
		}
		r.Acts = append(r.Acts, x)
	}
	for _, x := range r.Acts {
		r.Promises++
		if x.Kept {
			r.Kept++
		}
	}
	for _, x := range sides {
		for _, kind := range services {
			r.Sent += s.tally.figures(window{side: x, service: kind.name, begin: s.opening, end: time.Now()}).Sent
		}
	}
	r.Seconds = time.Since(s.began).Seconds()
	return r, nil
}

// at is a moment of the plan on the clock.
func (s *stage) at(d time.Duration) time.Time { return s.opening.Add(d) }

// reportOne is for acts that concern one instance.
func (s *stage) reportOne(a act, records []told) ActReport {
	id := place{service: a.service, number: a.server}.instance()
	span := window{service: a.service, instance: id, begin: s.at(a.at), end: s.at(a.heal)}
	x := ActReport{Act: a.number, Name: a.name, counted: true, Promise: "failed requests at most 25 % of those without"}
	span.side = without
	f := s.tally.figures(span)
	x.WithoutFailed, x.WithoutStop = f.Failed, stopAfter(f, span)
	span.side = with
	f = s.tally.figures(span)
	x.WithFailed, x.WithStop = f.Failed, stopAfter(f, span)
	x.Capacity = float64(min(f.Least, healthyOthers)) / healthyOthers
	x.Back = -1
	after := s.tally.figures(window{side: with, service: a.service, instance: id, begin: s.at(a.heal), end: s.at(a.until)})
	if !after.FirstOK.IsZero() {
		x.Back = after.FirstOK.Sub(s.at(a.heal)).Seconds()
	}
	x.Kept = x.WithoutFailed > 0 && float64(x.WithFailed) <= fair*float64(x.WithoutFailed)
	x.Reason = reasonOf(records, a.service, id, s.at(a.at), s.at(a.heal))
	return x
}

// stopAfter is how long after its beginning a span saw its last failure; -1
// where failures went on to its end.
func stopAfter(f figures, w window) float64 {
	switch {
	case f.LastFail.IsZero():
		return 0
	case w.end.Sub(f.LastFail) < 3*refreshEvery:
		return -1
	}
	return f.LastFail.Sub(w.begin).Seconds()
}

func reasonOf(records []told, service, id string, begin, end time.Time) string {
	for _, r := range records {
		if r.Kind != "decision" || r.Service != service || r.Instance != id || r.At.Before(begin) || r.At.After(end) || !r.Admitted {
			continue
		}
		switch r.Action {
		case "hold-out":
			return fmt.Sprintf("Waiting until its first pass (%s)", r.Cause)
		case "remove":
			return fmt.Sprintf("fall %d/%d %s", min(r.Fails, r.Fall), r.Fall, r.Cause)
		}
	}
	return "was not taken out"
}

// reportShared is for the act in which all instances of a service fail.
func (s *stage) reportShared(a act, records []told) ActReport {
	x := ActReport{Act: a.number, Name: a.name, Promise: "0 removed, also when it ends", WithStop: -1, WithoutStop: -1, Back: -1}
	span := window{side: without, service: a.service, begin: s.at(a.at), end: s.at(a.heal)}
	x.WithoutFailed = s.tally.figures(span).Failed
	span.side = with
	x.WithFailed = s.tally.figures(span).Failed
	span.end = s.at(a.until)
	x.Capacity = float64(s.tally.figures(span).Least) / serversPerService
	removed := 0
	for _, r := range records {
		in := r.Service == a.service && !r.At.Before(s.at(a.at)) && !r.At.After(s.at(a.until))
		switch {
		case !in:
		case r.Kind == "decision" && r.Admitted && (r.Action == "remove" || r.Action == "hold-out"):
			removed++
		case r.Kind == "decision" && r.Reason == "fail-open" && !r.Admitted && x.Reason == "":
			x.Reason = fmt.Sprintf("WITHHELD fail-open: %d of %d fail, it is not the instance", r.Ever-r.Passing, r.Ever)
		}
	}
	x.Kept = removed == 0 && x.Capacity == 1 && x.WithoutFailed > 0 && x.Reason != ""
	return x
}

// reportKill compares the registry with what was registered at the beginning,
// after the daemon was killed between its journal and its call.
func (s *stage) reportKill(ctx context.Context, a act, records []told) (ActReport, error) {
	x := ActReport{Act: a.number, Name: a.name, Promise: "0 lost, 0 doubled, attributes identical", Back: -1, Capacity: 1}
	lost, changed := 0, 0
	for p, sv := range s.servers {
		if p.side != with || p.number == newcomer && p.service != "web" {
			continue
		}
		got, err := s.reader.Instance(ctx, sv.service.ID, sv.instance())
		switch {
		case err != nil:
			lost++
		case !got.Equal(sv.attributes):
			changed++
		}
	}
	listed, err := s.reader.Discover(ctx, string(with), a.service, cloudmap.All, 1000)
	if err != nil {
		return x, fmt.Errorf("list what is registered: %w", err)
	}
	var all []health.Attributes
	for _, i := range listed {
		all = append(all, i.Attributes)
	}
	double := doubles(all) + s.wire.doubles()
	adopted := adoptions(records, a.service, place{service: a.service, number: a.server}.instance(), s.at(a.at))
	s.mu.Lock()
	if len(s.killed) > 0 {
		x.Back = s.killed[len(s.killed)-1].Seconds()
	}
	killed := len(s.killed)
	s.mu.Unlock()
	x.Kept = killed == 1 && lost == 0 && changed == 0 && double == 0 && adopted == killed
	x.Reason = fmt.Sprintf("killed %d×, its journal entry adopted %d×, %d lost, %d double, %d changed", killed, adopted, lost, double, changed)
	return x, nil
}

// doubles counts registrations of an address and port that stand there already.
func doubles(registered []health.Attributes) (n int) {
	seen := map[string]bool{}
	for _, a := range registered {
		at := a.Map()[health.AttrIPv4] + ":" + a.Map()[health.AttrPort]
		if seen[at] {
			n++
		}
		seen[at] = true
	}
	return n
}

// adoptions counts how often a daemon took over the journal entry of one
// instance: the one that the kill left, not what is left of earlier acts.
func adoptions(records []told, service, instance string, since time.Time) (n int) {
	for _, r := range records {
		if strings.HasPrefix(r.Detail, "adopted") && r.Service == service && r.Instance == instance && !r.At.Before(since) {
			n++
		}
	}
	return n
}

// Print writes the report as a table.
func (r Report) Print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "act\tWITHOUT failed\tstop\tWITH failed\tstop\tback\thealthy kept\treason")
	for _, x := range r.Acts {
		reason := x.Reason
		if !x.Kept {
			reason += "; BROKEN: " + x.Promise
		}
		fmt.Fprintf(w, "%d %s\t%s\t%s\t%s\t%s\t%s\t%.0f %%\t%s\n", x.Act, x.Name,
			x.count(x.WithoutFailed), x.stop(x.WithoutStop), x.count(x.WithFailed), x.stop(x.WithStop), seconds(x.Back),
			x.Capacity*100, reason)
	}
	w.Flush()
	fmt.Fprintf(out, "PROMISES %d/%d kept (%.0f s, %d requests). On AWS these times are x10, plus the proxy's own delay.\n", r.Kept, r.Promises, r.Seconds, r.Sent)
}

func (x ActReport) count(n int) string {
	if !x.counted && n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func (x ActReport) stop(d float64) string {
	switch {
	case !x.counted:
		return "-"
	case d < 0:
		return "never"
	}
	return seconds(d)
}

func seconds(d float64) string {
	if d < 0 {
		return "-"
	}
	return fmt.Sprintf("%.1fs", d)
}
