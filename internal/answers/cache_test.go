package answers_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/touched"
)

// everywhere runs a test with Redis and without.
func everywhere(t *testing.T, test func(t *testing.T, config answers.Config)) {
	t.Helper()
	d := testkit.NewDatabase(t)
	t.Run("with Redis", func(t *testing.T) {
		t.Parallel()
		test(t, answers.Config{RedisURL: d.RedisURL, Prefix: prefix(t)})
	})
	t.Run("without Redis", func(t *testing.T) {
		t.Parallel()
		test(t, answers.Config{})
	})
}

func TestFill_KeepsAnAnswerUntilOneOfItsTagsIsWritten(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, config answers.Config) {
		t.Helper()
		cache, clinic := newCache(t, config), uuid.New()
		day, other := key("day"), key("other")
		require.Equal(t, "1", keep(t, cache, clinic, day, answer("1", "appointment/day=2026-11-22", "contact:1")))
		require.Equal(t, "o", keep(t, cache, clinic, other, answer("o", "appointment/day=2026-11-23")))

		settle, err := cache.Raise(coherence.WithWriter(t.Context(), "createAppointment"), clinic, []touched.Tag{"appointment/day=2026-11-22"})
		require.NoError(t, err)
		_, outcome := cache.Get(t.Context(), clinic, day)
		require.False(t, outcome.Hit, "from the raise on")
		require.Regexp(t, `^invalidated by appointment/day=2026-11-22: written by createAppointment \d+m?s ago$`, outcome.Reason)
		_, outcome = cache.Get(t.Context(), clinic, other)
		require.True(t, outcome.Hit, "another day stays")

		entry, outcome, err := cache.Fill(t.Context(), answers.Request{Clinic: clinic, Key: day, Compute: answer("between", "appointment/day=2026-11-22")})
		require.NoError(t, err)
		require.Equal(t, "between", string(entry.Body))
		require.False(t, outcome.Hit)
		_, outcome = cache.Get(t.Context(), clinic, day)
		require.False(t, outcome.Hit, "nothing is stored while it is being written")

		settle(t.Context(), touched.Committed)
		require.Equal(t, "2", keep(t, cache, clinic, day, answer("2", "appointment/day=2026-11-22")))
		write(t, cache, clinic, touched.Everything)
		for _, k := range []answers.Key{day, other} {
			_, outcome = cache.Get(t.Context(), clinic, k)
			require.False(t, outcome.Hit)
			require.Contains(t, outcome.Reason, "a write to the whole clinic")
		}
	})
}

func TestStore_RefusesWhatWasReadBeforeAWriteThatEndedBeforeIt(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, config answers.Config) {
		t.Helper()
		cache, clinic := newCache(t, config), uuid.New()
		keep(t, cache, clinic, key("open"), answer("", "open"))
		expires := time.Now().Add(time.Hour)

		ticket := cache.Begin(t.Context(), clinic)
		write(t, cache, clinic, "contact:1")
		stored, why := cache.Store(t.Context(), clinic, ticket, key("a"), &answers.Entry{Body: []byte("old"), Tags: []touched.Tag{"contact:1"}, ExpiresAt: expires})
		require.False(t, stored)
		require.Equal(t, "changed meanwhile: contact:1", why)
		stored, _ = cache.Store(t.Context(), clinic, ticket, key("b"), &answers.Entry{Body: []byte("b"), Tags: []touched.Tag{"contact:2"}, ExpiresAt: expires})
		require.True(t, stored, "what it read did not change")

		// A writer who dies after its raise leaves its fence: whoever begins then
		// may still read from before the commit.
		_, err := cache.Raise(t.Context(), clinic, []touched.Tag{"contact:1"})
		require.NoError(t, err)
		ticket = cache.Begin(t.Context(), clinic)
		stored, why = cache.Store(t.Context(), clinic, ticket, key("a"), &answers.Entry{Tags: []touched.Tag{"contact:1"}, ExpiresAt: expires})
		require.False(t, stored)
		require.Equal(t, "fenced meanwhile: contact:1", why)

		// One whose write was rolled back takes it off.
		settle, err := cache.Raise(t.Context(), clinic, []touched.Tag{"contact:3"})
		require.NoError(t, err)
		settle(t.Context(), touched.RolledBack)
		ticket = cache.Begin(t.Context(), clinic)
		stored, why = cache.Store(t.Context(), clinic, ticket, key("c"), &answers.Entry{Tags: []touched.Tag{"contact:3"}, ExpiresAt: expires})
		require.True(t, stored, why)

		// One whose outcome is unknown leaves it.
		settle, err = cache.Raise(t.Context(), clinic, []touched.Tag{"contact:4"})
		require.NoError(t, err)
		settle(t.Context(), touched.Unknown)
		ticket = cache.Begin(t.Context(), clinic)
		stored, _ = cache.Store(t.Context(), clinic, ticket, key("d"), &answers.Entry{Tags: []touched.Tag{"contact:4"}, ExpiresAt: expires})
		require.False(t, stored)
	})
}

func TestStore_RefusesAReaderWhoTookLongerThanTheFencesStand(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, config answers.Config) {
		t.Helper()
		config.LongestRequest = 100 * time.Millisecond
		cache, clinic := newCache(t, config), uuid.New()
		keep(t, cache, clinic, key("open"), answer("", "open"))
		ticket := cache.Begin(t.Context(), clinic)
		require.Eventually(t, func() bool {
			stored, why := cache.Store(t.Context(), clinic, ticket, key("a"), &answers.Entry{ExpiresAt: time.Now().Add(time.Hour)})
			return !stored && why == "late"
		}, 10*time.Second, 5*time.Millisecond)
		require.Eventually(t, func() bool {
			stored, _ := cache.Store(t.Context(), clinic, cache.Begin(t.Context(), clinic), key("a"), &answers.Entry{ExpiresAt: time.Now().Add(time.Hour)})
			return stored
		}, 30*time.Second, time.Millisecond, "who is quick enough may")
	})
}

func TestGet_WhatHasExpiredIsNoHit(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, config answers.Config) {
		t.Helper()
		cache, clinic := newCache(t, config), uuid.New()
		keep(t, cache, clinic, key("short"), func(context.Context) (*answers.Entry, error) {
			return &answers.Entry{Body: []byte("1"), ExpiresAt: time.Now().Add(300 * time.Millisecond)}, nil
		})
		require.Eventually(t, func() bool {
			_, outcome := cache.Get(t.Context(), clinic, key("short"))
			return !outcome.Hit && (outcome.Reason == "expired" || outcome.Reason == "first seen")
		}, 10*time.Second, 5*time.Millisecond)
	})
}
