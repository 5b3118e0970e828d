package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
)

// Arbitrary fleets. Everything that can be drawn can also be meant: nothing
// here keeps to what the mind would really pass.

const testNow = health.Instant(time.Hour)

var gateReasons = []Reason{Unsynced, LostJournal, Frozen, Thawing, Stopping, Retiring, SelfDoubt, Standby, NoQuorum}

func anyInstant(t *rapid.T, label string) health.Instant {
	ago := rapid.IntRange(-90, 300).Draw(t, label)
	return testNow.Add(-time.Duration(ago) * time.Second)
}

// thoroughly checks a property on some thousands of draws: most of what can be
// drawn is not admitted, and a property about removals must see many.
func thoroughly(t *testing.T, prop func(*rapid.T)) {
	t.Helper()
	for range 30 {
		rapid.Check(t, prop)
	}
}

// anyMember draws a member; half of them are simply well or simply failing, so
// that something remains to be admitted.
func anyMember(t *rapid.T, i int) Member {
	m := Member{Target: health.NewHandle(uint32(i), 1), Tie: rapid.Uint64Range(0, 9).Draw(t, "tie"), Zone: rapid.IntRange(0, 4).Draw(t, "zone")}
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0, 1, 2:
		return well(m)
	case 3:
		return failing(m, health.Refused)
	case 4:
		return failing(m, health.Cause(rapid.IntRange(1, 8).Draw(t, "cause")))
	}
	if rapid.IntRange(0, 4).Draw(t, "gray") == 0 {
		return gray(m)
	}
	if rapid.IntRange(0, 4).Draw(t, "slow") == 0 {
		return slow(m)
	}
	if rapid.IntRange(0, 4).Draw(t, "draining") == 0 {
		return leaver(m)
	}
	m.Verdict = health.Status(rapid.IntRange(0, 2).Draw(t, "verdict"))
	m.Status, m.Vouched = health.Status(rapid.IntRange(0, 2).Draw(t, "status")), rapid.Bool().Draw(t, "vouched")
	m.Last = health.Outcome(rapid.IntRange(0, 2).Draw(t, "last"))
	m.Cause = health.Cause(rapid.IntRange(0, 18).Draw(t, "cause"))
	m.Gone = rapid.IntRange(0, 5).Draw(t, "gone") == 0
	m.Fails, m.Passes = rapid.IntRange(0, 6).Draw(t, "fails"), rapid.IntRange(0, 6).Draw(t, "passes")
	m.FailSince, m.PassSince = anyInstant(t, "fail since"), anyInstant(t, "pass since")
	m.LastAt, m.FirstSeen = anyInstant(t, "last at"), anyInstant(t, "first seen")
	m.LastTwo, m.Ever, m.New = rapid.Bool().Draw(t, "last two"), rapid.Bool().Draw(t, "ever"), rapid.Bool().Draw(t, "new")
	m.Probes = rapid.IntRange(0, 9).Draw(t, "probes")
	m.Registry = health.Status(rapid.IntRange(0, 2).Draw(t, "registry"))
	flag := func(label string) bool { return rapid.IntRange(0, 9).Draw(t, label) == 0 }
	m.Foreign, m.Other, m.InitDown, m.Ours = flag("foreign"), flag("other"), flag("init down"), flag("ours")
	m.HeldOut, m.Removing, m.Returning = flag("held out"), flag("removing"), flag("returning")
	m.Pending, m.Busy, m.Asked = flag("pending"), flag("busy"), flag("asked")
	m.OwnerDraining, m.OwnerStarting = flag("owner draining"), flag("owner starting")
	if flag("owner speaks") {
		m.RunningAt, m.AskedAt = anyInstant(t, "running at"), anyInstant(t, "asked at")
		m.Answered, m.RestoredAt = rapid.Bool().Draw(t, "answered"), anyInstant(t, "restored at")
	}
	m.Deployment = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "deployment")
	m.OutFor = rapid.SampledFrom([]Reason{NoReason, Failing, OwnerGone, Draining, UndoResurrection}).Draw(t, "out for")
	m.Reports, m.Bad = rapid.Bool().Draw(t, "reports"), rapid.Uint64Range(0, 3).Draw(t, "bad")
	m.OutSince, m.LastRemoved = anyInstant(t, "out since"), anyInstant(t, "last removed")
	if flag("not until") {
		m.NotUntil, m.Yield, m.Contended = anyInstant(t, "lever"), anyInstant(t, "yield"), anyInstant(t, "contended")
	}
	m.Ready = m.Ever || flag("ready")
	m.Gray, m.Draining = flag("is gray"), flag("drains")
	if m.Ours || m.Removing || m.Memo.Shadow {
		m.OutFor = rapid.SampledFrom([]Reason{NoReason, Failing, Gray, SaysDraining, Slow}).Draw(t, "out for")
	}
	m.Removed = rapid.IntRange(0, 6).Draw(t, "removed")
	m.Memo = Memo{Standing: Standing(rapid.IntRange(0, 5).Draw(t, "standing")), Since: anyInstant(t, "since"), Shadow: flag("shadow")}
	if rapid.Bool().Draw(t, "holding") {
		m.Memo.Holding = anyInstant(t, "holding since")
	}
	return m
}

func well(m Member) Member {
	m.Status, m.Verdict, m.Last, m.Passes, m.LastTwo, m.Ever = health.Healthy, health.Healthy, health.Pass, 9, true, true
	m.PassSince, m.LastAt, m.Probes, m.Registry = testNow-health.Instant(time.Minute), testNow-1, 9, health.Healthy
	m.Level = 10 * time.Millisecond
	return m
}

// gray is a member that fails now and then, and passed just now.
func gray(m Member) Member {
	m = well(m)
	m.Verdict, m.Gray, m.Passes = health.Unhealthy, true, 1
	m.Memo = Memo{Standing: Leaving, Holding: testNow - health.Instant(time.Minute)}
	return m
}

// leaver is a member that passes and says that it is about to stop.
func leaver(m Member) Member {
	m = well(m)
	m.Draining = true
	return m
}

func failing(m Member, c health.Cause) Member {
	m.Status, m.Verdict, m.Last, m.Cause, m.Fails, m.Ever = health.Unhealthy, health.Unhealthy, health.Fail, c, 9, true
	m.FailSince, m.LastAt, m.Probes, m.Registry = testNow-health.Instant(time.Minute), testNow-2, 9, health.Healthy
	m.Memo = Memo{Standing: Leaving, Holding: testNow - health.Instant(time.Minute)}
	return m
}

func anyConfig(t *rapid.T) Config {
	c := testConfig()
	c.Mode = Mode(rapid.SampledFrom([]int{0, 1, 1, 1, 2}).Draw(t, "mode"))
	c.MaxOut = rapid.Float64Range(0, 100).Draw(t, "max out")
	c.MaxOutHard = rapid.Float64Range(0, 100).Draw(t, "max out hard")
	c.FailOpen = rapid.SampledFrom([]float64{0, 10, 50, 50, 90, 100}).Draw(t, "fail open")
	c.Admission = Admission(rapid.IntRange(0, 1).Draw(t, "admission"))
	c.GoneLast = rapid.Bool().Draw(t, "gone last")
	c.RestoreUnproven = time.Duration(rapid.SampledFrom([]int{0, 600}).Draw(t, "restore unproven")) * time.Second
	return c
}

// testConfig are the defaults elsewhere than on AWS, enforcing.
func testConfig() Config {
	return Config{
		Mode: ModeEnforce, MaxOut: 20, MaxOutHard: 50, FailOpen: 50,
		Removals: Rate{1, 10 * time.Second}, Restores: Rate{1, time.Second},
		WarmUp: time.Minute, WarmUpProbes: 5, Hold: 30 * time.Second, Evidence: EvidenceProbe,
		ReturnPasses: 3, ReturnOver: 15 * time.Second,
		ReturnBackoff: []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour}, Yield: 30 * time.Minute,
	}
}

func testFleet() FleetConfig {
	return FleetConfig{
		RemovalsGlobal: Fraction{Percent: 1, Per: time.Minute, Least: 2},
		StormPercent:   3, StormCount: 10, StormWindow: 10 * time.Minute, StormCalm: 1,
		Abstain: time.Minute, StaleAfter: 90 * time.Second, ThawPercent: 95, ThawFor: 5 * time.Minute,
		MassTargets: 5, MassHosts: 3, MassServices: 3, MassPercent: 20, MassLeast: 20, MassWindow: 30 * time.Second,
		ZoneFor: 8 * time.Second, ZoneLeast: 3, ZoneBad: 80, ZoneFine: 20,
	}
}

// service is a view of members in which nothing forbids anything.
func service(ms ...Member) ServiceView {
	return ServiceView{
		Members: ms, Config: testConfig(), Fall: 4, Interval: 5 * time.Second,
		Listed: true, Armed: true, Drill: DrillDone,
	}
}

func anyService(t *rapid.T, index int) ServiceView {
	v := service()
	v.Index, v.Config = index, anyConfig(t)
	for i := range rapid.IntRange(0, 12).Draw(t, "members") {
		v.Members = append(v.Members, anyMember(t, index*100+i))
	}
	v.Quarantine = rapid.Bool().Draw(t, "quarantine")
	v.Desired, v.Ghosts = rapid.IntRange(0, 12).Draw(t, "desired"), rapid.IntRange(0, 3).Draw(t, "ghosts")
	rare := func(label string) bool { return rapid.IntRange(0, 7).Draw(t, label) == 0 }
	v.Listed, v.Stale, v.Armed = !rare("unlisted"), rare("stale"), !rare("unarmed")
	if rare("blocked") {
		v.Blocked = rapid.SampledFrom([]Reason{Route53Check, EvidenceMissing, OtherAccount}).Draw(t, "blocked by")
	}
	v.Owned, v.Deploying, v.OwnerWrites = rare("owned"), rare("deploying"), rare("owner writes")
	if rare("needs") {
		v.BadElsewhere, v.SharedLately = rapid.Uint64Range(0, 3).Draw(t, "bad elsewhere"), rapid.Uint64Range(0, 3).Draw(t, "shared lately")
	}
	if rare("drill") {
		v.Drill = Drill(rapid.IntRange(0, 3).Draw(t, "drill is"))
	}
	return v
}

func anyOutlook(t *rapid.T) Outlook {
	o := Outlook{Targets: rapid.IntRange(0, 1000).Draw(t, "targets"), WarmSince: 1}
	o.Failing = rapid.IntRange(0, o.Targets).Draw(t, "failing")
	if rapid.IntRange(0, 3).Draw(t, "a gate is closed") == 0 {
		o.Gates = rapid.SliceOfNDistinct(rapid.SampledFrom(gateReasons), 1, 3, rapid.ID[Reason]).Draw(t, "gates")
	}
	if rapid.IntRange(0, 5).Draw(t, "warming") == 0 {
		o.WarmSince = testNow - 1
	}
	if rapid.IntRange(0, 2).Draw(t, "zones are read") == 0 {
		o.Zones = make([]Reading, 4)
		for z := 1; z < 4; z++ {
			o.Zones[z] = Reading(rapid.IntRange(0, 3).Draw(t, "reading"))
		}
	}
	o.Retiring = o.Has(Retiring)
	return o
}

func anyBank(t *rapid.T) Bank {
	b := Bank{Storm: rapid.IntRange(0, 5).Draw(t, "storm") == 0}
	for range rapid.IntRange(0, 3).Draw(t, "removed lately") {
		b.Recent = append(b.Recent, testNow-1)
		b.Global = append(b.Global, testNow-1)
	}
	for range rapid.IntRange(0, 3).Draw(t, "services served") {
		b.Services = append(b.Services, anyInstant(t, "free again"))
		b.Returns = append(b.Returns, anyInstant(t, "return free again"))
	}
	return b
}
