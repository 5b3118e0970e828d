package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// span is a quarter of a second as a client tells it.
func span(at time.Time, offered []string, sent, failed map[string]int) heard {
	h := heard{Side: with, Service: "web", At: at, Offered: offered, Sent: sent, Failed: failed,
		LastFail: map[string]int64{}, FirstOK: map[string]int64{}}
	for id, n := range sent {
		if failed[id] > 0 {
			h.LastFail[id] = at.UnixNano()
		}
		if n > failed[id] {
			h.FirstOK[id] = at.UnixNano()
		}
	}
	return h
}

func TestTallyCountsOneInstanceInOneWindow(t *testing.T) {
	begin := time.Unix(1000, 0)
	tally := newTally()
	all, rest := []string{"web-1", "web-2"}, []string{"web-1"}
	tally.add(span(begin.Add(-time.Second), all, map[string]int{"web-2": 5}, map[string]int{"web-2": 5}))
	tally.add(span(begin.Add(time.Second), all, map[string]int{"web-1": 5, "web-2": 5}, map[string]int{"web-2": 5}))
	tally.add(span(begin.Add(2*time.Second), rest, map[string]int{"web-1": 9, "web-2": 1}, map[string]int{"web-2": 1}))
	tally.add(span(begin.Add(8*time.Second), rest, map[string]int{"web-1": 10}, nil))
	tally.add(span(begin.Add(20*time.Second), all, map[string]int{"web-2": 5}, map[string]int{"web-2": 5}))

	w := window{side: with, service: "web", instance: "web-2", begin: begin, end: begin.Add(10 * time.Second)}
	f := tally.figures(w)
	if f.Sent != 6 || f.Failed != 6 {
		t.Errorf("sent %d, failed %d; want 6 and 6", f.Sent, f.Failed)
	}
	if got := stopAfter(f, w); got != 2 {
		t.Errorf("stopped after %vs, want 2", got)
	}
	if f.Least != 1 {
		t.Errorf("least offered others %d, want 1", f.Least)
	}
	w.end = begin.Add(2500 * time.Millisecond)
	if got := stopAfter(tally.figures(w), w); got != -1 {
		t.Errorf("failures go on to the end of the window, but it stopped after %vs", got)
	}
	if f := tally.figures(window{side: without, service: "web", begin: begin, end: w.end}); f.Sent != 0 {
		t.Errorf("the other side sent %d", f.Sent)
	}
}

// Two registrations of one server are a double, whatever their ids.
func TestDoubles(t *testing.T) {
	at := func(ip, port string) health.Attributes {
		return health.AttributesOf(map[string]string{health.AttrIPv4: ip, health.AttrPort: port, "VERSION": "1"})
	}
	if n := doubles([]health.Attributes{at("127.0.0.1", "1"), at("127.0.0.1", "2"), at("127.0.0.2", "1")}); n != 0 {
		t.Errorf("%d doubles among different ones", n)
	}
	if n := doubles([]health.Attributes{at("127.0.0.1", "1"), at("127.0.0.1", "2"), at("127.0.0.1", "1"), at("127.0.0.1", "1")}); n != 2 {
		t.Errorf("%d doubles, want 2", n)
	}
}

// Only the entry that the kill left counts as adopted.
func TestAdoptions(t *testing.T) {
	begin := time.Unix(1000, 0)
	entry := func(instance, detail string, at time.Duration) told {
		return told{Service: "web", Instance: instance, Detail: detail, At: begin.Add(at)}
	}
	records := []told{
		entry("web-4", "adopted a journal entry in phase out", -time.Second), entry("web-2", "adopted a journal entry in phase out", time.Second),
		entry("web-4", "something else", time.Second), {Service: "api", Instance: "web-4", Detail: "adopted", At: begin},
	}
	if n := adoptions(records, "web", "web-4", begin); n != 0 {
		t.Errorf("%d adoptions, want none", n)
	}
	if n := adoptions(append(records, entry("web-4", "adopted a journal entry in phase intent", time.Second)), "web", "web-4", begin); n != 1 {
		t.Errorf("%d adoptions, want 1", n)
	}
}

func TestReportSaysWhatWasBroken(t *testing.T) {
	r := Report{Acts: []ActReport{
		{Act: 2, Name: "crash", WithoutFailed: 700, WithoutStop: -1, WithFailed: 90, WithStop: 4, Back: 2, Capacity: 1, Reason: "fall 4/4 refused", Kept: true, counted: true},
		{Act: 5, Name: "shared failure", Capacity: 0.83, Back: -1, Reason: "removed one", Promise: "0 removed"},
	}, Kept: 1, Promises: 2}
	var b strings.Builder
	r.Print(&b)
	for _, want := range []string{"never", "4.0s", "fall 4/4 refused\n", "removed one; BROKEN: 0 removed", "PROMISES 1/2 kept"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, b.String())
		}
	}
	if r.OK() {
		t.Error("a broken promise is not OK")
	}
}
