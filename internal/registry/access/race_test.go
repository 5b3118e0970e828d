//go:build race

package access_test

// raceCosts is by how much the race detector makes everything larger.
const raceCosts = 2
