package respcache_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/cachetag"
	"github.com/taskmed/taskmed/internal/respcache"
	"github.com/taskmed/taskmed/internal/testkit"
)

// hiccup lets scripts fail so many times.
type hiccup struct{ left atomic.Int64 }

var _ redis.Hook = (*hiccup)(nil)

func (h *hiccup) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *hiccup) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if strings.HasPrefix(command.Name(), "eval") && h.left.Add(-1) >= 0 {
			err := errors.New("i/o timeout")
			command.SetErr(err)
			return err
		}
		return next(ctx, command)
	}
}

func (h *hiccup) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A writer that fails to tell Redis once, and then does, makes nobody stand aside
// after it; one that never could does.
func TestAside_AHiccupOfRedisIsSoonOver(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	var failing hiccup
	c := newCache(t, respcache.Config{RedisURL: d.RedisURL, ListenURL: d.AppURL, Prefix: prefix(t), Hook: &failing, RedisTimeout: 5 * time.Second})
	ready(t, c)

	failing.left.Store(1)
	settle, err := c.Raise(t.Context(), uuid.New(), []cachetag.Tag{"contact/list"})
	require.NoError(t, err)
	require.Negative(t, failing.left.Load(), "it failed once, and was tried again")
	require.False(t, c.Announces())
	settle(t.Context(), cachetag.Committed)

	failing.left.Store(1 << 30)
	settle, err = c.Raise(t.Context(), uuid.New(), []cachetag.Tag{"contact/list"})
	require.Error(t, err)
	require.True(t, c.Announces())
	settle(t.Context(), cachetag.Committed)
}
