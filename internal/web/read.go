package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// Bounds of listings.
const (
	defaultInstances = 10_000
	maxInstances     = 200_000
	defaultRecords   = 200
	maxRecords       = 10_000
)

// askTimeout bounds a question to the mind, the journal or the history.
const askTimeout = 5 * time.Second

// api adds the routes of /api/v1. Each path answers other methods with 405.
func (s *Server) api(mux *http.ServeMux) {
	routes := []struct {
		method, path string
		handle       http.HandlerFunc
	}{
		{"GET", "/fleet", s.fleet},
		{"GET", "/services", s.services},
		{"GET", "/instances", s.instances},
		{"GET", "/instances/{ns}/{svc}/{id}/explain", s.explain},
		{"GET", "/instances/{srv}/{id}/explain", s.explain},
		{"GET", "/history", s.history},
		{"GET", "/report", s.report},
		{"GET", "/quarantine", s.quarantine},
		{"GET", "/words", func(w http.ResponseWriter, _ *http.Request) { answer(w, words()) }},
		{"GET", "/events", s.events},
		{"POST", "/freeze", command(s, freezeCommand)},
		{"POST", "/unfreeze", command(s, unfreezeCommand)},
		{"POST", "/drain", command(s, s.drainCommand)},
		{"POST", "/undrain", command(s, s.undrainCommand)},
		{"POST", "/release", command(s, releaseCommand)},
		{"POST", "/quarantine/restore", command(s, s.restoreCommand)},
		{"POST", "/retire", command(s, s.retireCommand)},
	}
	const at = "/api/v1"
	for _, r := range routes {
		mux.HandleFunc(r.method+" "+at+r.path, r.handle)
		mux.HandleFunc(at+r.path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", r.method)
			refuse(w, http.StatusMethodNotAllowed, "this address takes "+r.method+" only", "")
		})
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "no such address: "+clip(r.URL.Path), "the API is under /api/v1: fleet, services, instances, history, report, quarantine, events")
	})
}

// answer sends v as JSON.
func answer(w http.ResponseWriter, v any) { send(w, http.StatusOK, v) }

// refuse sends an Error.
func refuse(w http.ResponseWriter, status int, what, hint string) {
	send(w, status, Error{Error: what, Hint: hint})
}

func send(w http.ResponseWriter, status int, v any) {
	body, err := encode(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer could not be written as JSON"}`+"\n")
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever asked has gone: there is nobody to tell
}

// encode ends with a newline and leaves < and > readable: nothing here is
// ever put into HTML as it is.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (s *Server) fleet(w http.ResponseWriter, _ *http.Request) {
	answer(w, fleetOf(s.opts.Mind.Snapshot(), s.opts.Build.Version))
}

func (s *Server) services(w http.ResponseWriter, _ *http.Request) {
	snap := s.opts.Mind.Snapshot()
	out := Services{At: takenAt(snap), Services: make([]Service, 0, len(snap.Services))}
	for _, p := range snap.Services {
		out.Services = append(out.Services, serviceOf(p))
	}
	answer(w, out)
}

func (s *Server) instances(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := bounded(q.Get("limit"), defaultInstances, maxInstances)
	if err != nil {
		refuse(w, http.StatusBadRequest, "limit: "+err.Error(), "")
		return
	}
	problems, err := flag(q.Get("problems"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "problems: "+err.Error(), "")
		return
	}
	want := q.Get("service")
	snap := s.opts.Mind.Snapshot()
	out := Instances{At: takenAt(snap), Instances: []Instance{}}
	found := want == ""
	for _, p := range snap.Services {
		if want != "" && want != p.Service.ID && want != p.Service.String() {
			continue
		}
		found = true
		for _, l := range p.Instances {
			if problems && !problem(p.Mode, l) {
				continue
			}
			out.Instances = append(out.Instances, instanceOf(p.Service, p.Mode, l))
		}
	}
	if !found {
		refuse(w, http.StatusNotFound, fmt.Sprintf("no service %q", clip(want)), "service is NAMESPACE/SERVICE or srv-…; GET /api/v1/services lists all that are in scope")
		return
	}
	if problems {
		slices.SortStableFunc(out.Instances, func(a, b Instance) int { return cmp.Compare(urgency(a), urgency(b)) })
	}
	out.Total = len(out.Instances)
	out.Instances = out.Instances[:min(out.Total, limit)]
	answer(w, out)
}

// urgency orders problems, so that a limit cuts off what matters least.
func urgency(i Instance) int {
	order := [...]bool{
		i.Standing == policy.Leaving.String(),
		i.Standing == policy.Kept.String(),
		i.Standing == policy.Out.String(),
		i.Standing == policy.Waiting.String(),
		i.Outcome == health.Fail.String(),
		i.Registry == health.Unhealthy.String(),
		i.Standing == policy.Probation.String(),
	}
	if at := slices.Index(order[:], true); at >= 0 {
		return at
	}
	return len(order)
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	service, instance := r.PathValue("srv"), r.PathValue("id")
	if service == "" {
		service = r.PathValue("ns") + "/" + r.PathValue("svc")
	}
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	x, ok, err := s.opts.Mind.Explain(ctx, service, instance)
	switch {
	case err != nil:
		s.unavailable(w, r, "the daemon did not answer in time", err)
	case !ok:
		refuse(w, http.StatusNotFound, fmt.Sprintf("no instance %q in %q", clip(instance), clip(service)),
			"parts of the path are percent-encoded; GET /api/v1/instances?service=NAMESPACE/SERVICE lists them")
	default:
		answer(w, explanationOf(x))
	}
}

func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	if s.opts.History == nil {
		refuse(w, http.StatusServiceUnavailable, "this process keeps no history", "")
		return
	}
	q, err := historyQuery(r, time.Now())
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error(), "since is RFC 3339 or a duration such as 2h; kind is decision, actuation, transition, fleet or command")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	records, err := s.opts.History.Records(ctx, q)
	if err != nil {
		s.unavailable(w, r, "the history could not be read", err)
		return
	}
	answer(w, Records{Records: append([]Record{}, records...)})
}

var recordKinds = []warden.RecordKind{warden.DecisionRecord, warden.ActuationRecord, warden.TransitionRecord, warden.FleetRecord, warden.CommandRecord, warden.EvidenceRecord}

func historyQuery(r *http.Request, now time.Time) (HistoryQuery, error) {
	v := r.URL.Query()
	q := HistoryQuery{Service: v.Get("service"), Instance: v.Get("instance")}
	var err error
	if q.Limit, err = bounded(v.Get("limit"), defaultRecords, maxRecords); err != nil {
		return q, fmt.Errorf("limit: %w", err)
	}
	if q.Since, err = since(v.Get("since"), now); err != nil {
		return q, fmt.Errorf("since: %w", err)
	}
	for _, k := range v["kind"] {
		kind := warden.RecordKind(k)
		if !slices.Contains(recordKinds, kind) {
			return q, fmt.Errorf("kind: %q is none", clip(k))
		}
		q.Kinds = append(q.Kinds, kind)
	}
	return q, nil
}

func (s *Server) quarantine(w http.ResponseWriter, r *http.Request) {
	entries, ok := s.entries(w, r)
	if !ok {
		return
	}
	out := Entries{Entries: make([]Entry, 0, len(entries))}
	for _, e := range entries {
		out.Entries = append(out.Entries, EntryOf(e))
	}
	answer(w, out)
}

// entries are the open journal entries, sorted by service and instance. Where
// it reports false it has answered.
func (s *Server) entries(w http.ResponseWriter, r *http.Request) ([]lever.Entry, bool) {
	if s.opts.Journal == nil {
		refuse(w, http.StatusServiceUnavailable, "this process keeps no journal", "")
		return nil, false
	}
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	entries, err := s.opts.Journal.Entries(ctx)
	if err != nil {
		s.unavailable(w, r, "the journal could not be read", err)
		return nil, false
	}
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b lever.Entry) int {
		if c := strings.Compare(a.Service.String(), b.Service.String()); c != 0 {
			return c
		}
		return strings.Compare(a.Instance, b.Instance)
	})
	return entries, true
}

// unavailable answers for a fault of our own and logs it, unless whoever asked
// has gone.
func (s *Server) unavailable(w http.ResponseWriter, r *http.Request, what string, err error) {
	if r.Context().Err() == nil {
		s.opts.Log.Warn(what, "path", r.URL.Path, "error", err)
	}
	hint := ""
	if errors.Is(err, context.DeadlineExceeded) {
		hint = "it is busy, or stuck: look at mapwarden_snapshot_age_seconds"
	}
	refuse(w, http.StatusServiceUnavailable, what, hint)
}

// bounded reads a limit: a number from 1 to most; def where it is left out.
func bounded(s string, def, most int) (int, error) {
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%q is not a number from 1 to %d", clip(s), most)
	}
	return n, nil
}

func flag(s string) (bool, error) {
	if s == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", clip(s))
	}
	return b, nil
}

// since reads a point in time: RFC 3339, or a duration before now.
func since(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a time nor a duration", clip(s))
	}
	return t, nil
}

// withheldBy is the rule that keeps a removal of the instance from happening
// now, or NoReason.
func withheldBy(l warden.InstanceLine) policy.Reason {
	if l.Standing == policy.Kept || l.Standing == policy.Leaving {
		return l.Reason
	}
	return policy.NoReason
}
