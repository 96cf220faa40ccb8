package devstack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// launcher starts children from one thread that lives as long as it does.
// Linux can signal a child when its parent dies, but takes the thread that
// started it for the parent: a child started by any goroutine could be
// signalled because the Go runtime ended an idle thread.
type launcher struct{ jobs chan func() }

func newLauncher() *launcher {
	l := &launcher{jobs: make(chan func())}
	go func() {
		// Never unlocked: the thread ends with the goroutine, which takes
		// with it any child that close found still running.
		runtime.LockOSThread()
		for job := range l.jobs {
			job()
		}
	}()
	return l
}

func (l *launcher) close() { close(l.jobs) }

func (l *launcher) start(cmd *exec.Cmd) error {
	err := make(chan error)
	l.jobs <- func() { err <- cmd.Start() }
	return <-err
}

// child is a server that runs until it is stopped.
type child struct {
	name string
	cmd  *exec.Cmd
	log  string // path of the file with its output
	// where in that file its own output begins
	logStart int64
	term     syscall.Signal // asks it to end cleanly
	done     chan struct{}  // closed when it has ended
	told     chan struct{}  // closed when it was told to end
}

// spec says how a server is started.
type spec struct {
	name string
	path string
	args []string
	env  []string
	dir  string
	log  string
	term syscall.Signal
}

// startChild starts a server. failed receives an error if it ends untold, once
// watch was called.
func (s *Stack) startChild(ctx context.Context, sp spec) (*child, error) {
	output, logStart, err := openLog(sp.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // the child has its own copy
	// The server outlives the start's context on purpose.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), sp.path, sp.args...) //nolint:gosec // a server that find or fetch chose
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = sp.env, sp.dir, output, output
	// A group of its own: Ctrl-C in the terminal must reach us alone, so that
	// requests can end before their database does.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.user.apply(cmd.SysProcAttr)
	endWithParent(cmd.SysProcAttr, sp.term)
	if err := s.launcher.start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", sp.name, err)
	}
	c := &child{
		name: sp.name, cmd: cmd, log: sp.log, logStart: logStart, term: sp.term,
		done: make(chan struct{}), told: make(chan struct{}),
	}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(c.done)
	}()
	return c, nil
}

// watch reports the child's end, unless it was told to end.
func (c *child) watch(failed chan<- error) {
	go func() {
		<-c.done
		select {
		case <-c.told:
		default:
			failed <- c.failure()
		}
	}()
}

// failure is the error of a child that ended by itself, with its last words.
func (c *child) failure() error {
	words := c.cmd.ProcessState.String()
	if last := lastLine(c.log, c.logStart); last != "" {
		words += ": " + last
	}
	return fmt.Errorf("%s ended: %s (all of it in %s)", c.name, words, c.log)
}

// stop asks the child to end, waits, and kills it when the context ends.
func (c *child) stop(ctx context.Context) error {
	close(c.told)
	_ = c.cmd.Process.Signal(c.term) // an error means that it is gone
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	}
	_ = c.cmd.Process.Kill()
	<-c.done
	return fmt.Errorf("%s did not end in time and was killed", c.name)
}

// waitReady asks until the child answers, fails or ends.
func (c *child) waitReady(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	var last error
	err := waitFor(ctx, 5*time.Millisecond, func() (bool, error) {
		select {
		case <-c.done:
			return false, c.failure()
		default:
		}
		last = ready(ctx)
		return last == nil, nil
	})
	if err != nil && ctx.Err() != nil && last != nil {
		return fmt.Errorf("%s does not answer: %w (its log is %s)", c.name, last, c.log)
	}
	return err
}

// maxLog is where a log is begun anew at the next start, in bytes.
const maxLog = 10 << 20

// openLog opens a log to append to and returns how long it is.
func openLog(path string) (*os.File, int64, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	var size int64
	if info, err := os.Stat(path); err == nil {
		if size = info.Size(); size > maxLog {
			flags |= os.O_TRUNC
			size = 0
		}
	}
	file, err := os.OpenFile(path, flags, 0o600) //nolint:gosec // in our own home
	if err != nil {
		return nil, 0, fmt.Errorf("open a log: %w", err)
	}
	return file, size, nil
}

// lastLine returns what a log says last, from an offset on: the last error
// among its last lines, or the last line. It is "" if there is nothing.
func lastLine(path string, from int64) string {
	text, err := os.ReadFile(path) //nolint:gosec // a log that we opened ourselves
	if err != nil || int64(len(text)) < from {
		return ""
	}
	lines := strings.Split(string(bytes.TrimSpace(text[from:])), "\n")
	const near = 8
	for _, line := range slices.Backward(lines[max(0, len(lines)-near):]) {
		if strings.Contains(line, "FATAL") || strings.Contains(line, "rror:") {
			return line
		}
	}
	return lines[len(lines)-1]
}

// output runs a short program as the servers' user and returns what it
// printed. Its error is one line.
func (s *Stack) output(ctx context.Context, sp spec) (string, error) {
	cmd := exec.CommandContext(ctx, sp.path, sp.args...) //nolint:gosec // a program that find or fetch chose
	cmd.Env, cmd.Dir = sp.env, sp.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	s.user.apply(cmd.SysProcAttr)
	return run(cmd, sp.name)
}

// run runs a program and returns what it printed. Its error is one line.
func run(cmd *exec.Cmd, name string) (string, error) {
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err == nil {
		return text, nil
	}
	for _, line := range slices.Backward(strings.Split(text, "\n")) {
		// The last line is the one that counts, but for npm's, which only
		// says where to read on.
		if line != "" && !strings.Contains(line, "complete log of this run") {
			return "", fmt.Errorf("%s: %s: %w", name, strings.TrimSpace(line), err)
		}
	}
	return "", fmt.Errorf("%s: %w", name, err)
}
