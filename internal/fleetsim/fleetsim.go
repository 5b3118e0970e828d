package fleetsim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// Result is what became of a story.
type Result struct {
	Timeline []Line
	Figures  string   // times, shares and counts, as text
	Failures []string // expectations that do not hold, and broken invariants; empty is success
	Trace    string   // SHA-256 over all effects, hexadecimal
	Sums     Sums
	Calls    int    // of the checker to the registry and its journal
	Noise    *Noise // nil where the story has none
}

// sim is one run.
type sim struct {
	story     Story
	now       time.Duration
	agenda    agenda
	registry  *registry
	fleet     *fleet
	owners    []*owner // as the story's services; nil where there is none
	network   *network
	mail      mail
	store     *store
	checkers  []*checker
	clients   *clients
	judge     *judge
	spokesmen []*spokesman // in the order in which they began to speak
	line      *timeline
	trace     hash.Hash
	weather   weather
	fates     []fate
	failures  []string
	noise     *noise   // nil before it begins
	chances   []chance // all streams

	headless  time.Duration   // since when nobody leads, after somebody did
	takeovers []time.Duration // how long nobody led, each time
}

func (s *sim) at(at time.Duration, do func())   { s.agenda.plan(max(at, s.now), do) }
func (s *sim) after(d time.Duration, do func()) { s.agenda.plan(s.now+d, do) }

// Run plays a story to its end. The error says that the story itself could
// not be played; what went wrong in it is in Result.Failures.
func Run(story Story) (Result, error) {
	if story.Length <= 0 {
		return Result{}, fmt.Errorf("%s: the story has no length: it needs a line like \"run 10m\"", story.Name)
	}
	s := prepare(story)
	s.play()
	return s.result(), nil
}

// prepare sets everything up as the story begins.
func prepare(story Story) *sim {
	story.Services = slices.Clone(story.Services) // a reload changes them
	s := &sim{story: story, trace: sha256.New()}
	s.line = &timeline{s: s}
	s.judge = newJudge(s)
	s.registry = &registry{
		s: s, delay: story.Settings.OperationDelay, custom: story.Settings.CustomDelay, lag: story.Settings.Lag,
	}
	s.fleet = &fleet{s: s, rng: s.stream("workloads"), byAddr: map[netip.AddrPort][]*workload{}}
	s.network, s.store, s.owners = &network{s: s}, &store{}, make([]*owner, len(story.Services))
	for k := range story.Services {
		s.registry.services = append(s.registry.services, &service{index: k, busy: map[string]*operation{}})
	}
	s.clients = newClients(s)
	for k := range story.Services {
		s.open(k)
	}
	for _, v := range story.Settings.Vantages {
		s.checkers = append(s.checkers, s.newChecker(v))
	}
	return s
}

// open makes a service and its instances as the story begins.
func (s *sim) open(k int) {
	st := &s.story.Services[k]
	svc := s.registry.services[k]
	svc.Service = health.Service{ID: fmt.Sprintf("srv-%d", k+1), Name: st.Name, Namespace: st.Namespace}
	svc.kind, svc.other = st.Kind, st.OtherAccount
	for n := 1; n <= st.Instances; n++ {
		w := s.workload(k, n)
		if st.Down {
			w.mood = starting
		}
		x := s.registry.registered(svc, w.id, w.attributes(st.Init), byOwner)
		x.spoken = 0
		svc.owned = svc.owned.with(w.id, x)
		svc.seen = svc.seen.with(w.id, x)
		s.registry.put(svc, w.id, x, byOwner)
	}
	if st.Owned {
		s.adopt(svc, st.Instances)
	}
}

// workload makes the n-th workload of the k-th service. It serves.
func (s *sim) workload(k, n int) *workload {
	st := &s.story.Services[k]
	zone := 0
	w := &workload{id: fmt.Sprintf("%s-%d", st.Name, n), svc: s.registry.services[k], noPort: st.NoPort}
	if len(st.Zones) > 0 {
		zone = (n - 1) % len(st.Zones)
		w.zone = st.Zones[zone]
	}
	w.at = addressOf(k+1, zone, len(st.Zones), n)
	s.fleet.add(w)
	return w
}

// judgeEvery is how often the judge looks for what must have ended.
const judgeEvery = 10 * time.Second

func (s *sim) play() {
	for _, c := range s.checkers {
		c.start()
	}
	for _, a := range s.story.actions {
		s.at(a.at, func() {
			s.line.story(a.text)
			a.do(s)
		})
	}
	for _, e := range s.story.expects {
		if e.at >= 0 {
			s.at(e.at, func() { s.expect(e) })
		}
	}
	var tick func()
	tick = func() { s.judge.tick(); s.after(judgeEvery, tick) }
	s.after(judgeEvery, tick)
	for len(s.judge.failures) < most {
		e, ok := s.agenda.next(s.story.Length)
		if !ok {
			break
		}
		s.now = e.at
		e.do()
	}
	s.now = s.story.Length
	s.clients.settleAll()
	for _, e := range s.story.expects {
		if e.at < 0 {
			s.expect(e)
		}
	}
}

func (s *sim) expect(e expectation) {
	if e.here && s.story.otherSeed {
		return
	}
	if why := e.fails(s); why != "" {
		s.failures = append(s.failures, fmt.Sprintf("%s:%d: at %s: %s: %s", s.story.Name, e.line, s.now, e.text, why))
	}
}

func (s *sim) result() Result {
	r := Result{
		Timeline: s.line.lines,
		Figures:  s.figures(),
		Failures: append(s.failures, s.judge.failures...),
		Sums:     s.sums(),
		Trace:    hex.EncodeToString(s.trace.Sum(nil)),
	}
	for _, c := range s.checkers {
		r.Calls += c.serial
	}
	if s.noise != nil {
		r.Noise = s.noise.figures()
	}
	return r
}

// traceEffect adds an effect to the trace. JSON follows pointers and sorts
// maps, so that equal effects have equal bytes.
func (s *sim) traceEffect(p *process, e warden.Effect) {
	if s.story.Settings.Untraced {
		return
	}
	b, err := json.Marshal(e)
	if err != nil {
		s.judge.fail("effect %T has no JSON: %v", e, err)
		return
	}
	fmt.Fprintf(s.trace, "%d %s %T %s\n", s.now, p.c.name, e, b)
}

// config is the configuration that is in force for a service.
func (s *sim) config(svc *service) warden.ServiceConfig {
	return s.story.Services[svc.index].Config
}

// figures are the numbers under a timeline.
func (s *sim) figures() string {
	var b strings.Builder
	b.WriteString("figures\n")
	if s.noise != nil {
		b.WriteString(s.noise.figures().String())
	}
	for _, e := range s.clients.episodes {
		if s.noise != nil && e.what == "pause" {
			continue
		}
		fmt.Fprintf(&b, "  %s at %s: %s\n", e.what+" "+e.id, short(e.at), strings.Join(e.parts(), ", "))
	}
	for i, svc := range s.registry.services {
		l := &s.clients.services[i]
		if l.loaded == 0 {
			continue
		}
		fmt.Fprintf(&b, "  %s: requests failed %.2f %%, without a checker %.2f %%; least capacity %.0f %%\n",
			svc.Service, 100*l.with/l.loaded, 100*l.without/l.loaded, 100*l.capacity)
	}
	c := s.clients
	fmt.Fprintf(&b, "  removed %d (%d of them while serving well), held out %d, returned %d\n", c.removed, c.wrong, c.heldOut, c.returned)
	if len(s.takeovers) > 0 {
		fmt.Fprintf(&b, "  nobody led for")
		for _, d := range s.takeovers {
			fmt.Fprintf(&b, " %s", short(d))
		}
		b.WriteString("\n")
	}
	if s.mail.refused > 0 {
		fmt.Fprintf(&b, "  messages refused as damaged: %d\n", s.mail.refused)
	}
	fmt.Fprintf(&b, "  at the end: %d lost, %d double, %d changed, %d open journal entries\n",
		s.lostAtEnd(), s.doubleEntries(), s.changedAtEnd(), s.openEntries())
	return b.String()
}

func short(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }

// parts tell an episode's times.
func (e *episode) parts() []string {
	out := []string{"not detected", "clients never lost it"}
	if e.detected != 0 {
		out[0] = "detected after " + short(e.detected-e.at)
	}
	switch {
	case e.stopped == e.at:
		out[1] = "clients did not find it"
	case e.stopped != 0:
		out[1] = "clients no longer found it after " + short(e.stopped-e.at)
	}
	if e.cleared != 0 && e.back != 0 {
		out = append(out, "back "+short(e.back-e.cleared)+" after it recovered")
	}
	return out
}

func (s *sim) lostAtEnd() (n int) {
	for _, svc := range s.registry.services {
		for _, o := range svc.owned {
			if x := svc.truth.get(o.id); x == nil && !s.journalled(svc, o.id) && s.said(svc, o.id) != health.OwnerGone {
				n++
			}
		}
	}
	return n
}

func (s *sim) journalled(svc *service, id string) bool {
	e := s.store.entry(svc.ID, id)
	return e != nil && e.IsOut()
}

func (s *sim) doubleEntries() (n int) {
	seen := map[key]bool{}
	for _, e := range s.store.entries {
		k := key{e.Service.ID, e.Instance}
		if seen[k] {
			n++
		}
		seen[k] = true
	}
	return n
}

// changedAtEnd counts records that differ from what their owner registered.
func (s *sim) changedAtEnd() (n int) {
	for _, svc := range s.registry.services {
		for _, x := range svc.truth {
			if o := svc.owned.get(x.id); o == nil || !o.attrs.Equal(x.attrs) {
				n++
			}
		}
	}
	return n
}

func (s *sim) openEntries() int { return len(s.store.entries) }
