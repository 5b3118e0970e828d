package fleetsim

import (
	"runtime"
	"testing"
)

// TestDeterminism: the same seed gives the same trace, run after run and
// whatever the number of processors; another seed gives another one.
func TestDeterminism(t *testing.T) {
	traces := map[string]uint64{}
	for seed := range uint64(12) {
		first := trace(t, seed)
		for _, procs := range []int{1, 8} {
			before := runtime.GOMAXPROCS(procs)
			again := trace(t, seed)
			runtime.GOMAXPROCS(before)
			if again != first {
				t.Errorf("seed %d: another trace with GOMAXPROCS %d: %s, %s", seed, procs, first, again)
			}
		}
		if other, ok := traces[first]; ok {
			t.Errorf("seeds %d and %d give the same trace: it does not tell them apart", other, seed)
		}
		traces[first] = seed
	}
}

func trace(t *testing.T, seed uint64) string {
	t.Helper()
	result, err := Run(Random(seed))
	if err != nil {
		t.Fatal(err)
	}
	return result.Trace
}
