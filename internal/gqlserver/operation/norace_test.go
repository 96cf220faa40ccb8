//go:build !race

package operation_test

const slowness = 1
