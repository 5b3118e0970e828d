package fleetsim

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// Line is one line of a timeline: what happened, seen from whom.
type Line struct {
	At    time.Duration
	Lanes string // how the checkers are, where there are several
	Who   string // story, owner, sees, decides, withheld, calls, done, clients, fleet, operator, process, registry
	Text  string
}

// String is the line as WriteTimeline writes it.
func (l Line) String() string {
	lanes := l.Lanes
	if lanes != "" {
		lanes += "  "
	}
	return fmt.Sprintf("%10s  %s%-8s  %s", l.At.Round(10*time.Millisecond), lanes, l.Who, l.Text)
}

// WriteTimeline writes what happened, line by line, then the figures.
func (r *Result) WriteTimeline(w io.Writer) error {
	for _, l := range r.Timeline {
		if _, err := fmt.Fprintln(w, l); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, r.Figures)
	return err
}

// timeline collects lines.
type timeline struct {
	s     *sim
	lines []Line
}

func (t *timeline) say(who, format string, args ...any) { t.by(nil, who, format, args...) }

// by is about one checker.
func (t *timeline) by(c *checker, who, format string, args ...any) {
	t.lines = append(t.lines, Line{t.s.now, t.s.lanes(c), who, fmt.Sprintf(format, args...)})
}

func (t *timeline) story(text string) { t.say("story", "%s", text) }
func (t *timeline) note(c *checker, format string, args ...any) {
	t.by(c, "process", format, args...)
}
func (t *timeline) physics(format string, args ...any) { t.say("registry", format, args...) }
func (t *timeline) owner(format string, args ...any)   { t.say("owner", format, args...) }

// passage tells what clients notice.
func (t *timeline) passage(id string, in bool, by writer) {
	if by == byOwner && t.s.now == 0 {
		return // the services as the story begins
	}
	if in {
		t.say("clients", "find %s again", id)
	} else {
		t.say("clients", "no longer find %s", id)
	}
}

// call tells of a write to the registry.
func (t *timeline) call(at *checker, c lever.Call) {
	if !c.Op.Writes() {
		return
	}
	status := ""
	if c.Op == lever.SetStatus {
		status = " " + strings.ToUpper(c.Status.String())
	}
	t.by(at, "calls", "%s %s%s", c.Op, c.Instance, status)
}

// record tells one story of the mind's.
func (t *timeline) record(c *checker, r warden.Record) {
	switch r.Kind {
	case warden.TransitionRecord:
		if r.From == health.Unknown && r.To == health.Healthy {
			return // every instance begins like that
		}
		text := fmt.Sprintf("%s %s -> %s", r.Instance, r.From, r.To)
		switch {
		case r.Reason == policy.Gray:
			text += ": gray, " + r.Detail
		case r.To == health.Unhealthy:
			text += fmt.Sprintf(": %s, %d of %d", r.Cause, r.Fails, r.Fall)
		}
		t.by(c, "sees", "%s", text)
	case warden.DecisionRecord:
		who, would := "decides", ""
		if !r.Admitted {
			who = "withheld"
		}
		if r.Shadow {
			would = "would "
		}
		text := fmt.Sprintf("%s%s %s: %s", would, r.Action, r.Instance, r.Reason)
		if r.Action.Removes() {
			text += fmt.Sprintf(" (%s; %d of %d pass, %d of %d out)", r.Cause, r.Passing, r.Ever, r.Out, r.N)
		}
		t.by(c, who, "%s", text)
	case warden.ActuationRecord:
		t.by(c, "done", "%s: %s%s", r.Instance, r.Detail, because(r.Reason))
	case warden.EvidenceRecord:
		t.by(c, "owner", "%s: %s", r.Instance, r.Evidence)
	case warden.CommandRecord:
		t.by(c, "operator", "%s", r.Detail)
	default:
		if t.s.wakes(c) && r.Instance == "" {
			return
		}
		about := ""
		switch {
		case r.Instance != "":
			about = r.Instance + ": "
		case r.Service.Name != "":
			about = r.Service.String() + ": "
		}
		t.by(c, "fleet", "%s%s%s", about, r.Detail, because(r.Reason))
	}
}

func because(r policy.Reason) string {
	if r == policy.NoReason {
		return ""
	}
	return " [" + string(r) + "]"
}
