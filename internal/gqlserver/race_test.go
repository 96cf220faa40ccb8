//go:build race

package gqlserver_test

// slowness is what the race detector costs.
const slowness = 15
