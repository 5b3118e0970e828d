package fleetsim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Random returns the story of a seed: a fleet, a time in which much goes
// wrong, and then a calm in which everything must come right again. The same
// seed is always the same story; its Text is a script like any other.
func Random(seed uint64) Story {
	a := &author{r: rand.New(rand.NewPCG(seed, 0x6d6170776172))}
	a.fleet(seed)
	a.trouble()
	a.calm()
	story, err := Parse("random story", a.text.String())
	if err != nil {
		panic(fmt.Sprintf("fleetsim: the story of seed %d is no story: %v\n%s", seed, err, a.text.String()))
	}
	return story
}

// author writes a random script.
type author struct {
	r       *rand.Rand
	text    strings.Builder
	plan    []planned
	casts   []cast
	scale   time.Duration   // what lasts a second in profile local lasts this long
	gone    map[string]bool // instances that their owner calls gone
	claimed map[string]bool // instances that somebody else than us may have left out
	several bool            // three vantages
	owned   []string        // services that an owner runs
}

// planned is a statement with a time.
type planned struct {
	at   time.Duration
	text string
}

// cast is one service of a random script.
type cast struct {
	name   string
	custom bool
	size   int
}

func (a *author) say(format string, args ...any) { fmt.Fprintf(&a.text, format+"\n", args...) }

func (a *author) at(at time.Duration, format string, args ...any) {
	a.plan = append(a.plan, planned{at, fmt.Sprintf(format, args...)})
}

// chance is true once in n times.
func (a *author) chance(n int) bool { return a.r.IntN(n) == 0 }

// between is a duration between two numbers of seconds of profile local.
func (a *author) between(from, to int) time.Duration {
	ms := int64(from*1000) + a.r.Int64N(int64(to-from)*1000)
	return time.Duration(ms) * a.scale / 1000
}

func pick[T any](a *author, from ...T) T { return from[a.r.IntN(len(from))] }

func (a *author) fleet(seed uint64) {
	a.claimed, a.gone = map[string]bool{}, map[string]bool{}
	profile := "demo"
	a.scale = time.Second / 10
	if a.chance(6) {
		profile, a.scale = "local", time.Second
	}
	more := ""
	if a.chance(5) {
		more += " lag=" + pick(a, a.scale, 10*a.scale).String()
	}
	if a.chance(5) {
		more += " admission=trust"
	}
	if a.chance(4) {
		more += " operation_delay=" + pick(a, "0s", "2s", "5s")
	}
	if a.several = a.chance(3); a.several {
		more += " vantages=" + pick(a, "3", "a/x,b/y,c/z", "a/x,b/x,c/y")
	}
	a.say("config profile=%s mode=enforce seed=%d%s", profile, seed, more)
	for i := range 1 + a.r.IntN(4) {
		c := cast{name: string(rune('a' + i)), custom: a.chance(2), size: 1 + a.r.IntN(9)}
		if a.chance(8) {
			c.size = 20 + a.r.IntN(20)
		}
		check := "none"
		if c.custom {
			check = "custom"
		}
		zones := pick(a, "", " zones=x,y", " zones=x,y,z")
		if a.chance(6) {
			zones += " owner=ecs"
			a.owned = append(a.owned, c.name)
		}
		a.say("service sim/%s check=%s instances=%d%s", c.name, check, c.size, zones)
		a.casts = append(a.casts, c)
		if a.chance(6) {
			late := a.one(c)
			a.at(0, "crash %s", late)
			a.at(a.between(60, 600), "recover %s", late)
		}
	}
}

// some is a service, one of its instances or a run of them.
func (a *author) some() string {
	c := pick(a, a.casts...)
	switch {
	case a.chance(12):
		return c.name
	case c.size > 2 && a.chance(4):
		from := 1 + a.r.IntN(c.size-1)
		return fmt.Sprintf("%s-%d..%d", c.name, from, from+a.r.IntN(min(4, c.size-from+1)))
	}
	return a.one(c)
}

func (a *author) one(c cast) string { return fmt.Sprintf("%s-%d", c.name, 1+a.r.IntN(c.size)) }

// Trouble lasts from the end of the warm-up for up to half an hour of profile
// local; every fault is its own and may meet any other.
const (
	troubleFrom = 20   // seconds of profile local
	troubleTo   = 1800 // seconds of profile local
	calmFor     = 5400 // longer than the longest back-off
)

func (a *author) trouble() {
	for range 5 + a.r.IntN(25) {
		a.fault(a.between(troubleFrom, troubleTo))
	}
}

func (a *author) fault(at time.Duration) {
	later := func(from, to int) time.Duration { return min(at+a.between(from, to), troubleTo*a.scale) }
	who := a.some()
	switch {
	case a.several && a.chance(4):
		a.between3(at)
		return
	case len(a.owned) > 0 && a.chance(5):
		a.runner(at)
		return
	}
	switch a.r.IntN(27) {
	case 0, 1, 2, 3:
		a.at(at, "%s %s", pick(a, "crash", "reset", "hang", "fail", "vanish"), who)
		a.at(later(10, 900), "recover %s", who)
	case 4:
		a.at(at, "slowstart %s %s", who, a.between(10, 300))
	case 5:
		a.at(at, "gray %s %d%%", who, 10+a.r.IntN(80))
		a.at(later(10, 900), "recover %s", who)
	case 6:
		a.at(at, "flap %s %s", who, a.between(20, 120))
		a.at(later(60, 900), "recover %s", who)
	case 7:
		a.at(at, "cut 10.%d.%d.0/24", 1+a.r.IntN(len(a.casts)), a.r.IntN(3))
		a.at(later(10, 300), "heal")
	case 8, 9:
		a.at(at, "registry %s", pick(a, "error", "empty", "void", "partial", "silent", "throttle"))
		a.at(later(5, 300), "registry ok")
	case 10, 11:
		a.at(at, "%s %s", pick(a, "lose-answer", "lose-call"),
			pick(a, "RegisterInstance", "DeregisterInstance", "UpdateInstanceCustomHealthStatus", "GetInstance", "GetOperation"))
	case 12:
		a.at(at, "fail-operation")
	case 13, 14:
		a.at(at, "kill %sfor %s", a.checker(), a.between(1, 120))
	case 15:
		op := pick(a, "journal-put", "journal-update", "journal-close", "GetInstance", "RegisterInstance", "DeregisterInstance",
			"UpdateInstanceCustomHealthStatus", "GetInstancesHealthStatus", "GetOperation")
		a.at(at, "kill-at %s%s %s for %s", a.checker(), op, pick(a, "before", "after", "answered"), a.between(1, 60))
	case 16:
		a.at(at, "pause %s%s", a.checker(), a.between(1, 90))
	case 17:
		a.at(at, "clock %s%s", a.checker(), pick(a, "+1h", "-1h", "+500ms", "-2s"))
	case 18:
		a.at(at, "doubt %s%s", a.checker(), pick(a, "descriptors", "ports", "sentinel", "late"))
	case 19:
		a.at(at, "freeze%s", pick(a, "", " cancel-pending"))
		a.at(later(10, 300), "unfreeze")
	case 20:
		a.at(at, "restore %s", pick(a, who, "all"))
	case 21:
		a.owner(at)
	default:
		a.word(at, who)
	}
}

// checker is one of several, the one that leads, or nobody: all of them.
func (a *author) checker() string {
	if !a.several {
		return ""
	}
	return pick(a, "", "a ", "b ", "c ", "leader ", "leader ")
}

// between3 is a fault that only several checkers can have.
func (a *author) between3(at time.Duration) {
	from, to := pick(a, "a", "b", "c", "*"), pick(a, "a", "b", "c", "*")
	last := a.between(5, 400)
	switch a.r.IntN(9) {
	case 0:
		a.at(at, "cut %s->10.%d.%d.0/24 for %s", from, 1+a.r.IntN(len(a.casts)), a.r.IntN(3), last)
	case 1:
		a.at(at, "loss %s->* %d%% for %s", from, 1+a.r.IntN(60), last)
	case 2:
		a.at(at, "cut %s->%s votes for %s", from, to, last)
	case 3:
		a.at(at, "loss %s->%s votes %d%% for %s", from, to, 1+a.r.IntN(90), last)
	case 4:
		a.at(at, "isolate %sfor %s", pick(a, "a ", "b ", "c ", "leader "), last)
	case 5:
		a.at(at, "cut %s->%s for %s", from, pick(a, "store", "registry"), last)
	case 6:
		a.at(at, "votes reorder=%d%% duplicate=%d%% replay=%d%% flip=%d%%", a.r.IntN(50), a.r.IntN(50), a.r.IntN(50), a.r.IntN(20))
	case 7:
		a.at(at, "starve %s%d%% for %s", pick(a, "a ", "b ", "c ", "leader "), 5+a.r.IntN(50), last)
	case 8:
		a.at(at, "exhaust %s%s for %s", a.checker(), pick(a, "ports", "descriptors"), last)
	}
}

// runner lets an owner run its service, or its word go astray.
func (a *author) runner(at time.Duration) {
	name := pick(a, a.owned...)
	switch a.r.IntN(5) {
	case 0:
		a.at(at, "deploy %s %s ready=%s", name, pick(a, "rolling", "surge", "bluegreen"), a.between(5, 100))
	case 1:
		a.at(at, "scale %s %d", name, 1+a.r.IntN(9))
	case 2:
		a.at(at, "exit %s-%d", name, 1+a.r.IntN(9))
	case 3:
		a.at(at, "stop-task %s-%d", name, 1+a.r.IntN(9))
	case 4:
		a.at(at, "evidence %s lost=%d%% duplicated=%d%% reordered=%d%% delay=%s",
			name, a.r.IntN(100), a.r.IntN(50), a.r.IntN(50), a.between(0, 60))
	}
}

// owner lets somebody else write to the registry.
func (a *author) owner(at time.Duration) {
	c := pick(a, a.casts...)
	id := a.one(c)
	a.claimed[id] = true
	switch n := a.r.IntN(5); {
	case n == 0 && c.custom:
		a.at(at, "foreign %s %s", id, pick(a, "UNHEALTHY", "HEALTHY"))
	case n <= 1:
		a.at(at, "register %s-%d ready=%s", c.name, c.size+1+a.r.IntN(3), a.between(1, 120))
	case n == 2:
		a.at(at, "deregister %s", id)
	case n == 3:
		a.at(at, "reregister %s address=new", id)
	default:
		a.at(at, "reregister %s version=2", id)
	}
}

// word lets the owner of a service say something, of it or of its instances.
func (a *author) word(at time.Duration, who string) {
	c := pick(a, a.casts...)
	switch a.r.IntN(7) {
	case 0:
		a.at(at, "owns %s desired=%d deployments=a,b", c.name, a.r.IntN(2*c.size))
	case 1:
		a.at(at, "owns %s silent=%s", c.name, pick(a, "yes", "no"))
	case 2:
		a.at(at, "depends %s db %s", who, pick(a, "bad", "ok"))
	case 3:
		id := a.one(c)
		a.claimed[id], a.gone[id] = true, true
		a.at(at, "says %s gone", id)
	default:
		a.at(at, "says %s %s", who, pick(a, "starting", "draining", "stopping", "alarm", "running"))
	}
}

// calm ends all trouble and says what must be true long after it.
func (a *author) calm() {
	calm := troubleTo * a.scale
	a.at(calm, "start")
	a.at(calm, "heal")
	a.at(calm, "registry ok")
	for _, name := range a.owned {
		a.at(calm, "evidence %s", name)
	}
	a.at(calm+time.Millisecond, "unfreeze")
	for _, c := range a.casts {
		a.at(calm, "owns %s silent=no deployments=a", c.name)
		a.at(calm+time.Millisecond, "depends %s db ok", c.name)
		for n := 1; n <= c.size; n++ {
			// Who runs a service itself knows which of its tasks are still there.
			if id := fmt.Sprintf("%s-%d", c.name, n); !a.gone[id] && !slices.Contains(a.owned, c.name) {
				a.at(calm+time.Millisecond, "says %s running", id)
			}
		}
		a.at(calm+time.Millisecond, "recover %s", c.name)
	}
	slices.SortStableFunc(a.plan, func(x, y planned) int { return cmp.Compare(x.at, y.at) })
	for _, p := range a.plan {
		a.say("at %s %s", p.at, p.text)
	}
	a.say("run %s", calm+calmFor*a.scale)
	a.say("expect lost 0")
	a.say("expect double 0")
	for _, c := range a.casts {
		for n := 1; n <= c.size; n++ {
			if id := fmt.Sprintf("%s-%d", c.name, n); !a.claimed[id] && !slices.Contains(a.owned, c.name) {
				a.say("expect in %s", id)
			}
		}
	}
}
