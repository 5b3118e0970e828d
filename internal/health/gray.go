package health

import "math/bits"

// Gray says when a target that fails now and then is unhealthy though it never
// fails Fall times in a row: Fails of the newest Of conclusive outcomes, in at
// least Runs separate runs (0: leastRuns). It is well again once the newest Of all passed:
// with one failure allowed, a target that fails 30 % would come back by chance
// ten times as often. Fails 0 turns it off.
type Gray struct{ Fails, Of, Runs int }

const (
	// leastRuns: one pause of a target is one run, however many probes fall into
	// it, and a second one may be chance.
	leastRuns = 3

	// MaxWindow is how many conclusive outcomes a State remembers at most.
	MaxWindow = 32
)

// weigh adds a conclusive outcome to the window and says what that makes of a
// gray target. Only a failure can turn one gray, only a pass can clear it.
func (s *State) weigh(g Gray, failed bool) {
	s.failed <<= 1
	if failed {
		s.failed |= 1
	}
	s.Window = min(s.Window+1, MaxWindow)
	n, runs := s.window(g.Of)
	switch {
	case g.Fails <= 0:
		s.Gray = false
	case failed && n >= g.Fails && runs >= max(g.Runs, leastRuns):
		s.Gray = true
	case !failed && n == 0 && int(s.Window) >= min(g.Of, MaxWindow):
		s.Gray = false
	}
}

// window counts the failures among the newest of conclusive outcomes, and the
// runs that they are in.
func (s *State) window(of int) (fails, runs int) {
	of = min(of, int(s.Window), MaxWindow)
	if of <= 0 {
		return 0, 0
	}
	newest := s.failed & (1<<of - 1)
	// A run ends where a failure has no failure after it.
	return bits.OnesCount32(newest), bits.OnesCount32(newest &^ (newest << 1))
}

// Failures is how many of the newest of conclusive outcomes failed, since the
// last Restart.
func (s State) Failures(of int) int {
	n, _ := s.window(of)
	return n
}
