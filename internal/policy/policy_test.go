package policy

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
)

// fleet is what one round of judgement is about.
type fleet struct {
	o        Outlook
	bank     Bank
	services []ServiceView
}

func anyFleet(t *rapid.T) fleet {
	f := fleet{o: anyOutlook(t), bank: anyBank(t)}
	for i := range rapid.IntRange(1, 3).Draw(t, "services") {
		f.services = append(f.services, anyService(t, i))
	}
	return f
}

func (f fleet) proposals() (ps []Proposal) {
	for _, v := range f.services {
		ps = append(ps, Propose(f.o, v, testNow).Proposals...)
	}
	return ps
}

// clone of a bank, as Admit takes its bank over.
func (b Bank) clone() Bank {
	b.Services, b.Soft, b.Returns = slices.Clone(b.Services), slices.Clone(b.Soft), slices.Clone(b.Returns)
	b.Recent, b.Global = slices.Clone(b.Recent), slices.Clone(b.Global)
	return b
}

func (f fleet) decide() []Decision {
	_, ds := Admit(f.bank.clone(), f.proposals(), f.o, testFleet(), testNow)
	return ds
}

// removals are the admitted removals of one service.
func removals(ds []Decision, service int) (out []Decision) {
	for _, d := range ds {
		if d.Admitted && d.Action.Removes() && d.Service == service {
			out = append(out, d)
		}
	}
	return out
}

// TestBudgetsHold: whatever the members say, no more is taken out than rule 7
// allows for the class of evidence.
func TestBudgetsHold(t *testing.T) {
	thoroughly(t, func(t *rapid.T) {
		f := anyFleet(t)
		ds := f.decide()
		for i, v := range f.services {
			c := Count(&v)
			soft, all, draining := 0, 0, 0
			for _, d := range removals(ds, i) {
				if d.Class == health.Gone || d.Batch {
					continue
				}
				all++
				if leaves(d.Reason) {
					draining++
				}
				if d.Class == health.Soft && d.Action == Remove {
					soft++
				}
			}
			if most := max(int(v.Config.MaxOutHard*float64(c.N)/100), int(v.Config.MaxOut*float64(c.N)/100), 1); all > draining && c.Out+all-min(draining, c.Draining) > most || c.Out-c.Draining+all > most && all > 0 {
				t.Fatalf("%d of %d are out, and %d more are taken out; at most %d", c.Out, c.N, all, most)
			}
			if most := max(int(v.Config.MaxOut*float64(c.N)/100), 1); soft > 0 && c.Out+soft > most {
				t.Fatalf("%d of %d are out, and %d more on soft evidence; at most %d", c.Out, c.N, soft, most)
			}
		}
	})
}

// TestNoRemovalBehindAGate: zero removals when unsynced, stale, frozen,
// standing by, thawing, stopping, retiring, off, without the journal; and, but for what
// owners and targets say, in doubt, without a quorum, unarmed or past the line.
func TestNoRemovalBehindAGate(t *testing.T) {
	thoroughly(t, func(t *rapid.T) {
		f := anyFleet(t)
		ds := f.decide()
		for i, v := range f.services {
			for _, d := range removals(ds, i) {
				for _, g := range f.o.Gates {
					word := g == NoQuorum && leaves(d.Reason) // no view of ours is asked
					if g != SelfDoubt && g != NoQuorum || d.Class != health.Gone && !word {
						t.Fatalf("removed behind the gate %s: %+v", g, d)
					}
				}
				if v.Stale || !v.Listed || v.Config.Mode == ModeOff || v.Blocked == Route53Check || v.Blocked == EvidenceMissing {
					t.Fatalf("removed from %+v", v)
				}
				if v.OwnerWrites || v.Deploying && d.Class != health.Gone && d.Action == Remove {
					t.Fatalf("removed from %+v", v)
				}
				if d.Class == health.Gone {
					continue
				}
				if d.Counts.PastLine || !v.Armed || v.Quarantine && v.Drill != DrillDone {
					t.Fatalf("removed from %+v with %+v", v, d.Counts)
				}
				m := v.Members[d.Member]
				warming := testNow < f.o.WarmSince.Add(v.Config.WarmUp)
				if leaves(d.Reason) {
					if warming || !m.draining() || m.Foreign || m.Other || m.Busy || f.bank.Storm && !calm(f.o) {
						t.Fatalf("removed as draining: %+v", m)
					}
					continue
				}
				if m.OwnerStarting && d.Action == Remove {
					t.Fatalf("removed as failing, and starting: %+v", m)
				}
				if d.Action == Remove && (!m.Ever || warming || m.Probes < v.Config.WarmUpProbes || !d.Batch && f.bank.Storm && !calm(f.o)) {
					t.Fatalf("removed too early: %+v", m)
				}
				if r := f.o.Zone(m.Zone); d.Batch != (d.Reason == Zone) || d.Batch && r != ZoneDead || r == ZoneIsolated || r == ZonePath {
					t.Fatalf("removed with its zone %t, of which is read %d: %+v", d.Batch, r, m)
				}
				switch {
				case d.Reason == Gray && (!m.Gray || m.Verdict != health.Unhealthy || m.Last == health.Indeterminate):
					t.Fatalf("removed as gray: %+v", m)
				case d.Reason == Slow && (!m.Degraded || m.Last == health.Indeterminate):
					t.Fatalf("removed as slow: %+v", m)
				case d.Reason == Failing && (m.Fails < v.Fall || m.Last != health.Fail), d.Reason == NeverReady && m.Last != health.Fail:
					t.Fatalf("removed too early: %+v", m)
				case d.Batch && m.Last != health.Fail && m.Cause != health.PathUnproven:
					t.Fatalf("removed with its zone, and well: %+v", m)
				}
				if m.Foreign || m.Other || m.Busy {
					t.Fatalf("removed: %+v", m)
				}
			}
		}
	})
}

func calm(o Outlook) bool { return float64(o.Failing)*100 < testFleet().StormCalm*float64(o.Targets) }

// TestNeverTheLastHealthy: somebody who passes and is in stays, unless owner
// evidence may empty the service.
func TestNeverTheLastHealthy(t *testing.T) {
	thoroughly(t, func(t *rapid.T) {
		f := anyFleet(t)
		ds := f.decide()
		for i, v := range f.services {
			out := removals(ds, i)
			out = slices.DeleteFunc(out, func(d Decision) bool { return d.Reason == UndoResurrection })
			if len(out) == 0 || v.Config.GoneLast && slices.ContainsFunc(out, func(d Decision) bool { return d.Class == health.Gone }) {
				continue
			}
			left := 0
			for k := range v.Members {
				removed := slices.ContainsFunc(out, func(d Decision) bool { return d.Member == k })
				if m := &v.Members[k]; !removed && !m.isOut() && m.Last == health.Pass {
					left++
				}
			}
			if left == 0 || Count(&v).N < 2 {
				t.Fatalf("%d removed of %d, %d left that pass", len(out), len(v.Members), left)
			}
		}
	})
}

// TestProposeIsPure: what it was given is as before, so asking twice gives the
// same plan.
func TestProposeIsPure(t *testing.T) {
	thoroughly(t, func(t *rapid.T) {
		o, v := anyOutlook(t), anyService(t, 0)
		before := slices.Clone(v.Members)
		want := Propose(o, v, testNow)
		if !slices.Equal(v.Members, before) {
			t.Fatalf("members\n%+v\nafter\n%+v", v.Members, before)
		}
		if got := Propose(o, v, testNow); !reflect.DeepEqual(got, want) {
			t.Fatalf("asked again\n%+v\nwant\n%+v", got, want)
		}
	})
}

// TestBringIsNeverWithheldByRemovalRules: what withholds a return is on a short
// list; budgets, velocity and storms are not on it, but for the pace of a mass
// return.
func TestBringIsNeverWithheldByRemovalRules(t *testing.T) {
	may := []Reason{Off, Frozen, Stopping, Standby, CallFailed, Busy, Backoff, RestoreUnproven, AskingOwner}
	thoroughly(t, func(t *rapid.T) {
		for _, d := range anyFleet(t).decide() {
			if d.Action != Bring || d.Admitted || slices.Contains(may, d.Why) || d.Reason == FailOpenAll && d.Why == Velocity {
				continue
			}
			t.Fatalf("a return for %s is withheld by %s", d.Reason, d.Why)
		}
	})
}

// TestDeterminism: same input, same output, and the order of proposals decides
// nothing.
func TestDeterminism(t *testing.T) {
	thoroughly(t, func(t *rapid.T) {
		f := anyFleet(t)
		ps := f.proposals()
		_, want := Admit(f.bank.clone(), ps, f.o, testFleet(), testNow)
		shuffled := slices.Clone(f.proposals())
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		r.Shuffle(len(shuffled), func(i, k int) { shuffled[i], shuffled[k] = shuffled[k], shuffled[i] })
		_, got := Admit(f.bank.clone(), shuffled, f.o, testFleet(), testNow)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("in another order:\n%+v\nwant\n%+v", got, want)
		}
	})
}

// TestMoreRulesNeverAdmitMore holds over Propose and Admit together: with one
// more gate closed, and with all rules instead of some, no more is removed.
func TestMoreRulesNeverAdmitMore(t *testing.T) {
	count := func(f fleet) (n int) {
		for _, d := range f.decide() {
			if d.Admitted && d.Action.Removes() {
				n++
			}
		}
		return n
	}
	thoroughly(t, func(t *rapid.T) {
		f := anyFleet(t)
		before := count(f)
		gated := f
		gated.o.Gates = append(slices.Clone(f.o.Gates), rapid.SampledFrom(gateReasons).Draw(t, "one more gate"))
		if after := count(gated); after > before {
			t.Fatalf("%d removals, %d with one more gate", before, after)
		}
		kept := rapid.SliceOfN(rapid.Bool(), len(rules), len(rules)).Draw(t, "kept rules")
		if fewer := withRules(kept, func() int { return count(f) }); fewer < before {
			t.Fatalf("%d removals, %d with fewer rules", before, fewer)
		}
	})
}

// withRules counts while only some of the rules withhold anything.
func withRules(kept []bool, count func() int) int {
	all := rules
	defer func() { rules = all }()
	for i, keep := range kept {
		if !keep {
			rules[i].withholds = func(situation) bool { return false }
		}
	}
	return count()
}

// wants is a removal that nothing withholds.
func wants(service, member, n int, c *Config) Proposal {
	return Proposal{Target: health.NewHandle(uint32(service*1000+member), 1), Service: service, Member: member,
		Action: Remove, Reason: Failing, Class: health.Hard, Counts: Counts{N: n}, Config: c}
}

// TestVelocity: in no stretch of time are there more removals than the rates
// allow, whatever is asked for and when.
func TestVelocity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := testFleet()
		f.StormCount = 1 << 30
		o := Outlook{Targets: rapid.IntRange(1, 2000).Draw(t, "targets")}
		c := testConfig()
		c.Removals = Rate{rapid.IntRange(1, 4).Draw(t, "removals"), time.Duration(rapid.IntRange(1, 60).Draw(t, "per s")) * time.Second}
		var b Bank
		now := testNow
		var all []health.Instant
		each := map[int][]health.Instant{}
		for range rapid.IntRange(1, 120).Draw(t, "rounds") {
			now = now.Add(time.Duration(rapid.IntRange(1, 9000).Draw(t, "later ms")) * time.Millisecond)
			var ps []Proposal
			for s := range 4 {
				ps = append(ps, wants(s, 1, 1000, &c), wants(s, 2, 1000, &c))
			}
			var ds []Decision
			b, ds = Admit(b, ps, o, f, now)
			for _, d := range ds {
				if d.Admitted {
					all, each[d.Service] = append(all, now), append(each[d.Service], now)
				}
			}
		}
		if most := within(all, f.RemovalsGlobal.Per); most > f.RemovalsGlobal.of(o.Targets) {
			t.Fatalf("%d removals in %s, at most %d", most, f.RemovalsGlobal.Per, f.RemovalsGlobal.of(o.Targets))
		}
		for s, at := range each {
			if most := within(at, c.Removals.Per); most > c.Removals.N {
				t.Fatalf("service %d: %d removals in %s, at most %d", s, most, c.Removals.Per, c.Removals.N)
			}
		}
	})
}

// within is the largest number of instants in any stretch of that length.
func within(at []health.Instant, d time.Duration) (most int) {
	for i := range at {
		n := 0
		for _, x := range at[i:] {
			if x.Sub(at[i]) < d {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// TestStorm: more than 3 % and more than 10 in ten minutes latch removals off,
// until the fleet is calm.
func TestStorm(t *testing.T) {
	f, c := testFleet(), testConfig()
	f.RemovalsGlobal.Least = 100
	o := Outlook{Targets: 100, Failing: 30}
	var b Bank
	admitted := 0
	now := testNow
	for i := range 20 {
		now = now.Add(11 * time.Second)
		var ds []Decision
		b, ds = Admit(b, []Proposal{wants(i, 1, 100, &c)}, o, f, now)
		if ds[0].Admitted {
			admitted++
		} else if ds[0].Why != Storm {
			t.Fatalf("withheld by %s", ds[0].Why)
		}
	}
	if admitted != 10 || !b.Storm {
		t.Fatalf("%d admitted, latched %v; want 10, true", admitted, b.Storm)
	}
	now = now.Add(time.Hour)
	if b = b.Settle(o, f, now); !b.Storm {
		t.Fatal("time alone released the latch")
	}
	returned := Proposal{Action: Bring, Reason: Recovered, Config: &c}
	if _, ds := Admit(b.clone(), []Proposal{returned}, o, f, now); !ds[0].Admitted {
		t.Fatalf("the storm withholds a return: %s", ds[0].Why)
	}
	o.Failing = 0
	if b = b.Settle(o, f, now); b.Storm {
		t.Fatal("a calm fleet did not release the latch")
	}
	if _, ds := Admit(b, []Proposal{wants(1, 1, 100, &c)}, o, f, now); !ds[0].Admitted {
		t.Fatalf("after the storm: %s", ds[0].Why)
	}
}

// TestWalkingDown: a service whose owner replaces nothing and whose members
// fail one by one is never emptied: what we removed and what is gone since
// still counts (rule 5).
func TestWalkingDown(t *testing.T) {
	c := testConfig()
	c.Removals = Rate{}
	for n := 1; n <= 12; n++ {
		members := make([]Member, n)
		for i := range members {
			members[i] = well(Member{Target: health.NewHandle(uint32(i), 1), Tie: uint64(i)})
		}
		ghosts := 0
		for len(members) > 0 {
			i := len(members) - 1
			members[i] = failing(members[i], health.Refused)
			v := service(members...)
			v.Config, v.Ghosts = c, ghosts
			_, ds := Admit(Bank{}, Propose(Outlook{Targets: 1000, WarmSince: 1}, v, testNow).Proposals,
				Outlook{Targets: 1000}, testFleet(), testNow)
			if len(removals(ds, 0)) == 0 {
				break
			}
			members = members[:i] // removed, and its record vanishes at once
			ghosts++
		}
		if most := max(n/2, min(n-1, 1)); ghosts > most {
			t.Errorf("of %d, %d were removed one by one, more than %d", n, ghosts, most)
		}
		if n >= 2 && ghosts == 0 {
			t.Errorf("of %d none could be removed", n)
		}
	}
}
