package policy

import (
	"slices"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// A target that passes, but slowly, is removed only where its peers show that
// it is the target: a service that is slow as a whole keeps all it has.
const (
	slowFor     = time.Minute // it must have been degraded for so long
	slowPeers   = 5           // … and so many others must be in and pass
	slowSpread  = 5           // … and its level lie so many deviations above their median
	slowTimes   = 2           // … and be so many times their median
	slowPercent = 20          // … while at most this share of them is degraded
)

// outlier reports whether a member is slow against its peers.
func outlier(s situation) bool {
	m := s.m
	if !m.Degraded || !m.Ever || m.Memo.Slow == 0 || s.now < m.Memo.Slow.Add(slowFor) {
		return false
	}
	var levels []time.Duration
	degraded := 0
	for i := range s.v.Members {
		p := &s.v.Members[i]
		if p.Target == m.Target || p.isOut() || p.draining() || p.Last != health.Pass || p.Level == 0 {
			continue
		}
		levels = append(levels, p.Level)
		if p.Degraded {
			degraded++
		}
	}
	if len(levels) < slowPeers || degraded*100 > slowPercent*len(levels) {
		return false
	}
	mid := median(levels)
	for i, l := range levels {
		levels[i] = (l - mid).Abs()
	}
	return m.Level > mid+slowSpread*median(levels) && m.Level >= slowTimes*mid
}

// median sorts; of an even number it is the upper one of the middle two.
func median(ds []time.Duration) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)/2]
}
