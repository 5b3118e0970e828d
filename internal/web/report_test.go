package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

var reportDay = time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)

func reportAt(at time.Duration, r Record) Record {
	r.At, r.Namespace, r.Service, r.ServiceID = reportDay.Add(at), "shop", "web", "srv-web"
	return r
}

func decision(at time.Duration, id string, a policy.Action, admitted bool, why policy.Reason) Record {
	return reportAt(at, Record{Kind: warden.DecisionRecord, Instance: id, Action: a.String(), Admitted: admitted, Reason: why, Shadow: true})
}

func becomes(at time.Duration, id, to string) Record {
	return reportAt(at, Record{Kind: warden.TransitionRecord, Instance: id, From: "unhealthy", To: to})
}

func TestReportTellsHowRemovalsTurnedOut(t *testing.T) {
	gone := reportAt(30*time.Second, Record{Kind: warden.FleetRecord, Instance: "a", Reason: policy.Moot})
	says := func(word string) Record {
		return reportAt(30*time.Second, Record{Kind: warden.EvidenceRecord, Instance: "a", Evidence: word, Source: "ecs"})
	}
	for name, c := range map[string]struct {
		first Record
		then  []Record
		fate  Fate
		after time.Duration
	}{
		"nothing more was heard":       {decision(0, "a", policy.Remove, true, policy.Failing), nil, Failing, 0},
		"passes after 20 s":            {decision(0, "a", policy.Remove, true, policy.Failing), []Record{becomes(20*time.Second, "a", "healthy")}, False, 20 * time.Second},
		"passes after 60 s":            {decision(0, "a", policy.Remove, true, policy.Failing), []Record{becomes(time.Minute, "a", "healthy")}, False, time.Minute},
		"passes after 61 s":            {decision(0, "a", policy.Remove, true, policy.Failing), []Record{becomes(61*time.Second, "a", "healthy")}, Recovered, 61 * time.Second},
		"it left":                      {decision(0, "a", policy.Remove, true, policy.Failing), []Record{gone, becomes(40*time.Second, "a", "healthy")}, Confirmed, 30 * time.Second},
		"somebody else passes":         {decision(0, "a", policy.Remove, true, policy.Failing), []Record{becomes(20*time.Second, "b", "healthy")}, Failing, 0},
		"it turns unhealthy once more": {decision(0, "a", policy.Remove, true, policy.Failing), []Record{becomes(20*time.Second, "a", "unhealthy")}, Failing, 0},
		"its owner says so":            {decision(0, "a", policy.Remove, true, policy.OwnerGone), nil, Confirmed, 0},
		"its owner stops it":           {decision(0, "a", policy.Remove, true, policy.Failing), []Record{says("stopping")}, Confirmed, 30 * time.Second},
		"an alarm of its is up":        {decision(0, "a", policy.Remove, true, policy.Failing), []Record{says("alarm")}, Confirmed, 30 * time.Second},
		"its owner has it run":         {decision(0, "a", policy.Remove, true, policy.Failing), []Record{says("running")}, Failing, 0},
		"a newcomer becomes ready":     {decision(0, "a", policy.HoldOut, true, policy.NeverReady), []Record{becomes(20*time.Second, "a", "healthy")}, Recovered, 20 * time.Second},
	} {
		rep := reportOf(append([]Record{becomes(-time.Hour, "x", "healthy"), c.first}, c.then...), nil, reportDay, reportDay.Add(time.Hour))
		if len(rep.Episodes) != 1 {
			t.Errorf("%s: %d episodes", name, len(rep.Episodes))
			continue
		}
		e := rep.Episodes[0]
		if e.Fate != c.fate || e.After != c.after.Seconds() || !e.Shadow {
			t.Errorf("%s: %s after %gs, want %s after %gs", name, e.Fate, e.After, c.fate, c.after.Seconds())
		}
	}
}

func TestReportCountsWhatWasWithheld(t *testing.T) {
	rep := reportOf([]Record{
		decision(-time.Minute, "a", policy.Remove, false, policy.Budget), // before what was asked for
		decision(1, "a", policy.Remove, false, policy.Budget),
		decision(2, "b", policy.Remove, false, policy.Budget),
		decision(3, "a", policy.Remove, false, policy.Budget),
		decision(4, "a", policy.Remove, false, policy.Holding),
		decision(5, "a", policy.HoldOut, false, policy.FailOpen),
		decision(6, "a", policy.Bring, false, policy.Backoff),
	}, nil, reportDay, reportDay.Add(time.Hour))
	if got, want := fmt.Sprint(rep.Withheld), "[{budget 3 2} {fail-open 1 1}]"; got != want {
		t.Errorf("withheld %s, want %s", got, want)
	}
	if len(rep.Episodes) != 0 || rep.Partial || !rep.From.Equal(reportDay) {
		t.Errorf("%+v", rep)
	}
}

func TestReportSaysWhoIsReady(t *testing.T) {
	fit := Service{Namespace: "shop", Service: "web", ServiceID: "srv-web", Mode: "observe", Ever: 3, Totals: Totals{Targets: 3}}
	change := func(do func(*Service)) Service { s := fit; do(&s); return s }
	old := becomes(-time.Hour, "x", "healthy")
	week := 7 * 24 * time.Hour
	for name, c := range map[string]struct {
		service Service
		records []Record
		for_    time.Duration
		lacks   string
	}{
		"fit":               {fit, []Record{old}, week, ""},
		"a day is enough":   {fit, []Record{old}, 24 * time.Hour, ""},
		"less is not":       {fit, []Record{old}, 24*time.Hour - 1, lacksTime},
		"no history at all": {fit, nil, week, lacksTime},
		"never passed":      {change(func(s *Service) { s.Ever = 0 }), []Record{old}, week, lacksPass},
		"not probed":        {change(func(s *Service) { s.Ever, s.Totals.Targets = 0, 0 }), []Record{old}, week, lacksProbe},
		"gates":             {change(func(s *Service) { s.Gates = []policy.Reason{policy.WarmUp, policy.CheckUnproven} }), []Record{old}, week, "check-unproven"},
		"a false removal":   {fit, []Record{old, decision(0, "a", policy.Remove, true, policy.Failing), becomes(time.Second, "a", "healthy")}, week, lacksTruth},
		"a true removal":    {fit, []Record{old, decision(0, "a", policy.Remove, true, policy.Failing), becomes(time.Hour, "a", "healthy")}, week, ""},
	} {
		rep := reportOf(c.records, []Service{c.service}, reportDay, reportDay.Add(c.for_))
		got := rep.Services[0]
		if strings.Join(got.Lacks, " ") != c.lacks || got.Ready != (c.lacks == "") || rep.Ready == 1 != got.Ready {
			t.Errorf("%s: ready %t, lacks %v; want %q", name, got.Ready, got.Lacks, c.lacks)
		}
	}
}

func TestReportOfAShortHistory(t *testing.T) {
	rep := reportOf([]Record{becomes(time.Hour, "x", "healthy")}, nil, reportDay, reportDay.Add(2*time.Hour))
	if !rep.Partial || !rep.From.Equal(reportDay.Add(time.Hour)) {
		t.Errorf("from %s, partial %t", rep.From, rep.Partial)
	}
}
