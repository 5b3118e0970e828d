package health

import (
	"math/bits"
	"time"
)

// Slow says when an answer that passes is a slow one: it took longer than
// Factor times what this target usually takes, and than Floor. Factor 0 turns
// it off.
type Slow struct {
	Factor int
	Floor  time.Duration
}

const (
	// Of the newest 8 passes so many slow ones make a target degraded, and so
	// many are still well.
	slowDegrades = 4
	slowClears   = 1

	// The base follows the median of the passes that are not slow by a 64th of
	// itself at most: it is learnt in minutes and forgets in hours.
	baseStep = 64
	// The level follows the newest passes by a quarter of the difference.
	levelStep = 4
)

// pace adds the duration of a pass. A slow one does not move the base: an hour
// of slowness never becomes what is usual.
func (s *State) pace(c Slow, took time.Duration) {
	d := milliseconds(took)
	if s.base == 0 {
		s.base, s.level = d, d
		return
	}
	s.level = uint16(int(s.level) + (int(d)-int(s.level))/levelStep)
	slow := c.Factor > 0 && took > max(time.Duration(c.Factor)*s.Base(), c.Floor)
	s.slow <<= 1
	if slow {
		s.slow |= 1
	} else {
		step := max(s.base/baseStep, 1)
		s.base = min(max(d, s.base-min(step, s.base-1)), s.base+min(step, 1<<16-1-s.base))
	}
	switch n := bits.OnesCount8(s.slow); {
	case n >= slowDegrades:
		s.Degraded = true
	case n <= slowClears:
		s.Degraded = false
	}
}

// milliseconds of a duration, rounded up: from 1 to the most that fits.
func milliseconds(d time.Duration) uint16 {
	return uint16(min(max((d+time.Millisecond-1)/time.Millisecond, 1), 1<<16-1))
}

// Base is how long a pass of this target usually takes, 0 where none is known.
func (s State) Base() time.Duration { return time.Duration(s.base) * time.Millisecond }

// Level is how long its newest passes took.
func (s State) Level() time.Duration { return time.Duration(s.level) * time.Millisecond }
