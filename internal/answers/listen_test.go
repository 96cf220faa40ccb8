package answers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/touched"
)

// notify sends what the triggers send.
func notify(t *testing.T, d *testkit.Database, clinic any, token string, tags ...touched.Tag) {
	t.Helper()
	payload := map[string]any{"c": clinic}
	if len(tags) > 0 {
		payload["t"] = tags
	}
	if token != "" {
		payload["k"] = token
	}
	text, err := json.Marshal(payload)
	require.NoError(t, err)
	d.Exec(t, "SELECT pg_notify('taskmed_cache', $1)", string(text))
}

// TestListen_AWriteOutsideTheAPIIsSeenSoon is C8 without the API around it.
func TestListen_AWriteOutsideTheAPIIsSeenSoon(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	for name, config := range map[string]answers.Config{
		"with Redis":    {RedisURL: d.RedisURL, Prefix: prefix(t), ListenURL: d.AppURL},
		"without Redis": {ListenURL: d.AppURL},
	} {
		t.Run(name, func(t *testing.T) {
			caches := []*answers.Cache{newCache(t, config)}
			if config.RedisURL != "" {
				caches = append(caches, newCache(t, config))
			}
			var took []time.Duration
			for n := range 12 {
				// Each in a clinic of its own: the instances raise what they hear one
				// after the other, and a late one would be taken for the next.
				clinic := uuid.New()
				written, tags := any(clinic), []touched.Tag(nil)
				switch n % 3 {
				case 0:
					tags = []touched.Tag{"contact:1"}
				case 1:
					written = nil
				}
				for _, one := range caches {
					keep(t, one, clinic, key("a"), answer("1", "contact:1", "contact/list"))
				}
				notify(t, d, uuid.New(), "", "contact:1")
				notify(t, d, clinic, "", "contact:2")
				for _, one := range caches {
					before := one.Distrusts()
					_, outcome := look(t, one, clinic, key("a"))
					// Where Postgres was lost on the way, everything was given up.
					require.True(t, outcome.Hit || one.Distrusts() != before, "what others write does not matter: %s", outcome.Reason)
				}
				notify(t, d, written, "", tags...)
				committed := time.Now()
				for _, one := range caches {
					require.Eventually(t, func() bool {
						_, outcome := one.Get(t.Context(), clinic, key("a"))
						return !outcome.Hit
					}, 30*time.Second, time.Millisecond)
				}
				took = append(took, time.Since(committed))
			}
			slices.Sort(took)
			t.Logf("seen after %s (median), %s (longest)", took[len(took)/2], took[len(took)-1])
			if testkit.Timed() { // a millisecond, mostly
				require.Less(t, took[len(took)/2], time.Second)
			}
		})
	}
}

func TestListen_WhoeverCouldNotTellRedisHearsItsOwnNotification(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	cache, clinic := newCache(t, answers.Config{ListenURL: d.AppURL}), uuid.New()
	keep(t, cache, clinic, key("a"), answer("1", "contact:1"))
	token := uuid.NewString()
	heard := make(chan error, 1)
	go func() { heard <- cache.AwaitNotified(t.Context(), token) }()
	select {
	case err := <-heard:
		require.Failf(t, "it did not wait", "%v", err)
	case <-time.After(50 * time.Millisecond):
	}
	notify(t, d, clinic, token, "contact:1")
	require.NoError(t, <-heard)
	_, outcome := cache.Get(t.Context(), clinic, key("a"))
	require.False(t, outcome.Hit, "once it is heard it counts")

	// One that arrived before it was asked for.
	early := uuid.NewString()
	notify(t, d, clinic, early, "contact:2")
	require.NoError(t, cache.AwaitNotified(t.Context(), early))
	never, done := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer done()
	require.Error(t, cache.AwaitNotified(never, "never"))
}

// TestListen_LostMakesEverythingKeptWorthless cuts the listening connection and
// writes while nobody listens.
func TestListen_LostMakesEverythingKeptWorthless(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	lose := func(t *testing.T, config answers.Config, without answers.Protections) bool {
		t.Helper()
		cache, clinic := newCacheWithout(t, config, without, nil), uuid.New()
		require.Equal(t, "old", keep(t, cache, clinic, key("a"), answer("old", "contact:1")))
		// Nobody but a superuser may connect again for a moment.
		limit := func(n int) {
			d.Exec(t, fmt.Sprintf("DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I CONNECTION LIMIT %d', current_database()); END $$", n))
		}
		limit(0)
		lost := func() bool {
			d.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'taskmed cache' AND datname = current_database()")
			return !cache.Listening()
		}
		require.Eventually(t, lost, 10*time.Second, 5*time.Millisecond)
		notify(t, d, clinic, "", "contact:1")
		entry, outcome := cache.Get(t.Context(), clinic, key("a"))
		require.Nil(t, entry, "nothing is served while nobody listens")
		require.True(t, outcome.Bypassed)
		require.Equal(t, "Postgres is not heard", outcome.Reason)
		limit(-1)
		entry, _ = look(t, cache, clinic, key("a"))
		return entry != nil
	}
	shared := answers.Config{RedisURL: d.RedisURL, ListenURL: d.AppURL}
	require.True(t, lose(t, shared, answers.Protections{Epoch: true}), "without a new epoch the old value is served")
	require.False(t, lose(t, shared, answers.Protections{}))
	require.False(t, lose(t, answers.Config{ListenURL: d.AppURL}, answers.Protections{}))
}

// TestVouch_AnInstanceThatBeginsTakesOverWhatAnotherVouchesFor is a rolling
// deploy: what is kept in Redis survives while somebody has listened all along.
func TestVouch_AnInstanceThatBeginsTakesOverWhatAnotherVouchesFor(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	config := answers.Config{RedisURL: d.RedisURL, Prefix: prefix(t), ListenURL: d.AppURL}
	first, clinic := newCache(t, config), uuid.New()
	require.Equal(t, "1", keep(t, first, clinic, key("a"), answer("1", "contact:1")))
	require.Eventually(t, func() bool { return first.Vouches(t.Context()) }, 10*time.Second, 5*time.Millisecond)
	elsewhere := config
	elsewhere.ListenURL = testkit.NewDatabase(t).AppURL
	entry, _ := look(t, newCache(t, elsewhere), clinic, key("a"))
	require.Nil(t, entry, "who hears another database is not vouched for")
	// On a busy machine those who vouch may be late, and one who begins goes on
	// alone: then another begins.
	var second *answers.Cache
	tookOver := false
	for range 20 {
		if tookOver {
			break
		}
		// The last one may have begun an epoch, which the first follows.
		require.Eventually(t, func() bool { return first.Follows(t.Context()) }, 30*time.Second, 5*time.Millisecond)
		first.Forget()
		require.Equal(t, "1", keep(t, first, clinic, key("a"), answer("1", "contact:1")))
		second = newCache(t, config)
		_, outcome := look(t, second, clinic, key("a"))
		tookOver = outcome.Tier == "redis"
		if !tookOver {
			second.Close()
		}
	}
	require.True(t, tookOver)

	// What the first did not pass on is nobody's to vouch for.
	write(t, first, clinic, "contact:1")
	_, outcome := look(t, second, clinic, key("a"))
	require.Regexp(t, `^invalidated by contact:1: written \d+m?s ago$`, outcome.Reason)
	require.Equal(t, "2", keep(t, second, clinic, key("a"), answer("2", "contact:1")))

	// Nobody listens for a moment: what was kept before is not looked at, though
	// the last voucher is still there.
	first.Close()
	second.Close()
	third := newCache(t, config)
	entry, _ = look(t, third, clinic, key("a"))
	require.Nil(t, entry)
}

func TestBarrier_WaitsForThoseWhoWereWriting(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	cache, clinic := newCache(t, answers.Config{ListenURL: d.AppURL}), uuid.New()
	conn := d.Connect(t, d.SuperuserURL)
	writing, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = writing.Exec(t.Context(), "SELECT pg_current_xact_id()")
	require.NoError(t, err)
	// Who begins to read while that transaction runs keeps nothing.
	for range 3 {
		entry, outcome, err := cache.Fill(t.Context(), answers.Request{Clinic: clinic, Key: key("a"), Compute: answer("1", "contact:1")})
		require.NoError(t, err)
		require.Equal(t, "1", string(entry.Body), "it is answered all the same")
		require.False(t, outcome.Hit)
	}
	require.NoError(t, writing.Commit(t.Context()))
	require.Equal(t, "2", keep(t, cache, clinic, key("a"), answer("2", "contact:1")))

	// One who only reads holds nothing up.
	reading, err := conn.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	_, err = reading.Exec(t.Context(), "SELECT 1")
	require.NoError(t, err)
	require.NoError(t, coherence.PostgresBarrier(d.AppURL)(t.Context()))
	require.NoError(t, reading.Rollback(t.Context()))
}

func TestShare_AClinicsFloodLeavesTheOthersTheirs(t *testing.T) {
	t.Parallel()
	flood := func(t *testing.T, without answers.Protections) (left int) {
		t.Helper()
		cache := newCacheWithout(t, answers.Config{Bytes: 4 << 20, ClinicBytes: 4 << 20}, without, nil)
		body := string(bytes.Repeat([]byte("x"), 8<<10))
		var quiet []uuid.UUID
		for range 20 {
			clinic := uuid.New()
			quiet = append(quiet, clinic)
			for i := range 5 {
				keep(t, cache, clinic, key(i), answer(body, "a"))
			}
		}
		loud := uuid.New()
		keep(t, cache, loud, key("first"), answer(body, "a"))
		for i := range 3000 {
			_, _, err := cache.Fill(t.Context(), answers.Request{Clinic: loud, Key: key(i), Compute: answer(body, "a")})
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool {
			cache.ClinicBytes(loud)
			return cache.ProcessBytes() <= 4<<20
		}, 10*time.Second, time.Millisecond)
		for _, clinic := range quiet {
			for i := range 5 {
				if _, outcome := cache.Get(t.Context(), clinic, key(i)); outcome.Hit {
					left++
				}
			}
		}
		return left
	}
	noticed := false
	for n := 0; n < 10 && !noticed; n++ { // Who gives way is drawn by lot, too.
		noticed = flood(t, answers.Protections{Share: true}) < 100
	}
	require.True(t, noticed, "the test must notice when any clinic gives way")
	require.Equal(t, 100, flood(t, answers.Protections{}))
}

func TestClose_LeavesNothingRunning(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	cache := newCache(t, answers.Config{RedisURL: d.RedisURL, ListenURL: d.AppURL})
	keep(t, cache, uuid.New(), key("a"), answer("1", "contact:1"))
	mine := fmt.Sprintf("(%p", cache.Trust())
	running := func() bool {
		stacks := make([]byte, 4<<20)
		return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("trust.(*Trust).supervise"+mine))
	}
	require.True(t, running(), "the look at goroutines finds them")
	cache.Close()
	require.False(t, running())
	_, outcome := cache.Get(t.Context(), uuid.New(), key("a"))
	require.Equal(t, "the cache is closed", outcome.Reason)
	require.Error(t, func() error { _, err := cache.Raise(t.Context(), uuid.New(), []touched.Tag{"a"}); return err }())
}
