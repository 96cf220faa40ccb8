package trust_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/internal/trust"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// newTrust is an instance over a Redis and a database, which it may not trust yet.
func newTrust(t *testing.T, redisURL, listenURL string, seams trust.Seams) *trust.Trust {
	t.Helper()
	options, err := coherence.Options(redisURL, 10*time.Second)
	require.NoError(t, err)
	made, err := trust.New(trust.Config{
		Redis: options, Prefix: "test", ListenURL: listenURL, LongestRequest: time.Minute,
		Keep: func(coherence.Journal) any { return nil }, Log: slog.New(slog.DiscardHandler), Seams: seams,
	})
	require.NoError(t, err)
	t.Cleanup(made.Close)
	return made
}

// generation waits until something is trusted, and gives it.
func generation(t *testing.T, of *trust.Trust) (trusted *trust.Generation) {
	t.Helper()
	require.Eventually(t, func() bool {
		trusted = of.Trusted()
		return trusted != nil
	}, 30*time.Second, time.Millisecond, "%s", of.Why())
	return trusted
}

// TestListener_LostEndsTheGeneration cuts the listening connection.
func TestListener_LostEndsTheGeneration(t *testing.T) {
	t.Parallel()
	lose := func(t *testing.T, seams trust.Seams) (before, after uint64) {
		t.Helper()
		d := testkit.NewDatabase(t)
		one := newTrust(t, testkit.NewRedis(t).URL, d.AppURL, seams)
		kept := generation(t, one)
		limit := func(n int) {
			d.Exec(t, fmt.Sprintf("DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I CONNECTION LIMIT %d', current_database()); END $$", n))
		}
		limit(0)
		require.Eventually(t, func() bool {
			d.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'taskmed cache' AND datname = current_database()")
			return one.Trusted() == nil && one.Latest() == nil
		}, 20*time.Second, 5*time.Millisecond)
		require.Equal(t, "Postgres is not heard", one.Why())
		limit(-1)
		again := generation(t, one)
		require.NotSame(t, kept, again)
		return kept.Epoch(), again.Epoch()
	}
	before, after := lose(t, trust.Seams{})
	require.Greater(t, after, before, "what was kept in Redis is not looked at any more")
	before, after = lose(t, trust.Seams{WithoutEpoch: true})
	require.Equal(t, before, after, "the control")
}

// TestVouch_WhoBeginsTakesTheEpochOver is a rolling deploy.
func TestVouch_WhoBeginsTakesTheEpochOver(t *testing.T) {
	t.Parallel()
	d, server := testkit.NewDatabase(t), testkit.NewRedis(t)
	first := newTrust(t, server.URL, d.AppURL, trust.Seams{})
	generation(t, first)
	tookOver := false
	for n := 0; n < 20 && !tookOver; n++ { // On a busy machine who vouches may be late.
		var epoch uint64
		require.Eventually(t, func() bool {
			g := first.Trusted()
			if g == nil {
				return false
			}
			epoch = g.Epoch()
			return first.Probe().Vouches(t.Context()) == epoch
		}, 30*time.Second, time.Millisecond)
		second := newTrust(t, server.URL, d.AppURL, trust.Seams{})
		tookOver = generation(t, second).Epoch() == epoch
		second.Close()
	}
	require.True(t, tookOver)
	// Who hears another run of Postgres, or another database, is not vouched for: what
	// is his stands elsewhere.
	mine, other := generation(t, first), generation(t, newTrust(t, server.URL, testkit.NewDatabase(t).AppURL, trust.Seams{}))
	require.NotEqual(t, mine.Shared.Database(), other.Shared.Database())
	require.NotEqual(t, mine.Shared.RunKey("epoch"), other.Shared.RunKey("epoch"))
	first.Close()
	// Nobody is left who has heard everything.
	require.Greater(t, generation(t, newTrust(t, server.URL, d.AppURL, trust.Seams{})).Epoch(), mine.Epoch())
}

// TestAgree_WhoHasAnotherRedisTrustsNothing gives two instances a Redis each.
func TestAgree_WhoHasAnotherRedisTrustsNothing(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	first := newTrust(t, testkit.NewRedis(t).URL, d.AppURL, trust.Seams{})
	generation(t, first)
	second := newTrust(t, testkit.NewRedis(t).URL, d.AppURL, trust.Seams{})
	require.Eventually(t, func() bool {
		require.Nil(t, second.Trusted())
		return second.Why() == "redis is not the one that other instances use"
	}, 20*time.Second, time.Millisecond)
	require.Nil(t, second.AwaitJournal(t.Context()), "its writers tell nobody by it")
	generation(t, first)
	careless := newTrust(t, testkit.NewRedis(t).URL, d.AppURL, trust.Seams{WithoutAgree: true})
	generation(t, careless)
	careless.Close()
	first.Close()
	generation(t, second)
}

// TestAside_OthersTrustNothingWhileSomebodyWritesWhoCannotTell announces over
// Postgres, and ends it.
func TestAside_OthersTrustNothingWhileSomebodyWritesWhoCannotTell(t *testing.T) {
	t.Parallel()
	d, server := testkit.NewDatabase(t), testkit.NewRedis(t)
	writes, reads := newTrust(t, server.URL, d.AppURL, trust.Seams{}), newTrust(t, server.URL, d.AppURL, trust.Seams{})
	generation(t, writes)
	generation(t, reads)
	raised, end := writes.StandAside(t.Context(), func(context.Context) error { return errors.New("out of reach") })
	require.False(t, raised)
	require.Nil(t, reads.Trusted(), "all stand aside by the time that the writer may commit")
	require.True(t, writes.Probe().Announces())
	end(0)
	writes.Told()
	require.Eventually(t, func() bool { return !writes.Probe().Announces() }, 20*time.Second, time.Millisecond)
	generation(t, reads)

	// Who can tell after all makes nobody wait.
	raised, end = writes.StandAside(t.Context(), func(context.Context) error {
		writes.Told()
		return nil
	})
	require.True(t, raised)
	require.Nil(t, end)
	require.False(t, writes.Probe().Announces())
	generation(t, reads)
}

// TestHeard_AWriteCountsBeforeItIsOver hears of a write and of its announcer's end
// in one breath.
func TestHeard_AWriteCountsBeforeItIsOver(t *testing.T) {
	t.Parallel()
	one := newTrust(t, testkit.NewRedis(t).URL, "", trust.Seams{})
	g, clinic := generation(t, one), uuid.New()
	before, _, err := g.Journal.Begin(t.Context(), clinic, g.Epoch(), coherence.Key{})
	require.NoError(t, err)
	one.Probe().HearAside(t.Context(), "x", false, clinic)
	require.Nil(t, one.Trusted())
	one.Probe().HearAside(t.Context(), "y", true, clinic)
	require.Nil(t, one.Trusted(), "another's end")
	one.Probe().HearAside(t.Context(), "x", true, clinic, "contact:1", touched.Tag("membership/subject=ana"))
	require.Same(t, g, one.Trusted())
	for _, raised := range []uuid.UUID{clinic, uuid.Nil} { // sessions as well
		at, err := g.Journal.Head(t.Context(), raised)
		require.NoError(t, err)
		require.NotZero(t, at)
	}
	at, err := g.Journal.Head(t.Context(), clinic)
	require.NoError(t, err)
	require.Equal(t, before.Seq+1, at)
}
