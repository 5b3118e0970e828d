package demo

import (
	"testing"
	"time"
)

// TestPlanFits: from the shortest length on, the acts fit into it, are long
// enough to be fair, and faults of one service that would blur each other's
// figures do not overlap.
func TestPlanFits(t *testing.T) {
	for length := Shortest; length <= 10*time.Minute; length += time.Second {
		acts := planFor(length)
		if end := endOf(acts) + settingTime; end > length+time.Second {
			t.Fatalf("%s: the plan ends after %s", length, end)
		}
		for i, a := range acts {
			if a.number <= 4 && a.heal-a.at < 20*time.Second {
				t.Errorf("%s: act %d lasts only %s", length, a.number, a.heal-a.at)
			}
			if !(a.at < a.heal && a.heal <= a.until) {
				t.Errorf("%s: act %d: at %s, heal %s, until %s", length, a.number, a.at, a.heal, a.until)
			}
			for _, b := range acts[i+1:] {
				if a.service == b.service && a.fault != slowStart && a.until > b.at {
					t.Errorf("%s: acts %d and %d overlap on %s", length, a.number, b.number, a.service)
				}
			}
		}
	}
}

func TestCuesAreInOrder(t *testing.T) {
	cues := cuesOf(planFor(Default))
	for i := 1; i < len(cues); i++ {
		if cues[i].at < cues[i-1].at {
			t.Errorf("cue %d at %s comes after one at %s", i, cues[i].at, cues[i-1].at)
		}
	}
	if len(cues) != 12 {
		t.Errorf("%d cues, want a beginning and an end for each of 6 acts", len(cues))
	}
}
