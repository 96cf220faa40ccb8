package answers_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/touched"
)

// chaos disturbs a Redis until the test's model has run. Between two faults the model
// hits at least once: on a machine that is busy with other things a cache is left the
// time to come back, or the model would show nothing.
func chaos(t *testing.T, server *redisServer, m *model, faults ...func(ctx context.Context)) (stop func()) {
	t.Helper()
	m.hits = &atomic.Int64{}
	hits := m.hits
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for {
			before := hits.Load()
			for waited := false; !waited || hits.Load() == before; waited = true {
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Duration(20+rand.IntN(120)) * time.Millisecond):
				}
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
	m := model{instances: 2, config: answers.Config{RedisURL: server.url(), RedisTimeout: 60 * time.Millisecond}}

	broken := m
	broken.without.Barrier = true
	stop := chaos(t, server, &broken, flush)
	require.NotEmpty(t, broken.run(t, 6000, true), "the model must notice that the barrier is missing")
	stop()

	stop = chaos(t, server, &m, flush, flush, cut, hang)
	defer stop()
	require.Empty(t, m.run(t, testkit.Longer(t, 300), false))
}

// losing has a Redis lose some keys of every cache's journal, those that a fault must
// take for a missing protection to be felt.
func losing(server *redisServer, names ...string) func(ctx context.Context) {
	return func(ctx context.Context) {
		for _, name := range names {
			if keys, err := server.client.Keys(ctx, "*}:"+name).Result(); err == nil && len(keys) > 0 {
				_ = server.client.Unlink(ctx, keys...).Err()
			}
		}
	}
}

// forgetting has a Redis lose one of the keys of a cache's journals at a time, as
// eviction does.
func forgetting(server *redisServer) func(ctx context.Context) {
	return func(ctx context.Context) {
		keys, err := server.client.Keys(ctx, "*}:[lsf]*").Result() // state, steps, last, fences
		if err != nil {
			return
		}
		rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		for _, key := range keys[:len(keys)/4] {
			_ = server.client.Unlink(ctx, key).Err()
		}
	}
}

func TestModel_NoReadIsStaleWhileRedisForgetsKeys(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	m := model{instances: 2, config: answers.Config{RedisURL: server.url(), RedisTimeout: time.Second}}

	broken := m
	broken.without.Whole = true
	stop := chaos(t, server, &broken, losing(server, "last", "steps"), forgetting(server))
	require.NotEmpty(t, broken.run(t, 6000, true), "the model must notice that a part of what was known does")
	stop()

	stop = chaos(t, server, &m, losing(server, "last", "steps"), forgetting(server))
	defer stop()
	require.Empty(t, m.run(t, testkit.Longer(t, 300), false))
}

func TestModel_NoReadIsStaleWhileRedisEvictsKeys(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	m := model{instances: 2, config: answers.Config{RedisURL: server.url(), RedisTimeout: time.Second}}
	m.without.Forgetful = true // the server goes on being used
	evict := func(ctx context.Context) {
		info, err := server.client.Info(ctx, "memory").Result()
		if err != nil {
			return
		}
		_ = server.client.ConfigSet(ctx, "maxmemory-policy", "allkeys-random").Err()
		_ = server.client.ConfigSet(ctx, "maxmemory", strconv.Itoa(max(usedMemory(info)-100<<10, 1))).Err()
		<-time.After(time.Duration(rand.IntN(20)) * time.Millisecond)
		_ = server.client.ConfigSet(ctx, "maxmemory", "0").Err()
	}
	// Which keys an eviction takes is chance. The control loses the two that matter.
	broken := m
	broken.without.Whole = true
	stop := chaos(t, server, &broken, losing(server, "last", "steps"))
	require.NotEmpty(t, broken.run(t, 6000, true), "the model must notice that a part of what was known does")
	stop()

	stop = chaos(t, server, &m, evict)
	defer stop()
	for hundreds := false; !hundreds; {
		require.Empty(t, m.run(t, testkit.Longer(t, 300), false))
		stats, err := server.client.Info(t.Context(), "stats").Result()
		require.NoError(t, err)
		hundreds = regexp.MustCompile(`evicted_keys:[1-9]\d{2}`).MatchString(stats)
	}
}

// usedMemory reads how many bytes a Redis has.
func usedMemory(info string) int {
	for line := range strings.Lines(info) {
		if text, found := strings.CutPrefix(line, "used_memory:"); found {
			bytes, err := strconv.Atoi(strings.TrimSpace(text))
			if err == nil {
				return bytes
			}
		}
	}
	return 0
}

// Each key alone: what Redis lost of a clinic makes nothing look unchanged.
func TestRedis_ThatLostAPartOfAClinicServesNothingOfIt(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	for _, whole := range []bool{false, true} {
		stale := map[string]bool{}
		for _, lost := range [][]string{{"last"}, {"steps"}, {"fences"}, {"state"}, {"last", "steps"}, {"fences", "steps"}, {"state", "last"}, {"state", "fences"}} {
			config := answers.Config{RedisURL: server.url(), Prefix: prefix(t)}
			without := answers.Protections{Whole: !whole}
			one, two := newCacheWithout(t, config, without, nil), newCacheWithout(t, config, without, nil)
			clinic := uuid.New()
			keep(t, one, clinic, key("a"), answer("old", "contact:1"))
			require.Equal(t, "old", keep(t, two, clinic, key("a"), answer("old", "contact:1")))
			write(t, one, clinic, "contact:1")
			for _, name := range lost {
				keys, err := server.client.Keys(t.Context(), globbed(config.Prefix)+":*}:"+name).Result()
				require.NoError(t, err)
				require.NotEmpty(t, keys)
				require.NoError(t, server.client.Unlink(t.Context(), keys...).Err())
			}
			entry, _ := look(t, two, clinic, key("a"))
			stale[strings.Join(lost, " ")] = entry != nil
			// It is used again all the same.
			require.Equal(t, "new", keep(t, two, clinic, key("b"), answer("new", "contact:1")))
		}
		require.Equal(t, !whole, stale["last steps"], "the control must notice: %v", stale)
		if whole {
			for lost, served := range stale {
				require.False(t, served, lost)
			}
		}
	}
}

// globbed is a text as a pattern that matches it alone.
func globbed(text string) string {
	return strings.NewReplacer("[", `\[`, "]", `\]`, "*", `\*`, "?", `\?`).Replace(text)
}

func TestRedis_ThatIsToldToForgetWhileItRunsIsLeft(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	var logged testkit.Logbook
	cache, clinic := newCache(t, answers.Config{RedisURL: server.url(), Log: slog.New(slog.NewTextHandler(&logged, nil))}), uuid.New()
	keep(t, cache, clinic, key("a"), answer("1", "contact:1"))
	require.NoError(t, server.client.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	require.Eventually(t, func() bool {
		_, outcome := cache.Get(t.Context(), clinic, key("a"))
		return outcome.Bypassed && strings.Contains(logged.String(), "could forget what was written")
	}, 10*time.Second, time.Millisecond)
	require.NoError(t, server.client.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	ready(t, cache)
}

// An epoch that Redis lost is not begun a second time.
func TestRedis_ThatLostTheEpochBeginsOneThatHasNeverBeen(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	config := answers.Config{RedisURL: server.url(), Prefix: prefix(t)}
	cache, clinic := newCache(t, config), uuid.New()
	seen := map[string]bool{}
	for range 5 {
		place := cache.ValueKey(clinic, key("a"))
		require.False(t, seen[place], "begun again: %s", place)
		seen[place] = true
		keys, err := server.client.Keys(t.Context(), globbed(config.Prefix)+":*:epoch").Result()
		require.NoError(t, err)
		require.Len(t, keys, 1)
		before := cache.Distrusts()
		require.NoError(t, server.client.Del(t.Context(), keys...).Err())
		require.Eventually(t, func() bool { return cache.Distrusts() > before }, 10*time.Second, time.Millisecond)
		ready(t, cache)
	}
}

func TestModel_NoReadIsStaleWhileRedisIsRestarted(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	restart := func(context.Context) {
		server.kill(t)
		server.start(t)
	}
	m := model{instances: 2, config: answers.Config{RedisURL: server.url(), RedisTimeout: 60 * time.Millisecond}}
	stop := chaos(t, server, &m, restart)
	defer stop()
	require.Empty(t, m.run(t, testkit.Longer(t, 200), false))
}

// TestRedis_RestoredFromAnOlderSnapshotServesNothingOfIt restores what Redis had
// before a write, its metadata included.
func TestRedis_RestoredFromAnOlderSnapshotServesNothingOfIt(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	config := answers.Config{RedisURL: server.url(), Prefix: prefix(t)}
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
		for _, c := range []*answers.Cache{cache, other} {
			entry, _ := c.Get(t.Context(), clinic, key("a"))
			require.Nil(t, entry)
		}
		_, err := cache.Raise(t.Context(), uuid.New(), []touched.Tag{"x"})
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
	cache, clinic := newCache(t, answers.Config{RedisURL: server.url(), RedisTimeout: timeout}), uuid.New()
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
	_, err := cache.Raise(t.Context(), clinic, []touched.Tag{"contact:1"})
	require.Error(t, err, "a writer is told to notify")
	cache.Notified(t.Context(), clinic, []touched.Tag{"contact:1"})

	require.NoError(t, server.cmd.Process.Signal(syscall.SIGCONT))
	require.Equal(t, "2", keep(t, cache, clinic, key("a"), answer("2", "contact:1")))
}

func TestRedis_ThatMayForgetAnythingIsNotUsed(t *testing.T) {
	t.Parallel()
	server := newRedis(t, "--maxmemory-policy", "allkeys-lru")
	var logged testkit.Logbook
	cache, err := answers.New(answers.Config{RedisURL: server.url(), Log: slog.New(slog.NewTextHandler(&logged, nil))})
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
	cache, clinic := newCache(t, answers.Config{RedisURL: server.url()}), uuid.New()
	keep(t, cache, clinic, key("a"), answer("1", "contact:1"))
	require.NoError(t, server.client.ReplicaOf(t.Context(), "127.0.0.1", master.addr()[len("127.0.0.1:"):]).Err())
	require.Eventually(t, func() bool {
		_, outcome := cache.Get(t.Context(), clinic, key("a"))
		return outcome.Bypassed
	}, 10*time.Second, time.Millisecond)
	_, err := cache.Raise(t.Context(), clinic, []touched.Tag{"contact:1"})
	require.Error(t, err)
}
