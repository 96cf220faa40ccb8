package devstack

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// endWithParent has the kernel send the signal when the thread that started
// the process ends, whatever ended it.
func endWithParent(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }

// processCommand returns the command line of a process, "" if there is none.
func processCommand(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
}

// All tests fill 0.85 GiB (docs/decisions/0008); the rest is for what they run.
const (
	roomInFolder = 8 << 30
	roomInMemory = 12 << 30
)

// roomy tells whether a folder lies in memory, may hold programs and has room, as the
// memory has in which it lies.
func roomy(folder string) bool {
	const (
		tmpfs  = 0x01021994 // statfs(2)
		noexec = 0x8
	)
	var is syscall.Statfs_t
	if err := syscall.Statfs(folder, &is); err != nil || is.Type != tmpfs || is.Flags&noexec != 0 {
		return false
	}
	return is.Bavail*uint64(is.Bsize) >= roomInFolder && memoryLeft() >= roomInMemory
}

// memoryLeft is how many bytes this process and its children may still take; 0 if that
// is not known. A container's limit counts whole.
func memoryLeft() (left uint64) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemAvailable:" {
			kib, _ := strconv.ParseUint(fields[1], 10, 54) // 0 if it is no number
			left = kib << 10
		}
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(file) //nolint:gosec // constants
		if err != nil {
			continue
		}
		if limit, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil { // "max" is none
			left = min(left, limit)
		}
	}
	return left
}
