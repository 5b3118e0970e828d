package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/fleetsim"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// threshold is one default, the values that it could have, and two scenes: what
// must not be removed, and what must be, as soon as may be.
type threshold struct {
	name   string
	values []int
	def    int
	set    func(*fleetsim.Story, int)
	wrong  scene
	right  scene
}

// scene is a script, played with some seeds. It begins at 3m.
type scene struct {
	says  string
	text  string
	seeds uint64
}

const (
	three    = "config mode=enforce vantages=3\n"
	alone    = "config profile=solo mode=enforce\n"
	web12    = "service shop/web check=none instances=12 zones=a,b,c\n"
	custom   = "service shop/web check=custom instances=12 zones=a,b,c\n"
	web6     = "service shop/web check=none instances=6 zones=a,b,c\n"
	custom6  = "service shop/web check=custom instances=6 zones=a,b,c\n"
	restless = "at 2m noise pauses=40 stalls=6 bursts=10 loss=0.3%\nrun 96h\n"
)

var thresholds = []threshold{
	{
		name: "`check.gray.fails` of 20", values: []int{3, 4, 5, 6, 7}, def: 5,
		set:   services(func(c *warden.ServiceConfig, n int) { c.Check.Gray.Fails = n }),
		wrong: scene{"24 target-days of ten times the noise, one vantage, twice", alone + web6 + restless, 2},
		right: scene{"an instance that fails 30 %", three + web12 + "at 3m gray web-3 30%\nrun 15m\n", 20},
	},
	{
		name: "`check.gray.runs`", values: []int{3, 4, 5}, def: 4,
		set:   services(func(c *warden.ServiceConfig, n int) { c.Check.Gray.Runs = n }),
		wrong: scene{"the same days", alone + web6 + restless, 2},
		right: scene{"an instance that fails 30 %, one vantage", alone + web12 + "at 3m gray web-3 30%\nrun 15m\n", 20},
	},
	{
		name: "`check.fall`", values: []int{2, 3, 4, 5, 6}, def: 4,
		set:   services(func(c *warden.ServiceConfig, n int) { c.Check.Fall = n }),
		wrong: scene{"24 such target-days, three vantages, custom status", three + custom6 + restless, 1},
		right: scene{"a crash", three + custom + "at 3m crash web-3\nrun 6m\n", 20},
	},
	{
		name: "`quarantine.hold`, seconds", values: []int{0, 10, 20, 30, 40}, def: 30,
		set:   services(func(c *warden.ServiceConfig, n int) { c.Policy.Hold = time.Duration(n) * time.Second }),
		wrong: scene{"24 such target-days, three vantages, quarantine", three + web6 + restless, 1},
		right: scene{"a crash", three + web12 + "at 3m crash web-3\nrun 6m\n", 20},
	},
	{
		name: "mass rule, percent", values: []int{10, 20, 30, 40}, def: 20,
		set: func(st *fleetsim.Story, n int) { st.Settings.Fleet.MassPercent = float64(n) },
		wrong: scene{"the only vantage loses the way to a third of 120", alone +
			"service shop/web check=custom instances=120 zones=a,b,c\nat 3m cut 10.1.1.0/24 for 5m\nrun 10m\n", 5},
		right: scene{"a tenth of 120 crash", alone +
			"service shop/web check=custom instances=120 zones=a,b,c\nat 3m crash web-1..12\nrun 20m\n", 5},
	},
	{
		name: "zone is bad from, percent", values: []int{70, 80, 90, 100}, def: 80,
		set:   func(st *fleetsim.Story, n int) { st.Settings.Fleet.ZoneBad = float64(n) },
		wrong: scene{"one vantage loses the way to a zone", three + custom + "at 3m cut a->b for 5m\nrun 10m\n", 10},
		right: scene{"a zone dies", three + custom + "at 3m zone-down b\nrun 10m\n", 10},
	},
	{
		name: "zone is fine up to, percent", values: []int{10, 20, 30}, def: 20,
		set:   func(st *fleetsim.Story, n int) { st.Settings.Fleet.ZoneFine = float64(n) },
		wrong: scene{"one vantage loses the way to a zone", three + custom + "at 3m cut a->b for 5m\nrun 10m\n", 10},
		right: scene{"a zone dies while one elsewhere is down", three + custom + "at 2m30s crash web-1\nat 3m zone-down b\nrun 10m\n", 10},
	},
}

// sweep plays every value of every threshold and writes a table for each.
func sweep(out io.Writer) error {
	fmt.Fprint(out, sweepPreface)
	for _, t := range thresholds {
		fmt.Fprintf(out, "\n## %s\n\n| value | %s: removed | %s: left | first, median | last, median |\n| --- | ---: | ---: | ---: | ---: |\n", t.name, t.wrong.says, t.right.says)
		for _, v := range t.values {
			wrong, err := t.wrong.play(t.set, v)
			if err != nil {
				return err
			}
			right, err := t.right.play(t.set, v)
			if err != nil {
				return err
			}
			mark := ""
			if v == t.def {
				mark = " (default)"
			}
			fmt.Fprintf(out, "| %d%s | %d | %d of %d | %s | %s |\n", v, mark, wrong.left, right.runs, t.right.seeds, median(right.first), median(right.last))
		}
	}
	return nil
}

// came is what became of one scene: how many left in all, in how many runs any
// did, and after how long.
type came struct {
	left        int
	runs        int
	first, last []time.Duration
}

var leaves = regexp.MustCompile(`^no longer find web-\d+$`)

func (s scene) play(set func(*fleetsim.Story, int), value int) (c came, err error) {
	for seed := range s.seeds {
		story, err := fleetsim.Parse("sweep", s.text)
		if err != nil {
			return c, err
		}
		story.Settings.Untraced = true
		set(&story, value)
		r, err := fleetsim.Run(story.WithSeed(seed + 1))
		if err != nil {
			return c, err
		}
		if r.Noise != nil {
			c.left += r.Noise.False
			continue
		}
		var at []time.Duration
		for _, l := range r.Timeline {
			if l.Who == "clients" && leaves.MatchString(l.Text) && l.At >= 3*time.Minute {
				at = append(at, l.At-3*time.Minute)
			}
		}
		if c.left += len(at); len(at) > 0 {
			c.runs++
			c.first, c.last = append(c.first, at[0]), append(c.last, at[len(at)-1])
		}
	}
	return c, nil
}

func median(d []time.Duration) string {
	if len(d) == 0 {
		return "never"
	}
	slices.Sort(d)
	return d[len(d)/2].Round(100 * time.Millisecond).String()
}

// services sets something for every service of a story.
func services(set func(*warden.ServiceConfig, int)) func(*fleetsim.Story, int) {
	return func(st *fleetsim.Story, n int) {
		st.Services = slices.Clone(st.Services)
		for i := range st.Services {
			set(&st.Services[i].Config, n)
		}
	}
}

const sweepPreface = `# Thresholds

What would come of other values of the thresholds that are reasoned rather than derived:
` + "`go run ./scripts/soak -sweep > docs/thresholds.md`" + `. Each table plays one scene in which nothing
ought to be removed and one in which something ought to be; the first column of figures is better
the lower it is, the others the sooner. Times are from the fault until clients no longer find the
instance, over some seeds. The noise is ten times that of ordinary days and more, so that there is
something to count: what is right on ordinary days stands in [soak.md](soak.md).
`
