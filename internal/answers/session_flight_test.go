package answers_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// rushOf is n requests at once for one session, whose first loading does not end
// before all of them have come. It gives how many loaded.
func rushOf(t *testing.T, cache *answers.Cache, k answers.Key, n int, fails error) int {
	t.Helper()
	var ran atomic.Int32
	var group sync.WaitGroup
	all := make(chan struct{})
	for range n {
		group.Go(func() {
			value, err := cache.Sessions.Get(t.Context(), answers.SessionRequest{Key: k, Load: func(ctx context.Context) (*answers.Session, error) {
				ran.Add(1)
				<-all
				if fails != nil {
					return nil, fails
				}
				return session("ana", 10, "membership/subject=ana")(ctx)
			}})
			if fails == nil && (err != nil || value != "ana") || fails != nil && err == nil {
				t.Errorf("%v, %v", value, err)
			}
		})
	}
	aboard(t, cache, uuid.Nil, k, n)
	close(all)
	group.Wait()
	require.Zero(t, cache.Aboard(uuid.Nil, k), "nobody is left waiting")
	return int(ran.Load())
}

func TestSession_OneOfManyLoads(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, config answers.Config) {
		t.Helper()
		cache := newCache(t, config)
		for range 3 {
			require.LessOrEqual(t, rushOf(t, cache, key("ana"), 500, nil), 2)
			write(t, cache, uuid.New(), "membership/subject=ana")
		}
		_, err := cache.Raise(t.Context(), uuid.New(), []touched.Tag{"membership/subject=ana"})
		require.NoError(t, err)
		require.LessOrEqual(t, rushOf(t, cache, key("fenced"), 500, nil), 2, "a session that is being written")
		require.Equal(t, 20, rushOf(t, cache, key("none"), 20, models.ErrNotFound), "a failure is nobody else's")
	})
}

// TestSession_WhoComesAfterTheReadingBeganIsNotGivenIt revokes between a load's
// reading and the next one's coming.
func TestSession_WhoComesAfterTheReadingBeganIsNotGivenIt(t *testing.T) {
	t.Parallel()
	late := func(t *testing.T, config answers.Config, without answers.Protections) any {
		t.Helper()
		cache := newCacheWithout(t, config, without, nil)
		var revoked atomic.Bool
		reads, on := make(chan struct{}, 3), make(chan struct{})
		request := answers.SessionRequest{Key: key("ana"), Load: func(ctx context.Context) (*answers.Session, error) {
			value := "owner"
			if revoked.Load() {
				value = "revoked"
			}
			reads <- struct{}{}
			<-on
			return session(value, 10, "membership/subject=ana")(ctx)
		}}
		var second any
		var group sync.WaitGroup
		group.Go(func() { _, _ = cache.Sessions.Get(t.Context(), request) })
		<-reads
		settle, err := cache.Raise(t.Context(), uuid.New(), []touched.Tag{"membership/subject=ana"})
		require.NoError(t, err)
		revoked.Store(true)
		settle(t.Context(), touched.Committed)
		group.Go(func() { second, _ = cache.Sessions.Get(t.Context(), request) })
		aboard(t, cache, uuid.Nil, key("ana"), 2)
		close(on)
		group.Wait()
		return second
	}
	everywhere(t, func(t *testing.T, config answers.Config) {
		t.Helper()
		require.Equal(t, "owner", late(t, config, answers.Protections{Late: true}), "the test must notice what comes too late")
		require.Equal(t, "revoked", late(t, config, answers.Protections{}))
	})
}
