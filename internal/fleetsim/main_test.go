package fleetsim

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain lets the garbage collector run less often: a simulation keeps little
// and makes much.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}
