package lever_test

import (
	"flag"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
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

// days are how many bad ones each procedure lives through.
const days = 150

// TestBadDays writes down how every procedure ends on days on which several
// things go wrong, and the owner or somebody else meddles; and a sum over all
// of its calls, so that one more, fewer, sooner or later is noticed. Run it with
// -v to read the days in full.
func TestBadDays(t *testing.T) {
	var got strings.Builder
	for _, s := range scenarios {
		for day := range days {
			r := rand.New(rand.NewPCG(uint64(day), 7))
			w := newWorld()
			w.opDelay = time.Duration(r.IntN(4)) * 2 * time.Second
			meddle := r.IntN(24)
			text, calls := told(w, s, func(i int) fate {
				if i == meddle {
					meddlers[r.IntN(len(meddlers))](w)
				}
				if r.IntN(5) < 3 || i > 60 {
					return well
				}
				return fate(r.IntN(int(fates)))
			})
			t.Logf("%s, day %d\n%s", s.name, day, text)
			_, end, _ := strings.Cut(text, "\n  = ")
			fmt.Fprintf(&got, "%s, day %d: %d calls, %08x, %s", s.name, day, calls, crc32.ChecksumIEEE([]byte(text)), end)
		}
	}
	golden(t, "testdata/days.txt", got.String())
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
