package store

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mapwarden/mapwarden/internal/warden"
)

func TestMemoryIsMergedAndKept(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	learn := func(m warden.Memory) {
		t.Helper()
		if err := s.Learn(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want warden.Memory) {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openTest(t, dir)
		got, err := s.Memory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}

	expect(warden.Memory{})
	whole := warden.Memory{
		Passed: []warden.Passed{
			{Service: "srv-1", Instance: "a", Incarnation: math.MaxUint64, Probe: 1<<63 + 1},
			{Service: "srv-1", Instance: "b", Incarnation: 2, Probe: 3},
		},
		Armed:    []warden.Armed{{Service: "srv-1", Probe: math.MaxUint64, Since: 1_700_000_000_000_000_001, Proven: true}, {Service: "srv-2"}},
		Removals: []warden.Removal{{Service: "srv-1", Instance: "a", Walls: []int64{1, 1_700_000_000_000_000_001}}},
		Freeze:   &warden.FreezeUntil{Until: 1_800_000_000_000_000_001, By: "eva", Note: "deploy \u2028 <now>"},
	}
	learn(whole)
	expect(whole)

	learn(warden.Memory{}) // nothing new
	expect(whole)

	learn(warden.Memory{
		Passed:   []warden.Passed{{Service: "srv-1", Instance: "a"}, {Service: "srv-1", Instance: "c", Incarnation: 9, Probe: 9}, {Service: "srv-9", Instance: "unheard of"}},
		Armed:    []warden.Armed{{Service: "srv-2", Probe: 7, Since: 5}},
		Removals: []warden.Removal{{Service: "srv-1", Instance: "a"}, {Service: "srv-1", Instance: "b", Walls: []int64{7}}},
		Freeze:   &warden.FreezeUntil{},
	})
	expect(warden.Memory{
		Passed: []warden.Passed{
			{Service: "srv-1", Instance: "b", Incarnation: 2, Probe: 3},
			{Service: "srv-1", Instance: "c", Incarnation: 9, Probe: 9},
		},
		Armed:    []warden.Armed{whole.Armed[0], {Service: "srv-2", Probe: 7, Since: 5}},
		Removals: []warden.Removal{{Service: "srv-1", Instance: "b", Walls: []int64{7}}},
	})
}

// A difference with one bad row changes nothing.
func TestMemoryRefusesWhole(t *testing.T) {
	s := openTest(t, t.TempDir())
	good := warden.Passed{Service: "srv-1", Instance: "a", Incarnation: 1}
	for name, m := range map[string]warden.Memory{
		"no instance":         {Passed: []warden.Passed{good, {Service: "srv-1", Incarnation: 1}}},
		"no service":          {Passed: []warden.Passed{good}, Armed: []warden.Armed{{}}},
		"a removal of nobody": {Passed: []warden.Passed{good}, Removals: []warden.Removal{{Walls: []int64{1}}}},
		"an endless name":     {Passed: []warden.Passed{good, {Service: strings.Repeat("s", maxName+1), Instance: "a"}}},
	} {
		if err := s.Learn(t.Context(), m); err == nil {
			t.Errorf("%s: no error", name)
		}
		if m, err := s.Memory(t.Context()); err != nil || len(m.Passed) != 0 {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// Ids that run into each other without a border stay apart.
func TestKeysStayApart(t *testing.T) {
	s := openTest(t, t.TempDir())
	in := []warden.Passed{{Service: "a", Instance: "bc", Incarnation: 1}, {Service: "ab", Instance: "c", Incarnation: 2}}
	if err := s.Learn(t.Context(), warden.Memory{Passed: in}); err != nil {
		t.Fatal(err)
	}
	m, err := s.Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, m.Passed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
