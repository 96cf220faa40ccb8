package answers_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// TestKey_EveryPartCounts is C1: changing any one part changes the key.
func TestKey_EveryPartCounts(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "a", "b", "ab", "\x00", "\x01a"}), rapid.String())
	parts := rapid.Custom(func(t *rapid.T) answers.KeyParts {
		return answers.KeyParts{
			SchemaHash: text.Draw(t, "schema"), Clinic: uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "clinic")),
			Role:        rapid.SampledFrom(models.AllRole).Draw(t, "role"),
			Permissions: rapid.SliceOfNDistinct(text, 0, 3, rapid.ID[string]).Draw(t, "permissions"), PermissionEpoch: text.Draw(t, "epoch"),
			Subject: text.Draw(t, "subject"), SubjectName: text.Draw(t, "subject's name"), OperationName: text.Draw(t, "operation"), QueryHash: text.Draw(t, "query"),
			Variables: []byte(text.Draw(t, "variables")),
		}
	})
	cases := 0
	for cases < 10_000 {
		rapid.Check(t, func(t *rapid.T) {
			cases++
			one := parts.Draw(t, "one")
			same := one
			same.Permissions = rapid.Permutation(one.Permissions).Draw(t, "order")
			require.Equal(t, one.Key(), same.Key(), "the same parts have the same key")
			other, fresh := one, parts.Draw(t, "other")
			var differs bool
			switch rapid.IntRange(0, 10).Draw(t, "part") {
			case 0:
				other.SchemaHash, differs = fresh.SchemaHash, fresh.SchemaHash != one.SchemaHash
			case 1:
				other.Clinic, differs = fresh.Clinic, fresh.Clinic != one.Clinic
			case 2:
				other.Role, differs = fresh.Role, fresh.Role != one.Role
			case 3:
				other.Permissions, differs = append([]string{"more"}, one.Permissions...), true
			case 4:
				other.PermissionEpoch, differs = fresh.PermissionEpoch, fresh.PermissionEpoch != one.PermissionEpoch
			case 5:
				other.Subject, differs = fresh.Subject, fresh.Subject != one.Subject
			case 6:
				other.OperationName, differs = fresh.OperationName, fresh.OperationName != one.OperationName
			case 7:
				other.QueryHash, differs = fresh.QueryHash, fresh.QueryHash != one.QueryHash
			case 8:
				other.Variables, differs = fresh.Variables, string(fresh.Variables) != string(one.Variables)
			case 9:
				other.SubjectName, differs = fresh.SubjectName, fresh.SubjectName != one.SubjectName
			default: // what moves from one part to the next is another request
				other.OperationName, other.QueryHash = one.OperationName+one.QueryHash, ""
				differs = one.QueryHash != ""
			}
			require.Equal(t, differs, one.Key() != other.Key())
		})
	}
}

func TestValue_ComesBackAsItWasKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.String(), 0, 20)
		entry := &answers.Entry{
			Body: []byte(rapid.String().Draw(t, "body")), ETag: rapid.String().Draw(t, "etag"), Recipe: []byte(rapid.String().Draw(t, "recipe")),
			StoredAt:  time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "stored")),
			ExpiresAt: time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "expires")), Protected: texts.Draw(t, "protected"),
		}
		for _, tag := range texts.Draw(t, "tags") {
			entry.Tags = append(entry.Tags, touched.Tag(tag))
		}
		clinic, k := uuid.New(), key(rapid.Int().Draw(t, "key"))
		value := answers.Encode(clinic, k, entry)
		got, err := answers.Decode(clinic, k, value)
		require.NoError(t, err)
		require.Equal(t, string(entry.Body), string(got.Body))
		require.Equal(t, entry.ETag, got.ETag)
		require.Equal(t, string(entry.Recipe), string(got.Recipe))
		require.Equal(t, entry.StoredAt, got.StoredAt)
		require.Equal(t, entry.ExpiresAt, got.ExpiresAt)
		require.ElementsMatch(t, entry.Tags, got.Tags)
		require.ElementsMatch(t, entry.Protected, got.Protected)

		// Cut off, flipped or added to, it is none.
		at := rapid.IntRange(0, len(value)-1).Draw(t, "at")
		_, err = answers.Decode(clinic, k, value[:at])
		require.Error(t, err)
		flipped := bytes.Clone(value)
		flipped[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		_, err = answers.Decode(clinic, k, flipped)
		require.Error(t, err)
		_, err = answers.Decode(clinic, k, append(bytes.Clone(value), 0))
		require.Error(t, err)
	})
}

func FuzzDecode(f *testing.F) {
	clinic, k := uuid.MustParse("0193aaaa-0000-7000-8000-00000000000a"), key("a")
	f.Add(answers.Encode(clinic, k, &answers.Entry{Body: []byte(`{"a":1}`), Tags: []touched.Tag{"contact:1"}}))
	f.Add([]byte("TMRC\x03"))
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, tried := range [][]byte{value, answers.Seal(value)} {
			entry, err := answers.Decode(clinic, k, tried)
			require.Equal(t, err == nil, entry != nil)
		}
	})
}

// TestValue_OfAnotherOrBrokenIsAMissAndCounted is C2, and what Redis may hold.
func TestValue_OfAnotherOrBrokenIsAMissAndCounted(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	registry := prometheus.NewRegistry()
	cache := newCache(t, answers.Config{RedisURL: server.url(), Metrics: registry})
	clinic, other := uuid.New(), uuid.New()
	require.Equal(t, "mine", keep(t, cache, clinic, key("a"), answer("mine", "contact:1")))
	require.Equal(t, "foreign", keep(t, cache, other, key("a"), answer("foreign", "contact:1")))
	require.Equal(t, "b", keep(t, cache, clinic, key("b"), answer("b", "contact:1")))
	read := func(clinic uuid.UUID, k answers.Key) []byte {
		value, err := server.client.Get(t.Context(), cache.ValueKey(clinic, k)).Bytes()
		require.NoError(t, err)
		return value
	}
	mine := read(clinic, key("a"))
	older := bytes.Clone(mine)
	older[4]++
	broken := map[string][]byte{
		"another clinic's": read(other, key("a")), "another key's": read(clinic, key("b")), "cut off": mine[:len(mine)/2],
		"of another version": older, "a byte": {0}, "poisoned": []byte(`{"data":{"contact":{"name":"Mallory"}}}`),
		"too long": bytes.Repeat([]byte("x"), coherence.MaxValue+1), "damaged": append(bytes.Clone(mine[:len(mine)-9]), mine[len(mine)-8:]...),
	}
	bad := 0
	for name, value := range broken {
		cache.Forget()
		require.NoError(t, server.client.Set(t.Context(), cache.ValueKey(clinic, key("a")), value, time.Hour).Err())
		entry, outcome := cache.Get(t.Context(), clinic, key("a"))
		require.Nil(t, entry, name)
		require.False(t, outcome.Hit, name)
		bad++
		require.InDelta(t, bad, counted(t, registry, "taskmed_respcache_bad_values_total"), 0, name)
	}
	// So is a list where a value should be.
	cache.Forget()
	require.NoError(t, server.client.Del(t.Context(), cache.ValueKey(clinic, key("a"))).Err())
	require.NoError(t, server.client.LPush(t.Context(), cache.ValueKey(clinic, key("a")), "x").Err())
	entry, _ := cache.Get(t.Context(), clinic, key("a"))
	require.Nil(t, entry)
	require.InDelta(t, bad+1, counted(t, registry, "taskmed_respcache_bad_values_total"), 0)
	// An empty one is none.
	require.NoError(t, server.client.Set(t.Context(), cache.ValueKey(clinic, key("a")), "", time.Hour).Err())
	entry, _ = cache.Get(t.Context(), clinic, key("a"))
	require.Nil(t, entry)
	// And the one that belongs there is one.
	require.NoError(t, server.client.Set(t.Context(), cache.ValueKey(clinic, key("a")), mine, time.Hour).Err())
	entry, outcome := cache.Get(t.Context(), clinic, key("a"))
	require.True(t, outcome.Hit)
	require.Equal(t, "redis", outcome.Tier)
	require.Equal(t, "mine", string(entry.Body))
}

// counted is the sum of a counter's series.
func counted(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	var sum float64
	for _, family := range families {
		if family.GetName() == name {
			for _, series := range family.GetMetric() {
				sum += series.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestStore_WhatIsTooLongIsNotKept(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, config answers.Config) {
		t.Helper()
		cache, clinic := newCache(t, config), uuid.New()
		keep(t, cache, clinic, key("open"), answer("x"))
		for size, kept := range map[int]bool{coherence.MaxValue: false, coherence.MaxValue - 200: true} {
			stored, why := cache.Store(t.Context(), clinic, cache.Begin(t.Context(), clinic), key(size), &answers.Entry{
				Body: bytes.Repeat([]byte("x"), size), ExpiresAt: time.Now().Add(time.Hour),
			})
			require.Equal(t, kept, stored, why)
		}
	})
}
