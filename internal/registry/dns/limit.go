package dns

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Limit is how many equal answers a network gets: those that a /24 of IPv4 or a
// /56 of IPv6 gets to the same question, and likewise all that say "no such
// name" in the same namespace, and all refusals. Whoever sends questions under
// a victim's address can send the victim no more than that. Askers over TCP
// cannot lie about their address and are never limited.
type Limit struct {
	// PerSecond is how many answers go out; 0 is no limit.
	PerSecond int
	// Slip is which of the answers beyond the limit goes out as an empty one
	// that says: ask over TCP. The others are dropped. 2 is every second one, 1
	// is each, 0 is none.
	Slip int
	// Loopback limits askers on the same machine too, who could lie only to
	// themselves.
	Loopback bool
}

const (
	// limitBuckets is how many of network and answer are remembered, 16 bytes
	// each: where more come at a time, some are forgotten, which costs them
	// nothing.
	limitBuckets = 1 << 15
	// limitWays is among how many the one that is forgotten is chosen.
	limitWays = 4
	// limitBurst is how many seconds' worth may go out at once.
	limitBurst = 2
)

// fate is what becomes of an answer.
type fate int

const (
	sent fate = iota
	slipped
	dropped
)

// limiter counts answers. Any number of goroutines may use it; nil limits
// nobody.
type limiter struct {
	Limit
	seed  maphash.Seed
	start time.Time

	mu      sync.Mutex
	buckets []bucket
}

// bucket is what one network has left of one answer.
type bucket struct {
	key     uint32 // what the place in the table does not say; 0: unused
	tick    uint32 // when it was last full or counted, in tenths of a second since start
	left    int32  // answers, in tenths
	refused uint32 // since it was empty
}

func newLimiter(l Limit) *limiter {
	if l.PerSecond == 0 {
		return nil
	}
	return &limiter{Limit: l, seed: maphash.MakeSeed(), start: time.Now(), buckets: make([]bucket, limitBuckets)}
}

// judge counts an answer and says what becomes of it.
func (l *limiter) judge(from asker, q *query, r *reply) fate {
	if l == nil || from.stream || from.addr.IsLoopback() && !l.Loopback {
		return sent
	}
	hash := l.hash(network(from.addr), q, r)
	tick := uint32(time.Since(l.start) / (time.Second / 10))
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.find(hash, tick)
	full := int32(l.PerSecond) * limitBurst * 10
	b.left = int32(min(int64(b.left)+int64(tick-b.tick)*int64(l.PerSecond), int64(full)))
	b.tick = tick
	if b.left >= 10 {
		b.left -= 10
		b.refused = 0
		return sent
	}
	b.refused++
	if l.Slip > 0 && b.refused%uint32(l.Slip) == 0 {
		return slipped
	}
	return dropped
}

// find is the bucket of a hash: its own, or the one among its neighbours that
// nobody has used for longest, filled anew.
func (l *limiter) find(hash uint64, tick uint32) *bucket {
	key := uint32(hash>>32) | 1
	first := int(hash % (limitBuckets / limitWays) * limitWays)
	oldest := &l.buckets[first]
	for i := first; i < first+limitWays; i++ {
		b := &l.buckets[i]
		if b.key == key {
			return b
		}
		if b.key == 0 || oldest.key != 0 && b.tick < oldest.tick {
			oldest = b
		}
	}
	*oldest = bucket{key: key, tick: tick, left: int32(l.PerSecond) * limitBurst * 10}
	return oldest
}

// hash tells answers to networks apart.
func (l *limiter) hash(to netip.Prefix, q *query, r *reply) uint64 {
	var buf [maxName + 32]byte
	a := to.Addr().As16()
	b := append(append(buf[:0], a[:]...), byte(r.code), byte(q.question.kind>>8), byte(q.question.kind))
	about := q.question.name
	if len(r.authority) == 1 {
		// Whoever asks for names at random gets one answer: there is nothing.
		about = r.authority[0].name
		b = b[:len(a)+1]
	} else if r.code != noError {
		about = nil
		b = b[:len(a)+1]
	}
	for _, label := range about {
		for i := range len(label) {
			b = append(b, lower(label[i]))
		}
		b = append(b, 0)
	}
	return maphash.Bytes(l.seed, b)
}
