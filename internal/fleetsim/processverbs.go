package fleetsim

import (
	"strconv"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// processVerbs are the statements about the checkers' processes. Where there
// are several checkers each takes the name of one, or the word leader;
// without it all are meant.
var processVerbs = map[string]func(*words) func(*sim){
	"kill": func(w *words) func(*sim) {
		who, down := w.vantages(), w.down()
		return func(s *sim) {
			for _, c := range who(s) {
				c.kill(down)
			}
		}
	},
	"kill-at": killAt,
	"start": func(w *words) func(*sim) {
		who := w.vantages()
		return func(s *sim) {
			for _, c := range who(s) {
				c.start()
			}
		}
	},
	"stop": func(w *words) func(*sim) {
		who := w.vantages()
		return func(s *sim) {
			for _, p := range processes(who(s)) {
				p.tell(warden.Stopping{})
				p.after(stopWithin, func() {
					p.resign()
					p.c.kill(0)
				})
			}
		}
	},
	"pause": func(w *words) func(*sim) {
		who, d := w.vantages(), w.span("how long")
		return func(s *sim) {
			for _, p := range processes(who(s)) {
				p.pause()
				s.after(d, func() {
					if !p.dead {
						p.resume()
					}
				})
			}
		}
	},
	"starve": func(w *words) func(*sim) {
		who, share, d := w.vantages(), w.share("a share like 5%"), w.down()
		return func(s *sim) {
			for _, c := range who(s) {
				c.starve(share, d)
			}
		}
	},
	"clock": func(w *words) func(*sim) {
		who, d := w.vantages(), w.step("how far, like +1h or -90s")
		return func(s *sim) {
			for _, c := range who(s) {
				c.wall += d
			}
		}
	},
	"drift": func(w *words) func(*sim) {
		who, d := w.vantages(), w.step("how far in each second, like +100ms")
		return func(s *sim) {
			for _, c := range who(s) {
				c.wall, c.since, c.drift = c.off(), s.now, d.Seconds()
			}
		}
	},
	"doubt": func(w *words) func(*sim) {
		who, d := w.vantages(), oneOf(w, "a doubt", doubts)
		return func(s *sim) {
			for _, p := range processes(who(s)) {
				p.alive(func() { p.tell(warden.Doubted{Doubt: d}) })()
			}
		}
	},
	"exhaust": func(w *words) func(*sim) {
		who, d, during := w.vantages(), oneOf(w, "what it runs out of", exhaustible), w.down()
		return func(s *sim) {
			for _, c := range who(s) {
				c.exhausted = d
				if during > 0 {
					s.after(during, func() { c.exhausted = health.NoDoubt })
				}
			}
		}
	},
	"lose-journal": func(*words) func(*sim) {
		return func(s *sim) { s.store.entries, s.store.lost = nil, true }
	},
	"reload": reload,
}

var doubts = map[string]health.Doubt{
	"descriptors": health.DoubtDescriptors, "ports": health.DoubtPorts, "sentinel": health.DoubtSentinel, "late": health.DoubtLate,
}

var exhaustible = map[string]health.Doubt{"descriptors": health.DoubtDescriptors, "ports": health.DoubtPorts}

var moments = map[string]moment{"before": beforeEffect, "after": afterEffect, "answered": answered}

// stopWithin is how long a process that was asked to stop may take.
const stopWithin = 10 * time.Second

func (w *words) step(want string) time.Duration {
	t := w.next(want)
	d, err := time.ParseDuration(t.text)
	if err != nil {
		w.failAt(t.col, "%q is not a step like +1h or -90s", t.text)
	}
	return d
}

// Where a process is starved, it stands still for between these times in turn.
const (
	starvedLeast = time.Second
	starvedMost  = 8 * time.Second
)

// starve gives a checker's process a share of the processor: it stands still
// for seconds, runs for a moment, and so on.
func (c *checker) starve(share float64, during time.Duration) {
	end := c.s.now + during
	c.starved = share
	var again func()
	again = func() {
		if c.starved != share || during > 0 && c.s.now >= end {
			c.starved = 0
			return
		}
		still := starvedLeast + time.Duration(c.net.Int64N(int64(starvedMost-starvedLeast)))
		if p := c.proc; p != nil && !p.paused {
			p.pause()
			c.s.after(still, func() {
				if !p.dead {
					p.resume()
				}
			})
		}
		c.s.after(still+time.Duration(float64(still)*share/(1-share)), again)
	}
	again()
}

// down reads "for 5s": how long the process stays down.
func (w *words) down() time.Duration {
	if w.took("for") {
		return w.span("how long")
	}
	return 0
}

// killAt reads "kill-at 7 after for 5s" or "kill-at DeregisterInstance before".
func killAt(w *words) func(*sim) {
	var t trap
	who := w.vantages()
	if n, err := strconv.Atoi(w.peek()); err == nil && n > 0 {
		t.number = w.number("the number of a call")
	} else {
		t.op = oneOf(w, "a call", allOps)
	}
	t.moment = oneOf(w, "when", moments)
	t.down = w.down()
	return func(s *sim) {
		for _, c := range who(s) {
			c.traps = append(c.traps, t)
		}
	}
}

// reload: the configuration of all services, or their scope, changes while the
// process runs.
func reload(w *words) func(*sim) {
	var changes []func(*warden.ServiceConfig) error
	var scope []string
	for len(w.rest) > 0 && w.p.err == nil {
		key, value, col := w.pair()
		if key == "scope" {
			scope = strings.Split(value, ",")
			continue
		}
		set := serviceKeys[key]
		if set == nil {
			w.failAt(col, "unknown setting %q", key)
			break
		}
		var scratch warden.ServiceConfig
		if err := set(&scratch, value); err != nil {
			w.failAt(col, "%v", err)
		}
		changes = append(changes, func(c *warden.ServiceConfig) error { return set(c, value) })
	}
	return func(s *sim) {
		if scope != nil {
			s.story.Settings.Scope.Services = scope
		}
		for k := range s.story.Services {
			c := &s.story.Services[k].Config
			for _, change := range changes {
				if err := change(c); err != nil {
					s.judge.fail("reload: %v", err)
				}
			}
			*c = s.story.Settings.complete(*c)
		}
		for _, p := range processes(s.checkers) {
			p.alive(func() { p.tell(warden.Configured{Config: s.story.config(p.c)}) })()
		}
	}
}
