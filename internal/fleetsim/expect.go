package fleetsim

import (
	"fmt"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/policy"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// expectations are what can follow the word expect; each reads its words and
// returns a question that answers "" where it holds.
var expectations = map[string]func(*words) func(*sim) string{
	"in":       found(true),
	"out":      found(false),
	"reason":   line("reason", func(l *warden.InstanceLine) string { return string(l.Reason) }),
	"standing": line("standing", func(l *warden.InstanceLine) string { return l.Standing.String() }),
	"sees":     line("status", func(l *warden.InstanceLine) string { return l.Status.String() }),
	"cause":    line("cause", func(l *warden.InstanceLine) string { return l.Cause.String() }),
	"withheld": decided(false),
	"decided":  decided(true),
	"said":     said,
	"gate":     gate(true),
	"no-gate":  gate(false),
	"status":   status,
	"stopped": lasted("clients no longer found it", func(e *episode) (time.Duration, time.Duration) {
		return e.at, e.stopped
	}),
	"detected": lasted("it was detected", func(e *episode) (time.Duration, time.Duration) {
		return e.at, e.detected
	}),
	"returned-within": lasted("clients found it again", func(e *episode) (time.Duration, time.Duration) {
		return e.cleared, e.back
	}),
	"removed":  counted(func(s *sim) int { return s.clients.removed }),
	"false":    counted(func(s *sim) int { return s.clients.wrong }),
	"held-out": counted(func(s *sim) int { return s.clients.heldOut }),
	"returned": counted(func(s *sim) int { return s.clients.returned }),
	"lost":     counted((*sim).lostAtEnd),
	"double":   counted((*sim).doubleEntries),
	"changed":  counted((*sim).changedAtEnd),
	"entries":  counted((*sim).openEntries),
	"listings": counted(func(s *sim) int { return s.checkers[0].listings }),
	"calls":    calls,
	"capacity": share("capacity", func(s *sim, k int) float64 { return 100 * s.clients.services[k].capacity }),
	"failed": share("failed requests, of those without a checker", func(s *sim, k int) float64 {
		l := &s.clients.services[k]
		return 100 * l.with / max(l.without, 1e-9)
	}),
}

func parseExpect(w *words) func(*sim) string {
	read := oneOf(w, "what to expect", expectations)
	if read == nil {
		return nil
	}
	return read(w)
}

// found: "in web-3", "out web-3 by 2m50s".
func found(in bool) func(*words) func(*sim) string {
	return func(w *words) func(*sim) string {
		which := w.instances()
		by := time.Duration(-1)
		if w.took("by") {
			by = w.span("a time")
		}
		return func(s *sim) string {
			for _, x := range which(s) {
				switch is, at := s.clients.found(x.id), s.clients.last(x.id, in); {
				case is != in:
					return "clients " + findWord(is) + " " + x.id
				case by >= 0 && at > by:
					return fmt.Sprintf("%s only since %s", x.id, at)
				}
			}
			return ""
		}
	}
}

func findWord(in bool) string {
	if in {
		return "find"
	}
	return "do not find"
}

// last is when the instance last went in, or out.
func (c *clients) last(id string, in bool) time.Duration {
	ps := c.passages[id]
	for i := len(ps) - 1; i >= 0; i-- {
		if ps[i].in == in {
			return ps[i].at
		}
	}
	return 0
}

// line asks the mind's own picture of an instance.
func line(what string, of func(*warden.InstanceLine) string) func(*words) func(*sim) string {
	return func(w *words) func(*sim) string {
		id, want := w.instance(), w.next("a "+what).text
		return func(s *sim) string {
			for _, c := range s.checkers {
				if c.proc == nil {
					return "no checker runs"
				}
				for _, page := range c.proc.mind.Snapshot(c.proc.instant()).Services {
					for i := range page.Instances {
						if l := &page.Instances[i]; l.ID == id {
							if got := of(l); got != want && !(got == "" && want == "none") {
								return fmt.Sprintf("the %s is %q", what, got)
							}
							return ""
						}
					}
				}
			}
			return "the checker does not know it"
		}
	}
}

// decided: "withheld web-3 fail-open", "decided web-3 failing": at some time.
func decided(admitted bool) func(*words) func(*sim) string {
	return func(w *words) func(*sim) string {
		id, why := w.instance(), policy.Reason(w.next("a reason").text)
		return func(s *sim) string {
			for _, c := range s.checkers {
				for _, r := range c.records {
					if r.Kind == warden.DecisionRecord && r.Instance == id && r.Reason == why && r.Admitted == admitted {
						return ""
					}
				}
			}
			return "no such decision was recorded"
		}
	}
}

// said: a record about the fleet, a service or an instance with that reason.
func said(w *words) func(*sim) string {
	why := policy.Reason(w.next("a reason").text)
	return func(s *sim) string {
		for _, c := range s.checkers {
			for _, r := range c.records {
				if r.Reason == why && r.Kind != warden.DecisionRecord {
					return ""
				}
			}
		}
		return "no such record was written"
	}
}

func gate(closed bool) func(*words) func(*sim) string {
	return func(w *words) func(*sim) string {
		why := w.next("a reason").text
		return func(s *sim) string {
			for _, c := range s.checkers {
				if c.proc == nil {
					return "no checker runs"
				}
				snap := c.proc.mind.Snapshot(c.proc.instant())
				all := snap.Gates
				for _, page := range snap.Services {
					all = append(all[:len(all):len(all)], page.Gates...)
				}
				has := false
				for _, r := range all {
					has = has || string(r) == why
				}
				if has != closed {
					return fmt.Sprintf("the gates are %q", all)
				}
			}
			return ""
		}
	}
}

// status: what the registry itself says.
func status(w *words) func(*sim) string {
	id := w.instance()
	want := oneOf(w, "HEALTHY or UNHEALTHY", statuses)
	return func(s *sim) string {
		for _, svc := range s.registry.services {
			if x := svc.truth.get(id); x != nil {
				if x.status != want {
					return "it is " + strings.ToUpper(x.status.String())
				}
				return ""
			}
		}
		return "it is not registered"
	}
}

// lasted: "stopped web-3 <= 50s", of its latest episode.
func lasted(what string, span func(*episode) (from, to time.Duration)) func(*words) func(*sim) string {
	return func(w *words) func(*sim) string {
		id := w.instance()
		holds := w.comparison()
		bound := w.span("a duration")
		return func(s *sim) string {
			e := s.clients.episode(id)
			if e == nil {
				return "it never failed"
			}
			from, to := span(e)
			if to == 0 {
				return "that did not happen"
			}
			if !holds(float64(to-from), float64(bound)) {
				return fmt.Sprintf("%s after %s", what, to-from)
			}
			return ""
		}
	}
}

// comparison takes <= or >= if one comes next; otherwise it is equality.
func (w *words) comparison() func(a, b float64) bool {
	switch {
	case w.took("<="):
		return func(a, b float64) bool { return a <= b }
	case w.took(">="):
		return func(a, b float64) bool { return a >= b }
	}
	return func(a, b float64) bool { return a == b }
}

func counted(of func(*sim) int) func(*words) func(*sim) string {
	return func(w *words) func(*sim) string {
		holds, want := w.comparison(), w.number("a number")
		return func(s *sim) string {
			if got := of(s); !holds(float64(got), float64(want)) {
				return fmt.Sprintf("it is %d", got)
			}
			return ""
		}
	}
}

// calls: "calls RegisterInstance <= 2".
func calls(w *words) func(*sim) string {
	op := oneOf(w, "a call", allOps)
	return counted(func(s *sim) (n int) {
		for _, c := range s.checkers {
			n += c.calls[op]
		}
		return n
	})(w)
}

// share: "capacity >= 80%", of the service where it is least favourable.
func share(what string, of func(*sim, int) float64) func(*words) func(*sim) string {
	return func(w *words) func(*sim) string {
		holds := w.comparison()
		t := w.next("a share like 80%")
		want, err := parsePercent(t.text)
		if err != nil {
			w.failAt(t.col, "%v", err)
		}
		return func(s *sim) string {
			s.clients.settleAll()
			for k, svc := range s.registry.services {
				if got := of(s, k); !holds(got, want) {
					return fmt.Sprintf("%s of %s: %.1f %%", what, svc.Service, got)
				}
			}
			return ""
		}
	}
}
