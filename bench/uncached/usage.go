package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is what Linux counts utime and stime in, for programs.
const ticksPerSecond = 100

// cpuOf is the processors' time that a process has used, all its threads'. The
// scheduler's own count is read, in nanoseconds: utime and stime are the same
// time rounded to 10 ms, which is too coarse for a turn.
func cpuOf(pid int) (time.Duration, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("process %d is gone, or this is no Linux that counts", pid)
	}
	var total time.Duration
	for _, thread := range threads {
		text, err := os.ReadFile(thread) //nolint:gosec // of /proc
		if err != nil {
			continue // The thread ended since.
		}
		ran, _, _ := bytes.Cut(text, []byte(" "))
		nanoseconds, err := strconv.ParseInt(string(ran), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", thread, err)
		}
		total += time.Duration(nanoseconds)
	}
	return total, nil
}

// cpuOfFamily is cpuOf a process and all its children, those that have ended too.
func cpuOfFamily(parent int) (time.Duration, error) {
	own, err := statOf(parent)
	if err != nil {
		return 0, err
	}
	total := own.children
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, process := range processes {
		pid, err := strconv.Atoi(filepath.Base(process))
		if err != nil {
			continue
		}
		if stat, err := statOf(pid); err != nil || (pid != parent && stat.parent != parent) {
			continue // Somebody else's, or gone.
		}
		if used, err := cpuOf(pid); err == nil {
			total += used
		}
	}
	return total, nil
}

// stat is what /proc tells of a process.
type stat struct {
	parent int
	// children is what those used that have ended and were waited for.
	children time.Duration
}

func statOf(pid int) (s stat, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) //nolint:gosec // of /proc
	if err != nil {
		return s, err
	}
	// The second field is the program's name in brackets, and may hold blanks.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const parent, childrenUser, childrenSystem = 1, 13, 14
	if len(fields) <= childrenSystem {
		return s, fmt.Errorf("/proc/%d/stat is not as expected", pid)
	}
	if s.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return s, err
	}
	for _, field := range fields[childrenUser : childrenSystem+1] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return s, err
		}
		s.children += time.Duration(ticks) * time.Second / ticksPerSecond
	}
	return s, nil
}

func parentOf(pid int) (int, error) {
	s, err := statOf(pid)
	if err != nil {
		return 0, fmt.Errorf("find Postgres' processes on this machine: %w", err)
	}
	return s.parent, nil
}
