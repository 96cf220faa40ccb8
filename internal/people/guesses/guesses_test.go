package guesses_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/people/guesses"
	"github.com/taskmed/taskmed/internal/telemetry"
	"github.com/taskmed/taskmed/internal/testkit"
)

// Many who try at once at two instances are let try as often as one after the other.
func TestLimit_LetsNoMoreBeTriedAtOnce(t *testing.T) {
	t.Parallel()
	server := testkit.NewRedis(t)
	open := func() guesses.Shared {
		shared, err := guesses.OpenRedis(server.URL, 20*time.Second, []byte(testkit.Secret), telemetry.Nothing{}.RedisHook())
		require.NoError(t, err)
		t.Cleanup(shared.Close)
		return shared
	}
	now := time.Now()
	let := func(limits ...*guesses.Limit) int64 {
		who := guesses.Guesser{Clinic: uuid.New(), Subject: "someone"}
		var tries sync.WaitGroup
		var let atomic.Int64
		for n := range 50 * len(limits) {
			tries.Go(func() {
				// Their clocks are not quite the same.
				if limits[n%len(limits)].Spend(t.Context(), who, now.Add(time.Duration(n%7)*time.Millisecond)) == nil {
					let.Add(1)
				}
			})
		}
		tries.Wait()
		return let.Load()
	}
	require.EqualValues(t, 2*guesses.Most, let(guesses.New(guesses.Alone{}), guesses.New(guesses.Alone{})), "the control: who does not share")
	for range 20 {
		require.EqualValues(t, guesses.Most, let(guesses.New(open()), guesses.New(open())))
	}
}

// A key that somebody wrote something else to is no way round.
func TestLimit_StandsWhateverRedisHas(t *testing.T) {
	t.Parallel()
	server := testkit.NewRedis(t)
	shared, err := guesses.OpenRedis(server.URL, 20*time.Second, []byte(testkit.Secret), telemetry.Nothing{}.RedisHook())
	require.NoError(t, err)
	t.Cleanup(shared.Close)
	who := guesses.Guesser{Clinic: uuid.New(), Subject: "someone"}
	require.NoError(t, guesses.New(shared).Spend(t.Context(), who, time.Now()))
	keys, err := server.Client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 1)

	require.NoError(t, server.Client.HSet(t.Context(), keys[0], "made", "few").Err())
	require.Error(t, guesses.New(shared).Spend(t.Context(), who, time.Now()), "what is no number is all of them")
	require.NoError(t, server.Client.Set(t.Context(), keys[0], "text", 0).Err())
	limit, tries := guesses.New(shared), 0
	for limit.Spend(t.Context(), who, time.Now()) == nil {
		tries++
		require.LessOrEqual(t, tries, guesses.Most)
	}
	require.Equal(t, guesses.Most, tries)
}
