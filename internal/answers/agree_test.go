package answers_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/touched"
)

// TestAgree_WhoUsesAnotherRedisUsesNone gives two instances on one database a Redis
// each: what one writes the other would not hear of.
func TestAgree_WhoUsesAnotherRedisUsesNone(t *testing.T) {
	t.Parallel()
	const differing = "redis is not the one that other instances use"
	first, second := newRedis(t), newRedis(t)
	t.Run("without the agreement it is noticed", func(t *testing.T) {
		t.Parallel()
		d, without := testkit.NewDatabase(t), answers.Protections{Agree: true}
		reads := newCacheWithout(t, answers.Config{RedisURL: first.url(), ListenURL: d.AppURL}, without, nil)
		writes := newCacheWithout(t, answers.Config{RedisURL: second.url(), ListenURL: d.AppURL}, without, nil)
		clinic := uuid.New()
		require.Equal(t, "old", keep(t, reads, clinic, key("a"), answer("old", "contact:1")))
		write(t, writes, clinic, "contact:1")
		require.Eventually(t, func() bool { // It may not be trusted for a moment.
			_, outcome := reads.Get(t.Context(), clinic, key("a"))
			return outcome.Hit
		}, 20*time.Second, time.Millisecond, "the test must notice who serves what was before")
	})
	t.Run("with it", func(t *testing.T) {
		t.Parallel()
		d := testkit.NewDatabase(t)
		reads := newCache(t, answers.Config{RedisURL: first.url(), ListenURL: d.AppURL})
		clinic := uuid.New()
		require.Equal(t, "old", keep(t, reads, clinic, key("a"), answer("old", "contact:1")))

		other := answers.Config{RedisURL: second.url(), Prefix: prefix(t), RedisTimeout: 10 * time.Second, ListenURL: d.AppURL}
		writes, err := answers.NewWithout(other, answers.Protections{}, nil)
		require.NoError(t, err)
		t.Cleanup(writes.Close)
		require.Eventually(t, func() bool {
			_, outcome, err := writes.Fill(t.Context(), answers.Request{Clinic: clinic, Key: key("b"), Compute: answer("b", "contact:2")})
			require.NoError(t, err)
			require.False(t, outcome.Hit || outcome.Stored)
			return outcome.Reason == differing
		}, 20*time.Second, time.Millisecond)
		// It tells nobody by its own Redis, and so the other one stands aside.
		settle, err := writes.Raise(t.Context(), clinic, []touched.Tag{"contact:1"})
		require.Error(t, err, "the transaction must notify")
		_, outcome := reads.Get(t.Context(), clinic, key("a"))
		require.False(t, outcome.Hit)
		notify(t, d, clinic, "", "contact:1")
		settle(t.Context(), touched.Committed)
		require.Equal(t, "new", keep(t, reads, clinic, key("a"), answer("new", "contact:1")), "the one that was first goes on")

		// Once the first is gone, or uses the same, it is used.
		reads.Close()
		require.Equal(t, "newer", keep(t, writes, clinic, key("a"), answer("newer", "contact:1")))
		same := newCache(t, other)
		write(t, same, clinic, "contact:1")
		require.Equal(t, "newest", keep(t, writes, clinic, key("a"), answer("newest", "contact:1")))
	})
}

// TestAgree_WhoCannotReachItsRedisLetsOthersUseAnother cuts off the instance that
// was first. Its own Redis goes on: only that instance does not reach it.
func TestAgree_WhoCannotReachItsRedisLetsOthersUseAnother(t *testing.T) {
	t.Parallel()
	d, first, second := testkit.NewDatabase(t), newRedis(t), newRedis(t)
	way := newWire(t, first.addr())
	cutOff := newCache(t, answers.Config{RedisURL: way.url(), RedisTimeout: time.Second, ListenURL: d.AppURL})
	other, err := answers.New(answers.Config{RedisURL: second.url(), RedisTimeout: 10 * time.Second, ListenURL: d.AppURL})
	require.NoError(t, err)
	t.Cleanup(other.Close)
	clinic := uuid.New()
	differs := func(cache *answers.Cache) bool {
		_, outcome := cache.Get(t.Context(), clinic, key("a"))
		require.False(t, outcome.Hit)
		return outcome.Reason == "redis is not the one that other instances use"
	}
	require.Eventually(t, func() bool { return differs(other) }, 20*time.Second, time.Millisecond)
	way.cut()
	require.Equal(t, "kept", keep(t, other, clinic, key("a"), answer("kept", "contact:1")))
	way.heal()
	require.Eventually(t, func() bool { return differs(cutOff) }, 20*time.Second, time.Millisecond, "now it is the one that is late")
}
