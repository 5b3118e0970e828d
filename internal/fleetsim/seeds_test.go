package fleetsim

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// seeds is how many random stories TestSeeds plays; MAPWARDEN_SEEDS raises it.
func seeds(t *testing.T) int {
	v := os.Getenv("MAPWARDEN_SEEDS")
	if v == "" {
		return 120
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("MAPWARDEN_SEEDS=%q is not a number of seeds", v)
	}
	return n
}

// TestSeeds plays random stories and holds them to the invariants. A failing
// seed is played again with `mapwarden simulate SEED`.
func TestSeeds(t *testing.T) {
	bad := 0
	for seed := range uint64(seeds(t)) {
		story := Random(seed)
		result, err := Run(story)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, story.Text)
		}
		if len(result.Failures) == 0 {
			continue
		}
		t.Errorf("seed %d:\n%s", seed, strings.Join(result.Failures, "\n"))
		if bad++; bad == 5 {
			t.FailNow()
		}
	}
}
