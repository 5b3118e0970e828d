package fleetsim

import (
	"cmp"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// upset is one thing that goes wrong, at a time of day (noise.day).
type upset struct {
	at     time.Duration
	lasts  time.Duration
	wakes  time.Duration // from when on nothing may be left out before it
	slight bool          // it leads to no verdict and may be left out itself
	begins func(*noise)
	meets  func(*workload) bool // whose probes may fail of it; nil: anybody's
}

// lane is the way of one checker's probes to one target.
type lane struct {
	from *checker
	to   *workload
}

// draw decides everything that goes wrong until a time of day.
func (n *noise) draw(until time.Duration) {
	s := n.s
	for i, c := range s.checkers {
		if i > 0 && i < n.rates.together {
			continue
		}
		who := s.checkers[i : i+1]
		if i == 0 {
			who = s.checkers[:max(n.rates.together, 1)]
		}
		r := s.stream("stalls of " + c.name)
		n.several(r, n.rates.stalls, until, func() time.Duration {
			return stallLeast + time.Duration(r.Int64N(int64(stallMost-stallLeast)))
		}, func(d time.Duration) func(*noise) {
			starves := r.IntN(2) == 0
			return func(*noise) { stall(who, d, starves) }
		}, nil)
		for _, zone := range s.zones() {
			r := s.stream("bursts of " + c.name + " to " + zone)
			n.several(r, n.rates.bursts, until, exponential(r, burstMean), func(d time.Duration) func(*noise) {
				f := fault{from: c.name, to: end{zone: zone}, lost: 1}
				return func(*noise) { s.network.spoil(f, d) }
			}, func(w *workload) bool { return w.zone == zone })
		}
	}
	for _, w := range s.fleet.workloads {
		r := s.stream("pauses of " + w.id)
		n.several(r, n.rates.pauses, until, exponential(r, pauseMean), func(d time.Duration) func(*noise) {
			return func(*noise) { n.pause(w, d) }
		}, func(x *workload) bool { return x == w })
	}
	losses := n.losses(until)
	slices.SortStableFunc(n.upsets, func(a, b upset) int { return cmp.Compare(a.at, b.at) })
	n.belittle()
	n.rouse(losses)
}

// several draws upsets of one kind of one thing: they do not overlap.
func (n *noise) several(r *rand.Rand, aDay float64, until time.Duration, lasts func() time.Duration, begins func(time.Duration) func(*noise), meets func(*workload) bool) {
	if aDay <= 0 {
		return
	}
	gap := exponential(r, time.Duration(float64(24*time.Hour)/aDay))
	for at := n.from + gap(); at < until; at += gap() {
		d := lasts()
		n.upsets = append(n.upsets, upset{at: at, lasts: d, begins: begins(d), meets: meets})
		at += d
	}
}

func exponential(r *rand.Rand, mean time.Duration) func() time.Duration {
	return func() time.Duration { return time.Duration(r.ExpFloat64() * float64(mean)) }
}

// zones are those of all targets, in order; "" where none is known.
func (s *sim) zones() (all []string) {
	for _, w := range s.fleet.workloads {
		if !slices.Contains(all, w.zone) {
			all = append(all, w.zone)
		}
	}
	slices.Sort(all)
	return all
}

// starvedTo is what a starved process gets.
const starvedTo = 0.1

// stall lets processes stand still, or nearly.
func stall(who []*checker, d time.Duration, starves bool) {
	for _, c := range who {
		p := c.proc
		switch {
		case p == nil:
		case starves:
			c.starve(starvedTo, d)
		case !p.paused:
			p.pause()
			c.s.after(d, func() {
				if !p.dead {
					p.resume()
				}
			})
		}
	}
}

// pause lets a target accept and not answer.
func (n *noise) pause(w *workload, d time.Duration) {
	s := n.s
	n.pauses[w.id] = append(n.pauses[w.id], pause{s.now, s.now + d})
	s.fleet.become(w, hanging, "pause")
	s.fleet.later(w, d, func() { s.fleet.become(w, serving, "") })
}

// sieve says which probes of a lane are lost. Time is cut into cells as long as
// the interval, so that each holds one probe on the grid; whether that one is
// lost is drawn in advance, and whether the others in it are follows from their
// number.
type sieve struct {
	seed  uint64
	lost  []int64 // cells whose first probe is lost
	cell  int64
	probe int64 // of the cell
	share float64
}

// loses reports whether a probe is lost that c sends to w now.
func (n *noise) loses(c *checker, w *workload) bool {
	x := n.sieves[lane{c, w}]
	if x == nil {
		return false
	}
	if cell := int64(n.day() / n.every()); cell != x.cell {
		x.cell, x.probe = cell, 0
	} else {
		x.probe++
	}
	if x.probe > 0 {
		return x.other(x.cell, x.probe)
	}
	for len(x.lost) > 0 && x.lost[0] < x.cell {
		x.lost = x.lost[1:]
	}
	return len(x.lost) > 0 && x.lost[0] == x.cell
}

// other reports whether a later probe of a cell is lost.
func (x *sieve) other(cell, probe int64) bool {
	z := x.seed + uint64(cell)*0x9e3779b97f4a7c15 + uint64(probe)*0xd1342543de82ef95 // splitmix64
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64(z^z>>31) < x.share*math.MaxUint64
}

// burstOf is how many losses on one lane, with no pass of a whole window between
// them, need not be looked at: they lead to no verdict (TestFewFailuresLeadNowhere
// in package health). What is more, or what is repeated at once, is an upset.
const burstOf = 2

// losses draws which probes are lost, and returns the times of day of all, in order.
func (n *noise) losses(until time.Duration) (all []time.Duration) {
	if n.rates.loss <= 0 {
		return nil
	}
	every := n.every()
	for _, c := range n.s.checkers {
		for _, w := range n.s.fleet.workloads {
			r := n.s.stream("losses from " + c.name + " to " + w.id)
			x := &sieve{seed: r.Uint64(), share: n.rates.loss, cell: -1}
			n.sieves[lane{c, w}] = x
			for cell := int64(n.from / every); ; {
				cell += 1 + int64(math.Log(1-r.Float64())/math.Log(1-n.rates.loss))
				if time.Duration(cell)*every >= until {
					break
				}
				x.lost = append(x.lost, cell)
				all = append(all, time.Duration(cell)*every)
			}
			n.repeated(x, int64(n.s.config(w.svc).Check.Gray.Of))
		}
	}
	slices.Sort(all)
	return all
}

// repeated makes upsets of losses that may lead to something.
func (n *noise) repeated(x *sieve, window int64) {
	every := n.every()
	for i, cell := range x.lost {
		again := i+1 < len(x.lost) && x.lost[i+1] == cell+1 ||
			i+burstOf < len(x.lost) && x.lost[i+burstOf] <= cell+window
		for k := int64(1); k <= 3 && !again; k++ {
			again = x.other(cell, k) || x.other(cell+1, k)
		}
		if again {
			n.upsets = append(n.upsets, upset{at: time.Duration(cell) * every, lasts: every, begins: func(*noise) {}})
		}
	}
}

// window is how long a failure is remembered, and a little more.
func (n *noise) window() time.Duration {
	of := 0
	for _, svc := range n.s.registry.services {
		of = max(of, n.s.config(svc).Check.Gray.Of)
	}
	return time.Duration(of+2) * n.every()
}

// belittle finds the upsets that may be left out: pauses and bursts that are too
// short for Fall failures in a row, with nothing else so near that its failures
// are in the same window. They lead to no verdict, as few losses do not.
func (n *noise) belittle() {
	window := n.window()
	for i := range n.upsets {
		u := &n.upsets[i]
		if u.meets == nil {
			continue
		}
		u.slight = (i == 0 || n.upsets[i-1].at+n.upsets[i-1].lasts < u.at-window) &&
			(i+1 == len(n.upsets) || n.upsets[i+1].at > u.at+u.lasts+window)
		for l, x := range n.sieves { // all of them must agree, in any order
			if !u.slight || !u.meets(l.to) {
				continue
			}
			c := n.s.config(l.to.svc).Check
			k, _ := slices.BinarySearch(x.lost, int64((u.at-window)/n.every()))
			u.slight = u.lasts < time.Duration(c.Fall-1)*c.Confirm &&
				(k == len(x.lost) || time.Duration(x.lost[k])*n.every() > u.at+u.lasts+window)
		}
	}
}

// rouse says when quiet must end before each upset: three intervals before it,
// and before all that is still in the windows when it comes.
func (n *noise) rouse(losses []time.Duration) {
	window := n.window()
	for i := range n.upsets {
		u := &n.upsets[i]
		first := u.at
		if k, _ := slices.BinarySearch(losses, u.at-window); k < len(losses) {
			first = min(first, losses[k])
		}
		for k := i - 1; k >= 0 && n.upsets[k].at > u.at-window; k-- {
			first = min(first, n.upsets[k].at)
		}
		u.wakes = first - 3*n.every()
	}
}

// chance is one stream of random choices.
type chance struct {
	source *rand.PCG
	name   uint64
}

// renew begins all streams anew, as those of the i-th upset: what was drawn in
// quiet time, or was not, makes no difference to it.
func (s *sim) renew(i uint64) {
	for _, c := range s.chances {
		c.source.Seed(s.story.Settings.Seed+i*0x9e3779b97f4a7c15, c.name)
	}
}

// stream is a source of random choices of its own: what one part draws does
// not move another's.
func (s *sim) stream(name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	c := chance{rand.NewPCG(s.story.Settings.Seed, h.Sum64()), h.Sum64()}
	s.chances = append(s.chances, c)
	return rand.New(c.source)
}
