package gqlserver

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func timed(parent context.Context, limit time.Duration) *deadline {
	return &deadline{Context: parent, at: time.Now().Add(limit)}
}

func TestDeadline_IsLikeWithTimeout(t *testing.T) {
	t.Parallel()
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		outer, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "here"))
		defer cancel()
		lazy := timed(outer, time.Second)
		defer lazy.end()
		plain, stop := context.WithTimeout(outer, time.Second)
		defer stop()
		wanted, _ := plain.Deadline()
		at, ok := lazy.Deadline()
		require.True(t, ok)
		assert.Equal(t, wanted, at)
		assert.Equal(t, "here", lazy.Value(key{}))
		require.NoError(t, lazy.Err())
		select {
		case <-lazy.Done():
			require.Fail(t, "it is over before its time")
		default:
		}
		assert.Equal(t, "here", lazy.Value(key{}), "with its timer")
		<-lazy.Done()
		<-plain.Done()
		assert.Equal(t, plain.Err(), lazy.Err())
		assert.Equal(t, wanted, time.Now())
	})
}

func TestDeadline_EndsThoughNobodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		late := timed(t.Context(), time.Second)
		<-time.After(time.Second)
		require.ErrorIs(t, late.Err(), context.DeadlineExceeded)
		<-late.Done()

		over := timed(t.Context(), time.Second)
		over.end()
		require.ErrorIs(t, over.Err(), context.Canceled)
		<-over.Done()

		outer, cancel := context.WithCancel(t.Context())
		inner := timed(outer, time.Second)
		cancel()
		require.ErrorIs(t, inner.Err(), context.Canceled)
		<-inner.Done()

		sooner, stop := context.WithTimeout(t.Context(), time.Millisecond)
		defer stop()
		at, _ := timed(sooner, time.Second).Deadline()
		wanted, _ := sooner.Deadline()
		assert.Equal(t, wanted, at)
	})
}

// A context from a stranger is watched by a goroutine each; one from this is not.
func TestDeadline_ItsChildrenTakeNoGoroutine(t *testing.T) { //nolint:paralleltest // it counts goroutines
	parent := timed(t.Context(), time.Minute)
	before := runtime.NumGoroutine()
	for range 100 {
		child, cancel := context.WithCancel(parent)
		defer cancel()
		require.NoError(t, child.Err())
	}
	assert.Less(t, runtime.NumGoroutine(), before+50)
	child, cancel := context.WithCancel(parent)
	defer cancel()
	parent.end()
	<-child.Done()
	require.ErrorIs(t, child.Err(), context.Canceled)
}
