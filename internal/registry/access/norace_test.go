//go:build !race

package access_test

// raceCosts is nothing without the race detector.
const raceCosts = 1
