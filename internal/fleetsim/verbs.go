package fleetsim

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// actions are the statements that make something happen: each reads its words
// and returns what to do when its time comes.
var actions = map[string]func(*words) func(*sim){
	// Workloads.

	"crash":         becomes("crash", crashed),
	"reset":         becomes("reset", cutting),
	"hang":          becomes("hang", hanging),
	"fail":          becomes("fail", erring),
	"vanish":        becomes("vanish", vanished),
	"recover":       becomes("recover", serving),
	"slowstart":     slowStart,
	"gray":          gray,
	"shallow":       becomes("shallow", shallow),
	"slow":          slow,
	"stranger":      becomes("stranger", estranged),
	"says-draining": saysDraining,
	"flap":          flap,

	// Their owner.

	"register":   register,
	"deregister": deregister,
	"reregister": reregister,

	// Paths between the checker and its targets.

	"cut": func(w *words) func(*sim) {
		p := w.subnet()
		return func(s *sim) { s.fleet.cuts = append(s.fleet.cuts, p) }
	},
	"heal": func(*words) func(*sim) { return func(s *sim) { s.fleet.cuts = nil } },

	// The registry.

	"registry": func(w *words) func(*sim) {
		weather := oneOf(w, "how the registry answers", weathers)
		return func(s *sim) { s.weather = weather }
	},
	"lose-answer":    loses(true),
	"lose-call":      loses(false),
	"fail-operation": func(*words) func(*sim) { return func(s *sim) { s.registry.dooms++ } },
	"foreign":        foreign,

	// The checker's process.

	"kill": func(w *words) func(*sim) {
		down := w.down()
		return func(s *sim) { s.each(func(c *checker) { c.kill(down) }) }
	},
	"kill-at": killAt,
	"start":   func(*words) func(*sim) { return func(s *sim) { s.each((*checker).start) } },
	"pause": func(w *words) func(*sim) {
		d := w.span("how long")
		return func(s *sim) {
			s.live(func(p *process) {
				p.pause()
				s.after(d, func() {
					if !p.dead {
						p.resume()
					}
				})
			})
		}
	},
	"clock": func(w *words) func(*sim) {
		t := w.next("how far, like +1h or -90s")
		d, err := time.ParseDuration(t.text)
		if err != nil {
			w.failAt(t.col, "%q is not a step like +1h or -90s", t.text)
		}
		return func(s *sim) { s.each(func(c *checker) { c.wall += d }) }
	},
	"doubt": func(w *words) func(*sim) {
		d := oneOf(w, "a doubt", doubts)
		return tells(func() warden.Event { return warden.Doubted{Doubt: d} })
	},
	"lose-journal": func(*words) func(*sim) {
		return func(s *sim) { s.each(func(c *checker) { c.disk.entries, c.lost = nil, true }) }
	},
	"reload": reload,
	"stop": func(*words) func(*sim) {
		return func(s *sim) {
			s.live(func(p *process) {
				p.tell(warden.Stopping{})
				p.after(stopWithin, func() { p.c.kill(0) })
			})
		}
	},

	// Operators.

	"freeze": func(w *words) func(*sim) {
		var f warden.Freeze
		if w.took("for") {
			f.For = w.span("how long")
		}
		f.CancelPending = w.took("cancel-pending")
		return tells(func() warden.Event { return f })
	},
	"unfreeze": func(*words) func(*sim) { return tells(func() warden.Event { return warden.Unfreeze{} }) },
	"release":  func(*words) func(*sim) { return tells(func() warden.Event { return warden.Release{} }) },
	"retire":   func(*words) func(*sim) { return tells(func() warden.Event { return warden.Retire{} }) },
	"restore":  restore,
}

var weathers = map[string]weather{
	"ok": fair, "error": failing, "empty": emptied, "void": voided, "partial": tattered, "silent": silent, "throttle": throttled,
}

var doubts = map[string]health.Doubt{
	"descriptors": health.DoubtDescriptors, "ports": health.DoubtPorts, "sentinel": health.DoubtSentinel, "late": health.DoubtLate,
}

var moments = map[string]moment{"before": beforeEffect, "after": afterEffect, "answered": answered}

// stopWithin is how long a process that was asked to stop may take.
const stopWithin = 10 * time.Second

func (s *sim) each(do func(*checker)) {
	for _, c := range s.checkers {
		do(c)
	}
}

func (s *sim) live(do func(*process)) {
	s.each(func(c *checker) {
		if c.proc != nil {
			do(c.proc)
		}
	})
}

// tells gives an event to every live process.
func tells(event func() warden.Event) func(*sim) {
	return func(s *sim) {
		s.live(func(p *process) { p.alive(func() { p.tell(event()) })() })
	}
}

func becomes(what string, m mood) func(*words) func(*sim) {
	return func(w *words) func(*sim) {
		which := w.instances()
		return func(s *sim) {
			for _, x := range which(s) {
				s.fleet.become(x, m, what)
			}
		}
	}
}

// slowStart: it starts anew and refuses until it is ready.
func slowStart(w *words) func(*sim) {
	which, d := w.instances(), w.span("until it is ready, like 30s")
	return func(s *sim) {
		for _, x := range which(s) {
			s.fleet.start(x, d)
		}
	}
}

func (f *fleet) start(x *workload, d time.Duration) {
	f.become(x, starting, "slow start")
	f.later(x, d, func() { f.become(x, serving, "") })
}

// gray: it answers some requests with 500.
func gray(w *words) func(*sim) {
	which := w.instances()
	t := w.next("a share like 30%")
	share, err := parsePercent(t.text)
	if err != nil {
		w.failAt(t.col, "%v", err)
	}
	return func(s *sim) {
		for _, x := range which(s) {
			s.fleet.become(x, serving, "")
			x.gray = share / 100
			s.clients.mood(x, "gray")
		}
	}
}

// slow: it serves, and takes so many times as long.
func slow(w *words) func(*sim) {
	which := w.instances()
	t := w.next("how many times as long, like x10")
	times, err := strconv.ParseFloat(strings.TrimPrefix(t.text, "x"), 64)
	if err != nil || !strings.HasPrefix(t.text, "x") || times < 1 || times > 1e6 {
		w.failAt(t.col, "%q is not how many times as long, like x10", t.text)
	}
	return func(s *sim) {
		for _, x := range which(s) {
			s.fleet.become(x, serving, "")
			x.slow = times
		}
	}
}

// saysDraining: it serves, and says that it is about to stop.
func saysDraining(w *words) func(*sim) {
	which := w.instances()
	return func(s *sim) {
		for _, x := range which(s) {
			s.fleet.become(x, serving, "")
			x.drains = true
		}
	}
}

// flap: down and up in turn, each for half of the period, until it recovers.
func flap(w *words) func(*sim) {
	which, period := w.instances(), w.span("a period like 60s")
	return func(s *sim) {
		for _, x := range which(s) {
			s.fleet.flap(x, period, crashed)
		}
	}
}

func (f *fleet) flap(x *workload, period time.Duration, m mood) {
	f.become(x, m, "flap")
	f.later(x, max(period/2, time.Second), func() { f.flap(x, period, crashed+serving-m) })
}

// register: a new instance of a service, by its owner.
func register(w *words) func(*sim) {
	t := w.next("an instance like web-7")
	cut := strings.LastIndexByte(t.text, '-')
	n, err := strconv.Atoi(t.text[cut+1:])
	k := -1
	for i, svc := range w.p.story.Services {
		if cut > 0 && svc.Name == t.text[:cut] {
			k = i
		}
	}
	if k < 0 || err != nil || n < 1 || n > 10000 {
		w.failAt(t.col, "%q is not an instance of a service", t.text)
		return nil
	}
	w.p.exists[t.text] = true
	init, ready, never := "", time.Duration(0), false
	for len(w.rest) > 0 && w.p.err == nil {
		switch key, value, col := w.pair(); {
		case key == "init" && (value == "HEALTHY" || value == "UNHEALTHY"):
			init = value
		case key == "ready" && value == "never":
			never = true
		case key == "ready":
			if ready, err = parseSpan(value); err != nil {
				w.failAt(col, "%v", err)
			}
		default:
			w.failAt(col, "%q is neither ready=DURATION, ready=never nor init=UNHEALTHY", key+"="+value)
		}
	}
	return func(s *sim) {
		x := s.fleet.find(t.text)
		if x == nil {
			x = s.workload(k, n)
		}
		switch {
		case never:
			s.fleet.become(x, starting, "slow start")
		case ready > 0:
			s.fleet.start(x, ready)
		default:
			s.fleet.become(x, serving, "")
		}
		s.own(x.svc, x.id, x.attributes(init))
	}
}

// own is an owner's write; it waits while an operation is in the way.
func (s *sim) own(svc *service, id string, attrs health.Attributes) {
	if _, fault := s.registry.submit(svc, id, attrs, byOwner); fault == lever.InFlight {
		s.after(time.Second, func() { s.own(svc, id, attrs) })
	} else if fault == lever.NotFound {
		s.clients.settle()
		svc.owned = svc.owned.with(id, nil) // it is away already: its owner wants it no more
	}
}

func deregister(w *words) func(*sim) {
	which := w.instances()
	return func(s *sim) {
		for _, x := range which(s) {
			s.own(x.svc, x.id, nil)
		}
	}
}

// reregister: by its owner, as it is or with other values.
func reregister(w *words) func(*sim) {
	which := w.instances()
	moves, version := false, ""
	for len(w.rest) > 0 && w.p.err == nil {
		switch key, value, col := w.pair(); {
		case key == "address" && value == "new":
			moves = true
		case key == "version":
			version = value
		default:
			w.failAt(col, "%q is neither address=new nor version=…", key+"="+value)
		}
	}
	return func(s *sim) {
		for _, x := range which(s) {
			if moves {
				s.clients.settle()
				a := x.at.Addr().As4()
				a[3] ^= 0x80
				x.since = s.now
				x.at = netip.AddrPortFrom(netip.AddrFrom4(a), x.at.Port())
			}
			m := x.attributes("").Map()
			if version != "" {
				m["version"] = version
			}
			s.own(x.svc, x.id, health.AttributesOf(m))
		}
	}
}

func (w *words) subnet() netip.Prefix {
	t := w.next("a subnet like 10.1.0.0/24")
	p, err := netip.ParsePrefix(t.text)
	if err != nil {
		w.failAt(t.col, "%q is not a subnet like 10.1.0.0/24", t.text)
	}
	return p
}

func loses(done bool) func(*words) func(*sim) {
	return func(w *words) func(*sim) {
		op := oneOf(w, "an operation", remoteOps)
		return func(s *sim) { s.fates = append(s.fates, fate{op, done}) }
	}
}

// remoteOps are the calls to the registry, allOps those to the journal, too.
var remoteOps, allOps = opsByName(lever.ReadInstance), opsByName(lever.PutEntry)

func opsByName(first lever.Op) map[string]lever.Op {
	ops := map[string]lever.Op{}
	for op := first; op <= lever.PollOperation; op++ {
		ops[op.String()] = op
	}
	return ops
}

// foreign: a third party sets a status.
func foreign(w *words) func(*sim) {
	which := w.instances()
	to := oneOf(w, "HEALTHY or UNHEALTHY", statuses)
	return func(s *sim) {
		for _, x := range which(s) {
			if fault := s.registry.setStatus(x.svc, x.id, to, byForeigner); fault != lever.OK {
				s.line.physics("refuses that: %s", fault)
			}
		}
	}
}

var statuses = map[string]health.Status{"HEALTHY": health.Healthy, "UNHEALTHY": health.Unhealthy}

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
	if n, err := strconv.Atoi(w.peek()); err == nil && n > 0 {
		t.number = w.number("the number of a call")
	} else {
		t.op = oneOf(w, "a call", allOps)
	}
	t.moment = oneOf(w, "when", moments)
	t.down = w.down()
	return func(s *sim) { s.each(func(c *checker) { c.traps = append(c.traps, t) }) }
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
		s.live(func(p *process) { p.alive(func() { p.tell(warden.Configured{Config: s.story.config()}) })() })
	}
}

func restore(w *words) func(*sim) {
	if w.took("all") {
		return tells(func() warden.Event { return warden.RestoreAsked{All: true} })
	}
	which := w.instances()
	return func(s *sim) {
		for _, x := range which(s) {
			e := warden.RestoreAsked{Service: x.svc.ID, Instance: x.id}
			tells(func() warden.Event { return e })(s)
		}
	}
}
