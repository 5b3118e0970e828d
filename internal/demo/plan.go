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

// The fixed parts of the plan: setting the stage, the gaps, the recovery, and
// the two acts whose length changes nothing.
const (
	settingTime = 8 * time.Second
	gap         = 2 * time.Second
	recovery    = 7 * time.Second
	sharedFor   = 8 * time.Second
	sharedAfter = 3 * time.Second
	killFor     = 13 * time.Second
	shortestAct = 20 * time.Second
	fixed       = settingTime + gap + recovery + sharedFor + sharedAfter + killFor
)

// planFor lays the acts out over a length. Where two long acts do not fit one
// after the other, the slow start runs beside the crash.
func planFor(length time.Duration) []act {
	left := length - fixed
	long := max(left/2, shortestAct)
	apart := long + gap
	if left < 2*shortestAct {
		long, apart = max(left, shortestAct), 0
	}
	t := time.Duration(0)
	acts := []act{{1, "slow start", "web", newcomer, slowStart, t, t + long, t + long + gap}}
	t += apart
	end := t + long
	acts = append(acts,
		act{2, "crash (quarantine)", "web", 2, crash, t, end, end + recovery},
		act{3, "fast-fail (custom status)", "api", 2, fastFail, t, end, end + recovery},
		act{4, "hang (quarantine)", "jobs", 2, hang, t, end, end + recovery},
	)
	t = end + recovery
	acts = append(acts, act{5, "shared failure", "api", 0, sharedOut, t, t + sharedFor, t + sharedFor + sharedAfter})
	t += sharedFor + sharedAfter
	acts = append(acts, act{7, "kill -9 mid-write", "web", 4, killDaemon, t, t + killFor/2, t + killFor})
	return acts
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
