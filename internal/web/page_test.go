package web_test

import (
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
	"github.com/mapwarden/mapwarden/internal/web"
)

// shown serves a night on loopback.
func shown(t *testing.T) (*mind, *memory, *web.Feed, string) {
	t.Helper()
	m := &mind{snap: night(), explains: map[string]warden.Explanation{"srv-pay/pay-0003": told()}}
	past := &memory{records: past(), entries: []lever.Entry{*told().Entry}}
	feed := web.NewFeed()
	s := web.New(web.Options{Mind: m, History: past, Journal: past, Feed: feed, Build: web.Build{Version: "v0.1.0", Revision: "abc"},
		Refresh: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections)
	return m, past, feed, srv.URL
}

// inFront serves what url does, as far as pass lets it: it may wait, or answer
// itself and return false.
func inFront(t *testing.T, url string, pass func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	behind, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.FlushInterval = -1
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if pass(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	t.Cleanup(front.CloseClientConnections)
	return front.URL
}

func TestPage(t *testing.T) {
	b := newBrowser(t)
	m, _, feed, url := shown(t)

	b.open(url)
	b.until(`document.querySelector("h1").innerText.includes("9 of 54 instances fail")`)
	b.until(`document.querySelector("#link").innerText.includes("live")`)
	b.until(`document.querySelector("main").innerText.includes("it is not the instance")`)
	b.until(`document.querySelector("main").innerText.includes("NOT CHECKED")`)
	b.shoot("overview-light", "light", 1400, 1000)
	b.shoot("overview-dark", "dark", 1400, 1000)
	b.shoot("overview-narrow", "light", 420, 900)

	// The first few problems leave room for the services; all are one step away.
	b.until(`document.querySelectorAll("#view .card table")[0].tBodies[0].rows.length === 8`)
	b.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": false}, nil)
	b.until(`[...document.querySelectorAll("#view .scroll")].every((x) => x.scrollWidth <= x.clientWidth)`) // no column is cut off
	b.eval(`[...document.querySelectorAll("#view button")].find((x) => x.innerText === "Show all 13").click()`)
	b.until(`document.querySelectorAll("#view .card table")[0].tBodies[0].rows.length === 13`)
	b.until(`document.querySelector("main").innerText.includes("It is UNHEALTHY in the registry.")`)

	// What a registry says is text, never markup.
	b.until(`document.querySelector("main").innerText.includes("<img src=x")`)
	if got := b.eval(`return document.title + document.querySelectorAll("main img").length`); got != `"mapwarden0"` {
		t.Errorf("an instance id became markup: %s", got)
	}

	// A record and a new snapshot arrive by themselves.
	quiet := night()
	quiet.Wall += int64(time.Second)
	quiet.Frozen, quiet.FrozenBy = noon.Add(time.Hour).UnixNano(), "ana"
	quiet.Gates = []policy.Reason{policy.Frozen}
	feed.Publish(warden.Record{Kind: warden.CommandRecord, Wall: noon.UnixNano(), Reason: policy.Frozen, Admitted: true, Detail: "freeze for 1h by ana"})
	m.show(quiet)
	b.until(`document.querySelector(".news").innerText.includes("freeze for 1h by ana")`)
	b.until(`document.querySelector("#notices").innerText.includes("by ana")`)
	b.until(`document.querySelector("#freeze").innerText === "Unfreeze…"`)
	b.until(`[...document.querySelectorAll("#view .card table")].at(-1).tBodies[0].innerText.includes("frozen")`)
	b.until(`![...document.querySelectorAll("#view td.wide")].some((x) => x.innerText === "nothing")`)

	b.calm()
}

// Before the first data the page claims nothing, and not that there is nothing.
func TestPageBeforeAnyData(t *testing.T) {
	b := newBrowser(t)
	_, _, _, url := shown(t)
	b.open(inFront(t, url, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/api/") {
			return true
		}
		http.Error(w, "not yet", http.StatusServiceUnavailable)
		return false
	}))
	b.until(`document.querySelector("#notices").innerText.includes("Nothing is known yet")`)
	if got := b.eval(`return document.querySelector("#view").innerText.includes("No service is in scope")`); got != "false" {
		t.Error("the page says that no service is in scope before it knows any")
	}
}

func TestPageExplains(t *testing.T) {
	b := newBrowser(t)
	m, _, _, url := shown(t)
	b.open(url + "/#/service/prod.internal/payments")
	b.until(`(() => {
		const links = document.querySelectorAll("#view tbody a.id");
		if (links.length !== 12) return false;
		links[3].focus();
		return document.activeElement === links[3];
	})()`)
	b.press("Enter")
	b.until(`document.querySelector("#panel").innerText.includes("It keeps failing its check")`)
	b.until(`document.querySelector("#panel").innerText.includes("connection refused")`)
	b.until(`document.querySelector("#panel").innerText.includes("AWS_INSTANCE_IPV4")`)
	b.until(`document.querySelectorAll("#panel .dots span").length === 20`)
	b.until(`/safety rule/i.test(document.querySelector("#panel").innerText)`)
	b.shoot("explain-light", "light", 1400, 1000)
	b.shoot("explain-dark", "dark", 1400, 1000)

	// Its return can be asked for, with a question first.
	b.eval(`[...document.querySelectorAll("#panel button")].find((x) => x.innerText.includes("return")).click()`)
	b.until(`document.querySelector("#dialog").open`)
	b.shoot("restore", "light", 1400, 1000)
	b.eval(`document.querySelector("#dialog .danger").click()`)
	b.until(`!document.querySelector("#dialog").open`)
	if got := m.heard(); len(got) != 1 || got[0] != (warden.RestoreAsked{Service: "srv-pay", Instance: "pay-0003", By: "operator on the page"}) {
		t.Errorf("the mind heard %+v", got)
	}

	b.press("Escape")
	b.until(`document.querySelector("#panel").hidden`)
	if got := b.eval(`return location.hash`); got != `"#/service/prod.internal/payments"` {
		t.Errorf("after Escape the address is %s", got)
	}
	b.calm()
}

// The sentences may arrive after everything else: they are filled in, and
// nothing else of the view changes.
func TestPageKeepsItsPlaceWhenTheWordsArrive(t *testing.T) {
	for view, tt := range map[string]struct{ ready, sentence string }{
		"#/service/prod.internal/payments": {`document.querySelectorAll("#view tbody a.id").length === 12`, "It keeps failing its check"},
		"#/":                               {`document.querySelectorAll("#view .card table")[0].tBodies[0].rows.length === 8`, "it is not the instance"},
		"#/history":                        {`document.querySelectorAll("#view .records li").length === 6`, "So many instances of the service fail"},
	} {
		t.Run(view, func(t *testing.T) {
			b := newBrowser(t)
			_, _, _, url := shown(t)
			words := make(chan struct{})
			front := inFront(t, url, func(_ http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/api/v1/words" {
					<-words
				}
				return true
			})
			release := sync.OnceFunc(func() { close(words) })
			t.Cleanup(release)

			b.open(front + "/" + view)
			b.until(tt.ready)
			b.until(`(() => {
				const link = document.querySelectorAll("#view tbody a.id, #view .records a.id")[3];
				const search = document.querySelector("#view [data-filter]");
				link.focus();
				window.before = [document.querySelector("#view").firstElementChild, search, link.innerText];
				if (search) search.value = "kept";
				return document.activeElement === link;
			})()`)
			b.eval(`window.emptied = false;
				new MutationObserver(() => { if (!document.querySelector("#view").contains(before[0])) emptied = true; }).observe(document.querySelector("#view"), { childList: true });`)
			release()
			b.until(`document.querySelector("#view").innerText.includes("` + tt.sentence + `")`)
			if got := b.eval(`return emptied`); got != "false" {
				t.Error("the view was built anew")
			}
			if got := b.eval(`const search = document.querySelector("#view [data-filter]"); return search === before[1] && (!search || search.value === "kept")`); got != "true" {
				t.Error("the filter is not what it was")
			}
			if strings.Contains(view, "service") {
				b.until(`document.activeElement.innerText === before[2]`)
				b.until(`document.querySelectorAll("#view tbody a.id").length === 12`)
			}
			b.calm()
		})
	}
}

func TestPageFreezes(t *testing.T) {
	b := newBrowser(t)
	m, _, _, url := shown(t)
	b.open(url)
	b.until(`!document.querySelector("#freeze").hidden`)
	b.eval(`document.querySelector("#freeze").click()`)
	b.until(`document.querySelector("#dialog").open`)
	b.shoot("freeze", "dark", 1400, 1000)
	b.press("Escape")
	b.until(`!document.querySelector("#dialog").open`)
	if got := m.heard(); len(got) != 0 {
		t.Errorf("Escape did not keep from %+v", got)
	}
	b.eval(`document.querySelector("#freeze").click(); document.querySelector("#freeze-for").value = "4h"; document.querySelector("#freeze-note").value = "CHG-1"; document.querySelector("#dialog .danger").click()`)
	b.until(`!document.querySelector("#dialog").open`)
	want := warden.Freeze{For: 4 * time.Hour, By: "operator on the page", Note: "CHG-1"}
	if got := m.heard(); len(got) != 1 || got[0] != want {
		t.Errorf("the mind heard %+v, want %+v", got, want)
	}
	b.calm()
}

func TestPageWithAThousandInstances(t *testing.T) {
	b := newBrowser(t)
	m, _, _, url := shown(t)
	lines := serial("web", 1000)
	lines[777].Outcome, lines[777].Cause, lines[777].Standing, lines[777].Reason = 2, 1, policy.Kept, policy.Budget
	m.show(snapshotOf(page("prod.internal", "web", "srv-web", warden.CustomHealthCheck, lines...)))
	b.open(url + "/#/service/prod.internal/web")
	b.until(`document.querySelector(".tools").innerText.includes("500 of 1,000 instances shown")`)
	b.press("/")
	b.eval(`const f = document.activeElement; f.value = "refused"; f.dispatchEvent(new Event("input"))`)
	b.until(`document.querySelectorAll("#view tbody tr").length === 1`)
	if got := b.eval(`return document.querySelector("#view tbody th a").innerText`); got != `"web-0777"` {
		t.Errorf("the filter found %s", got)
	}
	b.eval(`const f = document.activeElement; f.value = ""; f.dispatchEvent(new Event("input"))`)
	b.until(`document.querySelectorAll("#view tbody tr").length === 500`)
	// Drawing the same again must keep every row: no flicker, no lost selection.
	b.eval(`window.before = [...document.querySelectorAll("#view tbody tr")]`)
	next := snapshotOf(page("prod.internal", "web", "srv-web", warden.CustomHealthCheck, lines...))
	next.Wall += int64(2 * time.Second)
	m.show(next)
	b.eval(`await new Promise((wake) => setTimeout(wake, 1500))`)
	if got := b.eval(`const now = [...document.querySelectorAll("#view tbody tr")]; return now.filter((r, i) => r !== before[i]).length`); got != "0" {
		t.Errorf("%s rows of an unchanged table were drawn anew", got)
	}
	b.shoot("thousand", "light", 1400, 1000)
	b.calm()
}

func TestPageSaysWhenTheDaemonIsGone(t *testing.T) {
	b := newBrowser(t)
	m := &mind{snap: night()}
	s := web.New(web.Options{Mind: m, Refresh: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	srv := httptest.NewServer(s.Handler())
	b.open(srv.URL)
	b.until(`document.querySelector("#link").innerText.includes("live")`)
	quiet := snapshotOf(page("prod.internal", "web", "srv-web", warden.CustomHealthCheck, serial("web", 3)...))
	m.show(quiet)
	b.until(`document.querySelector("h1.ok").innerText.startsWith("All is well")`)
	srv.CloseClientConnections()
	srv.Close()
	b.until(`document.querySelector("#notices").innerText.includes("does not answer")`)
	b.until(`document.querySelector("h1.blind").innerText.startsWith("Last known: All is well")`)
	b.shoot("gone", "light", 1400, 1000)
	if got := b.eval(`return document.querySelector("#link").innerText`); !strings.Contains(got, "no answer") {
		t.Errorf("the light says %s", got)
	}
}

func TestPageViews(t *testing.T) {
	b := newBrowser(t)
	m, past, _, url := shown(t)
	b.open(url + "/#/history")
	b.until(`document.querySelectorAll("#view .records li").length === 6`)
	b.until(`document.querySelector("#view .records").innerText.includes("stays in. So many instances of the service fail")`)
	b.until(`document.querySelector("#view .records").innerText.includes("pay-0003 was taken out.")`)
	b.until(`document.querySelector("#view .empty").hidden`)
	b.shoot("history", "light", 1400, 1000)
	b.eval(`location.hash = "#/quarantine"`)
	b.until(`document.querySelectorAll("#view tbody tr").length === 1`)
	b.shoot("quarantine", "dark", 1400, 1000)
	past.mu.Lock()
	past.entries = nil
	past.mu.Unlock()
	next := night()
	next.Wall++
	m.show(next)
	b.until(`document.querySelector("#view").innerText.includes("Nothing is out because of mapwarden")`)
	b.eval(`location.hash = "#/service/no/such"`)
	b.until(`document.querySelector("#view").innerText.includes("There is no service no/such")`)

	// Trouble of the whole fleet comes first, and in words.
	storm := night()
	storm.Storm, storm.Doubt, storm.Gates = true, health.DoubtMass, []policy.Reason{policy.SelfDoubt, policy.Storm, policy.WarmUp}
	m.show(storm)
	b.eval(`location.hash = "#/"`)
	b.until(`document.querySelector("#notices").innerText.includes("doubts itself (mass)")`)
	b.until(`document.querySelector("#notices").innerText.includes("has not watched for long enough")`)
	b.shoot("storm", "dark", 1400, 1000)
	b.eval(`[...document.querySelectorAll("#notices button")].find((x) => x.innerText.startsWith("Release")).click(); document.querySelector("#dialog .danger").click()`)
	b.until(`!document.querySelector("#dialog").open`)
	if got := m.heard(); len(got) != 1 || got[0] != (warden.Release{By: "operator on the page"}) {
		t.Errorf("the mind heard %+v", got)
	}
	b.calm()
}
