package fleetsim

import (
	"maps"
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
var actions = gathered(verbs, pathVerbs, ownerVerbs, processVerbs)

func gathered(parts ...map[string]func(*words) func(*sim)) map[string]func(*words) func(*sim) {
	all := map[string]func(*words) func(*sim){}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

// verbs are the statements about workloads, the registry and operators.
var verbs = map[string]func(*words) func(*sim){
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
	"says":       says,
	"depends":    depends,
	"owns":       owns,

	// The registry.

	"registry": func(w *words) func(*sim) {
		weather := oneOf(w, "how the registry answers", weathers)
		return func(s *sim) { s.weather = weather }
	},
	"lose-answer":    loses(true),
	"lose-call":      loses(false),
	"fail-operation": func(*words) func(*sim) { return func(s *sim) { s.registry.dooms++ } },
	"foreign":        foreign,

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
	"drain":    drain,
	"undrain":  undrain,
}

var weathers = map[string]weather{
	"ok": fair, "error": failing, "empty": emptied, "void": voided, "partial": tattered, "silent": silent, "throttle": throttled,
}

// tells gives an event to every live process.
func tells(event func() warden.Event) func(*sim) {
	return func(s *sim) {
		for _, p := range processes(s.checkers) {
			p.alive(func() { p.tell(event()) })()
		}
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
	share := w.share("a share like 30%")
	return func(s *sim) {
		for _, x := range which(s) {
			s.fleet.become(x, serving, "")
			x.gray = share
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
	init, at, ready, never := "", "", time.Duration(0), false
	for len(w.rest) > 0 && w.p.err == nil {
		switch key, value, col := w.pair(); {
		case key == "init" && (value == "HEALTHY" || value == "UNHEALTHY"):
			init = value
		case key == "at":
			at = value
			w.p.uses = append(w.p.uses, use{at, w.line, col})
		case key == "ready" && value == "never":
			never = true
		case key == "ready":
			if ready, err = parseSpan(value); err != nil {
				w.failAt(col, "%v", err)
			}
		default:
			w.failAt(col, "%q is neither ready=DURATION, ready=never, init=UNHEALTHY nor at=INSTANCE", key+"="+value)
		}
	}
	return func(s *sim) {
		x := s.fleet.find(t.text)
		if x == nil {
			x = s.workload(k, n)
		}
		if before := s.fleet.find(at); before != nil {
			s.fleet.move(x, before.at)
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
		s.clients.settle(svc)
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
				a := x.at.Addr().As4()
				a[3] ^= 0x80
				s.fleet.move(x, netip.AddrPortFrom(netip.AddrFrom4(a), x.at.Port()))
			}
			m := x.attributes("").Map()
			if version != "" {
				m["version"] = version
			}
			s.own(x.svc, x.id, health.AttributesOf(m))
		}
	}
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
