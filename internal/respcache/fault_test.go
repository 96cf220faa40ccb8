package respcache_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/cachetag"
	"github.com/taskmed/taskmed/internal/respcache"
	"github.com/taskmed/taskmed/internal/testkit"
)

// chaos disturbs a Redis until the test's model has run.
func chaos(t *testing.T, server *redisServer, faults ...func(ctx context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Duration(20+rand.IntN(120)) * time.Millisecond):
			}
			faults[rand.IntN(len(faults))](context.WithoutCancel(ctx))
		}
	})
	return func() {
		cancel()
		group.Wait()
		_ = server.client.ClientUnpause(context.WithoutCancel(ctx)).Err()
	}
}

func TestModel_NoReadIsStaleWhileRedisFails(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	flush := func(ctx context.Context) { _ = server.client.FlushAll(ctx).Err() }
	cut := func(ctx context.Context) {
		_ = server.client.ClientKillByFilter(ctx, "TYPE", "normal", "SKIPME", "yes").Err()
	}
	hang := func(context.Context) {
		_ = server.cmd.Process.Signal(syscall.SIGSTOP)
		<-time.After(time.Duration(50+rand.IntN(150)) * time.Millisecond)
		_ = server.cmd.Process.Signal(syscall.SIGCONT)
	}
	m := model{instances: 2, config: respcache.Config{RedisURL: server.url(), RedisTimeout: 60 * time.Millisecond}}

	broken := m
	broken.without.Barrier = true
	stop := chaos(t, server, flush)
	require.NotEmpty(t, broken.run(t, 6000, true), "the model must notice that the barrier is missing")
	stop()

	stop = chaos(t, server, flush, flush, cut, hang)
	defer stop()
	require.Empty(t, m.run(t, histories(t, 1000), false))
}

func TestModel_NoReadIsStaleWhileRedisIsRestarted(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	restart := func(context.Context) {
		server.kill(t)
		server.start(t)
	}
	m := model{instances: 2, config: respcache.Config{RedisURL: server.url(), RedisTimeout: 60 * time.Millisecond}}
	stop := chaos(t, server, restart)
	defer stop()
	require.Empty(t, m.run(t, histories(t, 700), false))
}

// TestRedis_RestoredFromAnOlderSnapshotServesNothingOfIt restores what Redis had
// before a write, its metadata included.
func TestRedis_RestoredFromAnOlderSnapshotServesNothingOfIt(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	config := respcache.Config{RedisURL: server.url(), Prefix: prefix(t)}
	cache, clinic := newCache(t, config), uuid.New()
	require.Equal(t, "old", keep(t, cache, clinic, key("a"), answer("old", "contact:1")))
	require.NoError(t, server.client.Save(t.Context()).Err())
	snapshot, err := os.ReadFile(filepath.Join(server.dir, "dump.rdb"))
	require.NoError(t, err)
	valueKey := cache.ValueKey(clinic, key("a"))
	write(t, cache, clinic, "contact:1")
	require.Equal(t, "new", keep(t, cache, clinic, key("a"), answer("new", "contact:1")))

	server.kill(t)
	require.Eventually(t, func() bool {
		entry, outcome := cache.Get(t.Context(), clinic, key("a"))
		require.Nil(t, entry, "nothing is served while it cannot be asked")
		return outcome.Bypassed
	}, 10*time.Second, time.Millisecond)
	require.NoError(t, os.WriteFile(filepath.Join(server.dir, "dump.rdb"), snapshot, 0o600))
	server.start(t)
	require.Positive(t, server.client.DBSize(t.Context()).Val(), "the old snapshot was restored")

	other := newCache(t, config)
	require.NotEqual(t, valueKey, other.ValueKey(clinic, key("a")))
	require.Eventually(t, func() bool {
		for _, c := range []*respcache.Cache{cache, other} {
			entry, _ := c.Get(t.Context(), clinic, key("a"))
			require.Nil(t, entry)
		}
		_, err := cache.Raise(t.Context(), uuid.New(), []cachetag.Tag{"x"})
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, "newest", keep(t, cache, clinic, key("a"), answer("newest", "contact:1")))
	require.Eventually(t, func() bool {
		return server.client.Exists(t.Context(), valueKey).Val() == 0
	}, 10*time.Second, 5*time.Millisecond, "what the snapshot brought is swept")
}

func TestRedis_DownOpensTheBreakerAndIsUsedAgainOnceUp(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	const timeout = 200 * time.Millisecond
	cache, clinic := newCache(t, respcache.Config{RedisURL: server.url(), RedisTimeout: timeout}), uuid.New()
	keep(t, cache, clinic, key("a"), answer("1", "contact:1"))
	require.NoError(t, server.cmd.Process.Signal(syscall.SIGSTOP))
	// Three find out; then nobody waits but one every quarter of a second.
	const asked = 1000
	stopped, waited := time.Now(), 0
	for range asked {
		began := time.Now()
		entry, outcome := cache.Get(t.Context(), clinic, key("a"))
		require.Nil(t, entry)
		require.Contains(t, outcome.Reason, "redis")
		if time.Since(began) >= timeout {
			waited++
		}
	}
	require.LessOrEqual(t, waited, 4+int(time.Since(stopped)/(250*time.Millisecond)))
	require.Less(t, waited, asked/10)
	_, err := cache.Raise(t.Context(), clinic, []cachetag.Tag{"contact:1"})
	require.Error(t, err, "a writer is told to notify")
	cache.Notified(t.Context(), clinic, []cachetag.Tag{"contact:1"})

	require.NoError(t, server.cmd.Process.Signal(syscall.SIGCONT))
	require.Equal(t, "2", keep(t, cache, clinic, key("a"), answer("2", "contact:1")))
}

func TestRedis_ThatMayForgetAnythingIsNotUsed(t *testing.T) {
	t.Parallel()
	server := newRedis(t, "--maxmemory-policy", "allkeys-lru")
	var logged testkit.Logbook
	cache, err := respcache.New(respcache.Config{RedisURL: server.url(), Log: slog.New(slog.NewTextHandler(&logged, nil))})
	require.NoError(t, err)
	t.Cleanup(cache.Close)
	require.Eventually(t, func() bool { return strings.Contains(logged.String(), "allkeys-lru") }, 10*time.Second, time.Millisecond)
	entry, outcome := cache.Get(t.Context(), uuid.New(), key("a"))
	require.Nil(t, entry)
	require.True(t, outcome.Bypassed)
	require.NoError(t, server.client.ConfigSet(t.Context(), "maxmemory-policy", "volatile-lru").Err())
	ready(t, cache)
}

func TestRedis_ThatBecameAReplicaIsLeft(t *testing.T) {
	t.Parallel()
	server, master := newRedis(t), newRedis(t)
	cache, clinic := newCache(t, respcache.Config{RedisURL: server.url()}), uuid.New()
	keep(t, cache, clinic, key("a"), answer("1", "contact:1"))
	require.NoError(t, server.client.ReplicaOf(t.Context(), "127.0.0.1", master.addr()[len("127.0.0.1:"):]).Err())
	require.Eventually(t, func() bool {
		_, outcome := cache.Get(t.Context(), clinic, key("a"))
		return outcome.Bypassed
	}, 10*time.Second, time.Millisecond)
	_, err := cache.Raise(t.Context(), clinic, []cachetag.Tag{"contact:1"})
	require.Error(t, err)
}
