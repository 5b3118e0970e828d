package policy

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// onsets are n targets that begin to fail, spread over hosts and services.
func onsets(n, hosts, services int) (out []Onset) {
	for i := range n {
		out = append(out, Onset{At: testNow - 1, Host: netip.AddrFrom4([4]byte{10, 0, byte(i % hosts >> 8), byte(i % hosts)}), Service: i % services})
	}
	return out
}

// TestMassRule: too much begins to fail at once to be the fault of so many.
func TestMassRule(t *testing.T) {
	old := onsets(5, 3, 3)
	for i := range old {
		old[i].At = testNow.Add(-30 * time.Second)
	}
	for name, c := range map[string]struct {
		w    World
		want bool
	}{
		"nothing":                           {World{Targets: 100}, false},
		"5 targets, 3 hosts, 3 services":    {World{Targets: 1000, Onsets: onsets(5, 3, 3)}, true},
		"4 targets":                         {World{Targets: 1000, Onsets: onsets(4, 4, 4)}, false},
		"2 hosts":                           {World{Targets: 1000, Onsets: onsets(9, 2, 3)}, false},
		"2 services":                        {World{Targets: 1000, Onsets: onsets(9, 9, 2)}, false},
		"one service, 20 %":                 {World{Targets: 100, Onsets: onsets(20, 20, 1)}, false},
		"one service, more than 20 %":       {World{Targets: 100, Onsets: onsets(21, 21, 1)}, true},
		"one service, 100 %, fewer than 20": {World{Targets: 19, Onsets: onsets(19, 19, 1)}, false},
		"long ago":                          {World{Targets: 1000, Onsets: old}, false},
	} {
		c.w.Loaded, c.w.Synced = true, true
		o := Assess(c.w, testFleet(), testNow)
		if o.Has(SelfDoubt) != c.want {
			t.Errorf("%s: self-doubt %v, want %v", name, !c.want, c.want)
		}
		if c.want && (o.Doubt != health.DoubtMass || o.DoubtUntil != testNow.Add(time.Minute)) {
			t.Errorf("%s: %s until %d", name, o.Doubt, o.DoubtUntil)
		}
	}
}

func TestGates(t *testing.T) {
	open := World{Loaded: true, Synced: true}
	for _, c := range []struct {
		change func(*World)
		want   []Reason
	}{
		{func(*World) {}, nil},
		{func(w *World) { w.Loaded = false }, []Reason{Unsynced}},
		{func(w *World) { w.Synced = false }, []Reason{Unsynced}},
		{func(w *World) { w.LostJournal = true }, []Reason{LostJournal}},
		{func(w *World) { w.Frozen, w.Stopping = true, true }, []Reason{Frozen, Stopping}},
		{func(w *World) { w.Thawing = true }, []Reason{Thawing}},
		{func(w *World) { w.Retiring = true }, []Reason{Retiring}},
		{func(w *World) { w.DoubtUntil = testNow + 1 }, []Reason{SelfDoubt}},
		{func(w *World) { w.DoubtUntil = testNow }, nil},
		{func(w *World) { w.Standby = true }, []Reason{Standby}},
		{func(w *World) { w.Accusers, w.Quorum = 1, 2 }, []Reason{NoQuorum}},
		{func(w *World) { w.Accusers, w.Quorum = 2, 2 }, nil},
	} {
		w := open
		c.change(&w)
		if o := Assess(w, testFleet(), testNow); !slices.Equal(o.Gates, c.want) {
			t.Errorf("%+v: gates %v, want %v", w, o.Gates, c.want)
		}
	}
	if o := Assess(World{}, FleetConfig{}, testNow); !o.Has(Unsynced) {
		t.Error("the zero world lets removals through")
	}
}

func TestCount(t *testing.T) {
	v := service(
		well(Member{Target: 1}),
		failing(Member{Target: 2}, health.Refused),
		Member{Target: 3}, // never seen
		away(Member{Target: 4}),
		Member{Target: 5, Foreign: true, LastAt: 1, Last: health.Indeterminate, Ever: true},
	)
	v.Ghosts = 2
	want := Counts{N: 7, Out: 4, Ever: 4, Passing: 2, Fails: 1, Blind: 2}
	if got := Count(&v); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	v.Desired = 9
	if got := Count(&v); got.N != 9 {
		t.Errorf("N is %d with 9 desired", got.N)
	}
	v.Config.FailOpen = 51
	if got := Count(&v); !got.PastLine {
		t.Error("2 of 4 pass, below 51 %, and the line is not crossed")
	}
	if empty := service(); !Count(&empty).PastLine {
		t.Error("a service of which nobody ever passed is above the line")
	}
}
