package health

import "time"

// State is everything that one checker keeps per target between observations:
// no pointer, at most 64 bytes, so that a hundred thousand of them are one
// flat slice. The zero State is a target that was never seen.
type State struct {
	LastAt    Instant // end of the latest observation of any outcome
	FailSince Instant // start of the first failure of the current failure run
	PassSince Instant // start of the first pass of the current pass run
	Since     Instant // since when Status is what it is

	recent uint64 // latest 32 outcomes plus one, two bits each, newest lowest; 0 is none

	failed uint32 // newest conclusive outcomes since the last Restart, a bit each, newest lowest: 1 failed

	Fails  uint16 // current failure run
	Passes uint16 // current pass run
	Probes uint16 // conclusive observations since the last Rewarm
	base   uint16 // milliseconds that a pass usually takes; 0: not known
	level  uint16 // … and that the newest passes took
	Window uint8  // conclusive observations since the last Restart, at most MaxWindow

	Status   Status
	Phase    Phase
	Last     Outcome
	Cause    Cause // of Last
	Ever     bool  // passed at least once in this incarnation
	Ready    bool  // … or passed its startup check
	Gray     bool  // fails now and then (Check.Gray)
	Degraded bool  // it passes, but slowly (Check.Slow)
	slow     uint8 // the newest 8 passes, a bit each, newest lowest: 1 was slow
}

// Step folds one observation into s. An Indeterminate observation changes
// nothing but what was seen last. A failure run makes the target Unhealthy on
// its Fall-th failure, and so do failures now and then (Gray); the first pass
// of a target's life makes it Healthy at once, later ones on the Rise-th, but
// a gray one not before it is Gray no more. A target that says that it drains is
// Draining, whatever else it answers, until it passes without saying so. A pass
// of the startup check makes a target Ready and nothing more.
func Step(s State, c Check, o Observation) (State, Transition) {
	before := s
	s.LastAt = o.End
	s.Last, s.Cause = o.Outcome, o.Cause
	s.recent = s.recent<<2 | uint64(o.Outcome+1)
	switch o.Outcome {
	case Pass:
		s = pass(s, c, o)
	case Fail:
		s = fail(s, c, o)
	}
	switch {
	case s.Status != before.Status:
		s.Since = o.End
		return s, Changed
	case s.Last != before.Last || s.Cause != before.Cause || s.Phase != before.Phase || s.Ever != before.Ever || s.Ready != before.Ready, s.Degraded != before.Degraded:
		return s, Pending
	}
	return s, Unchanged
}

func pass(s State, c Check, o Observation) State {
	if s.Phase == Draining && !o.Draining { // it earns its way back from here on
		s.Passes = 0
	}
	if s.Passes == 0 {
		s.PassSince = o.Start
	}
	s.Passes = bump(s.Passes)
	s.Probes = bump(s.Probes)
	s.Fails, s.FailSince = 0, 0
	s.Ready = true
	if o.Startup { // it may serve; whether it passes its check is to be seen
		s.Passes, s.PassSince, s.Status, s.Phase = 0, 0, Unknown, Starting
		return s
	}
	s.weigh(c.Gray, false)
	s.pace(c.Slow, o.End.Sub(o.Start))
	if !s.Ever || int(s.Passes) >= c.Rise && !s.Gray {
		s.Status = Healthy
	}
	s.Ever = true
	s.Phase = Steady
	if o.Draining {
		s.Phase = Draining
	}
	return s
}

func fail(s State, c Check, o Observation) State {
	if s.Fails == 0 {
		s.FailSince = o.Start
	}
	s.Fails = bump(s.Fails)
	s.Probes = bump(s.Probes)
	s.Passes, s.PassSince = 0, 0
	if !o.Startup {
		s.weigh(c.Gray, true)
	}
	if int(s.Fails) >= c.Fall || s.Gray {
		s.Status = Unhealthy
	}
	switch {
	case o.Draining, s.Phase == Draining: // it has kept its word
		s.Phase = Draining
	case !s.Ever:
		s.Phase = Starting
	case s.Status == Unhealthy:
		s.Phase = Steady
	default:
		s.Phase = Suspect
	}
	return s
}

func bump(n uint16) uint16 {
	if n == 1<<16-1 {
		return n
	}
	return n + 1
}

// Restart forgets the current failure run and the window: after a time in which
// accusations did not count, a removal needs Fall new failures, or a new window
// that is Gray (safety rule 6). Passes and what was ever learnt stay.
func Restart(s State) State {
	s.Fails, s.FailSince = 0, 0
	s.failed, s.Window, s.Gray = 0, 0, false
	if s.Status == Unhealthy {
		s.Status = Unknown
	}
	if s.Phase == Suspect {
		s.Phase = Steady
	}
	return s
}

// Rewarm is Restart plus a new count of own probes (safety rule 10).
func Rewarm(s State) State {
	s = Restart(s)
	s.Probes = 0
	return s
}

// Unseen forgets everything that was observed, and keeps that the target once
// passed: nobody looks at it any more, so nothing is known of it now.
func Unseen(s State) State {
	if s.Ever {
		return State{Ever: true, Ready: true, Phase: Steady}
	}
	return State{Ready: s.Ready}
}

// NextDue says when a target wants its next probe after o, where s is the
// state that o led to: at the confirm spacing while a failure run is still
// open, otherwise at the interval. It is never before o ended.
func NextDue(s State, c Check, o Observation) Instant {
	at := o.Due.Add(c.Interval)
	if Hastened(s) && c.Confirm > 0 && c.Confirm < c.Interval {
		at = o.Start.Add(c.Confirm)
	}
	return max(at, o.End)
}

// Hastened reports whether the state asks for the confirm spacing: a failure
// run is open and the status has not followed yet.
func Hastened(s State) bool { return s.Fails > 0 && s.Status != Unhealthy }

// FirstDue spreads the first probes of many targets over one interval.
func FirstDue(now Instant, interval time.Duration, phase uint64) Instant {
	if interval <= 0 {
		return now
	}
	return now.Add(time.Duration(phase % uint64(interval)))
}

// Recent lists up to n of the latest 32 outcomes, newest first.
func (s State) Recent(n int) []Outcome {
	out := make([]Outcome, 0, min(n, 32))
	for r := s.recent; r != 0 && len(out) < n; r >>= 2 {
		out = append(out, Outcome(r&3)-1)
	}
	return out
}
