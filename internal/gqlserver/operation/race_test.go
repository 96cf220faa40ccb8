//go:build race

package operation_test

// slowness is what the race detector costs.
const slowness = 15
