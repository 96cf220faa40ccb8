package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
)

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// redisProcess is a Redis of the test's own, at a fixed port.
type redisProcess struct {
	path    string
	env     []string
	folder  string
	port    string
	process *exec.Cmd
}

func startRedis(t *testing.T) *redisProcess {
	t.Helper()
	path, env, err := devstack.RedisServer(t.Context(), devstack.FromEnv(os.Getenv))
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(freeAddress(t))
	require.NoError(t, err)
	r := &redisProcess{path: path, env: env, folder: t.TempDir(), port: port}
	r.start(t)
	t.Cleanup(func() { r.kill(t) })
	return r
}

func (r *redisProcess) start(t *testing.T) {
	t.Helper()
	r.process = exec.CommandContext(context.WithoutCancel(t.Context()), r.path,
		"--bind", "127.0.0.1", "--port", r.port, "--dir", r.folder, "--save", "", "--appendonly", "no")
	r.process.Env = append(os.Environ(), r.env...)
	assert.NoError(t, r.process.Start()) //nolint:testifylint // as above
	assert.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+r.port, time.Second)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}, 5*time.Second, 10*time.Millisecond)
}

func (r *redisProcess) kill(t *testing.T) {
	t.Helper()
	_ = r.process.Process.Kill()
	_ = r.process.Wait()
}

// pause hangs Redis: connections stay open and nothing answers.
func (r *redisProcess) pause(t *testing.T) {
	t.Helper()
	assert.NoError(t, r.process.Process.Signal(syscall.SIGSTOP))
}

func (r *redisProcess) resume(t *testing.T) {
	t.Helper()
	assert.NoError(t, r.process.Process.Signal(syscall.SIGCONT))
}

// do sends a command and gives the whole answer, and that to QUIT.
func (r *redisProcess) do(command string) (string, error) {
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+r.port, time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "%s\r\nQUIT\r\n", command); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// flush empties Redis.
func (r *redisProcess) flush() error {
	answer, err := r.do("FLUSHALL")
	if err == nil && !strings.HasPrefix(answer, "+OK") {
		return errors.New(answer)
	}
	return err
}

// snapshot saves what Redis has now, and restore makes it begin with that.
func (r *redisProcess) snapshot() ([]byte, error) {
	path := filepath.Join(r.folder, "dump.rdb")
	if answer, err := r.do("SAVE"); err != nil || !strings.HasPrefix(answer, "+OK") {
		return nil, fmt.Errorf("save Redis: %s: %w", answer, err)
	}
	saved, err := os.ReadFile(path)
	return saved, errors.Join(err, os.Remove(path))
}

func (r *redisProcess) restore(t *testing.T, saved []byte) error {
	t.Helper()
	path := filepath.Join(r.folder, "dump.rdb")
	if err := os.WriteFile(path, saved, 0o600); err != nil {
		return err
	}
	r.start(t)
	return os.Remove(path)
}
