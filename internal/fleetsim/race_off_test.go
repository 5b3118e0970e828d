//go:build !race

package fleetsim

// few divides the number of seeds; see race_on_test.go.
const few = 1
