package answers_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/touched"
)

// TestAside_IsNotOverBeforeWhatWasWrittenIsRaised has a hearer stand still between
// hearing of a write and raising it; that it is over was heard in the same breath.
func TestAside_IsNotOverBeforeWhatWasWrittenIsRaised(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	servedOld := func(t *testing.T, without answers.Protections) bool {
		t.Helper()
		came, open := make(chan struct{}), make(chan struct{})
		var shut atomic.Bool
		gate := atScripts(func() error {
			if shut.Swap(false) {
				close(came)
				<-open
			}
			return nil
		})
		cache, clinic := newCacheWithout(t, answers.Config{RedisURL: d.RedisURL, Hook: gate}, without, nil), uuid.New()
		require.Equal(t, "old", keep(t, cache, clinic, key("a"), answer("old", "contact:1")))
		cache.Heard(t.Context(), "x", false, clinic)
		_, outcome := cache.Get(t.Context(), clinic, key("a"))
		require.True(t, outcome.Bypassed)
		// The write is committed, and notified.
		shut.Store(true)
		var group sync.WaitGroup
		group.Go(func() { cache.Heard(t.Context(), "x", true, clinic, "contact:1") })
		<-came
		_, outcome = cache.Get(t.Context(), clinic, key("a"))
		close(open)
		group.Wait()
		_, after := cache.Get(t.Context(), clinic, key("a"))
		require.False(t, after.Hit)
		require.False(t, after.Bypassed, "it is over")
		return outcome.Hit
	}
	require.True(t, servedOld(t, answers.Protections{Hasty: true}), "the test must notice who does not wait")
	require.False(t, servedOld(t, answers.Protections{}))
}

// TestAside_IsOverForTheOneAnnouncerAlone has two who write without Redis.
func TestAside_IsOverForTheOneAnnouncerAlone(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	served := func(t *testing.T, without answers.Protections, others string) bool {
		t.Helper()
		cache, clinic := newCacheWithout(t, answers.Config{RedisURL: d.RedisURL}, without, nil), uuid.New()
		require.Equal(t, "old", keep(t, cache, clinic, key("a"), answer("old", "contact:1")))
		hit := func() bool {
			_, outcome := cache.Get(t.Context(), clinic, key("a"))
			return outcome.Hit
		}
		cache.Heard(t.Context(), others, false, clinic)
		cache.Heard(t.Context(), "x", false, clinic)
		cache.Heard(t.Context(), "x", true, clinic)
		before := hit()
		cache.Heard(t.Context(), others, true, clinic)
		if others == "" {
			require.Equal(t, before, hit(), "who is not known cannot end it")
			require.Eventually(t, hit, 20*time.Second, time.Millisecond, "it passes")
		} else {
			require.True(t, hit())
		}
		return before
	}
	for _, others := range []string{"y", ""} { // nameless: found by the lock alone
		require.True(t, served(t, answers.Protections{Hasty: true}, others), "the test must notice who confuses them")
		require.False(t, served(t, answers.Protections{}, others))
	}
}

// TestAside_IsOverOnceRedisIsReachedAgainAndAllHaveEnded cuts a writer off and
// lets it reach Redis again.
func TestAside_IsOverOnceRedisIsReachedAgainAndAllHaveEnded(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	server := newRedis(t)
	way := newWire(t, server.addr())
	config := answers.Config{RedisURL: way.url(), Prefix: prefix(t), ListenURL: d.AppURL}
	writes := newCache(t, config)
	config.RedisURL = server.url()
	reads, clinic := newCache(t, config), uuid.New()

	// cutOff writes aside, ends so and gives how long after the others serve again.
	cutOff := func(outcome touched.Outcome) func() time.Duration {
		ready(t, writes)
		require.Equal(t, "old", keep(t, reads, clinic, key("a"), answer("old", "contact:1")))
		way.cut()
		settle, err := writes.Raise(t.Context(), clinic, []touched.Tag{"contact:1"})
		require.Error(t, err)
		token := uuid.NewString()
		notify(t, d, clinic, token, "contact:1")
		settle(t.Context(), outcome)
		way.heal()
		ended := time.Now()
		require.Eventually(t, func() bool {
			settle, err := writes.Raise(t.Context(), uuid.New(), []touched.Tag{"contact:1"})
			settle(t.Context(), touched.RolledBack)
			return err == nil
		}, 20*time.Second, time.Millisecond)
		return func() time.Duration {
			require.Equal(t, "new", keep(t, reads, clinic, key("a"), answer("new", "contact:1")))
			took := time.Since(ended)
			write(t, writes, clinic, "contact:1")
			return took
		}
	}
	// By time alone it stands for longer than two seconds after the last write.
	soon := false
	for n := 0; n < 5 && !soon; n++ { // the machine may be busy
		took := cutOff(touched.Committed)()
		t.Logf("served again %s after the write", took.Round(time.Millisecond))
		soon = took < 2*time.Second
	}
	require.True(t, soon)

	// A write that may yet be committed is not over.
	cutOff(touched.Unknown)
	require.Never(t, func() bool { return !writes.Announces() }, 2*time.Second, 10*time.Millisecond)
}
