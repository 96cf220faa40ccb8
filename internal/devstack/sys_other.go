//go:build !linux

package devstack

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endWithParent does nothing: only Linux can. A server that outlived its
// parent is found and ended by the next start.
func endWithParent(*syscall.SysProcAttr, syscall.Signal) {}

// processCommand returns the command line of a process, "" if there is none.
func processCommand(pid int) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec // a number
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// roomy tells whether a folder lies in memory and has room: not known here.
func roomy(string) bool { return false }
