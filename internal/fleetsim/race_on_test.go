//go:build race

package fleetsim

// The simulator is one goroutine: the race detector has little to find in it and
// makes it many times slower. Under it few of the seeds are played; make test
// plays all of them without it.
const few = 40
