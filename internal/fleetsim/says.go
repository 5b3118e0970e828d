package fleetsim

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// spokesman speaks for the owner of one service, word by word as the story
// wants it: with each poll, and when it is asked. What nothing was said of
// runs.
type spokesman struct {
	s      *sim
	svc    *service
	of     warden.ServiceOwned
	words  map[string]saying // by instance id; looked up only
	tasks  []string          // instances that it speaks of though nobody registered them
	silent bool
	travel travel
	rng    *rand.Rand
}

// travel is how an owner's word gets to the checkers.
type travel struct {
	lost, duplicated, reordered float64 // shares of messages
	delay                       time.Duration
}

// send takes a message to a process, at its best at once.
func (m *spokesman) send(p *process, events ...warden.Event) {
	if m.travel == (travel{}) {
		p.alive(func() { p.tell(events...) })()
		return
	}
	times := 1
	if m.rng.Float64() < m.travel.duplicated {
		times = 2
	}
	for range times {
		late := m.travel.delay
		if m.rng.Float64() < m.travel.reordered {
			late += time.Duration(m.rng.Int64N(int64(reorderedBy)))
		}
		if m.rng.Float64() >= m.travel.lost {
			m.s.after(late, p.alive(func() { p.tell(events...) }))
		}
	}
}

// reorderedBy is how late a message may be that others overtake.
const reorderedBy = 30 * time.Second

// saying is what the owner says of an instance.
type saying struct {
	kind       health.EvidenceKind
	version    int64
	deployment string
}

// spokesman returns that of a service, who begins to speak now.
func (s *sim) spokesman(svc *service) *spokesman {
	for _, m := range s.spokesmen {
		if m.svc == svc {
			return m
		}
	}
	m := &spokesman{s: s, svc: svc, rng: s.stream("word of " + svc.ID), words: map[string]saying{}, of: warden.ServiceOwned{Service: svc.ID, Source: "ecs"}}
	s.spokesmen = append(s.spokesmen, m)
	var poll func()
	poll = func() {
		m.speak()
		s.after(s.story.Settings.Poll, poll)
	}
	s.after(0, poll)
	return m
}

// speak says everything, to every process.
func (m *spokesman) speak() {
	if m.silent {
		return
	}
	for _, p := range processes(m.s.checkers) {
		e := warden.Evidenced{}
		for _, x := range m.svc.owned {
			e.Evidence = append(e.Evidence, m.word(p, x.id))
		}
		for _, id := range m.tasks {
			if m.svc.owned.get(id) == nil {
				e.Evidence = append(e.Evidence, m.word(p, id))
			}
		}
		m.send(p, m.of, e)
	}
}

// announce changes its word on an instance, and tells everybody.
func (m *spokesman) announce(id string, x saying) {
	m.s.clients.settle(m.svc)
	m.say(id, x)
	if m.silent {
		return
	}
	for _, p := range processes(m.s.checkers) {
		m.send(p, warden.Evidenced{Evidence: []health.Evidence{m.word(p, id)}})
	}
}

// word is what it says of one instance, now.
func (m *spokesman) word(p *process, id string) health.Evidence {
	x, ok := m.words[id]
	if !ok {
		x.kind = health.OwnerRunning
	}
	e := health.Evidence{Service: m.svc.ID, Instance: id, Kind: x.kind, Source: m.of.Source, Version: x.version,
		At: p.instant(), Deployment: x.deployment}
	if w := m.s.fleet.find(id); w != nil {
		e.Addr = w.at.Addr()
	}
	return e
}

// asked answers a question, if anybody can.
func (p *process) asked(q warden.AskOwner) {
	for _, m := range p.c.s.spokesmen {
		if m.svc.ID == q.Service.ID && !m.silent {
			at := p.instant()
			p.after(answersIn, func() {
				e := m.word(p, q.Instance)
				e.At = at
				p.tell(warden.Evidenced{Evidence: []health.Evidence{e}})
			})
		}
	}
}

// answersIn is how long an owner takes to answer.
const answersIn = 50 * time.Millisecond

// says reads the owner's word on instances: "says web-3 gone".
func says(w *words) func(*sim) {
	which, kind := w.instances(), oneOf(w, "what the owner says", sayings)
	deployment, version := "", int64(0)
	for len(w.rest) > 0 && w.p.err == nil {
		switch key, value, col := w.pair(); key {
		case "deployment":
			deployment = value
		case "version":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				w.failAt(col, "%q is not a number", value)
			}
			version = n
		default:
			w.failAt(col, "%q is neither deployment=… nor version=…", key+"="+value)
		}
	}
	return func(s *sim) {
		all := which(s)
		said := make([]saying, len(all))
		for i, x := range all {
			m := s.spokesman(x.svc)
			s.clients.settle(x.svc)
			said[i] = m.say(x.id, saying{kind, version, deployment})
		}
		for _, p := range processes(s.checkers) {
			var e warden.Evidenced
			for i, x := range all {
				word := s.spokesman(x.svc).word(p, x.id)
				word.Kind, word.Version = said[i].kind, said[i].version
				e.Evidence = append(e.Evidence, word)
			}
			if len(all) > 0 {
				s.spokesman(all[0].svc).send(p, e)
			}
		}
	}
}

// say notes what is said of an instance; what is older than what was said
// before is on its way late, and said only once.
func (m *spokesman) say(id string, x saying) saying {
	old := m.words[id]
	if x.deployment == "" {
		x.deployment = old.deployment
	}
	if x.version == 0 {
		x.version = old.version + 1
	}
	if x.version > old.version {
		m.words[id] = x
	}
	return x
}

var sayings = map[string]health.EvidenceKind{
	"starting": health.OwnerStarting, "running": health.OwnerRunning, "draining": health.OwnerDraining,
	"stopping": health.OwnerStopping, "gone": health.OwnerGone, "alarm": health.OwnerAlarm,
}

// owns reads what the owner says of a service: "owns web desired=6".
func owns(w *words) func(*sim) {
	t := w.next("a service")
	k := -1
	for i, svc := range w.p.story.Services {
		if svc.Name == t.text {
			k = i
		}
	}
	if k < 0 {
		w.failAt(t.col, "%q is not a service", t.text)
	}
	var changes []func(*spokesman)
	for len(w.rest) > 0 && w.p.err == nil {
		switch key, value, col := w.pair(); key {
		case "desired":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				w.failAt(col, "%q is not a number", value)
			}
			changes = append(changes, func(m *spokesman) { m.of.Desired = n })
		case "deployments":
			changes = append(changes, func(m *spokesman) { m.of.Deployments = strings.Split(value, ",") })
		case "health":
			changes = append(changes, func(m *spokesman) { m.of.WritesHealth = value == "writes" })
		case "silent":
			changes = append(changes, func(m *spokesman) { m.silent = value == "yes" })
		default:
			w.failAt(col, "%q is none of desired=6, deployments=a,b, health=writes|no, silent=yes|no", key+"="+value)
		}
	}
	return func(s *sim) {
		m := s.spokesman(s.registry.services[k])
		for _, change := range changes {
			change(m)
		}
		m.speak()
	}
}

// said is the owner's word on an instance, NoEvidence where there is none.
func (s *sim) said(svc *service, id string) health.EvidenceKind {
	for _, m := range s.spokesmen {
		if m.svc == svc {
			if x, ok := m.words[id]; ok {
				return x.kind
			}
		}
	}
	return health.NoEvidence
}

// stops reports whether the owner of an instance says that it stops: it is
// nobody's capacity any more.
func (s *sim) stops(svc *service, id string) bool {
	switch s.said(svc, id) {
	case health.OwnerDraining, health.OwnerStopping, health.OwnerGone:
		return true
	}
	return false
}
