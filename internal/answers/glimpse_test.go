package answers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answers"
)

// hgets is how often Redis was asked for a field.
func hgets(t *testing.T, server *redisServer) int {
	t.Helper()
	text, err := server.client.Info(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	for line := range strings.Lines(text) {
		var calls int
		if n, _ := fmt.Sscanf(line, "cmdstat_hget:calls=%d,", &calls); n == 1 {
			return calls
		}
	}
	return 0
}

func TestGlimpse_SparesAQuestionAndHidesNoWrite(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	config := answers.Config{RedisURL: server.url(), Prefix: prefix(t)}
	cache, other, clinic := newCache(t, config), newCache(t, config), uuid.New()
	keep(t, cache, clinic, key("a"), answer("1", "contact:1"))
	who := answers.SessionRequest{Key: key("who"), Load: session("ana", 0), Clinic: func(any) uuid.UUID { return clinic }}
	ask := func(ctx context.Context) {
		value, err := cache.Sessions.Get(ctx, who)
		require.NoError(t, err)
		require.Equal(t, "ana", value)
	}
	require.Eventually(t, func() bool {
		ask(t.Context())
		return cache.ClinicBytes(uuid.Nil) > 0
	}, 20*time.Second, time.Millisecond)
	hit := func(ctx context.Context) bool {
		_, outcome := cache.Get(ctx, clinic, key("a"))
		return outcome.Hit
	}

	// A slow machine may take longer than a glimpse holds.
	require.Eventually(t, func() bool {
		ctx := answers.WithGlimpse(t.Context())
		before := hgets(t, server)
		ask(ctx)
		require.True(t, hit(ctx))
		return hgets(t, server)-before == 2 // in one go
	}, 20*time.Second, time.Millisecond)

	// Written before the request: seen. Written after its glimpse: seen at the
	// second look at the latest, and by the next request.
	write(t, other, clinic, "contact:1")
	ctx := answers.WithGlimpse(t.Context())
	ask(ctx)
	require.False(t, hit(ctx))
	keep(t, cache, clinic, key("a"), answer("2", "contact:1"))
	ctx = answers.WithGlimpse(t.Context())
	ask(ctx)
	write(t, other, clinic, "contact:1")
	hit(ctx)
	require.False(t, hit(ctx), "a glimpse is good for one look")
	require.False(t, hit(answers.WithGlimpse(t.Context())))

	// That of one clinic says nothing of another.
	another := uuid.New()
	keep(t, cache, another, key("b"), answer("1", "contact:1"))
	ctx = answers.WithGlimpse(t.Context())
	ask(ctx)
	write(t, other, another, "contact:1")
	_, outcome := cache.Get(ctx, another, key("b"))
	require.False(t, outcome.Hit)
}
