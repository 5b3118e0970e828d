package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
)

// drawn reads a matrix from a picture: a line for each vantage, with its zone
// (a number, or ? for unknown; a ! before it abstains) and a cell for each zone:
// # all are silent, + most, / half, - a few, . none, 5 all answer that they fail,
// and a blank where it knows too little.
func drawn(picture string) (m Matrix) {
	for line := range strings.Lines(picture) {
		line = strings.TrimSuffix(line, "\n")
		line, abstains := strings.CutPrefix(line, "!")
		r := Row{Abstains: abstains, Zone: max(strings.IndexByte("?123456789", line[0]), 0), Cells: []Cell{{}}}
		for _, c := range line[2:] {
			r.Cells = append(r.Cells, map[rune]Cell{
				'#': {10, 10, 10}, '+': {10, 9, 9}, '/': {10, 5, 5}, '-': {10, 1, 1}, '.': {10, 0, 0}, ' ': {2, 2, 2},
				'5': {10, 10, 0}, // all fail, and say so
			}[c])
		}
		m = append(m, r)
	}
	return m
}

// TestZoneMatrix: the readings of §2.6, zone by zone: D dead, I isolated, P path
// fault, and . nothing; an A at the end says that we are the ones who are cut off.
func TestZoneMatrix(t *testing.T) {
	f := testFleet()
	for name, c := range map[string]struct{ picture, want string }{
		"all is well":                     {"1 ...\n2 ...\n3 ...", "..."},
		"one vantage":                     {"1 .#.", "..."},
		"a few fail everywhere":           {"1 ---\n2 ---\n3 ---", "..."},
		"a zone dies":                     {"1 ..#\n2 ..#\n3 ..#", "..D"},
		"a zone dies with its vantage":    {"1 ..#\n2 ..#", "..D"},
		"not all of it":                   {"1 ..+\n2 ..#\n3 ..#", "..."},
		"one vantage knows too little":    {"1 ..#\n2 .. \n3 ..#", "..."},
		"seen by one only":                {"3 ..#\n3 ..#", "..."},
		"from an unknown zone":            {"? ..#\n1 ..#", "..."},
		"two zones die":                   {"1 .##\n2 .##\n3 .##", ".DD"},
		"everything dies":                 {"1 ###\n2 ###\n3 ###", "...A"},
		"all but ours, and no other says": {"1 .##\n2 ...\n3 ...", ".PPA"},
		"all but ours, alone":             {"1 .##", "...A"},
		"all but ours, most of it":        {"1 .++\n2 ...", ".PPA"},
		"all but ours, others agree":      {"1 .##\n2 .##", ".DD"},
		"two are cut off together":        {"1 ###\n2 ###\n3 ...", "PPIA"},
		"two of one zone are cut off":     {"1 .##\n1 .##\n2 ...", ".IPA"},
		"everything, alone":               {"1 ###", "...A"},
		"we are cut off, others agree":    {"1 ###\n2 ###", "...A"},
		"a zone is cut off":               {"1 ..#\n2 ..#\n3 ...", "..I"},
		"and finds the others bad":        {"1 ..#\n2 ..#\n3 ##.", "..I"},
		"most of a zone is cut off":       {"1 ..+\n2 ..+\n3 ..-", "..I"},
		"one path, to a zone's own":       {"1 ..#\n2 ...\n3 ...", "..P"},
		"one path, of two vantages":       {"1 ..#\n3 ...", "..P"},
		"another's path":                  {"1 ...\n2 ..#\n3 ...", "..."},
		"two paths, not its own":          {"1 ..#\n2 ..#\n4 ...\n3 ..#", "..P"},
		"a path, half lost":               {"1 ../\n2 ...\n3 ...", "..."},
		"bad, and nobody finds it well":   {"1 ..+\n2 ..+\n3 ../", "..."},
		"who abstains is no witness":      {"1 ..#\n!2 ..#\n", "..."},
		"two witnesses, one abstains":     {"1 ..#\n2 ..#\n!3 ..#", "..D"},
		"who abstains still passes":       {"1 ..#\n2 ..#\n!3 ..-", "..I"},
		"who abstains knows too little":   {"1 ..#\n2 ..#\n!3    ", "..D"},
		"two zones of targets":            {"1 .#\n3 .#", ".D"},
		"all answer 500":                  {"1 555\n2 555\n3 555", "..."},
		"all but ours answer 500":         {"1 .55\n2 ...", ".PP"},
		"a zone answers 500":              {"1 ..5\n2 ..5\n3 ..5", "..D"},
		"ours dies around us":             {"1 #..\n2 #..\n3 #..", "D.."},
		"ours is unknown to us":           {"1  ##\n2 ...", ".PPA"},
		"ours is half bad":                {"1 /##\n2 ...", ".PPA"},
	} {
		m := drawn(c.picture)
		readings, _ := m.read(&f)
		got := ""
		for _, r := range readings[1:] {
			got += string(".DIP"[r])
		}
		if m.partitioned(&f) {
			got += "A"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s\n%s", name, got, c.want, c.picture)
		}
	}
}

// TestZoneIsDeadAfterAWhile: for ZoneFor without a break; the last word of a
// vantage that died with its zone only has to expire until then.
func TestZoneIsDeadAfterAWhile(t *testing.T) {
	f := testFleet()
	w := World{Matrix: drawn("1 ..#\n2 ..#\n3 ...")}
	at := testNow
	step := func(d time.Duration, picture string) Reading {
		at = at.Add(d)
		w.Matrix = drawn(picture)
		o := Assess(w, f, at)
		w.ZoneSince = o.ZoneSince
		return o.Zone(3)
	}
	lost, gone := "1 ..#\n2 ..#\n3 ...", "1 ..#\n2 ..#"
	for i, c := range []struct {
		after   time.Duration
		picture string
		want    Reading
	}{
		{0, lost, ZoneIsolated},
		{f.ZoneFor - 1, gone, ZoneNormal},
		{1, gone, ZoneDead},
		{time.Second, lost, ZoneIsolated},
		{time.Second, gone, ZoneDead},
		{time.Second, "1 ..+\n2 ..#", ZoneNormal}, // a break
		{time.Second, gone, ZoneNormal},
		{f.ZoneFor - 1, gone, ZoneNormal},
		{1, gone, ZoneDead},
	} {
		if got := step(c.after, c.picture); got != c.want {
			t.Errorf("step %d: reading %d, want %d", i, got, c.want)
		}
	}
	off := f
	off.ZoneFor = 0
	w.ZoneSince = []health.Instant{0, 0, 0, 1}
	if o := Assess(w, off, at); o.Zone(3) != ZoneNormal {
		t.Error("a zone is dead though that is switched off")
	}
}

func anyMatrix(t *rapid.T) Matrix {
	zones := rapid.IntRange(1, 4).Draw(t, "zones")
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Row {
		r := Row{Zone: rapid.IntRange(0, zones).Draw(t, "zone"), Abstains: rapid.IntRange(0, 4).Draw(t, "abstains") == 0, Cells: make([]Cell, zones+1)}
		for z := range r.Cells {
			seen := rapid.IntRange(0, 6).Draw(t, "seen")
			bad := rapid.SampledFrom([]int{0, seen, seen, rapid.IntRange(0, seen).Draw(t, "bad")}).Draw(t, "which")
			r.Cells[z] = Cell{seen, bad, rapid.IntRange(0, bad).Draw(t, "dark")}
		}
		return r
	}), 0, 4).Draw(t, "rows")
}

// TestADeadZoneIsSeenByAll: whatever the matrix, a zone is dead only if two
// vantages of two zones, and no vantage against them, see all of it fail, and
// each of them finds another zone well.
func TestADeadZoneIsSeenByAll(t *testing.T) {
	f := testFleet()
	thoroughly(t, func(t *rapid.T) {
		m := anyMatrix(t)
		readings, given := m.read(&f)
		for z, reading := range readings {
			if reading != ZoneDead {
				continue
			}
			from := map[int]bool{}
			for _, r := range m {
				c := r.Cells[z]
				if c.Bad < c.Seen && c.Seen >= f.ZoneLeast || !r.Abstains && c.Seen < f.ZoneLeast {
					t.Fatalf("zone %d is dead, and a vantage does not say so: %+v", z, m)
				}
				if !r.Abstains {
					from[r.Zone] = r.Zone != 0
					if !slices.ContainsFunc(r.Cells[1:], f.fine) {
						t.Fatalf("zone %d is dead for a vantage that finds nothing well: %+v", z, m)
					}
				}
			}
			delete(from, 0)
			if len(from) < 2 || z == 0 || !given[z] {
				t.Fatalf("zone %d is dead, from %v, given up %t: %+v", z, from, given[z], m)
			}
		}
	})
}

// TestMoreDoubtNeverKillsAZone: a vantage that begins to abstain, or one target
// more that passes, makes no zone dead.
func TestMoreDoubtNeverKillsAZone(t *testing.T) {
	f := testFleet()
	thoroughly(t, func(t *rapid.T) {
		m := anyMatrix(t)
		if len(m) == 0 {
			return
		}
		before, _ := m.read(&f)
		k := rapid.IntRange(0, len(m)-1).Draw(t, "vantage")
		z := rapid.IntRange(0, len(m[k].Cells)-1).Draw(t, "of zone")
		if c := &m[k].Cells[z]; rapid.Bool().Draw(t, "passes") && c.Seen >= f.ZoneLeast {
			c.Bad = rapid.IntRange(0, max(c.Bad-1, 0)).Draw(t, "now bad")
		} else {
			for _, c := range m[k].Cells {
				if !f.known(c) {
					return // it stands against the others by not knowing
				}
			}
			m[k].Abstains = true
		}
		after, _ := m.read(&f)
		for zone := range after {
			// a cell that passes may be another zone's proof that its vantage sees well
			if after[zone] == ZoneDead && before[zone] != ZoneDead && (zone == z || m[k].Abstains) && !slices.ContainsFunc(m[k].Cells, f.fine) {
				t.Fatalf("zone %d is dead only now: %+v", zone, m)
			}
		}
	})
}

// TestOneVantageReadsNothing.
func TestOneVantageReadsNothing(t *testing.T) {
	f := testFleet()
	rapid.Check(t, func(t *rapid.T) {
		m := anyMatrix(t)
		if len(m) == 0 {
			return
		}
		readings, _ := m[:1].read(&f)
		if i := slices.IndexFunc(readings, func(r Reading) bool { return r != ZoneNormal }); i >= 0 {
			t.Fatalf("zone %d: reading %d of %+v", i, readings[i], m[:1])
		}
	})
}

// zoned are three members of each of three zones; those of the last are silent.
func zoned() ServiceView {
	v := service()
	for i := range 9 {
		m := well(Member{Target: health.NewHandle(uint32(i), 1), Tie: uint64(i), Zone: 1 + i/3})
		if i >= 6 {
			m.Status, m.Verdict, m.Last, m.Cause = health.Healthy, health.Healthy, health.Indeterminate, health.PathUnproven
			m.Passes, m.PassSince = 0, 0
		}
		v.Members = append(v.Members, m)
	}
	return v
}

// TestZoneBatch: a dead zone goes at once: neither share nor velocity, storm nor
// silence holds it; the line, the last healthy and every other rule do.
func TestZoneBatch(t *testing.T) {
	spent := Bank{Storm: true, Services: []health.Instant{testNow + 1}, Global: []health.Instant{testNow - 1, testNow - 1}}
	dead := warm
	dead.Zones = []Reading{0, 0, 0, ZoneDead}
	dead.Failing = 500
	decide := func(o Outlook, v ServiceView) (Bank, []Decision) {
		return Admit(spent.clone(), Propose(o, v, testNow).Proposals, o, testFleet(), testNow)
	}
	bank, ds := decide(dead, zoned())
	if len(ds) != 3 {
		t.Fatalf("%d decisions: %+v", len(ds), ds)
	}
	for _, d := range ds {
		if !d.Admitted || d.Why != Zone || d.Member < 6 {
			t.Errorf("%+v", d)
		}
	}
	if len(bank.Global) != 2 || len(bank.Recent) != 0 {
		t.Errorf("the batch spent what is others': %+v", bank)
	}
	if _, ds := decide(warm, zoned()); len(ds) != 0 {
		t.Errorf("silence alone: %+v", ds)
	}
	for want, change := range map[Reason]func(*Outlook, *ServiceView){
		FailOpen: func(_ *Outlook, v *ServiceView) { v.Members[0].Last, v.Members[3].Last = health.Fail, health.Fail },
		LastHealthy: func(_ *Outlook, v *ServiceView) {
			for i := range 6 {
				v.Members[i].Foreign = true
			}
		},
		Frozen:        func(o *Outlook, _ *ServiceView) { o.Gates = []Reason{Frozen} },
		NoQuorum:      func(o *Outlook, _ *ServiceView) { o.Gates = []Reason{NoQuorum} },
		SelfDoubt:     func(o *Outlook, _ *ServiceView) { o.Gates = []Reason{SelfDoubt} },
		WarmUp:        func(o *Outlook, _ *ServiceView) { o.WarmSince = testNow - 1 },
		CheckUnproven: func(_ *Outlook, v *ServiceView) { v.Armed = false },
		Holding:       func(_ *Outlook, v *ServiceView) { v.Quarantine = true },
		Flapping: func(_ *Outlook, v *ServiceView) {
			for i := range v.Members {
				v.Members[i].Removed = 4
			}
		},
	} {
		o, v := dead, zoned()
		change(&o, &v)
		_, ds := decide(o, v)
		for _, d := range ds {
			if d.Member >= 6 && (d.Admitted || d.Why != want) {
				t.Errorf("%s: %+v", want, d)
			}
		}
		if len(ds) < 3 {
			t.Errorf("%s: %d decisions", want, len(ds))
		}
	}
	v := zoned()
	v.Members[6] = well(v.Members[6])
	v.Members[7].Ever = false
	if _, ds := decide(dead, v); len(ds) != 1 || ds[0].Member != 8 {
		t.Errorf("one passes and one never did: %+v", ds)
	}
}

// TestPairInADeadZone: of two, the one in a dead zone goes while the other is
// surely well.
func TestPairInADeadZone(t *testing.T) {
	v := zoned()
	v.Members = []Member{v.Members[0], v.Members[8]}
	o := warm
	o.Zones = []Reading{0, 0, 0, ZoneDead}
	if ps := Propose(o, v, testNow).Proposals; len(ps) != 1 || ps[0].Withheld != NoReason {
		t.Errorf("%+v", ps)
	}
	v.Members[0].LastTwo = false
	if ps := Propose(o, v, testNow).Proposals; len(ps) != 1 || ps[0].Withheld != LastHealthy {
		t.Errorf("the other has just come back: %+v", ps)
	}
}

// TestPendingZone: a status that is written for a dead zone is not taken back
// for lack of a path; but it is when the zone is not dead any more.
func TestPendingZone(t *testing.T) {
	v := zoned()
	v.Members[8].Removing, v.Members[8].Pending = true, true
	o := warm
	o.Zones = []Reading{0, 0, 0, ZoneDead}
	for _, p := range Propose(o, v, testNow).Proposals {
		if p.Action == Cancel {
			t.Errorf("%+v", p)
		}
	}
	ps := Propose(warm, v, testNow).Proposals
	if len(ps) != 1 || ps[0].Action != Cancel || ps[0].Reason != PathUnproven {
		t.Errorf("not dead any more: %+v", ps)
	}
}

// TestMassOfAZone: a zone's death is no doubt of ours where another vantage sees
// as much; and a doubt that was there before its votes came ends then.
func TestMassOfAZone(t *testing.T) {
	shaped := func(n, zone int) []Onset {
		xs := onsets(n, n, 3)
		for i := range xs {
			xs[i].Zone = zone
		}
		return xs
	}
	for name, c := range map[string]struct {
		picture string
		onsets  []Onset
		want    bool
	}{
		"seen by another":           {"1 ..#\n2 ..#", shaped(10, 3), false},
		"who abstains for it":       {"1 ..#\n!2 ..#", shaped(10, 3), false},
		"seen by us alone":          {"1 ..#", shaped(10, 3), true},
		"another sees it well":      {"1 ..#\n2 ..-", shaped(10, 3), true},
		"another sees half of it":   {"1 ..#\n2 ../", shaped(10, 3), true},
		"half of it, as another":    {"1 ../\n2 ../", shaped(5, 3), false},
		"elsewhere, too":            {"1 ./#\n2 ..#", shaped(10, 3), true},
		"not of one zone":           {"1 ..#\n2 ..#", append(shaped(7, 3), shaped(3, 2)...), true},
		"of no known zone":          {"1 ..#\n2 ..#", shaped(10, 0), true},
		"we find nothing well":      {"1   #\n2 ..#", shaped(10, 3), true},
		"everything, and all agree": {"1 ###\n2 ###", shaped(10, 3), true},
	} {
		w := World{Loaded: true, Synced: true, Targets: 30, Onsets: c.onsets, MassUntil: testNow.Add(time.Second), Matrix: drawn(c.picture)}
		if o := Assess(w, testFleet(), testNow); o.Has(SelfDoubt) != c.want {
			t.Errorf("%s: doubt %v", name, !c.want)
		}
	}
	w := World{Loaded: true, Synced: true, Targets: 30, Onsets: shaped(10, 3), Matrix: drawn("1 ..#\n2 ..#"),
		Doubt: health.DoubtLate, DoubtUntil: testNow + 1}
	if o := Assess(w, testFleet(), testNow); !o.Has(SelfDoubt) || o.Doubt != health.DoubtLate {
		t.Errorf("another doubt ended with it: %+v", o)
	}
}

// TestAPartitionIsDoubt.
func TestAPartitionIsDoubt(t *testing.T) {
	o := Assess(World{Loaded: true, Synced: true, Matrix: drawn("1 .##\n2 ...")}, testFleet(), testNow)
	if !o.Has(SelfDoubt) || o.Doubt != health.DoubtPartition || o.DoubtUntil != testNow.Add(time.Minute) {
		t.Errorf("%+v", o)
	}
}
