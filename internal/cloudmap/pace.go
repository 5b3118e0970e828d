package cloudmap

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// class of calls that share a token bucket.
type class uint8

const (
	listNamespaces class = iota
	listServices
	listInstances
	listStatuses // GetInstancesHealthStatus of a whole service
	readOne      // GetInstance, and GetInstancesHealthStatus of one instance
	readOperation
	readDetails // GetNamespace, GetService, GetServiceAttributes, ListTagsForResource
	discover
	write // RegisterInstance, DeregisterInstance, UpdateInstanceCustomHealthStatus
	provision
	classes
)

func (c class) writes() bool { return c == write || c == provision }

// share of an API's known limit that reads may use, so that the account's
// other users (ECS among them) never feel this client (rule 23).
const share = 0.30

// knownLimit is an API's limit in calls per second, per account and region.
// AWS publishes only that of DiscoverInstances (Cloud Map service quotas). The
// others are those that AWS's own Cloud Map MCS controller keeps on its side,
// and reports of users; where nothing is known, that of ListInstances is taken.
var knownLimit = [classes]float64{
	listNamespaces: 1,
	listServices:   2,
	listInstances:  50,
	listStatuses:   50, // with readOne; not known
	readOne:        50, // with listStatuses; not known
	readOperation:  100,
	readDetails:    50, // not known
	discover:       1000,
	write:          50,
	provision:      5,
}

// quota is the pace of one class: calls per second, and how many at once.
type quota struct {
	rate  float64
	burst int
}

// maxWriteWait bounds how long a write waits for its turn. A job reads the
// instance right before it writes: a write that waits longer would be based on
// what is no longer known, so it fails as throttled and the job reads again.
const maxWriteWait = time.Second

// quotasOf returns the pace for a configuration. Elsewhere than on AWS nobody
// shares the registry's limits: the pace only keeps a mistake from becoming a flood.
func quotasOf(cfg Config) [classes]quota {
	writes := cfg.WritesPerSecond
	var q [classes]quota
	if !cfg.AWS {
		for c := range q {
			q[c] = quota{1000, 1000}
		}
		q[discover] = quota{5000, 5000}
		if writes <= 0 {
			writes = 100
		}
		q[write] = quota{writes, max(2, int(writes))}
		return q
	}
	for c := range q {
		r := knownLimit[c] * share
		q[c] = quota{r, max(1, int(r))}
	}
	// One API, two classes: the poll takes two thirds of the share, so that
	// the reads of jobs never stand in its queue.
	q[listStatuses] = quota{knownLimit[listStatuses] * share * 2 / 3, 10}
	q[readOne] = quota{knownLimit[readOne] * share / 3, 5}
	if writes <= 0 {
		writes = 2
	}
	q[write] = quota{writes, max(1, int(writes))}
	return q
}

// pacer holds a token bucket for each class and two back-offs. A throttled
// read slows the reads; a throttled write slows everything, so that reads give
// way to writes and never the other way round.
type pacer struct {
	mu       sync.Mutex
	quotas   [classes]quota
	limiters [classes]*rate.Limiter
	reads    backoff
	all      backoff
}

func newPacer(q [classes]quota) *pacer {
	p := &pacer{quotas: q}
	for c := range q {
		p.limiters[c] = rate.NewLimiter(rate.Limit(q[c].rate), q[c].burst)
	}
	return p
}

// wait returns when a call of the class may be made, or an errPaced when it
// may not within the time that ctx (for writes: maxWriteWait) allows.
func (p *pacer) wait(ctx context.Context, c class) error {
	l := p.adjust(c, time.Now())
	if c.writes() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, maxWriteWait)
		defer cancel()
	}
	if err := l.Wait(ctx); err != nil {
		return fmt.Errorf("%w: %w", errPaced, err)
	}
	return nil
}

// adjust sets a class's bucket to the rate that the back-offs allow now.
func (p *pacer) adjust(c class, now time.Time) *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	factor := p.all.factor(now)
	if !c.writes() {
		factor = min(factor, p.reads.factor(now))
	}
	l := p.limiters[c]
	if limit := rate.Limit(p.quotas[c].rate * factor); limit != l.Limit() {
		l.SetLimitAt(now, limit)
	}
	return l
}

// throttled tells the pace that the registry refused a call of the class.
func (p *pacer) throttled(c class, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.writes() {
		p.all.cut(now)
		return
	}
	p.reads.cut(now)
}

// The back-off: halved at a throttle, at most once a second, to no less than
// a 32nd; back to the whole rate within a minute, in a straight line.
const (
	cutEvery  = time.Second
	leastRate = 1.0 / 32
	recovery  = time.Minute
)

// backoff is additive increase, multiplicative decrease. The zero backoff has
// never been throttled.
type backoff struct {
	base float64
	at   time.Time // of the last cut; zero: never
}

// factor is the part of the rate that is allowed now, in [leastRate, 1].
func (b *backoff) factor(now time.Time) float64 {
	if b.at.IsZero() {
		return 1
	}
	return min(1, b.base+float64(now.Sub(b.at))/float64(recovery))
}

func (b *backoff) cut(now time.Time) {
	if !b.at.IsZero() && now.Sub(b.at) < cutEvery {
		return
	}
	b.base = max(leastRate, b.factor(now)/2)
	b.at = now
}

// PollRate returns how many calls per second of a listing operation the poll
// of the registry may make on AWS, and the limit of AWS that this is a share
// of; stated says whether anybody has stated that limit, or it is assumed.
func PollRate(operation string) (allowed, limit float64, stated bool) {
	var c class
	switch operation {
	case "ListNamespaces":
		c = listNamespaces
	case "ListServices":
		c = listServices
	case "ListInstances":
		c = listInstances
	case "GetInstancesHealthStatus":
		c = listStatuses
	default:
		return 0, 0, false
	}
	return quotasOf(Config{AWS: true})[c].rate, knownLimit[c], c != listStatuses
}
