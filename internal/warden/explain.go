package warden

import (
	"fmt"
	"strings"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/quorum"
)

// Explain says for one instance why it is in or out. The service is its id or
// "namespace/name". ok is false for an instance that is not known.
func (w *Warden) Explain(now health.Instant, service, instance string) (e Explanation, ok bool) {
	s := w.find(service)
	if s == nil {
		return Explanation{}, false
	}
	i, ok := s.byID[instance]
	if !ok {
		return Explanation{}, false
	}
	sl, st := &w.slots[i], &w.states[i]
	v := w.view(s)
	c := policy.Count(&v)
	verdict := quorum.Tally(w.votes(i), w.cfg.Quorum, now)
	e = Explanation{
		Line: w.line(i), Service: s.found.Service, Mode: s.cfg.Policy.Mode, Lever: s.lever,
		Check: CheckLine(s.cfg.Check), Fails: int(st.Fails), Passes: int(st.Passes),
		Fall: s.cfg.Check.Fall, Rise: s.cfg.Check.Rise, EverPassed: st.Ever,
		Recent: st.Recent(20), LastDetail: sl.detail, Boot: sl.boot, Parts: sl.parts, BootSince: w.wall(sl.bootAt), LastProbe: w.wall(st.LastAt), Verdict: verdict.Status,
		Attributes: sl.attrs, N: c.N, OutCount: c.Out, Passing: c.Passing, Ever: c.Ever,
	}
	e.Votes = w.explainVotes(i)
	for k, at := range s.members {
		if at != i {
			continue
		}
		for _, said := range policy.Ask(w.outlook, v, k, now) {
			if said.Applies {
				e.Rules = append(e.Rules, ExplainedRule{Rule: said.Rule, Reason: said.Reason, Withholds: said.Withholds, Says: said.Says})
			}
		}
	}
	said := w.worst(sl)
	e.Owner, e.OwnerSource = said.kind, said.source
	if sl.entry != nil {
		entry := *sl.entry
		e.Entry = &entry
	}
	if st.Degraded {
		e.Slowly = slowly(*st)
	}
	if st.Gray {
		e.NowAndThen = nowAndThen(*st, s.cfg.Check.Gray)
	}
	e.Summary = summary(e)
	if e.OwnerSource != "" {
		e.Summary += fmt.Sprintf("; its owner (%s) says: %s", e.OwnerSource, e.Owner)
	}
	return e, true
}

func (w *Warden) find(service string) *service {
	if i, ok := w.byID[service]; ok {
		return w.services[i]
	}
	for _, s := range w.services {
		if s != nil && s.found.Service.String() == service {
			return s
		}
	}
	return nil
}

// summary is the answer in one sentence.
func summary(e Explanation) string {
	l := e.Line
	seen := fmt.Sprintf("its latest probe is a %s", l.Outcome)
	switch {
	case e.Mode == policy.ModeOff:
		seen = "NOT CHECKED: the mode is off"
	case e.LastProbe == 0:
		seen = "it was not probed yet"
	case l.Outcome == health.Fail && e.Fails == 0:
		seen = fmt.Sprintf("its latest probe failed (%s); failures are counted anew", l.Cause)
	case l.Outcome == health.Fail:
		seen = fmt.Sprintf("it failed %s (%s; %d make it unhealthy)", inARow(e.Fails), l.Cause, e.Fall)
	case l.Outcome == health.Indeterminate:
		seen = fmt.Sprintf("NOT CHECKED: %s", l.Cause)
	}
	if says := differing(e.Parts); says != "" {
		seen += "; " + says
	}
	if e.Slowly != "" {
		seen += "; " + e.Slowly
	}
	if l.Phase == health.Draining {
		seen += "; it says that it is about to stop"
	}
	if e.NowAndThen != "" {
		seen += "; it fails now and then: " + e.NowAndThen
	}
	would := ""
	if l.Shadow {
		would = "would be "
	}
	switch l.Standing {
	case policy.Kept:
		return fmt.Sprintf("in, though it would be out: withheld by %s; %s; %d of %d pass, %d of %d out", l.Reason, seen, e.Passing, e.Ever, e.OutCount, e.N)
	case policy.Leaving:
		return fmt.Sprintf("in, and about to leave: %s; waits for %s", seen, l.Reason)
	case policy.Out:
		return fmt.Sprintf("%sout because of %s; %s; passes in a row: %d", would, l.Reason, seen, e.Passes)
	case policy.Waiting:
		return fmt.Sprintf("%sheld out until its first pass; %s", would, seen)
	case policy.Probation:
		return fmt.Sprintf("in, back since a short while (%s); %s", l.Reason, seen)
	}
	return fmt.Sprintf("in; %s", seen)
}

func inARow(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times in a row", n)
}

// differing says in one sentence which parts of a check pass and which do not,
// as in "live passes, deep fails (status)"; nothing where they agree.
func differing(parts []health.Part) string {
	verbs := [...]string{health.Pass: "passes", health.Fail: "fails", health.Indeterminate: "is NOT CHECKED"}
	differ := false
	var said []string
	for _, p := range parts {
		differ = differ || p.Outcome != parts[0].Outcome
		text := p.Name + " " + verbs[p.Outcome]
		if p.Outcome != health.Pass {
			text += " (" + p.Cause.String() + ")"
		}
		said = append(said, text)
	}
	if !differ {
		return ""
	}
	return strings.Join(said, ", ")
}
