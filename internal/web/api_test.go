package web_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
	"github.com/mapwarden/mapwarden/internal/web"
)

var update = flag.Bool("update", false, "write the golden files anew")

// server of a night, as New makes it, without a listener.
func server(t *testing.T) (*mind, *memory, http.Handler) {
	t.Helper()
	m := &mind{snap: night(), explains: map[string]warden.Explanation{"srv-pay/pay-0003": told()}}
	past := &memory{records: past(), entries: []lever.Entry{*told().Entry}}
	s := web.New(web.Options{Mind: m, History: past, Journal: past, Build: web.Build{Version: "v0.1.0"}, Log: slog.New(slog.DiscardHandler)})
	return m, past, s.Handler()
}

func ask(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:9750"
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestAnswers holds every answer against its golden file: scripts depend on
// them. Members may be added; nothing else may change.
func TestAnswers(t *testing.T) {
	_, _, h := server(t)
	for name, target := range map[string]string{
		"fleet":      "/api/v1/fleet",
		"services":   "/api/v1/services",
		"instances":  "/api/v1/instances?service=prod.internal/payments",
		"problems":   "/api/v1/instances?problems=true&limit=3",
		"explain":    "/api/v1/instances/prod.internal/payments/pay-0003/explain",
		"history":    "/api/v1/history",
		"quarantine": "/api/v1/quarantine",
		"words":      "/api/v1/words",
		"missing":    "/api/v1/nonsense",
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(h, "GET", target, "")
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type is %q", got)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, w.Body.Bytes(), "", "  "); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestAnswersDecode holds the exported shapes against the answers: a member
// that commands cannot read is a mistake.
func TestAnswersDecode(t *testing.T) {
	_, _, h := server(t)
	for target, into := range map[string]any{
		"/api/v1/fleet": &web.Fleet{}, "/api/v1/services": &web.Services{}, "/api/v1/instances": &web.Instances{},
		"/api/v1/instances/srv-pay/pay-0003/explain": &web.Explanation{}, "/api/v1/history": &web.Records{},
		"/api/v1/report": &web.Report{}, "/api/v1/quarantine": &web.Entries{}, "/api/v1/words": &web.Words{}, "/api/v1/nonsense": &web.Error{},
	} {
		body := ask(h, "GET", target, "").Body.Bytes()
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(into); err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		again, err := json.Marshal(into)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if json.Unmarshal(body, &a) != nil || json.Unmarshal(again, &b) != nil || !cmp.Equal(a, b) {
			t.Errorf("%s: decoding loses something: %s", target, cmp.Diff(a, b))
		}
	}
}

func TestInstanceIDsThatNeedEncoding(t *testing.T) {
	m, _, h := server(t)
	for _, id := range []string{"legacy/a:b@c-0001", "..", "a b?c#d%", "ü", "<img src=x onerror=document.title='owned'>"} {
		for _, service := range []string{"legacy/batch", "srv-batch"} {
			x := told()
			x.Line.ID = id
			m.mu.Lock()
			m.explains = map[string]warden.Explanation{"srv-batch/" + id: x}
			m.mu.Unlock()
			var path []string
			for _, part := range append(strings.Split(service, "/"), id) {
				part = url.PathEscape(part)
				if part == ".." {
					part = "%2E%2E"
				}
				path = append(path, part)
			}
			w := ask(h, "GET", "/api/v1/instances/"+strings.Join(path, "/")+"/explain", "")
			var got web.Explanation
			if err := json.Unmarshal(w.Body.Bytes(), &got); w.Code != 200 || err != nil || got.Instance.Instance != id {
				t.Errorf("%s of %s: %d %s", id, service, w.Code, w.Body)
			}
		}
	}
}

func TestMistakesAreExplained(t *testing.T) {
	m, past, h := server(t)
	for _, c := range []struct {
		method, target, body string
		status               int
		says                 string
	}{
		{"GET", "/api/v1/instances?service=no/such", "", 404, `no service \"no/such\"`},
		{"GET", "/api/v1/instances?limit=0", "", 400, "limit"},
		{"GET", "/api/v1/instances?limit=999999999", "", 400, "limit"},
		{"GET", "/api/v1/instances?problems=perhaps", "", 400, "problems"},
		{"GET", "/api/v1/instances/prod.internal/payments/nobody/explain", "", 404, "no instance"},
		{"GET", "/api/v1/history?since=yesterday", "", 400, "since"},
		{"GET", "/api/v1/history?since=-2h", "", 400, "since"},
		{"GET", "/api/v1/report?since=yesterday", "", 400, "since"},
		{"GET", "/api/v1/history?kind=gossip", "", 400, "kind"},
		{"GET", "/api/v1/history?limit=x", "", 400, "limit"},
		{"POST", "/api/v1/fleet", "{}", 405, "GET only"},
		{"GET", "/api/v1/freeze", "", 405, "POST only"},
		{"POST", "/api/v1/freeze", "", 400, "empty"},
		{"POST", "/api/v1/freeze", `{"for":"80h"}`, 400, "72h"},
		{"POST", "/api/v1/freeze", `{"for":"-1h"}`, 400, "72h"},
		{"POST", "/api/v1/freeze", `{"for":"soon"}`, 400, "duration"},
		{"POST", "/api/v1/freeze", `{"fro":"1h"}`, 400, "fro"},
		{"POST", "/api/v1/freeze", `{} {}`, 400, "more than one"},
		{"POST", "/api/v1/freeze", `{"note":"` + strings.Repeat("x", 600) + `"}`, 400, "note"},
		{"POST", "/api/v1/freeze", `{"by":"` + strings.Repeat("x", 200) + `"}`, 400, "by is longer"},
		{"POST", "/api/v1/freeze", `{"note":"` + strings.Repeat("x", 20_000) + `"}`, 413, "longer than 16384"},
		{"POST", "/api/v1/quarantine/restore", `{}`, 400, "name a service"},
		{"POST", "/api/v1/quarantine/restore", `{"service":"srv-pay"}`, 400, "name a service"},
		{"POST", "/api/v1/quarantine/restore", `{"service":"srv-pay","all":true}`, 400, "name a service"},
		{"POST", "/api/v1/quarantine/restore", `{"service":"srv-pay","instance":"pay-0003","all":true}`, 400, "name a service"},
		{"POST", "/api/v1/quarantine/restore", `{"service":"srv-pay","instance":"pay-0004"}`, 404, "not out because of mapwarden"},
	} {
		w := ask(h, c.method, c.target, c.body)
		var e web.Error
		if err := json.Unmarshal(w.Body.Bytes(), &e); w.Code != c.status || err != nil || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s %.40s: %d %s, want %d and %q", c.method, c.target, c.body, w.Code, w.Body, c.status, c.says)
		}
	}
	if got := m.heard(); len(got) != 0 {
		t.Errorf("a mistake reached the mind: %v", got)
	}

	m.err, past.err = errStuck, errStuck
	for _, target := range []string{"/api/v1/history", "/api/v1/report", "/api/v1/quarantine", "/api/v1/instances/srv-pay/pay-0003/explain"} {
		if w := ask(h, "GET", target, ""); w.Code != 503 || strings.Contains(w.Body.String(), errStuck.Error()) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	if w := ask(h, "POST", "/api/v1/unfreeze", "{}"); w.Code != 503 {
		t.Errorf("unfreeze: %d %s", w.Code, w.Body)
	}
}

func TestCommands(t *testing.T) {
	const from = "operator API from 192.0.2.1" // httptest's client
	for _, c := range []struct {
		target, body string
		want         warden.Event
	}{
		{"freeze", `{}`, warden.Freeze{By: from}},
		{"freeze", `{"for":"90m","note":" CHG-1 ","cancel_pending":true,"by":"ana"}`, warden.Freeze{For: 90 * time.Minute, Note: "CHG-1", CancelPending: true, By: "ana"}},
		{"unfreeze", `{"by":"ana"}`, warden.Unfreeze{By: "ana"}},
		{"release", `{}`, warden.Release{By: from}},
		{"retire", `{"by":"ana"}`, warden.Retire{By: "ana"}},
		{"quarantine/restore", `{"service":"prod.internal/payments","instance":"pay-0003"}`, warden.RestoreAsked{Service: "prod.internal/payments", Instance: "pay-0003", By: from}},
		{"quarantine/restore", `{"all":true}`, warden.RestoreAsked{All: true, By: from}},
	} {
		m, _, h := server(t)
		w := ask(h, "POST", "/api/v1/"+c.target, c.body)
		var a web.Accepted
		if err := json.Unmarshal(w.Body.Bytes(), &a); w.Code != 200 || err != nil || a.By == "" {
			t.Errorf("%s: %d %s", c.target, w.Code, w.Body)
		}
		if got := m.heard(); !slices.Equal(got, []warden.Event{c.want}) {
			t.Errorf("%s %s: the mind heard %+v, want %+v", c.target, c.body, got, c.want)
		}
	}
}

// A retirement that could not end is refused at once, with what to do.
func TestRetireThatCouldNotEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*warden.Snapshot, *memory)
		says  string // "" where it is accepted
	}{
		"free":           {func(*warden.Snapshot, *memory) {}, ""},
		"frozen":         {func(s *warden.Snapshot, _ *memory) { s.Frozen = noon.UnixNano() }, `{"error":"1 instance is out, and nothing is brought back: frozen until 2026-11-20T12:00:00Z","hint":"mapwarden unfreeze first"}`},
		"off":            {func(s *warden.Snapshot, _ *memory) { s.Services[1].Mode = policy.ModeOff }, `{"error":"1 instance is out of services in mode off, where nothing is brought back","hint":"set their mode to enforce and reload first"}`},
		"off elsewhere":  {func(s *warden.Snapshot, _ *memory) { s.Services[0].Mode = policy.ModeOff }, ""},
		"nothing is out": {func(s *warden.Snapshot, past *memory) { s.Frozen, past.entries = noon.UnixNano(), nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			snap, past := night(), &memory{entries: []lever.Entry{*told().Entry}}
			i := slices.IndexFunc(snap.Services, func(p *warden.ServicePage) bool { return p.Service.ID == past.entries[0].Service.ID })
			snap.Services[1], snap.Services[i] = snap.Services[i], snap.Services[1]
			tt.spoil(snap, past)
			m := &mind{snap: snap}
			w := ask(web.New(web.Options{Mind: m, Journal: past, Log: slog.New(slog.DiscardHandler)}).Handler(), "POST", "/api/v1/retire", "{}")
			switch {
			case tt.says == "" && (w.Code != 200 || len(m.heard()) != 1):
				t.Errorf("%d %s", w.Code, w.Body)
			case tt.says != "" && (w.Code != 409 || len(m.heard()) != 0 || strings.TrimSpace(w.Body.String()) != tt.says):
				t.Errorf("%d %s, want 409 %s", w.Code, w.Body, tt.says)
			}
		})
	}
}

func TestHistoryQuestions(t *testing.T) {
	_, past, h := server(t)
	w := ask(h, "GET", "/api/v1/history?since=2026-11-20T11:00:00Z&service=srv-pay&instance=pay-0003&limit=2&kind=decision&kind=actuation", "")
	want := web.HistoryQuery{Since: noon.Add(-time.Hour), Service: "srv-pay", Instance: "pay-0003", Limit: 2,
		Kinds: []warden.RecordKind{warden.DecisionRecord, warden.ActuationRecord}}
	if diff := cmp.Diff(want, past.asked); diff != "" {
		t.Errorf("asked -want +got:\n%s", diff)
	}
	var got web.Records
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Records) != 2 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	before := time.Now()
	ask(h, "GET", "/api/v1/history?since=2h", "")
	if d := before.Add(-2 * time.Hour).Sub(past.asked.Since).Abs(); d > time.Minute {
		t.Errorf("2h ago is %v off", d)
	}
}

// TestProblemsComeByUrgency: a limit must cut off what matters least.
func TestProblemsComeByUrgency(t *testing.T) {
	_, _, h := server(t)
	var got web.Instances
	w := ask(h, "GET", "/api/v1/instances?problems=true", "")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, i := range got.Instances {
		if !i.Problem {
			t.Errorf("%s is no problem", i.Instance)
		}
		if s := i.Standing + " " + i.Outcome; len(seen) == 0 || seen[len(seen)-1] != s {
			seen = append(seen, s)
		}
	}
	want := []string{"leaving fail", "kept fail", "out fail", "waiting fail", "in pass", "in indeterminate"}
	if !slices.Equal(seen, want) || got.Total != 13 {
		t.Errorf("%d problems in the order %q, want %q", got.Total, seen, want)
	}
}

func TestGuard(t *testing.T) {
	_, _, h := server(t)
	wide := web.New(web.Options{Mind: &mind{snap: night()}, AnyAddress: true, Log: slog.New(slog.DiscardHandler)}).Handler()
	for _, c := range []struct {
		what    string
		h       http.Handler
		method  string
		headers []string
		status  int
	}{
		{"localhost", h, "GET", []string{"Host", "localhost:9750"}, 200},
		{"a dot at the end", h, "GET", []string{"Host", "LOCALHOST.:9750"}, 200},
		{"no port", h, "GET", []string{"Host", "127.0.0.1"}, 200},
		{"IPv6 loopback", h, "GET", []string{"Host", "[::1]:9750"}, 200},
		{"IPv6 loopback, no port", h, "GET", []string{"Host", "[::1]"}, 200},
		{"rebinding", h, "GET", []string{"Host", "evil.example:9750"}, 403},
		{"rebinding to a likely name", h, "GET", []string{"Host", "localhost.evil.example"}, 403},
		{"another address", h, "GET", []string{"Host", "10.0.0.1:9750"}, 403},
		{"no host", h, "GET", []string{"Host", ""}, 403},
		{"wide: an address", wide, "GET", []string{"Host", "10.0.0.1:9750"}, 200},
		{"wide: another name", wide, "GET", []string{"Host", "evil.example"}, 403},
		{"own origin", h, "GET", []string{"Origin", "http://127.0.0.1:9750"}, 200},
		{"foreign origin reads", h, "GET", []string{"Origin", "http://evil.example"}, 403},
		{"another port reads", h, "GET", []string{"Origin", "http://127.0.0.1:8080"}, 403},
		{"null origin", h, "GET", []string{"Origin", "null"}, 403},
		{"own origin writes", h, "POST", []string{"Origin", "http://127.0.0.1:9750", "Sec-Fetch-Site", "same-origin"}, 200},
		{"foreign origin writes", h, "POST", []string{"Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"}, 403},
		{"cross-site without origin", h, "POST", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a form", h, "POST", []string{"Content-Type", "text/plain"}, 415},
		{"a form of fields", h, "POST", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"JSON with a charset", h, "POST", []string{"Content-Type", "application/json; charset=utf-8"}, 200},
	} {
		target, body := "/api/v1/fleet", ""
		if c.method == "POST" {
			target, body = "/api/v1/unfreeze", "{}"
		}
		w := ask(c.h, c.method, target, body, c.headers...)
		if w.Code != c.status {
			t.Errorf("%s: %d, want %d: %s", c.what, w.Code, c.status, w.Body)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: the content policy is %q", c.what, csp)
		}
	}
}

func TestReadyAndAlive(t *testing.T) {
	m := &mind{snap: &warden.Snapshot{}}
	s := web.New(web.Options{Mind: m})
	for _, h := range []http.Handler{s.Plain(), s.Handler()} {
		if w := ask(h, "GET", "/livez", ""); w.Code != 200 {
			t.Errorf("livez: %d", w.Code)
		}
	}
	if w := ask(s.Plain(), "GET", "/readyz", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "not ready") {
		t.Errorf("readyz before the first listing: %d %s", w.Code, w.Body)
	}
	m.show(&warden.Snapshot{Synced: true})
	if w := ask(s.Plain(), "GET", "/readyz", ""); w.Code != 200 {
		t.Errorf("readyz after the first listing: %d", w.Code)
	}
	m.show(&warden.Snapshot{Gates: []policy.Reason{policy.Stale}})
	if w := ask(s.Handler(), "GET", "/readyz", ""); w.Code != 200 {
		t.Errorf("readyz must stay ready whatever happens: %d", w.Code)
	}
	// The face that may be wide shows nothing else, and takes any name.
	for _, target := range []string{"/", "/api/v1/fleet", "/api/v1/freeze"} {
		if w := ask(s.Plain(), "GET", target, ""); w.Code != 404 {
			t.Errorf("%s on the plain face: %d", target, w.Code)
		}
	}
	if w := ask(s.Plain(), "GET", "/metrics", "", "Host", "mapwarden.prod.internal:9752"); w.Code != 200 {
		t.Errorf("metrics under another name: %d", w.Code)
	}
}

func TestPageFiles(t *testing.T) {
	_, _, h := server(t)
	w := ask(h, "GET", "/", "")
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(w.Body.String(), "/js/main.js") {
		t.Errorf("/: %d %v", w.Code, w.Header())
	}
	again := ask(h, "GET", "/", "", "If-None-Match", w.Header().Get("ETag"))
	if again.Code != 304 {
		t.Errorf("an unchanged page: %d", again.Code)
	}
	if w := ask(h, "GET", "/js/main.js", ""); w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("a script is %q", w.Header().Get("Content-Type"))
	}
	for _, target := range []string{"/js/", "/js/none.js", "/../web.go", "/page/index.html"} {
		if w := ask(h, "GET", target, ""); w.Code == 200 {
			t.Errorf("%s is served", target)
		}
	}
	if w := ask(h, "POST", "/", "{}"); w.Code != 405 {
		t.Errorf("POST /: %d", w.Code)
	}
	if err := filepath.WalkDir("page", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		for _, not := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style=\"", "onclick=", "http://", "https://"} {
			if strings.Contains(strings.ReplaceAll(string(body), "http://www.w3.org/2000/svg", ""), not) {
				t.Errorf("%s has %s", path, not)
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestWithoutHistoryOrJournal(t *testing.T) {
	h := web.New(web.Options{Mind: &mind{snap: night()}}).Handler()
	for _, target := range []string{"/api/v1/history", "/api/v1/report", "/api/v1/quarantine"} {
		if w := ask(h, "GET", target, ""); w.Code != 503 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	if w := ask(h, "POST", "/api/v1/quarantine/restore", `{"all":true}`); w.Code != 503 {
		t.Errorf("restore: %d %s", w.Code, w.Body)
	}
}

func TestEmptyFleetHasListsNotNull(t *testing.T) {
	h := web.New(web.Options{Mind: &mind{snap: &warden.Snapshot{}}, History: &memory{}, Journal: &memory{}}).Handler()
	for _, target := range []string{"fleet", "services", "instances", "history", "quarantine"} {
		if w := ask(h, "GET", "/api/v1/"+target, ""); w.Code != 200 || strings.Contains(w.Body.String(), "null") {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestHeadlines(t *testing.T) {
	calm := snapshotOf(page("a", "b", "srv-1", warden.NoHealthCheck, serial("i", 3)...))
	frozen := snapshotOf(calm.Services...)
	frozen.Frozen = noon.Add(time.Hour).UnixNano()
	off := snapshotOf()
	blind := serial("i", 3)
	blind[0].Outcome = 0
	unwatched := snapshotOf(page("a", "b", "srv-1", warden.NoHealthCheck, serial("i", 3)...))
	unwatched.Totals = warden.Totals{Registered: 3}
	for want, s := range map[string]*warden.Snapshot{
		"No instance is probed: the mode is off.":                                                                                           unwatched,
		"All is well: 3 instances in 1 service, every one passes.":                                                                          calm,
		"3 instances in 1 service, every one passes. But nothing is taken out now.":                                                         frozen,
		"No instances are registered in scope.":                                                                                             off,
		"2 of 3 instances pass, 1 NOT CHECKED.":                                                                                             snapshotOf(page("a", "b", "srv-1", warden.NoHealthCheck, blind...)),
		"The registry has not been read completely yet. Nothing is taken out until it has.":                                                 {},
		"9 of 54 instances fail, 3 NOT CHECKED, 2 out, 1 about to leave, 6 kept in by a rule, 1 set UNHEALTHY by others, 1 worth watching.": night(),
	} {
		w := ask(web.New(web.Options{Mind: &mind{snap: s}}).Handler(), "GET", "/api/v1/fleet", "")
		var f web.Fleet
		if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil || f.Headline != want {
			t.Errorf("headline %q, want %q", f.Headline, want)
		}
	}
}

func BenchmarkInstances(b *testing.B) {
	pages := make([]*warden.ServicePage, 0, 100)
	for i := range 100 {
		pages = append(pages, page("prod.internal", fmt.Sprintf("s%03d", i), fmt.Sprintf("srv-%03d", i), warden.NoHealthCheck, serial("i", 1000)...))
	}
	h := web.New(web.Options{Mind: &mind{snap: snapshotOf(pages...)}}).Handler()
	for _, target := range []string{"/api/v1/instances?service=srv-050", "/api/v1/instances?problems=true", "/metrics", "/api/v1/services"} {
		b.Run(strings.Trim(target, "/"), func(b *testing.B) {
			for b.Loop() {
				w := ask(h, "GET", target, "")
				n, _ := io.Copy(io.Discard, w.Body)
				b.SetBytes(n)
			}
		})
	}
}

// TestPaperNamesEveryMember holds docs/api.md against the exported shapes.
func TestPaperNamesEveryMember(t *testing.T) {
	paper, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, shape := range []any{web.Fleet{}, web.Totals{}, web.Service{}, web.Instance{}, web.Services{}, web.Instances{}, web.Explanation{}, web.Vote{},
		web.Rule{}, web.Entry{}, web.Entries{}, web.Record{}, web.Records{}, web.FreezeRequest{}, web.ByRequest{}, web.RestoreRequest{}, web.Accepted{}, web.Words{}} {
		for f := range reflect.TypeOf(shape).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" || !strings.Contains(string(paper), "`"+name) {
				t.Errorf("docs/api.md does not name %q of %T", name, shape)
			}
		}
	}
}
