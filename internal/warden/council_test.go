package warden_test

import (
	"slices"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/quorum"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// council is several minds that exchange votes as a shell does: each Cast under
// the next number, a message without votes where nothing was cast, and all votes
// again for who asks. Their clocks go side by side.
type council struct {
	t     *testing.T
	minds []*mind
	epoch []uint64
	seq   []uint64
	off   []bool                              // the vantage is silent and hears nothing
	drop  func(from, to int, seq uint64) bool // loses a message
}

// newCouncil are n vantages in zones a, b, c …, each with the instances of the
// services in its listing; the first of them is the one that was loaded.
func newCouncil(t *testing.T, n int, cfg warden.Config, services map[string][]warden.InstanceFound) *council {
	c := &council{t: t, epoch: make([]uint64, n), seq: make([]uint64, n), off: make([]bool, n)}
	names := make([]string, 0, len(services))
	for name := range services {
		names = append(names, name)
	}
	slices.Sort(names)
	for k := range n {
		cfg := cfg
		zone := string(rune('a' + k))
		cfg.Vantage = quorum.Vantage{Checker: "checker-" + zone, Zone: zone}
		cfg.Quorum = quorum.Rule{Kind: quorum.Majority, Count: n}
		c.minds = append(c.minds, newMind(t, cfg))
		c.epoch[k] = 1
	}
	c.minds[0].tell(warden.Loaded{})
	for _, m := range c.minds {
		m.tell(found(warden.CustomHealthCheck, names...))
		for _, name := range names {
			m.tell(m.listing(name, services[name]...))
		}
	}
	c.exchange()
	return c
}

// exchange delivers what was cast until nobody has anything more to say, and
// then a word of life of each.
func (c *council) exchange() {
	c.t.Helper()
	for said := true; said; {
		said = false
		for from, m := range c.minds {
			casts := m.casts
			m.casts = nil
			for _, cast := range casts {
				c.send(from, cast)
				said = said || !c.off[from]
			}
		}
		for to, m := range c.minds {
			asks := m.asks
			m.asks = nil
			for _, ask := range asks {
				if from := c.named(ask.Of); !c.off[from] && !c.off[to] {
					c.minds[from].tell(warden.VotesAsked{})
					said = true
				}
			}
		}
	}
	for from := range c.minds {
		c.send(from, warden.Cast{Abstains: c.abstains(from)})
	}
}

func (c *council) abstains(k int) bool {
	return slices.Contains(c.minds[k].w.Snapshot(c.minds[k].now).Gates, policy.SelfDoubt)
}

func (c *council) named(v quorum.Vantage) int {
	return slices.IndexFunc(c.minds, func(m *mind) bool { return m.cfg.Vantage.Checker == v.Checker })
}

func (c *council) send(from int, cast warden.Cast) {
	c.t.Helper()
	c.seq[from]++
	for to, m := range c.minds {
		lost := c.off[from] || c.off[to] || c.drop != nil && c.drop(from, to, c.seq[from])
		if to != from && !lost {
			m.tell(warden.Voted{Vantage: c.minds[from].cfg.Vantage, Epoch: c.epoch[from], Seq: c.seq[from],
				Abstains: cast.Abstains, Full: cast.Full, Votes: cast.Votes})
		}
	}
}

// probe gives n rounds of probes a second apart; sees says which instances a
// vantage finds refusing. Vantages that are off do not probe.
func (c *council) probe(n int, sees func(vantage int) []string) {
	c.t.Helper()
	for range n {
		for k, m := range c.minds {
			if c.off[k] {
				m.pass(time.Second)
				continue
			}
			m.probe(1, sees(k)...)
		}
		c.exchange()
	}
}

func none(int) []string { return nil }

func all(ids ...string) func(int) []string { return func(int) []string { return ids } }

// only are failures that some of the vantages see.
func only(ids []string, vantages ...int) func(int) []string {
	return func(k int) []string {
		if slices.Contains(vantages, k) {
			return ids
		}
		return nil
	}
}

func web(n int) map[string][]warden.InstanceFound {
	return map[string][]warden.InstanceFound{"web": instances("web", n)}
}

func (c *council) verdict(k int, id string) health.Status {
	e, ok := c.minds[k].w.Explain(c.minds[k].now, "test/web", id)
	if !ok {
		c.t.Fatalf("vantage %d does not know %s", k, id)
	}
	return e.Verdict
}

func (c *council) gate(k int, r policy.Reason) bool {
	return slices.Contains(c.minds[k].w.Snapshot(c.minds[k].now).Gates, r)
}
