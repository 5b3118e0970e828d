package web

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// wallTime is nil for 0, which stands for "never".
func wallTime(wall int64) *time.Time {
	if wall == 0 {
		return nil
	}
	t := time.Unix(0, wall).UTC()
	return &t
}

func takenAt(s *warden.Snapshot) time.Time { return time.Unix(0, s.Wall).UTC() }

// reasons is never null in JSON.
func reasons(rs []policy.Reason) []policy.Reason { return append([]policy.Reason{}, rs...) }

// gates are what withholds removals everywhere: what the whole fleet's rules
// say, and the storm latch.
func gates(s *warden.Snapshot) []policy.Reason {
	out := reasons(s.Gates)
	if s.Storm && !slices.Contains(out, policy.Storm) {
		out = append(out, policy.Storm)
	}
	return out
}

func causeName(c health.Cause) string {
	if c == health.NoCause {
		return ""
	}
	return c.String()
}

func fleetOf(s *warden.Snapshot, version string) Fleet {
	f := Fleet{
		At: takenAt(s), Version: version, Mode: s.Mode.String(), Synced: s.Synced,
		Headline: headline(s), Gates: gates(s),
		FrozenUntil: wallTime(s.Frozen), FrozenBy: s.FrozenBy,
		StalenessSeconds: time.Duration(s.Staleness).Seconds(),
		Services:         len(s.Services), Totals: Totals(s.Totals), Storm: s.Storm, Retired: s.Retired,
	}
	if s.Doubt != health.NoDoubt {
		f.Doubt = s.Doubt.String()
	}
	return f
}

// headline is what somebody needs to know first.
func headline(s *warden.Snapshot) string {
	t := s.Totals
	switch {
	case !s.Synced:
		return "The registry has not been read completely yet. Nothing is taken out until it has."
	case t.Targets == 0 && t.Registered > 0:
		return "No instance is probed: the mode is off."
	case t.Targets == 0:
		return "No instances are registered in scope."
	case t.Passing == t.Targets && t.Out+t.Waiting+t.Leaving+t.Kept+t.Foreign+t.Flagged == 0:
		every := fmt.Sprintf("%s in %s, every one passes.", count(t.Targets, "instance"), count(len(s.Services), "service"))
		if s.Frozen != 0 || s.Storm || s.Doubt != health.NoDoubt {
			return every + " But nothing is taken out now."
		}
		return "All is well: " + every
	}
	first := fmt.Sprintf("%d of %s pass", t.Passing, count(t.Targets, "instance"))
	if t.Failing > 0 {
		first = fmt.Sprintf("%d of %s fail", t.Failing, count(t.Targets, "instance"))
	}
	said := []string{first}
	for _, p := range [...]struct {
		n    int
		says string
	}{
		{t.Indeterminate, "%d NOT CHECKED"}, {t.Out + t.Waiting, "%d out"}, {t.Leaving, "%d about to leave"},
		{t.Kept, "%d kept in by a rule"}, {t.Foreign, "%d set UNHEALTHY by others"}, {t.Flagged, "%d worth watching"},
	} {
		if p.n > 0 {
			said = append(said, fmt.Sprintf(p.says, p.n))
		}
	}
	return strings.Join(said, ", ") + "."
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func serviceOf(p *warden.ServicePage) Service {
	return Service{
		Namespace: p.Service.Namespace, Service: p.Service.Name, ServiceID: p.Service.ID,
		Mode: p.Mode.String(), Lever: p.Lever.String(), NoLever: p.NoLever,
		HealthCheck: p.HealthCheck.String(), Check: p.Check, CheckArmed: p.CheckArmed,
		ListedAt: wallTime(p.Listed), Gates: reasons(p.Gates),
		N: p.N, Out: p.OutCount, Ever: p.Ever, PastLine: p.PastLine, Totals: Totals(p.Totals),
	}
}

func instanceOf(s health.Service, m policy.Mode, l warden.InstanceLine) Instance {
	return Instance{
		Namespace: s.Namespace, Service: s.Name, ServiceID: s.ID,
		Instance: l.ID, Address: l.Addr, Registered: l.Registered,
		Registry: l.Registry.String(), Status: l.Status.String(), Phase: l.Phase.String(),
		Outcome: l.Outcome.String(), Cause: causeName(l.Cause),
		Standing: l.Standing.String(), Reason: l.Reason, Shadow: l.Shadow, Since: wallTime(l.Since),
		Flags: l.Flags.Names(), Problem: problem(m, l),
	}
}

// problem: what somebody who looks for trouble wants to see. Where nothing is
// probed by configuration, not knowing is no trouble.
func problem(m policy.Mode, l warden.InstanceLine) bool {
	calm := l.Standing == policy.In && l.Registry != health.Unhealthy && l.Flags == 0
	return !calm || l.Outcome != health.Pass && m != policy.ModeOff
}

func explanationOf(x warden.Explanation) Explanation {
	out := Explanation{
		Instance: instanceOf(x.Service, x.Mode, x.Line),
		Mode:     x.Mode.String(), Lever: x.Lever.String(), Summary: x.Summary, Because: Explain(x.Line.Reason),
		Check: x.Check, Fails: x.Fails, Fall: x.Fall, Passes: x.Passes, Rise: x.Rise, EverPassed: x.EverPassed,
		Recent: make([]string, 0, len(x.Recent)), LastDetail: x.LastDetail, Boot: x.Boot, BootSince: wallTime(x.BootSince), LastProbe: wallTime(x.LastProbe),
		Verdict: x.Verdict.String(), Votes: make([]Vote, 0, len(x.Votes)), Rules: make([]Rule, 0, len(x.Rules)),
		Attributes: x.Attributes.Map(), N: x.N, Out: x.OutCount, Passing: x.Passing, Ever: x.Ever,
	}
	for _, o := range x.Recent {
		out.Recent = append(out.Recent, o.String())
	}
	for _, v := range x.Votes {
		vote := Vote{Checker: v.Checker, Zone: v.Zone, Status: v.Status.String(), Latest: v.Last.String(), Abstains: v.Abstains, Heard: v.Heard}
		if v.Cause != health.NoCause {
			vote.Cause = v.Cause.String()
		}
		out.Votes = append(out.Votes, vote)
	}
	for _, r := range x.Rules {
		out.Rules = append(out.Rules, Rule(r))
	}
	if x.Entry != nil {
		e := EntryOf(*x.Entry)
		out.Entry = &e
	}
	return out
}

// EntryOf is the shape of a journal entry, also for commands that read the
// journal without a daemon.
func EntryOf(e lever.Entry) Entry {
	out := Entry{
		ID: e.ID, Kind: e.Kind.String(), Phase: string(e.Phase), IsOut: e.IsOut(),
		Namespace: e.Service.Namespace, Service: e.Service.Name, ServiceID: e.Service.ID, Instance: e.Instance,
		Operation: e.Operation, Reason: e.Reason, Cause: e.Cause, Waiting: e.Waiting, Restored: e.Restored,
		OpenedAt: wallTime(e.Opened), UpdatedAt: wallTime(e.Updated), OutSince: wallTime(e.OutSince),
		Attributes: e.Attributes.Map(),
	}
	if e.Incarnation.Addr.IsValid() {
		out.Address = health.Target{Addr: e.Incarnation.Addr, Port: e.Incarnation.Port}.AddrPort().String()
	}
	return out
}

// RecordOf is the shape of a record as it happens.
func RecordOf(r warden.Record) Record {
	out := Record{
		At: time.Unix(0, r.Wall).UTC(), Kind: r.Kind,
		Namespace: r.Service.Namespace, Service: r.Service.Name, ServiceID: r.Service.ID,
		Instance: r.Instance, Address: r.Addr,
		Admitted: r.Admitted, Reason: r.Reason, Shadow: r.Shadow,
		Cause: causeName(r.Cause), Fails: r.Fails, Fall: r.Fall, Detail: r.Detail,
		Passing: r.Passing, Ever: r.Ever, Out: r.Out, N: r.N,
	}
	if r.Kind == warden.DecisionRecord || r.Action != policy.Keep {
		out.Action = r.Action.String()
	}
	if r.Lever != lever.None {
		out.Lever = r.Lever.String()
	}
	if r.Kind == warden.EvidenceRecord {
		out.Evidence, out.Source = r.Evidence.String(), r.Source
	}
	if r.Kind == warden.TransitionRecord || r.From != r.To {
		out.From, out.To = r.From.String(), r.To.String()
	}
	return out
}
