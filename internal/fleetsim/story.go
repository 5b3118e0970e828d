package fleetsim

import (
	"maps"
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// Story is a day of a fleet: who is there, what happens to them, and what is
// expected of the mind. Parse and Random make stories; the zero Story is an
// empty registry that is looked at for no time at all.
type Story struct {
	Name     string // of the file, or "random story"
	Text     string // the script, without the expected timeline
	Want     string // the expected timeline; "" where the script has none
	Settings Settings
	Services []ServiceStory
	Length   time.Duration
	Mind     func(vantage string) Mind // nil: the real one

	otherSeed bool // another seed than the script's is played

	actions []action
	expects []expectation
}

// ServiceStory is one service as the story begins.
type ServiceStory struct {
	Namespace, Name string
	Kind            warden.HealthCheckKind
	Instances       int
	Zones           []string // instances are spread over them in turn; nil: none is known
	Config          warden.ServiceConfig
	Init            string // AWS_INIT_HEALTH_STATUS of its instances; "" is none
	LeastRequest    bool   // its clients ask the less busy one of two
	OtherAccount    bool   // its namespace is shared by another account
	NoPort          bool   // they are registered without a port: nothing can be probed
	Down            bool   // its workloads listen only when they recover
	Owned           bool   // an owner runs its workloads, as ECS does, and says what it knows …
	WritesHealth    bool   // … and that it sets their custom statuses itself
}

// action is one statement: what happens, and when.
type action struct {
	at   time.Duration
	line int
	text string
	do   func(*sim)
}

// expectation is one expect statement. With at it is asked then, otherwise
// when the story ends.
type expectation struct {
	at    time.Duration // negative: at the end
	here  bool          // it holds with the script's own seed; others hold with any
	line  int
	text  string
	fails func(*sim) string // "" if it holds
}

// Configured is the same story under another configuration of the mind: its
// checks, limits, modes and how often the registry is listed. The fleet, the
// vantages and the registry's own pace stay the story's.
func (st Story) Configured(c warden.Config) Story {
	st.Settings.Service, st.Settings.Fleet, st.Settings.Scope, st.Settings.Poll = c.Default, c.Fleet, c.Scope, c.Poll
	st.Services = slices.Clone(st.Services)
	for k := range st.Services {
		svc := &st.Services[k]
		svc.Config = c.Resolve(health.Service{Namespace: svc.Namespace, Name: svc.Name})
	}
	return st
}

// WithSeed is the same story with other chances.
func (st Story) WithSeed(seed uint64) Story {
	st.otherSeed = st.otherSeed || seed != st.Settings.Seed
	st.Settings.Seed = seed
	return st
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
