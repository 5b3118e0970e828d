package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// Bounds of a report.
const (
	defaultReport = 7 * 24 * time.Hour

	// reportRecords is how much of the history a report may rest on, the latest.
	reportRecords = 200_000

	// falseWithin: what passes again so soon after a removal was decided should
	// not have been removed.
	falseWithin = time.Minute

	// reportLeast is how much history a service needs before it may be called
	// ready to enforce.
	reportLeast = 24 * time.Hour
)

// Report answers GET /api/v1/report: what was decided in a stretch of time, or
// would have been, and how it turned out.
type Report struct {
	From     time.Time   `json:"from"` // the later of what was asked for and where the history begins
	To       time.Time   `json:"to"`
	Partial  bool        `json:"partial"` // the history does not reach back as far as was asked for
	Removals Outcomes    `json:"removals"`
	HeldOut  Outcomes    `json:"held_out"` // newcomers, until their first pass
	Withheld []Withheld  `json:"withheld"` // removals that a rule did not let happen, by reason
	Ready    int         `json:"ready"`    // services
	Services []Readiness `json:"services"`
	Episodes []Episode   `json:"episodes"` // one for each removal and each newcomer held out, oldest first
}

// Outcomes count episodes by how they turned out.
type Outcomes struct {
	Total     int `json:"total"`
	Shadow    int `json:"shadow"`    // of them in mode observe: nothing was written
	Confirmed int `json:"confirmed"` // by somebody else than the probes
	False     int `json:"false"`     // passed again within 60 s
	Recovered int `json:"recovered"` // passed again later
	Failing   int `json:"failing"`   // still fail
}

// Fate is how an episode turned out.
type Fate string

// The fates, the one that says most first.
const (
	Confirmed Fate = "confirmed"
	False     Fate = "false"
	Recovered Fate = "recovered"
	Failing   Fate = "failing"
)

// Episode is one removal that was decided, and what became of the instance.
type Episode struct {
	At        time.Time     `json:"at"`
	Namespace string        `json:"namespace"`
	Service   string        `json:"service"`
	ServiceID string        `json:"service_id"`
	Instance  string        `json:"instance"`
	Action    string        `json:"action"`
	Reason    policy.Reason `json:"reason"`
	Cause     string        `json:"cause,omitempty"`
	Shadow    bool          `json:"shadow"`
	Fate      Fate          `json:"fate"`
	By        string        `json:"by,omitempty"`            // who confirmed it
	After     float64       `json:"after_seconds,omitempty"` // until it passed again, or was confirmed
}

// Withheld counts the removals that one reason kept from happening.
type Withheld struct {
	Reason    policy.Reason `json:"reason"`
	Decisions int           `json:"decisions"`
	Instances int           `json:"instances"` // different ones
}

// Readiness says whether a service is ready for mode enforce, and what it lacks.
type Readiness struct {
	Namespace string   `json:"namespace"`
	Service   string   `json:"service"`
	ServiceID string   `json:"service_id"`
	Mode      string   `json:"mode"`
	Ready     bool     `json:"ready"`
	Lacks     []string `json:"lacks"`
	Removals  int      `json:"removals"`
	False     int      `json:"false"`
}

// What a service may lack beside the reasons of the rules.
const (
	lacksTime  = "short-history"    // less than a day of it
	lacksTruth = "false-removals"   // some of its removals were false
	lacksProbe = "nothing-probed"   // no instance of it was probed
	lacksPass  = "none-ever-passed" // no instance of it ever passed
)

func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	if s.opts.History == nil {
		refuse(w, http.StatusServiceUnavailable, "this process keeps no history", "")
		return
	}
	now := time.Now()
	from, err := since(cmp.Or(r.URL.Query().Get("since"), defaultReport.String()), now)
	if err != nil {
		refuse(w, http.StatusBadRequest, "since: "+err.Error(), "since is RFC 3339 or a duration such as 168h")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	records, err := s.opts.History.Records(ctx, HistoryQuery{Limit: reportRecords})
	if err != nil {
		s.unavailable(w, r, "the history could not be read", err)
		return
	}
	var services []Service
	for _, p := range s.opts.Mind.Snapshot().Services {
		services = append(services, serviceOf(p))
	}
	answer(w, reportOf(records, services, from.UTC(), now.UTC()))
}

// reportOf sums up the records, oldest first, of which some may be from before
// from.
func reportOf(records []Record, services []Service, from, now time.Time) Report {
	rep := Report{From: from, To: now, Withheld: []Withheld{}, Services: []Readiness{}, Episodes: []Episode{}}
	if len(records) == 0 || records[0].At.After(from) {
		rep.Partial, rep.From = true, now
		if len(records) > 0 {
			rep.From = records[0].At
		}
	}
	withheld := withholdings{}
	var open lives
	for _, r := range records {
		if r.At.Before(rep.From) {
			continue
		}
		if r.Kind == warden.DecisionRecord && removes(r) {
			if !r.Admitted {
				withheld.add(r)
				continue
			}
			open.begin(r)
			continue
		}
		open.heed(r)
	}
	rep.Episodes = append(rep.Episodes, open.episodes...)
	rep.Withheld = append(rep.Withheld, withheld.sorted()...)
	for _, e := range rep.Episodes {
		if e.Action == policy.HoldOut.String() {
			rep.HeldOut.add(e)
		} else {
			rep.Removals.add(e)
		}
	}
	for _, s := range services {
		ready := readiness(s, rep)
		rep.Services = append(rep.Services, ready)
		if ready.Ready {
			rep.Ready++
		}
	}
	return rep
}

func removes(r Record) bool {
	return r.Action == policy.Remove.String() || r.Action == policy.HoldOut.String()
}

func (o *Outcomes) add(e Episode) {
	o.Total++
	if e.Shadow {
		o.Shadow++
	}
	switch e.Fate {
	case Confirmed:
		o.Confirmed++
	case False:
		o.False++
	case Recovered:
		o.Recovered++
	default:
		o.Failing++
	}
}

// lives follows instances from the decision to remove them on.
type lives struct {
	episodes []Episode
	latest   map[[2]string]int // by service id and instance: index in episodes
}

func (l *lives) begin(r Record) {
	if l.latest == nil {
		l.latest = map[[2]string]int{}
	}
	l.latest[[2]string{r.ServiceID, r.Instance}] = len(l.episodes)
	e := Episode{
		At: r.At, Namespace: r.Namespace, Service: r.Service, ServiceID: r.ServiceID, Instance: r.Instance,
		Action: r.Action, Reason: r.Reason, Cause: r.Cause, Shadow: r.Shadow, Fate: Failing,
	}
	if r.Reason == policy.OwnerGone {
		e.Fate, e.By = Confirmed, "its owner"
	}
	l.episodes = append(l.episodes, e)
}

// heed takes what was recorded of an instance after its removal was decided.
// The first word on how it turned out stands, but that somebody else confirms
// it outweighs that it still fails.
func (l *lives) heed(r Record) {
	at, ok := l.latest[[2]string{r.ServiceID, r.Instance}]
	if !ok || l.episodes[at].Fate != Failing {
		return
	}
	e := &l.episodes[at]
	after := r.At.Sub(e.At)
	switch {
	case r.Reason == policy.OwnerGone:
		e.Fate, e.By = Confirmed, cmp.Or(r.Detail, "its owner")
	case r.Kind == warden.EvidenceRecord && confirms(r.Evidence):
		e.Fate, e.By = Confirmed, cmp.Or(r.Source, "its owner")+": "+r.Evidence
	case r.Reason == policy.Moot:
		e.Fate, e.By = Confirmed, "it left the registry"
	case r.Kind == warden.TransitionRecord && r.To == "healthy":
		e.Fate = Recovered
		if e.Action == policy.Remove.String() && after <= falseWithin {
			e.Fate = False
		}
	default:
		return
	}
	e.After = after.Seconds()
}

// confirms reports whether an owner's word agrees with a removal.
func confirms(word string) bool {
	switch word {
	case health.OwnerGone.String(), health.OwnerStopping.String(), health.OwnerDraining.String(), health.OwnerAlarm.String():
		return true
	}
	return false
}

// withholdings count what was withheld, by reason.
type withholdings map[policy.Reason]*withholding

type withholding struct {
	decisions int
	instances map[[2]string]bool
}

// add counts a withheld removal; one that merely waits for its hold or its
// drill is not kept from happening.
func (w withholdings) add(r Record) {
	if r.Reason == policy.Holding || r.Reason == policy.DrillPending {
		return
	}
	x := w[r.Reason]
	if x == nil {
		x = &withholding{instances: map[[2]string]bool{}}
		w[r.Reason] = x
	}
	x.decisions++
	x.instances[[2]string{r.ServiceID, r.Instance}] = true
}

func (w withholdings) sorted() (out []Withheld) {
	for reason, x := range w {
		out = append(out, Withheld{Reason: reason, Decisions: x.decisions, Instances: len(x.instances)})
	}
	slices.SortFunc(out, func(a, b Withheld) int {
		return cmp.Or(-cmp.Compare(a.Decisions, b.Decisions), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// passing gates lift by themselves: they say nothing about a service's fitness.
var passing = []policy.Reason{policy.WarmUp, policy.FailOpen}

func readiness(s Service, rep Report) Readiness {
	out := Readiness{Namespace: s.Namespace, Service: s.Service, ServiceID: s.ServiceID, Mode: s.Mode, Lacks: []string{}}
	for _, e := range rep.Episodes {
		if e.ServiceID == s.ServiceID && e.Action == policy.Remove.String() {
			out.Removals++
			if e.Fate == False {
				out.False++
			}
		}
	}
	for _, g := range s.Gates {
		if !slices.Contains(passing, g) {
			out.Lacks = append(out.Lacks, string(g))
		}
	}
	lack := func(is bool, what string) {
		if is {
			out.Lacks = append(out.Lacks, what)
		}
	}
	lack(s.Totals.Targets == 0, lacksProbe)
	lack(s.Totals.Targets > 0 && s.Ever == 0, lacksPass)
	lack(rep.To.Sub(rep.From) < reportLeast, lacksTime)
	lack(out.False > 0, lacksTruth)
	out.Ready = len(out.Lacks) == 0
	return out
}
