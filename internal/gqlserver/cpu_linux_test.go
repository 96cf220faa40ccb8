package gqlserver_test

import (
	"runtime"
	"syscall"
	"time"
)

// cpu is the CPU time that a function takes on its thread, which a busy machine
// does not disturb.
func cpu(f func()) time.Duration {
	const thread = 1 // RUSAGE_THREAD
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after syscall.Rusage
	if syscall.Getrusage(thread, &before) != nil {
		panic("no CPU clock")
	}
	f()
	if syscall.Getrusage(thread, &after) != nil {
		panic("no CPU clock")
	}
	return spent(after) - spent(before)
}

func spent(u syscall.Rusage) time.Duration {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
