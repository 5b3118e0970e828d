package demo

import (
	"slices"
	"time"
)

// act is one fault on one service, at the same time on both sides.
type act struct {
	number  int
	name    string
	service string
	server  int // 1…; 0: all of the service
	fault   fault
	at      time.Duration // after the stage was set
	heal    time.Duration
	until   time.Duration // figures are counted from at to until
}

type fault string

const (
	slowStart  fault = "slow start" // registered before it listens
	crash      fault = "crash"      // the process is killed
	fastFail   fault = "fast-fail"  // answers 500 at once
	hang       fault = "hang"       // the process is stopped: connections open, nothing comes
	sharedOut  fault = "shared failure"
	killDaemon fault = "kill -9"
)

// newcomer is the server that is registered before it is ready.
const newcomer = serversPerService + 1

// The parts of the plan whose length does not depend on the demo's: setting
// the stage, the gaps, the recovery, and the acts that need no more time.
const (
	settingTime = 8 * time.Second
	gap         = 3 * time.Second
	recovery    = 7 * time.Second
	sharedFor   = 8 * time.Second
	sharedAfter = 3 * time.Second
	killFor     = 13 * time.Second

	// comfortable is how long the long acts should at least be before the
	// shared failure and the kill are given time of their own.
	comfortable = 35 * time.Second
)

// planFor lays the acts out over a length. The slow start begins first; crash,
// fast-fail and hang begin together, each on its own service, and last as long
// as there is time for, so that what they cost with mapwarden is not all made
// of the time to notice. In a short demo the shared failure and the kill, which
// are of different services, begin together.
func planFor(length time.Duration) []act {
	apart := sharedFor + sharedAfter
	long := length - settingTime - gap - recovery - apart - killFor
	if long < comfortable {
		long += apart
		apart = 0
	}
	end := gap + long
	after := end + recovery
	return []act{
		{1, "slow start", "web", newcomer, slowStart, 0, long, end},
		{2, "crash (quarantine)", "web", 2, crash, gap, end, after},
		{3, "fast-fail (custom status)", "api", 2, fastFail, gap, end, after},
		{4, "hang (quarantine)", "jobs", 2, hang, gap, end, after},
		{5, "shared failure", "api", 0, sharedOut, after, after + sharedFor, after + sharedFor + sharedAfter},
		{7, "kill -9 mid-write", "web", 4, killDaemon, after + apart, after + apart + killFor/2, after + apart + killFor},
	}
}

// cue is one thing to do at one moment of the plan.
type cue struct {
	at   time.Duration
	heal bool
	act  act
}

// cuesOf are the cues of a plan, in order.
func cuesOf(acts []act) []cue {
	var out []cue
	for _, a := range acts {
		out = append(out, cue{a.at, false, a}, cue{a.heal, true, a})
	}
	slices.SortStableFunc(out, func(x, y cue) int { return int(x.at - y.at) })
	return out
}

// endOf is when the last figure is counted.
func endOf(acts []act) (end time.Duration) {
	for _, a := range acts {
		end = max(end, a.until)
	}
	return end
}
