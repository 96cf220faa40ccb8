package answers_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/devstack"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/touched"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// redisServer is a Redis of a test's own, which it may kill.
type redisServer struct {
	port   int
	dir    string
	path   string
	env    []string
	cmd    *exec.Cmd
	client *redis.Client
}

func newRedis(t testing.TB, args ...string) *redisServer {
	t.Helper()
	path, env, err := devstack.RedisServer(t.Context(), devstack.FromEnv(os.Getenv))
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	s := &redisServer{port: port, dir: t.TempDir(), path: path, env: env}
	s.client = redis.NewClient(&redis.Options{
		Addr: s.addr(), MaxRetries: -1, DialerRetries: 1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() {
		_ = s.client.Close()
		s.kill(t)
	})
	s.start(t, args...)
	return s
}

func (s *redisServer) addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }
func (s *redisServer) url() string  { return "redis://" + s.addr() + "/0" }

func (s *redisServer) start(t testing.TB, args ...string) {
	t.Helper()
	s.cmd = exec.Command(s.path, append([]string{"--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--save", "", "--dir", s.dir}, args...)...)
	s.cmd.Env = append(os.Environ(), s.env...)
	require.NoError(t, s.cmd.Start())
	require.Eventually(t, func() bool { return s.client.Ping(context.WithoutCancel(t.Context())).Err() == nil }, 20*time.Second, 5*time.Millisecond)
}

func (s *redisServer) kill(t testing.TB) {
	t.Helper()
	if s.cmd != nil {
		require.NoError(t, s.cmd.Process.Kill())
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// newCache makes a cache that is ready.
func newCache(t testing.TB, config answers.Config) *answers.Cache {
	t.Helper()
	return newCacheWithout(t, config, answers.Protections{}, nil)
}

func newCacheWithout(t testing.TB, config answers.Config, without answers.Protections, at func(string)) *answers.Cache {
	t.Helper()
	if config.RedisURL != "" && config.Prefix == "" {
		config.Prefix = prefix(t)
	}
	if config.RedisTimeout == 0 {
		config.RedisTimeout = 10 * time.Second // the machine may be busy
	}
	cache, err := answers.NewWithout(config, without, at)
	require.NoError(t, err)
	t.Cleanup(cache.Close)
	ready(t, cache)
	return cache
}

func ready(t testing.TB, cache *answers.Cache) {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), 20*time.Second)
	defer done()
	require.NoError(t, cache.WaitReady(ctx))
}

func prefix(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("test-%s-%s", t.Name(), uuid.NewString()[:8])
}

// look gives what is kept. On a busy machine Postgres may be late with its signs
// of life, and then nothing is served for a moment: that is waited out.
func look(t testing.TB, cache *answers.Cache, clinic uuid.UUID, k answers.Key) (entry *answers.Entry, outcome answers.Outcome) {
	t.Helper()
	require.Eventually(t, func() bool {
		entry, outcome = cache.Get(t.Context(), clinic, k)
		return !outcome.Bypassed
	}, 30*time.Second, time.Millisecond)
	return entry, outcome
}

func key(parts ...any) answers.Key {
	return answers.KeyParts{QueryHash: fmt.Sprint(parts...)}.Key()
}

// answer is a Compute that gives a body and counts how often it ran.
func answer(body string, tags ...touched.Tag) answers.Compute {
	return func(context.Context) (*answers.Entry, error) {
		return &answers.Entry{Body: []byte(body), Tags: tags, ExpiresAt: time.Now().Add(time.Hour)}, nil
	}
}

// keep fills a key until it is kept, and gives the body that a hit has.
func keep(t testing.TB, cache *answers.Cache, clinic uuid.UUID, k answers.Key, compute answers.Compute) string {
	t.Helper()
	var body string
	require.Eventually(t, func() bool {
		entry, outcome, err := cache.Fill(t.Context(), answers.Request{Clinic: clinic, Key: k, Compute: compute})
		if err == nil && outcome.Hit {
			body = string(entry.Body)
		}
		return err == nil && outcome.Hit
	}, 20*time.Second, time.Millisecond)
	return body
}

// write is a whole write: raised, done, settled.
func write(t testing.TB, cache *answers.Cache, clinic uuid.UUID, tags ...touched.Tag) {
	t.Helper()
	settle, err := cache.Raise(t.Context(), clinic, tags)
	require.NoError(t, err)
	settle(t.Context(), touched.Committed)
}
