package fleetsim

import (
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
)

// outcome notes a conclusive outcome, and since when the newest ones look gray:
// counted one by one, as people would.
func (x *sight) outcome(g health.Gray, failed bool, now time.Duration) {
	x.recent = append(x.recent, failed)
	x.recent = x.recent[max(0, len(x.recent)-g.Of):]
	fails, runs := 0, 0
	for i, f := range x.recent {
		if f {
			fails++
			if i == 0 || !x.recent[i-1] {
				runs++
			}
		}
	}
	switch {
	case g.Fails == 0, len(x.recent) == g.Of && fails == 0:
		x.grayAt = 0
	case x.grayAt == 0 && fails >= g.Fails && runs >= max(g.Runs, 3):
		x.grayAt = now
	}
}

// pace notes how long a pass took, and since when half of the newest 8 were
// longer than the floor.
func (x *sight) pace(c health.Slow, o health.Observation, now time.Duration) {
	if o.Outcome != health.Pass {
		return
	}
	x.took = append(x.took, o.End.Sub(o.Start))
	x.took = x.took[max(0, len(x.took)-8):]
	slow := 0
	for _, d := range x.took {
		if d > c.Floor {
			slow++
		}
	}
	switch {
	case slow <= 1:
		x.slowAt = 0
	case x.slowAt == 0 && slow >= 4:
		x.slowAt = now
	}
}
