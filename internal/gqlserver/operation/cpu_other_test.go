//go:build !linux

package operation_test

import "time"

// cpu is the time that a function takes: at least that of the CPU.
func cpu(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
