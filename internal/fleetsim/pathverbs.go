package fleetsim

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// pathVerbs are the statements about what lies between the checkers, their
// targets, the registry and the store.
var pathVerbs = map[string]func(*words) func(*sim){
	"cut": func(w *words) func(*sim) {
		f := w.path()
		f.lost = 1
		return w.spoils(f)
	},
	"loss": func(w *words) func(*sim) {
		f := w.path()
		f.lost = w.share("a share like 5%")
		return w.spoils(f)
	},
	"delay": func(w *words) func(*sim) {
		f := w.path()
		f.late = w.span("how long, like 200ms")
		return w.spoils(f)
	},
	"isolate": func(w *words) func(*sim) {
		who := w.vantages()
		during := w.down()
		return func(s *sim) {
			for _, c := range who(s) {
				s.network.isolate(c, during)
			}
		}
	},
	"heal": func(*words) func(*sim) {
		return func(s *sim) { s.network.faults, s.mail = nil, mail{refused: s.mail.refused} }
	},
	"votes":     votes,
	"lease":     splitLease,
	"zone-down": zone(false),
	"zone-up":   zone(true),
	"noise":     noisy,
}

// spoils reads how long a fault lasts.
func (w *words) spoils(f fault) func(*sim) {
	during := w.down()
	return func(s *sim) { s.network.spoil(f, during) }
}

// path reads FROM->TO, or TO alone for the paths of all checkers: TO is a
// subnet, a zone of targets, *, registry or store; with votes after it a
// checker.
func (w *words) path() (f fault) {
	t := w.next("a path like 10.1.0.0/24 or a->b")
	from, to, arrow := strings.Cut(t.text, "->")
	if !arrow {
		from, to = "*", t.text
	}
	if from != "*" {
		if !w.isVantage(from) {
			w.failAt(t.col, "%q is not one of %s", from, strings.Join(w.vantageNames(), ", "))
		}
		f.from = from
	}
	f.to.votes = w.took("votes")
	switch {
	case f.to.votes && to == "*":
	case f.to.votes && !w.isVantage(to):
		w.failAt(t.col, "%q is not one of %s", to, strings.Join(w.vantageNames(), ", "))
	case f.to.votes, to == toRegistry, to == toStore:
		f.to.name = to
	case to == "*":
	case strings.Contains(to, "/"):
		p, err := netip.ParsePrefix(to)
		if err != nil {
			w.failAt(t.col, "%q is not a subnet like 10.1.0.0/24", to)
		}
		f.to.subnet = p
	case !w.isZone(to):
		w.failAt(t.col, "%q is neither a subnet like 10.1.0.0/24 nor a zone of a service, registry, store or *", to)
	default:
		f.to.zone = to
	}
	return f
}

func (w *words) isVantage(name string) bool { return slices.Contains(w.vantageNames(), name) }

func (w *words) vantageNames() (names []string) {
	for _, v := range w.p.story.Settings.Vantages {
		names = append(names, v.Name)
	}
	return names
}

func (w *words) isZone(name string) bool {
	return slices.ContainsFunc(w.p.story.Services, func(x ServiceStory) bool { return slices.Contains(x.Zones, name) })
}

// leading is the word for whoever leads when the time comes.
const leading = "leader"

// vantages takes the name of a checker, or the word leader, if one comes next;
// otherwise all are meant.
func (w *words) vantages() func(*sim) []*checker {
	name := w.peek()
	switch {
	case name == leading:
		w.next("")
		return func(s *sim) []*checker {
			if c := s.leader(); c != nil {
				return []*checker{c}
			}
			return nil
		}
	case w.isVantage(name) && len(w.vantageNames()) > 1:
		w.next("")
		return func(s *sim) []*checker {
			return slices.DeleteFunc(slices.Clone(s.checkers), func(c *checker) bool { return c.name != name })
		}
	}
	return func(s *sim) []*checker { return s.checkers }
}

// processes are those of the checkers that run.
func processes(who []*checker) (out []*process) {
	for _, c := range who {
		if c.proc != nil {
			out = append(out, c.proc)
		}
	}
	return out
}

func (w *words) share(want string) float64 {
	t := w.next(want)
	share, err := parsePercent(t.text)
	if err != nil {
		w.failAt(t.col, "%v", err)
	}
	return share / 100
}

// votes: "votes reorder=20% duplicate=10% replay=5% flip=1%".
func votes(w *words) func(*sim) {
	var m mail
	for len(w.rest) > 0 && w.p.err == nil {
		key, value, col := w.pair()
		at := map[string]*float64{"reorder": &m.reorder, "duplicate": &m.duplicate, "replay": &m.replay, "flip": &m.flip}[key]
		share, err := parsePercent(value)
		switch {
		case at == nil:
			w.failAt(col, "%q is not one of duplicate, flip, reorder, replay", key)
		case err != nil:
			w.failAt(col, "%v", err)
		default:
			*at = share / 100
		}
	}
	return func(s *sim) {
		m.refused = s.mail.refused
		s.mail = m
	}
}

// splitLease: "lease split for 30s": the store says yes to everybody.
func splitLease(w *words) func(*sim) {
	if !w.took("split") {
		w.failAt(w.end, "\"split\" is missing")
	}
	during := w.down()
	return func(s *sim) {
		s.store.lease.split = true
		if during > 0 {
			s.after(during, func() { s.store.lease.split = false })
		}
	}
}

// zone: everything in a zone goes, checkers and targets together, or comes back.
func zone(up bool) func(*words) func(*sim) {
	return func(w *words) func(*sim) {
		t := w.next("a zone")
		if !w.isZone(t.text) {
			w.failAt(t.col, "%q is not a zone of a service", t.text)
		}
		during := time.Duration(0)
		if !up {
			during = w.down()
		}
		return func(s *sim) {
			s.zone(t.text, up)
			if during > 0 {
				s.after(during, func() { s.zone(t.text, true) })
			}
		}
	}
}

func (s *sim) zone(name string, up bool) {
	for _, x := range s.fleet.workloads {
		switch {
		case x.zone != name:
		case up:
			s.fleet.become(x, serving, "")
		default:
			s.fleet.become(x, vanished, "zone down")
		}
	}
	for _, c := range s.checkers {
		switch {
		case c.zone != name || len(s.checkers) == 1:
		case up:
			c.start()
		default:
			c.kill(0)
		}
	}
}
