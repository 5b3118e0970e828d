package warden_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/quorum"
	"github.com/mapwarden/mapwarden/internal/warden"
)

func TestTwoOfThreeRemove(t *testing.T) {
	c := newCouncil(t, 3, testConfig(), web(6))
	c.probe(12, none)
	c.probe(8, only([]string{"web-0"}, 0))
	c.minds[0].mustRemove(0, "one of three sees it fail")
	c.probe(4, only([]string{"web-0"}, 0, 1))
	c.probe(1, only([]string{"web-0"}, 0, 1)) // the other's fourth failure is heard a round later
	c.minds[0].mustRemove(1, "two of three see it fail")
	for _, k := range []int{1, 2} {
		c.minds[k].mustRemove(0, "a standby")
		if len(c.minds[k].calls) != 0 || len(c.minds[k].learnt) != 0 {
			t.Errorf("standby %d wrote %v, stored %v", k, c.minds[k].calls, c.minds[k].learnt)
		}
	}
}

// TestOthersCannotRemoveWhatWePass: who writes must see the failure, too.
func TestOthersCannotRemoveWhatWePass(t *testing.T) {
	c := newCouncil(t, 3, testConfig(), web(6))
	c.probe(12, none)
	c.probe(8, only([]string{"web-0"}, 1, 2))
	if got := c.verdict(0, "web-0"); got != health.Unhealthy {
		t.Fatalf("the verdict is %s", got)
	}
	c.minds[0].mustRemove(0, "we pass it")
}

func TestWhoAbstainsDoesNotAccuse(t *testing.T) {
	c := newCouncil(t, 3, testConfig(), web(6))
	c.probe(12, none)
	c.minds[1].tell(warden.Doubted{Doubt: health.DoubtLate}) // for 5 s
	c.exchange()
	for range 4 {
		c.probe(1, only([]string{"web-0"}, 0, 1))
		c.minds[0].mustRemove(0, "the second accuser abstains")
	}
	c.probe(7, only([]string{"web-0"}, 0, 1))
	c.minds[0].mustRemove(1, "it abstains no more, and saw 4 new failures")
}

// TestWarmingUpAccusesNobody: not to the others either (rule 10).
func TestWarmingUpAccusesNobody(t *testing.T) {
	c := newCouncil(t, 3, testConfig(), web(6))
	c.probe(12, none)
	c.minds[1].tell(warden.Doubted{Doubt: health.DoubtPaused}) // begins its warm-up of 10 s anew
	c.probe(9, only([]string{"web-0"}, 0, 1))
	c.minds[0].mustRemove(0, "the second accuser warms up")
	c.probe(7, only([]string{"web-0"}, 0, 1))
	c.minds[0].mustRemove(1, "it is warm")
}

// TestSilenceExpiresAtOnce: a vantage that is not heard for three intervals
// counts for nothing, in any of its votes.
func TestSilenceExpiresAtOnce(t *testing.T) {
	c := newCouncil(t, 3, testConfig(), web(6))
	c.probe(12, none)
	c.probe(3, only([]string{"web-0"}, 1, 2)) // not yet unhealthy anywhere
	c.probe(2, only([]string{"web-0"}, 1, 2)) // now it is, with them
	c.off[1], c.off[2] = true, true
	c.minds[0].probe(2, "web-0")
	if got := c.verdict(0, "web-0"); got != health.Unhealthy {
		t.Fatalf("2 s after they were heard: %s", got)
	}
	if c.gate(0, policy.NoQuorum) {
		t.Fatal("no quorum 2 s after they were heard")
	}
	c.minds[0].probe(6, "web-0")
	if got := c.verdict(0, "web-0"); got != health.Unknown {
		t.Fatalf("8 s after they were heard: %s", got)
	}
	if !c.gate(0, policy.NoQuorum) {
		t.Fatal("one of three is no quorum")
	}
	c.minds[0].mustRemove(0, "alone")
	c.off[1], c.off[2] = false, false
	c.probe(7, all("web-0"))
	c.minds[0].mustRemove(1, "they are back")
}

// paced is testConfig with Cloud Map's own times.
func paced() warden.Config {
	cfg := testConfig()
	cfg.Pace = lever.Pace{}.WithDefaults()
	return cfg
}

// TestReturnsNeedNoQuorum: what is out comes back on our own passes.
func TestReturnsNeedNoQuorum(t *testing.T) {
	c := newCouncil(t, 3, paced(), web(6))
	c.probe(12, none)
	c.probe(6, all("web-0"))
	c.minds[0].mustRemove(1, "all see it fail")
	for range 40 { // until the status is in effect
		c.probe(1, all("web-0"))
	}
	c.off[1], c.off[2] = true, true
	c.minds[0].probe(10)
	if got := c.minds[0].decided(policy.Bring); len(got) != 1 {
		t.Fatalf("returns without a quorum: %+v", got)
	}
}

// TestPendingIsTakenBackWithoutQuorum: a status that is written and not yet in
// effect is taken back by our own passes.
func TestPendingIsTakenBackWithoutQuorum(t *testing.T) {
	c := newCouncil(t, 3, paced(), web(6))
	c.probe(12, none)
	c.probe(6, all("web-0"))
	c.minds[0].mustRemove(1, "all see it fail")
	c.off[1], c.off[2] = true, true
	c.minds[0].probe(8, "web-0")
	if got := c.minds[0].status["web-0"]; got != health.Unhealthy {
		t.Fatalf("written: %s", got)
	}
	c.minds[0].probe(3)
	if got := c.minds[0].status["web-0"]; got != health.Healthy {
		t.Fatalf("written after three passes: %s", got)
	}
}

// TestLookAtOnce: another's failure makes us look now, once, and only where we
// passed.
func TestLookAtOnce(t *testing.T) {
	c := newCouncil(t, 3, testConfig(), web(40))
	c.probe(12, none)
	c.minds[0].looks = nil
	c.probe(3, only([]string{"web-0"}, 1))
	want := c.minds[0].targets["web-0"].Handle
	if got := c.minds[0].looks; len(got) != 1 || got[0] != want {
		t.Fatalf("looked at %v, want once at %d", got, want)
	}
	c.minds[0].looks = nil
	ids := make([]string, 40)
	for i := range ids {
		ids[i] = fmt.Sprintf("web-%d", i)
	}
	c.probe(1, none)
	c.minds[0].looks = nil
	c.probe(1, only(ids, 1))
	if n := len(c.minds[0].looks); n != 10 {
		t.Fatalf("a mass of failures elsewhere made %d looks at once, want 10", n)
	}
}

// TestGapsAreNoticed: after a lost message nothing of a vantage counts until all
// of its votes have come; and it is asked for them.
func TestGapsAreNoticed(t *testing.T) {
	c := newCouncil(t, 3, testConfig(), web(6))
	c.probe(12, none)
	lost := 0
	c.drop = func(from, to int, seq uint64) bool {
		if to == 0 && from == 1 && lost < 1 {
			lost++
			return true
		}
		return false
	}
	m := c.minds[1]
	m.probe(1, "web-0")
	casts := m.casts
	m.casts = nil
	for _, cast := range casts {
		c.send(1, cast) // the first is lost
	}
	c.send(1, warden.Cast{})
	if lost != 1 || len(c.minds[0].asks) != 1 {
		t.Fatalf("%d lost, asked %v", lost, c.minds[0].asks)
	}
	if e, _ := c.minds[0].w.Explain(c.minds[0].now, "test/web", "web-0"); slices.ContainsFunc(e.Votes, func(v warden.ExplainedVote) bool {
		return v.Checker == "checker-b" && (v.Heard || v.Status != health.Unknown)
	}) {
		t.Fatalf("after a gap: %+v", e.Votes)
	}
	c.exchange()
	if e, _ := c.minds[0].w.Explain(c.minds[0].now, "test/web", "web-0"); !slices.ContainsFunc(e.Votes, func(v warden.ExplainedVote) bool {
		return v.Checker == "checker-b" && v.Heard && v.Last == health.Fail
	}) {
		t.Fatalf("after all votes came: %+v", e.Votes)
	}
}

// vote is a message of checker-x in zone x.
func vote(epoch, seq uint64, full bool, status health.Status, ids ...string) warden.Voted {
	v := warden.Voted{Vantage: quorum.Vantage{Checker: "checker-x", Zone: "x"}, Epoch: epoch, Seq: seq, Full: full}
	for _, id := range ids {
		inc := incarnation("web", id)
		v.Votes = append(v.Votes, warden.TargetVote{Service: "srv-web", Instance: id, Incarnation: inc.Hash(), Status: status})
	}
	return v
}

func incarnation(service, id string) health.Incarnation {
	for _, f := range instances(service, 250) {
		if f.ID == id {
			a, port := health.Endpoint(f.Attributes)
			return health.Incarnation{Service: "srv-" + service, Instance: id, Addr: a, Port: port}
		}
	}
	panic("no instance " + id)
}

func alone(t *testing.T) *mind {
	cfg := testConfig()
	cfg.Vantage = quorum.Vantage{Checker: "checker-a", Zone: "a"}
	cfg.Quorum = quorum.Rule{Count: 2}
	return started(t, cfg, warden.Loaded{}, warden.CustomHealthCheck, 4, "web")
}

func said(t *testing.T, m *mind, id string) (v warden.ExplainedVote) {
	t.Helper()
	e, ok := m.w.Explain(m.now, "test/web", id)
	if !ok || len(e.Votes) != 2 {
		t.Fatalf("%s: %+v", id, e.Votes)
	}
	return e.Votes[1]
}

func TestOldAndRepeatedMessages(t *testing.T) {
	u, h := health.Unhealthy, health.Healthy
	for name, c := range map[string]struct {
		say  []warden.Voted
		want health.Status
	}{
		"first not full":        {[]warden.Voted{vote(1, 1, false, u, "web-0")}, 0},
		"full":                  {[]warden.Voted{vote(1, 7, true, u, "web-0")}, u},
		"then the next":         {[]warden.Voted{vote(1, 7, true, u, "web-0"), vote(1, 8, false, h, "web-0")}, h},
		"repeated":              {[]warden.Voted{vote(1, 7, true, u, "web-0"), vote(1, 7, false, h, "web-0")}, u},
		"older":                 {[]warden.Voted{vote(1, 7, true, u, "web-0"), vote(1, 6, true, h, "web-0")}, u},
		"an earlier life":       {[]warden.Voted{vote(2, 1, true, u, "web-0"), vote(1, 9, true, h, "web-0")}, u},
		"a later life":          {[]warden.Voted{vote(2, 9, true, u, "web-0"), vote(3, 1, true, h, "web-0")}, h},
		"a later life, part":    {[]warden.Voted{vote(2, 9, true, u, "web-0"), vote(3, 1, false, h, "web-1")}, 0},
		"a gap":                 {[]warden.Voted{vote(1, 1, true, u, "web-0"), vote(1, 3, false, h, "web-1")}, 0},
		"a gap, then full":      {[]warden.Voted{vote(1, 1, true, u, "web-0"), vote(1, 3, false, u), vote(1, 4, true, h, "web-0")}, h},
		"not in the full one":   {[]warden.Voted{vote(1, 1, true, u, "web-0"), vote(1, 2, true, u, "web-1")}, 0},
		"still holds":           {[]warden.Voted{vote(1, 1, true, u, "web-0"), vote(1, 2, false, u)}, u},
		"taken back":            {[]warden.Voted{vote(1, 1, true, u, "web-0"), vote(1, 2, false, 0, "web-0")}, 0},
		"nobody that we know":   {[]warden.Voted{vote(1, 1, true, u, "web-77")}, 0},
		"another incarnation's": {[]warden.Voted{moved(vote(1, 1, true, u, "web-0"))}, 0},
		"moved on":              {[]warden.Voted{vote(1, 1, true, u, "web-0"), moved(vote(1, 2, false, u, "web-0"))}, 0},
	} {
		m := alone(t)
		for _, v := range c.say {
			m.tell(v)
		}
		if got := said(t, m, "web-0").Status; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func moved(v warden.Voted) warden.Voted {
	for i := range v.Votes {
		v.Votes[i].Incarnation++
	}
	return v
}

// TestVotesBeforeTheListing: a vote on an instance that we see later is not lost,
// nor is one on an instance that a listing lacked for a while.
func TestVotesBeforeTheListing(t *testing.T) {
	m := alone(t)
	m.tell(vote(1, 1, true, health.Unhealthy, "web-4", "web-0"))
	m.tell(m.listing("web", instances("web", 5)...))
	if got := said(t, m, "web-4").Status; got != health.Unhealthy {
		t.Errorf("a vote that came first: %s", got)
	}
	m.tell(m.listing("web", instances("web", 5)[1:]...))
	m.tell(m.listing("web", instances("web", 5)...))
	if got := said(t, m, "web-0").Status; got != health.Unhealthy {
		t.Errorf("after a faulty listing: %s", got)
	}
	m.tell(m.listing("web", append(instances("web", 5)[1:], instance("web-0", "10.9.9.9"))...))
	if got := said(t, m, "web-0").Status; got != health.Unknown {
		t.Errorf("on another incarnation: %s", got)
	}
}

// TestTheOrderOfMessages: however messages are repeated and mixed with older
// ones, what is known is what the vantage said last.
func TestTheOrderOfMessages(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := alone(t)
		said1 := map[string]health.Status{}
		var sent []warden.Voted
		for seq := range uint64(rapid.IntRange(1, 12).Draw(r, "messages")) {
			full := seq == 0 || rapid.IntRange(0, 4).Draw(r, "full") == 0
			status := health.Status(rapid.IntRange(0, 2).Draw(r, "status"))
			ids := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"web-0", "web-1", "web-2", "web-9"}), 0, 3, rapid.ID[string]).Draw(r, "ids")
			v := vote(1, seq+1, full, status, ids...)
			sent = append(sent, v)
			if full {
				clear(said1)
			}
			for _, id := range ids {
				said1[id] = status
			}
			m.tell(v)
			for range rapid.IntRange(0, 2).Draw(r, "repeats") {
				m.tell(rapid.SampledFrom(sent).Draw(r, "repeated"))
			}
		}
		m.tell(m.listing("web", instances("web", 10)...))
		for _, id := range []string{"web-0", "web-1", "web-2", "web-9"} {
			if got := said(t, m, id).Status; got != said1[id] {
				r.Fatalf("%s: %s, want %s", id, got, said1[id])
			}
		}
	})
}

// TestCasts: what was cast, summed up, is what the mind thinks; and a full cast
// says the same.
func TestCasts(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := alone(t)
		m.probe(12)
		for range rapid.IntRange(1, 8).Draw(r, "steps") {
			switch rapid.IntRange(0, 5).Draw(r, "step") {
			case 0:
				m.tell(m.listing("web", instances("web", rapid.IntRange(1, 6).Draw(r, "n"))...))
			case 1:
				m.tell(warden.Doubted{Doubt: health.DoubtPaused})
			case 2:
				m.tell(m.listing("web", append(instances("web", 4)[1:], instance("web-0", "10.9.9.9"))...))
			default:
				m.probe(rapid.IntRange(1, 5).Draw(r, "rounds"), rapid.SampledFrom([][]string{nil, {"web-0"}, {"web-1", "web-2"}}).Draw(r, "refused")...)
			}
		}
		sum := map[string]warden.TargetVote{}
		for k, c := range m.casts {
			if c.Full != (k == 0) {
				r.Fatalf("cast %d: full %t", k, c.Full)
			}
			for _, v := range c.Votes {
				if v.Status == 0 && v.Last == 0 && v.Cause == 0 {
					delete(sum, v.Instance)
				} else {
					sum[v.Instance] = v
				}
			}
		}
		m.casts = nil
		m.tell(warden.VotesAsked{})
		if len(m.casts) != 1 || !m.casts[0].Full || len(m.casts[0].Votes) != len(sum) {
			r.Fatalf("all: %+v, the sum of those that changed: %+v", m.casts, sum)
		}
		for _, v := range m.casts[0].Votes {
			if sum[v.Instance] != v {
				r.Fatalf("all: %+v, the sum: %+v", v, sum[v.Instance])
			}
		}
	})
}

// TestSteadyPassesCastNothing.
func TestSteadyPassesCastNothing(t *testing.T) {
	m := alone(t)
	m.probe(12)
	m.casts = nil
	m.probe(5)
	if len(m.casts) != 0 {
		t.Errorf("cast: %+v", m.casts)
	}
}

func TestOneVantageCastsNothing(t *testing.T) {
	m := started(t, testConfig(), warden.Loaded{}, warden.CustomHealthCheck, 4, "web")
	m.tell(vote(1, 1, true, health.Healthy, "web-0"), warden.VotesAsked{})
	m.probe(12)
	m.probe(5, "web-0")
	m.mustRemove(1, "alone by configuration")
	if len(m.casts) != 0 {
		t.Errorf("cast: %+v", m.casts)
	}
}

// TestStandbyTakesOver: it holds its targets already, and adopts what the journal
// says onto them.
func TestStandbyTakesOver(t *testing.T) {
	c := newCouncil(t, 3, paced(), web(8))
	c.probe(12, none)
	out := func(id string, inc health.Incarnation) lever.Entry {
		return lever.Entry{ID: "e-" + id, Version: 1, Kind: lever.CustomStatus, Phase: lever.Out, Service: serviceOf("web"), Instance: id,
			Incarnation: inc, Attributes: instance(id, inc.Addr.String()).Attributes, Reason: policy.Failing, OutSince: wall}
	}
	elsewhere := incarnation("web", "web-2")
	elsewhere.Addr = addr("10.119.0.99")
	m := c.minds[1]
	before := m.targets["web-1"].Handle
	m.tell(warden.Loaded{
		Entries: []lever.Entry{out("web-1", incarnation("web", "web-1")), out("web-2", elsewhere), out("web-88", incarnation("web", "web-88"))},
		Memory:  warden.Memory{Removals: []warden.Removal{{Service: "srv-web", Instance: "web-1", Walls: []int64{wall, wall + 1}}}},
	})
	if m.w.OpenEntries() != 3 || len(m.targets) != 9 {
		t.Fatalf("%d entries, %d targets", m.w.OpenEntries(), len(m.targets))
	}
	if after := m.targets["web-1"].Handle; after != before {
		t.Errorf("the target itself was given up: %d, %d", before, after)
	}
	e, _ := m.w.Explain(m.now, "test/web", "web-1")
	if e.Line.Standing != policy.Out || !e.EverPassed || e.Entry == nil {
		t.Errorf("web-1: %+v", e)
	}
	if e, _ := m.w.Explain(m.now, "test/web", "web-2"); e.Entry == nil || e.Line.Addr != "10.119.0.99:80" {
		t.Errorf("web-2, of which the journal knows another incarnation: %+v", e)
	}
	if len(m.learnt) == 0 {
		t.Error("what it learnt while it stood by was not stored")
	}
	passed := map[string]bool{}
	for _, l := range m.learnt {
		for _, p := range l.Passed {
			passed[p.Instance] = true
		}
	}
	if len(passed) != 8 {
		t.Errorf("stored as passed: %v", passed)
	}
	c.off[0] = true // who led is gone
	c.probe(6, all("web-5"))
	m.mustRemove(1, "the successor")
	c.probe(1, none) // web-1 passes, but was removed twice today: 1 minute
	if got := m.decided(policy.Bring); len(got) != 0 && got[0].Instance == "web-1" {
		t.Errorf("the back-off was forgotten: %+v", got)
	}
}

// TestStandbyRaisesNobody: the first pass of who was born UNHEALTHY is the
// leader's to write.
func TestStandbyRaisesNobody(t *testing.T) {
	born := warden.InstanceFound{ID: "web-9", Status: health.Unhealthy, Attributes: health.AttributesOf(map[string]string{
		health.AttrIPv4: "10.119.0.77", health.AttrPort: "80", health.AttrInitStatus: "UNHEALTHY",
	})}
	c := newCouncil(t, 3, testConfig(), map[string][]warden.InstanceFound{"web": append(instances("web", 4), born)})
	c.probe(5, none)
	if got := c.minds[0].decided(policy.Bring); len(got) != 1 {
		t.Fatalf("the leader: %+v", got)
	}
	if got := c.minds[1].withheld("web-9"); !slices.Equal(got, []policy.Reason{policy.Standby}) || len(c.minds[1].calls) != 0 {
		t.Fatalf("a standby: %v, %v", got, c.minds[1].calls)
	}
}

// TestFreezeOfAStandby outlives its taking over.
func TestFreezeOfAStandby(t *testing.T) {
	c := newCouncil(t, 3, testConfig(), web(4))
	m := c.minds[1]
	m.tell(warden.Freeze{For: time.Hour, By: "me"})
	m.tell(warden.Loaded{})
	if !c.gate(1, policy.Frozen) || len(m.learnt) == 0 || m.learnt[len(m.learnt)-1].Freeze == nil && m.learnt[0].Freeze == nil {
		t.Fatalf("gates %v, stored %+v", m.w.Snapshot(m.now).Gates, m.learnt)
	}
}
