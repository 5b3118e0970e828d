package lever_test

import (
	"flag"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
)

var update = flag.Bool("update", false, "write testdata/procedures.txt anew")

// TestProcedures writes down every procedure, call by call: as it goes when all
// is well, and with each fault at each of its calls. Where two faults lead to
// the same, they share a paragraph; where one changes nothing, it has none.
// Commit an update only if you understand each line that changed.
func TestProcedures(t *testing.T) {
	var got strings.Builder
	for _, s := range scenarios {
		plain, calls := procedure(s, -1, well)
		fmt.Fprintf(&got, "# %s\n%s\n", s.name, plain)
		for n := range calls {
			var order []string
			faults := map[string][]string{}
			for f := fate(1); f < fates; f++ {
				text, _ := procedure(s, n, f)
				if text == plain {
					continue
				}
				if faults[text] == nil {
					order = append(order, text)
				}
				faults[text] = append(faults[text], f.String())
			}
			for _, text := range order {
				fmt.Fprintf(&got, "%s, call %d %s\n%s\n", s.name, n+1, strings.Join(faults[text], ", "), text)
			}
		}
	}
	golden(t, "testdata/procedures.txt", got.String())
}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s is another (-want +got):\n%s", file, diff)
	}
}

// odd are beginnings that are rarer than scenarios.
var odd = []scenario{
	{name: "status in, just set", goal: lever.ToIn, kind: lever.CustomStatus, ready: func(w *world) lever.Entry {
		e := fresh(lever.CustomStatus)
		e.OutSince = epoch + int64(begin) - int64(10*time.Second)
		return stored(w, e, lever.Out)
	}},
	{name: "release of a status", goal: lever.ToRelease, kind: lever.CustomStatus, ready: func(w *world) lever.Entry {
		e := fresh(lever.CustomStatus)
		e.OutSince = epoch + int64(begin) - int64(time.Hour)
		w.status = health.Unhealthy
		return stored(w, e, lever.Out)
	}},
	{name: "forgotten", goal: lever.ToRelease, kind: lever.Quarantine, ready: scenarios[2].ready,
		start: func(_ *world, e lever.Entry) (lever.Job, lever.Call) { return lever.Forget(e, lever.Pace{}, epoch) }},
	{name: "restore within a second", goal: lever.ToIn, kind: lever.Quarantine, ready: scenarios[2].ready,
		start: func(w *world, e lever.Entry) (lever.Job, lever.Call) {
			j, c := lever.Start(lever.ToIn, e, lever.Pace{}, epoch, w.now)
			return j.Within(w.now.Add(time.Second)), c
		}},
	{name: "status out, at a short pace", goal: lever.ToOut, kind: lever.CustomStatus, ready: scenarios[3].ready,
		start: func(w *world, e lever.Entry) (lever.Job, lever.Call) {
			return lever.Start(lever.ToOut, e, lever.Pace{CustomDelay: 6 * time.Second}, epoch, w.now)
		}},
}

// TestBadDays lives through many days on which several things go wrong, and
// the owner or somebody else meddles. It writes down how ten days each end, and
// a sum over all of their calls, so that one more, fewer, sooner or later is
// noticed. Run it with -v to read the days in full.
func TestBadDays(t *testing.T) {
	var got strings.Builder
	for _, s := range slices.Concat(scenarios, odd) {
		for ten := range 60 {
			sum, calls, ends := crc32.NewIEEE(), 0, map[string]int{}
			for day := 10 * ten; day < 10*ten+10; day++ {
				text, n := badDay(s, rand.New(rand.NewPCG(uint64(day), 7)))
				t.Logf("%s, day %d\n%s", s.name, day, text)
				fmt.Fprintln(sum, text)
				_, end, _ := strings.Cut(text, "\n  = ")
				end, _, _ = strings.Cut(end, ":")
				ends[end]++
				calls += n
			}
			fmt.Fprintf(&got, "%s, days %d to %d: %d calls, %08x, %v\n", s.name, 10*ten, 10*ten+9, calls, sum.Sum32(), ends)
		}
	}
	golden(t, "testdata/days.txt", got.String())
}

// badDay has a theme: a few faults that come again and again, more or less often.
func badDay(s scenario, r *rand.Rand) (text string, calls int) {
	w := newWorld()
	w.opDelay = time.Duration(r.IntN(4)) * 2 * time.Second
	theme := []fate{fate(r.IntN(int(fates))), fate(r.IntN(int(fates))), fate(r.IntN(int(fates)))}
	often, meddles, slow := 1+r.IntN(9), r.IntN(4), r.IntN(4)
	return told(w, s, func(i int) fate {
		if r.IntN(12) < meddles {
			meddlers[r.IntN(len(meddlers))](w)
		}
		if r.IntN(12) < slow {
			w.advance(w.now.Add(time.Duration(r.IntN(30)) * 100 * time.Millisecond))
		}
		if r.IntN(10) >= often || i > 40 {
			return well
		}
		return theme[r.IntN(len(theme))]
	})
}

// meddlers are what others do to the registry, and what can befall the journal.
var meddlers = []func(*world){
	func(w *world) { w.attrs = nil },
	func(w *world) { w.attrs = maps.Clone(ours) },
	func(w *world) { w.attrs = maps.Clone(ours); w.attrs["AWS_INSTANCE_IPV4"] = "10.0.0.8" },
	func(w *world) { w.attrs = maps.Clone(ours); w.attrs["color"] = "green" },
	func(w *world) { w.status = health.Healthy },
	func(w *world) { w.status = health.Unhealthy },
	func(w *world) { w.status = health.Unknown },
	func(w *world) { w.ops = map[string]*operation{} },
	func(w *world) { w.entry = nil },
	func(w *world) {
		if w.entry != nil {
			w.entry.Version += 2
		}
	},
}

// procedure tells how a job goes when its n-th call meets a fate.
func procedure(s scenario, n int, f fate) (text string, calls int) {
	return told(newWorld(), s, func(i int) fate {
		if i == n {
			return f
		}
		return well
	})
}

// told is how a job goes, call by call.
func told(w *world, s scenario, fateOf func(n int) fate) (text string, calls int) {
	var b strings.Builder
	width := 0
	j, err := run(w, s, func(i int, c lever.Call) fate {
		calls++
		part := said(w, c)
		if width += len(part); width > 120 {
			b.WriteString("\n ")
			width = len(part)
		}
		b.WriteString(" " + part)
		return fateOf(i)
	})
	if err != nil {
		fmt.Fprintf(&b, "\n  %v", err)
	}
	fmt.Fprintf(&b, "\n  = %s: %s", j.End, j.Says())
	if j.Sent() {
		b.WriteString("; sent")
	}
	if j.Pending() {
		b.WriteString("; pending")
	}
	if j.Refused() {
		b.WriteString("; refused")
	}
	if j.Why != "" {
		fmt.Fprintf(&b, "; because of %s", j.Why)
	}
	if e, ok := j.Left(); ok {
		fmt.Fprintf(&b, "; leaves %s", entryText(e))
	}
	b.WriteString("\n")
	return " " + b.String(), calls
}

// said is one call: when, which, and what it says.
func said(w *world, c lever.Call) string {
	text := fmt.Sprintf("%s %s", since(max(w.now, c.At).Sub(begin)), c.Op)
	switch c.Op {
	case lever.PutEntry, lever.UpdateEntry, lever.CloseEntry:
		text += " " + entryText(c.Entry)
	case lever.SetStatus:
		text += " " + c.Status.String()
	case lever.PollOperation:
		text += " " + c.Operation
	case lever.Register:
		text += " " + c.Token
	}
	return text + ";"
}

func entryText(e lever.Entry) string {
	text := fmt.Sprintf("(%s v%d opened %s updated %s", e.Phase, e.Version, wall(e.Opened), wall(e.Updated))
	if e.OutSince != 0 {
		text += " out " + wall(e.OutSince)
	}
	if e.Restored {
		text += " restored"
	}
	if c := e.Attributes.Get("color"); c != "blue" {
		text += " " + c
	}
	if e.Operation != "" {
		text += " " + e.Operation
	}
	return text + ")"
}

func wall(ns int64) string {
	if ns == 0 {
		return "never"
	}
	return since(time.Duration(ns - epoch - int64(begin)))
}

func since(d time.Duration) string {
	return fmt.Sprintf("%+.2f", d.Seconds())
}
