package testkit

import (
	"context"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
)

// Redis is one test's own Redis server, to look into and to break.
type Redis struct {
	URL string
	// Client has no time-outs of its own: it waits for a server that hangs.
	Client *redis.Client

	path, dir, port string
	env             []string
	cmd             *exec.Cmd
}

// NewRedis starts a server that ends with the test.
func NewRedis(t testing.TB) *Redis {
	t.Helper()
	path, env, err := devstack.RedisServer(t.Context(), devstack.FromEnv(os.Getenv))
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	r := &Redis{
		URL: "redis://" + address + "/0", port: port, path: path, env: env, dir: t.TempDir(),
		Client: redis.NewClient(&redis.Options{
			Addr: address, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		}),
	}
	t.Cleanup(func() {
		_ = r.Client.Close()
		r.Kill(t)
	})
	r.Start(t)
	return r
}

// Start starts the server, empty; it must not run.
func (r *Redis) Start(t testing.TB) {
	t.Helper()
	//nolint:gosec // the server that devstack found
	r.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), r.path, "--bind", "127.0.0.1", "--port", r.port, "--save", "", "--dir", r.dir)
	r.cmd.Env = append(os.Environ(), r.env...)
	require.NoError(t, r.cmd.Start())
	require.Eventually(t, func() bool { return r.Client.Ping(context.WithoutCancel(t.Context())).Err() == nil }, 20*time.Second, 5*time.Millisecond)
}

// Kill ends the server, as kill -9 does.
func (r *Redis) Kill(t testing.TB) {
	t.Helper()
	if r.cmd != nil {
		require.NoError(t, r.cmd.Process.Kill())
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

// Hang keeps the server from answering until Resume; its connections stay.
func (r *Redis) Hang(t testing.TB) {
	t.Helper()
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGSTOP))
}

// Resume ends what Hang began.
func (r *Redis) Resume(t testing.TB) {
	t.Helper()
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGCONT))
}

// Values gives every answer that is kept, by its key: those that a cache over
// this server keeps, whatever their clinic.
func (r *Redis) Values(t testing.TB) map[string][]byte {
	t.Helper()
	values := map[string][]byte{}
	keys := r.Client.Scan(t.Context(), 0, "*:value:*", 1000).Iterator()
	for keys.Next(t.Context()) {
		if value, err := r.Client.Get(t.Context(), keys.Val()).Bytes(); err == nil {
			values[keys.Val()] = value
		}
	}
	require.NoError(t, keys.Err())
	return values
}
