package lever_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
)

// maxCalls bounds a job and its resumptions once nothing goes wrong any more.
const maxCalls = 400

// scenario is where a job begins.
type scenario struct {
	name  string
	goal  lever.Goal
	kind  lever.Kind
	ready func(*world) lever.Entry // prepares the world; the entry to start with
	born  bool                     // it was registered UNHEALTHY: out, and not because of us

	start func(*world, lever.Entry) (lever.Job, lever.Call) // nil: as the goal says
}

func fresh(k lever.Kind) lever.Entry {
	return lever.Entry{ID: "e-1", Kind: k, Service: svc, Instance: "i-1", Incarnation: life,
		Attributes: health.AttributesOf(ours), Reason: policy.Failing, Cause: "refused"}
}

func stored(w *world, e lever.Entry, p lever.Phase) lever.Entry {
	e.Phase, e.Version, e.Opened = p, 4, epoch
	w.entry = &e
	return e
}

var scenarios = []scenario{
	{"quarantine", lever.ToOut, lever.Quarantine, func(*world) lever.Entry { return fresh(lever.Quarantine) }, false, nil},
	{"quarantine again", lever.ToOut, lever.Quarantine, func(w *world) lever.Entry {
		e := fresh(lever.Quarantine)
		e.Restored = true
		return stored(w, e, lever.Returned)
	}, false, nil},
	{"restore", lever.ToIn, lever.Quarantine, func(w *world) lever.Entry {
		e := fresh(lever.Quarantine)
		e.OutSince = epoch + int64(begin) - int64(time.Hour)
		w.attrs = nil
		return stored(w, e, lever.Out)
	}, false, nil},
	{"status out", lever.ToOut, lever.CustomStatus, func(*world) lever.Entry { return fresh(lever.CustomStatus) }, false, nil},
	{"status in", lever.ToIn, lever.CustomStatus, func(w *world) lever.Entry {
		e := fresh(lever.CustomStatus)
		e.OutSince = epoch + int64(begin) - int64(time.Hour)
		w.status = health.Unhealthy
		return stored(w, e, lever.Out)
	}, false, nil},
	{"first raise", lever.ToIn, lever.CustomStatus, func(w *world) lever.Entry {
		w.status = health.Unhealthy
		return fresh(lever.CustomStatus)
	}, true, nil},
	{"drill", lever.ToProve, lever.Drill, func(*world) lever.Entry { return fresh(lever.Drill) }, false, nil},
	{"release of what is out", lever.ToRelease, lever.Quarantine, func(w *world) lever.Entry {
		e := fresh(lever.Quarantine)
		e.OutSince = epoch + int64(begin) - int64(time.Hour)
		w.attrs = nil
		return stored(w, e, lever.Out)
	}, false, nil},
	{"release of what is back", lever.ToRelease, lever.Quarantine, func(w *world) lever.Entry {
		e := fresh(lever.Quarantine)
		e.Restored = true
		return stored(w, e, lever.Returned)
	}, false, nil},
}

// run carries a job from its start to its end, over deaths of the process.
// fateOf says what becomes of the n-th call.
func run(w *world, s scenario, fateOf func(n int, c lever.Call) fate) (lever.Job, error) {
	var j lever.Job
	var c lever.Call
	e := s.ready(w)
	if s.start != nil {
		j, c = s.start(w, e)
	} else if s.goal == lever.ToRelease {
		j, c = lever.Release(e, lever.Pace{}, epoch)
	} else {
		j, c = lever.Start(s.goal, e, lever.Pace{}, epoch, w.now)
	}
	for n := 0; j.End == lever.Running; n++ {
		if n > maxCalls {
			return j, fmt.Errorf("not at its end after %d calls", n)
		}
		f := fateOf(n, c)
		if f == cancelledAtCall && c.At > w.now {
			w.advance(w.now + (c.At-w.now)/2)
			next, call, replaced := j.Cancel(policy.PassedInHold, true, w.now)
			if j = next; replaced {
				c = call
				continue
			}
			f = well
		}
		r, alive := w.do(c, f)
		if !alive {
			if w.entry == nil {
				return lever.Job{Goal: s.goal, End: lever.NotApplied}, nil // nothing to resume
			}
			w.forgotten()
			w.advance(w.now.Add(time.Second))
			var ok bool
			if j, c, ok = lever.Resume(*w.entry, lever.Pace{}, epoch, w.now); !ok {
				return lever.Job{Goal: s.goal, Entry: *w.entry, End: lever.NotApplied}, nil // at rest: nothing to resume
			}
			continue
		}
		if f == cancelledAtCall {
			j, _, _ = j.Cancel(policy.PassedInHold, false, w.now)
		}
		j, c = lever.Step(j, r, w.now)
	}
	return j, nil
}

// judge says what is wrong with the world that a job has left.
func judge(w *world, s scenario, j lever.Job) []string {
	wrong := slices.Clone(w.wrong)
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	w.advance(w.now.Add(time.Hour)) // all that is under way takes effect
	out := w.attrs == nil || w.status == health.Unhealthy
	entry := w.entry
	switch {
	case out && entry == nil && s.born: // as it was
	case out && entry == nil:
		say("lost: out, and nothing in the journal brings it back")
	case out && entry.Phase != lever.Out:
		say("lost: out, and the journal says %s", entry.Phase)
	case !out && entry != nil && entry.Phase != lever.Returned:
		say("in, and the journal says %s", entry.Phase)
	}
	if w.attrs != nil && !health.AttributesOf(w.attrs).Equal(health.AttributesOf(ours)) {
		say("the attributes are %v", w.attrs)
	}
	left, ok := j.Left()
	switch {
	case ok != (entry != nil):
		say("the job leaves an entry: %v; the journal holds one: %v", ok, entry != nil)
	case ok && (left.ID != entry.ID || left.Version != entry.Version || left.Phase != entry.Phase || left.Restored != entry.Restored):
		say("the job leaves %+v, the journal holds %+v", left, *entry)
	}
	if j.End == lever.Applied && j.Goal == lever.ToOut && !out {
		say("applied, and yet in")
	}
	if j.End == lever.Applied && j.Goal == lever.ToIn && out {
		say("applied, and yet out")
	}
	if s.kind == lever.Drill && out {
		say("a drill takes nothing out")
	}
	return wrong
}

// TestNothingGoesWrong: every job reaches its goal in a world that is well.
func TestNothingGoesWrong(t *testing.T) {
	for _, s := range scenarios {
		w := newWorld()
		j, err := run(w, s, func(int, lever.Call) fate { return well })
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		want := lever.Applied
		if s.goal == lever.ToRelease {
			want = lever.NotApplied // the registry bears nothing out
		}
		if j.End != want {
			t.Errorf("%s ended as %s (%s), want %s", s.name, j.End, j.Note, want)
		}
		for _, wrong := range judge(w, s, j) {
			t.Errorf("%s: %s", s.name, wrong)
		}
	}
}

// TestAnyTwoFaults tries every pair of things that can go wrong, at every pair
// of calls of every job: the process killed before or after each call, answers
// lost, calls refused, operations failed and slow, cancels.
func TestAnyTwoFaults(t *testing.T) {
	const reach = 14 // calls of a job in which a fault may strike
	tried := 0
	for _, s := range scenarios {
		for i := range reach {
			for k := i + 1; k <= reach; k++ {
				for f := fate(1); f < fates; f++ {
					for g := fate(0); g < fates; g++ {
						if g == well && k > i+1 {
							continue // one fault alone: once is enough
						}
						tried++
						tryTwo(t, s, map[int]fate{i: f, k: g})
					}
				}
			}
		}
	}
	t.Logf("%d runs", tried)
}

func tryTwo(t *testing.T, s scenario, at map[int]fate) {
	t.Helper()
	w := newWorld()
	var story []string
	j, err := run(w, s, func(n int, c lever.Call) fate {
		story = append(story, fmt.Sprintf("%s %s", c.Op, at[n]))
		return at[n]
	})
	wrong := judge(w, s, j)
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	if len(wrong) > 0 {
		t.Fatalf("%s with %v ended as %s (%s):\n%v\ncalls: %v", s.name, at, j.End, j.Note, wrong, story)
	}
}

// TestLongBadDays draws long runs of faults, of other delays of the registry.
func TestLongBadDays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(scenarios).Draw(t, "scenario")
		w := newWorld()
		w.opDelay = time.Duration(rapid.IntRange(0, 200_000).Draw(t, "operation delay ms")) * time.Millisecond
		bad := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, int(fates)-1), func(n int) fate { return fate(n) }), 0, 60).Draw(t, "fates")
		j, err := run(w, s, func(n int, c lever.Call) fate {
			if n < len(bad) {
				return bad[n]
			}
			return well
		})
		if err != nil {
			t.Fatal(err)
		}
		if wrong := judge(w, s, j); len(wrong) > 0 {
			t.Fatalf("%s ended as %s (%s): %v", s.name, j.End, j.Note, wrong)
		}
	})
}
