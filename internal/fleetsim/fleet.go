package fleetsim

import (
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
	noPort bool          // it is registered without its port
	gray   float64       // share of requests that a serving workload answers with 500
	slow   float64       // it takes so many times as long to answer; 0 is as ever
	drains bool          // it says with each answer that it is about to stop
	since  time.Duration // of mood, gray and address
	turn   uint64        // counts changes, so that planned ones can be void
}

// fleet is everything that listens, and the paths to it.
type fleet struct {
	s         *sim
	workloads []*workload // sorted by id
	cuts      []netip.Prefix
	rng       *rand.Rand
}

// addressOf is where the n-th instance of the k-th service listens: every
// zone has its own /24, as a VPC has subnets.
func addressOf(k, zone, zones, n int) netip.AddrPort {
	subnet := zone + (n/200)*max(zones, 1)
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(k), byte(subnet), byte(10 + n%200)}), 8080)
}

func (f *fleet) find(id string) *workload {
	i, ok := slices.BinarySearchFunc(f.workloads, id, func(w *workload, id string) int {
		switch {
		case w.id < id:
			return -1
		case w.id > id:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return f.workloads[i]
}

func (f *fleet) add(w *workload) {
	i := 0
	for i < len(f.workloads) && f.workloads[i].id < w.id {
		i++
	}
	f.workloads = slices.Insert(f.workloads, i, w)
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

// become changes a workload's mood and voids changes planned earlier.
func (f *fleet) become(w *workload, m mood, what string) {
	f.s.clients.settle()
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

// faults is the share of clients' requests that the workload fails.
func (w *workload) faults() float64 {
	if w.mood == serving {
		return w.gray
	}
	return 1
}

// reply is what a probe finds at an address.
type reply struct {
	outcome health.Outcome
	cause   health.Cause
	drains  bool
	silent  bool // nothing comes back: it ends at the check's timeout
}

func fails(c health.Cause) reply { return reply{outcome: health.Fail, cause: c} }

var silence = reply{outcome: health.Fail, cause: health.Timeout, silent: true}

// latency is how long an answer of what listens at an address takes.
func (f *fleet) latency(at netip.AddrPort, usual time.Duration) time.Duration {
	for _, w := range f.workloads {
		if w.at == at && w.slow > 0 {
			return time.Duration(float64(usual) * w.slow)
		}
	}
	return usual
}

// Paths that are not answered like all others.
const (
	missing = "/missing" // no workload serves it
	deep    = "/deep"    // it needs the database
)

// answer is what a probe of at finds now.
func (f *fleet) answer(at netip.AddrPort, path string) reply {
	for _, p := range f.cuts {
		if p.Contains(at.Addr()) {
			return silence
		}
	}
	for _, w := range f.workloads {
		if w.at == at && w.mood == serving && path == missing {
			return fails(health.BadStatus)
		}
		if w.at == at && w.mood == shallow && path == deep {
			return fails(health.BadStatus)
		}
		if w.at == at {
			return w.answer(f.rng)
		}
	}
	return silence
}

func (w *workload) answer(rng *rand.Rand) reply {
	switch w.mood {
	case crashed, starting:
		return fails(health.Refused)
	case cutting:
		return fails(health.Reset)
	case hanging, vanished:
		return silence
	case erring:
		return fails(health.BadStatus)
	case estranged:
		return fails(health.Stranger)
	}
	r := reply{outcome: health.Pass, drains: w.drains}
	if w.gray > 0 && rng.Float64() < w.gray {
		r.outcome, r.cause = health.Fail, health.BadStatus
	}
	return r
}
