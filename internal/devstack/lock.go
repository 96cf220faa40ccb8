package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// fileLock is a lock that dies with its process, however that ends.
type fileLock struct{ file *os.File }

// lockPatience is how long a start waits for a home's lock: the process that
// has it may be about to end.
const lockPatience = 2 * time.Second

// lockHome takes the lock of a home, or says who has it.
func lockHome(ctx context.Context, path string) (*fileLock, error) {
	waitCtx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	lock, err := waitLock(waitCtx, path)
	if err != nil {
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		who := "another process"
		holder, _ := os.ReadFile(path) //nolint:gosec // unreadable is the same as unknown
		if pid := strings.TrimSpace(string(holder)); pid != "" {
			who = "process " + pid
		}
		return nil, fmt.Errorf("%w: %s already runs on %s: stop it first, or set TASKMED_HOME to another folder",
			ErrInUse, who, filepath.Dir(path))
	}
	// Written for the message above alone.
	if err := lock.file.Truncate(0); err == nil {
		_, _ = lock.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return lock, nil
}

// ErrInUse says that another process runs a stack on the same home.
var ErrInUse = errors.New("in use")

// waitLock takes a lock, waiting for whoever has it.
func waitLock(ctx context.Context, path string) (*fileLock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // a name of our own in a folder the developer chose
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	err = waitFor(ctx, 50*time.Millisecond, func() (bool, error) {
		err := flock(file, syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	return &fileLock{file: file}, nil
}

func (l *fileLock) release() error {
	// The file stays: removing it would let two processes lock two files of
	// the same name.
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("release the lock: %w", err)
	}
	return nil
}

func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// waitFor asks until the answer is yes, an error, or the context ends.
func waitFor(ctx context.Context, every time.Duration, yes func() (bool, error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		ok, err := yes()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
