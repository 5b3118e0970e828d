package warden_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// zoned is a council of three vantages over n instances in each of the zones a,
// b and c: "web-a-0" and so on, each zone in a network of its own.
func zoned(t *testing.T, n int) *council {
	cfg := paced()
	cfg.Fleet.ZoneFor, cfg.Fleet.ZoneLeast, cfg.Fleet.ZoneBad, cfg.Fleet.ZoneFine = 8*time.Second, 3, 80, 20
	cfg.Fleet.MassLeast, cfg.Fleet.MassPercent = 5, 20
	cfg.Fleet.RemovalsGlobal.Least = 1
	var is []warden.InstanceFound
	for z, zone := range []string{"a", "b", "c"} {
		for i := range n {
			is = append(is, warden.InstanceFound{ID: fmt.Sprintf("web-%s-%d", zone, i), Status: health.Healthy,
				Attributes: health.AttributesOf(map[string]string{
					health.AttrIPv4: fmt.Sprintf("10.0.%d.%d", z, i+1), health.AttrPort: "80", health.AttrZone: zone,
				})})
		}
	}
	c := newCouncil(t, 3, cfg, map[string][]warden.InstanceFound{"web": is})
	c.probe(12, none)
	return c
}

// rounds gives rounds of probes in which a vantage gets no answer, or a refusal,
// from whole zones.
func (c *council) rounds(n int, cause health.Cause, zones func(vantage int) string) {
	c.t.Helper()
	for range n {
		for k, m := range c.minds {
			if c.off[k] {
				m.pass(time.Second)
				continue
			}
			m.round(func(id string) (health.Outcome, health.Cause) {
				if strings.Contains(zones(k), strings.Split(id, "-")[1]) {
					return health.Fail, cause
				}
				return health.Pass, health.NoCause
			})
		}
		c.exchange()
	}
}

func everybody(zones string) func(int) string { return func(int) string { return zones } }

func (c *council) removed(k int) (ids []string) {
	for _, r := range c.minds[k].decided(policy.Remove) {
		ids = append(ids, r.Instance+" "+string(r.Reason))
	}
	slices.Sort(ids)
	return ids
}

func (c *council) said(k int, r policy.Reason) bool {
	return slices.ContainsFunc(c.minds[k].records, func(x warden.Record) bool { return x.Kind == warden.FleetRecord && x.Reason == r })
}

var zoneC = []string{"web-c-0 zone", "web-c-1 zone", "web-c-2 zone", "web-c-3 zone"}

// TestAZoneDiesWithItsVantage in silence: it goes as one batch, and nobody else.
func TestAZoneDiesWithItsVantage(t *testing.T) {
	c := zoned(t, 4)
	c.off[2] = true
	c.rounds(8, health.Timeout, everybody("c"))
	if got := c.removed(0); len(got) != 0 {
		t.Fatalf("too early: %v", got)
	}
	c.rounds(3, health.Timeout, everybody("c"))
	if got := c.removed(0); !slices.Equal(got, zoneC) {
		t.Fatalf("removed %v", got)
	}
	if got := c.removed(1); len(got) != 0 {
		t.Errorf("a standby removed %v", got)
	}
}

// TestAZoneDiesAroundItsVantage: the same, where its own vantage sees it, too.
// So many refusals at once are not our own fault: others see the same.
func TestAZoneDiesAroundItsVantage(t *testing.T) {
	c := zoned(t, 4)
	c.minds[2].records = nil
	c.rounds(11, health.Refused, everybody("c"))
	for _, id := range zoneC {
		if got := strings.Join(c.removed(0), ", "); !strings.Contains(got, strings.Fields(id)[0]) {
			t.Errorf("%s stays: %s", id, got)
		}
	}
	if n := len(c.removed(0)); n != 4 {
		t.Errorf("%d removed", n)
	}
	for k := range c.minds {
		if c.gate(k, policy.SelfDoubt) {
			t.Errorf("vantage %d doubts itself", k)
		}
	}
}

// TestTheLineHoldsAZone: where half of a service must stay, a dead zone stays.
func TestTheLineHoldsAZone(t *testing.T) {
	c := zoned(t, 4)
	c.rounds(20, health.Timeout, everybody("bc"))
	if got := c.removed(0); len(got) != 0 {
		t.Fatalf("two of three zones: %v", got)
	}
}

// TestACutVantageAbstains: it reaches its own zone only; the others see all.
func TestACutVantageAbstains(t *testing.T) {
	for name, cause := range map[string]health.Cause{"silence": health.Timeout, "refused on the way": health.Refused} {
		c := zoned(t, 4)
		c.rounds(3, cause, func(k int) string { return []string{"bc", "", ""}[k] })
		if !c.gate(0, policy.SelfDoubt) {
			t.Errorf("%s: it does not abstain", name)
		}
		if snap := c.minds[0].w.Snapshot(c.minds[0].now); snap.Doubt != health.DoubtPartition && snap.Doubt != health.DoubtMass {
			t.Errorf("%s: it doubts itself for %s", name, snap.Doubt)
		}
		c.rounds(20, cause, func(k int) string { return []string{"bc", "", ""}[k] })
		if got := c.removed(0); len(got) != 0 {
			t.Errorf("%s: removed %v", name, got)
		}
		c.rounds(10, cause, everybody("")) // and when it is over, it goes on
		c.rounds(8, health.Refused, everybody(""))
		if c.gate(0, policy.SelfDoubt) {
			t.Errorf("%s: it doubts itself for ever", name)
		}
	}
}

// TestAlone: cut off from the others, too, and from every zone.
func TestAlone(t *testing.T) {
	c := zoned(t, 4)
	c.off[1], c.off[2] = true, true
	c.rounds(30, health.Timeout, everybody("abc"))
	if got := c.removed(0); len(got) != 0 || !c.gate(0, policy.SelfDoubt) || !c.gate(0, policy.NoQuorum) {
		t.Errorf("removed %v, gates %v", got, c.minds[0].w.Snapshot(c.minds[0].now).Gates)
	}
}

// TestAPathFault: one vantage does not reach one zone.
func TestAPathFault(t *testing.T) {
	for _, cause := range []health.Cause{health.Timeout, health.Refused} {
		c := zoned(t, 4)
		c.rounds(20, cause, func(k int) string { return []string{"b", "", ""}[k] })
		if got := c.removed(0); len(got) != 0 || !c.said(0, policy.PathFault) {
			t.Errorf("%s: removed %v", cause, got)
		}
		if c.said(1, policy.PathFault) || c.said(2, policy.PathFault) {
			t.Errorf("%s: those who reach it say the same", cause)
		}
	}
}

// TestAnIsolatedZone is refused to both others, and well as seen from inside.
func TestAnIsolatedZone(t *testing.T) {
	c := zoned(t, 4)
	c.rounds(20, health.Refused, func(k int) string { return []string{"c", "c", ""}[k] })
	if got := c.removed(0); len(got) != 0 || !c.said(0, policy.Isolated) {
		t.Errorf("removed %v", got)
	}
	if got := c.minds[0].withheld("web-c-0"); !slices.Contains(got, policy.Isolated) {
		t.Errorf("withheld by %v", got)
	}
}

// TestOneVantageReadsNoZones: what it alone sees of a zone is nothing special.
func TestOneVantageReadsNoZones(t *testing.T) {
	c := zoned(t, 4)
	cfg := c.minds[0].cfg
	cfg.Quorum.Count = 1
	cfg.Vantage.Zone = "a"
	cfg.Fleet.MassLeast = 50
	c.minds[0].tell(warden.Configured{Config: cfg})
	m := c.minds[0]
	for range 40 {
		m.round(func(id string) (health.Outcome, health.Cause) {
			if strings.HasPrefix(id, "web-c") {
				return health.Fail, health.Refused
			}
			return health.Pass, health.NoCause
		})
	}
	for _, r := range m.decided(policy.Remove) {
		if r.Reason == policy.Zone {
			t.Errorf("%+v", r)
		}
	}
	if n := len(m.decided(policy.Remove)); n == 0 || n > 4 {
		t.Errorf("%d removed one by one", n)
	}
}

// TestARecoveringZone: what was held out with its zone comes back on its own
// passes.
func TestARecoveringZone(t *testing.T) {
	c := zoned(t, 4)
	c.off[2] = true
	c.rounds(12, health.Timeout, everybody("c"))
	if got := c.removed(0); !slices.Equal(got, zoneC) {
		t.Fatalf("removed %v", got)
	}
	is := func(want health.Status, when string) {
		t.Helper()
		for id, s := range c.minds[0].status {
			if strings.HasPrefix(id, "web-c") && s != want {
				t.Errorf("%s: %s is %s", when, id, s)
			}
		}
	}
	is(health.Unhealthy, "written")
	c.off[2] = false
	c.rounds(8, health.Timeout, everybody(""))
	is(health.Healthy, "taken back within Cloud Map's delay")
	c.off[2] = true
	c.rounds(70, health.Timeout, everybody("c"))
	is(health.Unhealthy, "written again")
	c.off[2] = false
	c.rounds(8, health.Timeout, everybody(""))
	is(health.Healthy, "returned")
	if got := c.minds[0].decided(policy.Bring); len(got) != 4 {
		t.Errorf("%d came back", len(got))
	}
}
