package main

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/fleetsim"
)

// contender is one way to decide who gets traffic.
type contender struct {
	name  string
	rule  *rule                 // nil: mapwarden itself …
	apply func(*fleetsim.Story) // … and how it is configured
}

// rule is what the simpler checkers do: they look from one place or several,
// count, and write at once what they think.
type rule struct {
	interval, timeout time.Duration
	fall, rise        int
	places            bool // it looks from three places
	lookers           int  // how many look at each instance there, each for itself
	percent           int  // it is healthy while more than this share of them say so
	failOpen          bool // where all of a service fail, none is taken out
	deregister        bool // also where a status could be set
}

// contenders, with the defaults of those that have documented ones:
//   - Route 53: 30 s or 10 s ("fast"), threshold 3 either way, some 15 checkers,
//     healthy while more than 18 % say so (Developer Guide, "How Amazon Route 53
//     determines whether a health check is healthy").
//   - Application Load Balancer: 30 s, timeout 5 s, unhealthy threshold 2,
//     healthy threshold 5; where all targets fail it routes to all ("Health
//     checks for target groups").
var contenders = []contender{
	{name: "naive, 10 s x 3", rule: &rule{interval: 10 * time.Second, timeout: 2 * time.Second, fall: 3, rise: 1, lookers: 1}},
	{name: "Route 53-like, 15 x 10 s x 3", rule: &rule{interval: 10 * time.Second, timeout: 4 * time.Second, fall: 3, rise: 3, places: true, lookers: 5, percent: 18}},
	{name: "ALB-like, 30 s x 2", rule: &rule{interval: 30 * time.Second, timeout: 5 * time.Second, fall: 2, rise: 5, lookers: 1, failOpen: true}},
	{name: "brute-force deregister", rule: &rule{interval: 10 * time.Second, timeout: 2 * time.Second, fall: 1, rise: 1, lookers: 1, deregister: true}},
	{name: "mapwarden", apply: three},
	{name: "mapwarden, conservative", apply: conservative},
	{name: "mapwarden, solo", apply: solo},
}

// three vantages in three zones, unless the story has its own.
func three(s *fleetsim.Story) {
	if len(s.Settings.Vantages) == 1 {
		s.Settings.Vantages = []fleetsim.Vantage{{Name: "a", Zone: "a"}, {Name: "b", Zone: "b"}, {Name: "c", Zone: "c"}}
	}
}

// conservative: three vantages that do not hasten to confirm a failure.
func conservative(s *fleetsim.Story) {
	three(s)
	s.Settings.Service.Check.Confirm = 0
	for i := range s.Services {
		s.Services[i].Config.Check.Confirm = 0
	}
}

// solo: one vantage, the story's first, with the stricter defaults that one has
// on AWS (docs/safety.md, "One vantage alone").
func solo(s *fleetsim.Story) {
	s.Settings.Vantages = s.Settings.Vantages[:1]
	fleetsim.Solo(&s.Settings.Service)
	for i := range s.Services {
		fleetsim.Solo(&s.Services[i].Config)
	}
}

// healthy applies the share.
func (r *rule) healthy(saying, all int) bool { return saying*100 > r.percent*all }
