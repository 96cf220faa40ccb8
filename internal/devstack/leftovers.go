package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopLeftovers ends the servers of a process that was killed before it could
// do so itself. On Linux the kernel has told them to end already and this
// waits for it. The home's lock is held, so no living process wants them.
func (s *Stack) stopLeftovers(ctx context.Context) error {
	postmaster := filepath.Join(s.cluster(), "postmaster.pid")
	err := s.stopLeftover(ctx, "Postgres", postmaster, syscall.SIGINT, func(command string) bool {
		return strings.Contains(command, "postgres") && strings.Contains(command, s.cluster())
	})
	if err != nil {
		return err
	}
	// Redis rewrites its command line to its name and its address.
	port := ":" + strconv.Itoa(s.state.RedisPort)
	return s.stopLeftover(ctx, "Redis", s.redisPidFile(), syscall.SIGTERM, func(command string) bool {
		return strings.Contains(command, "redis-server") &&
			(strings.Contains(command+" ", port+" ") || strings.Contains(command, s.redisData()))
	})
}

// stopLeftover ends the process that a pid file names, if it is still the
// server that wrote the file, and removes the file.
func (s *Stack) stopLeftover(ctx context.Context, name, pidFile string, term syscall.Signal, ours func(command string) bool) error {
	text, err := os.ReadFile(pidFile) //nolint:gosec // in our own data folder
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a %s that was left running: %w", name, err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	// The number may have passed to another program since: the command tells.
	if err == nil && pid > 1 && ours(processCommand(pid)) {
		s.log.WarnContext(ctx, "ending a server that an earlier run left", slog.String("server", name), slog.Int("pid", pid))
		if err := endProcess(ctx, pid, term, ours); err != nil {
			return fmt.Errorf("end the %s that an earlier run left (process %d): %w", name, pid, err)
		}
	}
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a stale pid file: %w", err)
	}
	return nil
}

// endProcess asks a process to end, insists, and kills it at last.
func endProcess(ctx context.Context, pid int, term syscall.Signal, ours func(string) bool) error {
	steps := []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{term, 10 * time.Second}, {syscall.SIGQUIT, 3 * time.Second}, {syscall.SIGKILL, 5 * time.Second}}
	for _, step := range steps {
		if err := syscall.Kill(pid, step.signal); err != nil {
			if errors.Is(err, syscall.ESRCH) {
				return nil
			}
			return err
		}
		waitCtx, cancel := context.WithTimeout(ctx, step.wait)
		err := waitFor(waitCtx, 10*time.Millisecond, func() (bool, error) { return !ours(processCommand(pid)), nil })
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.New("it does not end")
}
