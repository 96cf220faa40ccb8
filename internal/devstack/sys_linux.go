package devstack

import (
	"bytes"
	"fmt"
	"os"
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
