package answers_test

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

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/touched"
)

// atScripts calls a function before each script that is sent to Redis, and sends
// none for which it gives an error.
type atScripts func() error

var _ redis.Hook = atScripts(nil)

func (at atScripts) DialHook(next redis.DialHook) redis.DialHook { return next }

func (at atScripts) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if strings.HasPrefix(command.Name(), "eval") {
			if err := at(); err != nil {
				command.SetErr(err)
				return err
			}
		}
		return next(ctx, command)
	}
}

func (at atScripts) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A writer that fails to tell Redis once, and then does, makes nobody stand aside
// after it; one that never could does.
func TestAside_AHiccupOfRedisIsSoonOver(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	var left atomic.Int64 // scripts that fail
	failing := atScripts(func() error {
		if left.Add(-1) >= 0 {
			return errors.New("i/o timeout")
		}
		return nil
	})
	c := newCache(t, answers.Config{RedisURL: d.RedisURL, ListenURL: d.AppURL, Prefix: prefix(t), Hook: failing, RedisTimeout: 5 * time.Second})
	ready(t, c)

	left.Store(1)
	settle, err := c.Raise(t.Context(), uuid.New(), []touched.Tag{"contact/list"})
	require.NoError(t, err)
	require.Negative(t, left.Load(), "it failed once, and was tried again")
	require.False(t, c.Announces())
	settle(t.Context(), touched.Committed)

	left.Store(1 << 30)
	settle, err = c.Raise(t.Context(), uuid.New(), []touched.Tag{"contact/list"})
	require.Error(t, err)
	require.True(t, c.Announces())
	settle(t.Context(), touched.Committed)
}
