package fleetsim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// mood is how a workload answers.
type mood uint8

const (
	serving   mood = iota
	crashed        // its host refuses
	cutting        // it accepts and resets
	hanging        // it accepts and never answers
	erring         // it answers 500
	starting       // it refuses until it is ready
	vanished       // its host is gone: silence
	shallow        // it serves, but for what needs its database: /deep answers 503
	estranged      // somebody else answers at its address, and says so
)

// workload is one process behind an instance, at one address.
type workload struct {
	id     string
	svc    *service
	at     netip.AddrPort
	zone   string
	mood   mood
	noPort bool                // it is registered without its port
	gray   float64             // share of requests that a serving workload answers with 500
	slow   float64             // it takes so many times as long to answer; 0 is as ever
	drains bool                // it says with each answer that it is about to stop
	since  time.Duration       // of mood, gray and address
	needs  []health.Dependency // what it says of the things that it needs
	turn   uint64              // counts changes, so that planned ones can be void
}

// fleet is everything that listens.
type fleet struct {
	s         *sim
	workloads []*workload // sorted by id
	byAddr    map[netip.AddrPort][]*workload
	rng       *rand.Rand
}

// addressOf is where the n-th instance of the k-th service listens: every
// zone has its own /24, as a VPC has subnets.
func addressOf(k, zone, zones, n int) netip.AddrPort {
	subnet := zone + (n/200)*max(zones, 1)
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(k), byte(subnet), byte(10 + n%200)}), 8080)
}

func (f *fleet) place(id string) (int, bool) {
	return slices.BinarySearchFunc(f.workloads, id, func(w *workload, id string) int { return cmp.Compare(w.id, id) })
}

func (f *fleet) find(id string) *workload {
	if i, ok := f.place(id); ok {
		return f.workloads[i]
	}
	return nil
}

func (f *fleet) add(w *workload) {
	i, _ := f.place(w.id)
	f.workloads = slices.Insert(f.workloads, i, w)
	f.byAddr[w.at] = append(f.byAddr[w.at], w)
}

// move gives a workload another address. Who else is there keeps answering:
// the newest one last.
func (f *fleet) move(w *workload, to netip.AddrPort) {
	f.s.clients.settle(w.svc)
	f.byAddr[w.at] = slices.DeleteFunc(f.byAddr[w.at], func(x *workload) bool { return x == w })
	w.at, w.since = to, f.s.now
	f.byAddr[to] = append(f.byAddr[to], w)
}

// attributes are those that the owner of a workload registers it with.
func (w *workload) attributes(init string) health.Attributes {
	m := map[string]string{
		health.AttrIPv4: w.at.Addr().String(),
		"name":          w.id,
	}
	if !w.noPort {
		m[health.AttrPort] = fmt.Sprint(w.at.Port())
	}
	if w.zone != "" {
		m[health.AttrZone] = w.zone
	}
	if init != "" {
		m[health.AttrInitStatus] = init
	}
	return health.AttributesOf(m)
}

// leave ends a workload that is meant to end: no fault of anybody.
func (f *fleet) leave(w *workload) {
	f.s.clients.settle(w.svc)
	w.turn++
	w.mood, w.since = vanished, f.s.now
	w.gray, w.drains, w.slow = 0, false, 0
}

// become changes a workload's mood and voids changes planned earlier.
func (f *fleet) become(w *workload, m mood, what string) {
	f.s.clients.settle(w.svc)
	w.turn++
	w.since = f.s.now
	w.mood = m
	w.gray, w.drains, w.slow = 0, false, 0
	f.s.clients.mood(w, what)
}

// later changes the mood after d, unless something else happens to it before.
func (f *fleet) later(w *workload, d time.Duration, do func()) {
	turn := w.turn
	f.s.after(d, func() {
		if w.turn == turn {
			do()
		}
	})
}

// silent reports whether whoever asks a workload waits in vain.
func (f *fleet) silent(id string) bool {
	w := f.find(id)
	return w == nil || w.mood == hanging || w.mood == vanished
}

// faults is the share of clients' requests that the workload fails.
func (w *workload) faults() float64 {
	if w.mood == serving && !w.starved() {
		return w.gray
	}
	return 1
}

func fails(c health.Cause) reply { return reply{outcome: health.Fail, cause: c} }

// latency is how long an answer of what listens at an address takes.
func (f *fleet) latency(at netip.AddrPort, usual time.Duration) time.Duration {
	if w := f.listens(at); w != nil && w.slow > 0 {
		return time.Duration(float64(usual) * w.slow)
	}
	return usual
}

// Paths that are not answered like all others.
const (
	missing = "/missing" // no workload serves it
	deep    = "/deep"    // it needs the database
)

func (w *workload) answer(rng *rand.Rand, path string) reply {
	switch {
	case w.mood == crashed, w.mood == starting:
		return fails(health.Refused)
	case w.mood == cutting:
		return fails(health.Reset)
	case w.mood == hanging, w.mood == vanished:
		return silence
	case w.mood == erring, path == missing, w.mood == shallow && path == deep:
		return fails(health.BadStatus)
	case w.mood == estranged:
		return fails(health.Stranger)
	}
	r := reply{outcome: health.Pass, drains: w.drains, needs: w.needs}
	if w.gray > 0 && rng.Float64() < w.gray || w.starved() {
		r.outcome, r.cause = health.Fail, health.BadStatus
	}
	return r
}
