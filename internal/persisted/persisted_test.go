package persisted_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/persisted"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

func codeOf(t *testing.T, err error) models.Code {
	t.Helper()
	var known *models.Error
	require.ErrorAs(t, err, &known)
	return known.Code
}

func newRedis(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func newTexts(t *testing.T, url string) (*persisted.Texts, *prometheus.Registry) {
	t.Helper()
	shared, err := persisted.OpenRedis(url, 5*time.Second)
	require.NoError(t, err)
	t.Cleanup(func() { _ = shared.Close() })
	metrics := prometheus.NewRegistry()
	texts, err := persisted.NewTexts(persisted.TextsConfig{Shared: shared, TTL: time.Hour, Metrics: metrics})
	require.NoError(t, err)
	return texts, metrics
}

// unique is a text that no other test keeps in the Redis they share.
func unique() string { return "{ __typename } # " + uuid.NewString() }

func TestTexts_AreSharedThroughRedis(t *testing.T) {
	t.Parallel()
	url := testkit.NewDatabase(t).RedisURL
	client := newRedis(t, url)
	one, _ := newTexts(t, url)
	other, metrics := newTexts(t, url)
	text := unique()
	hash := persisted.Hash(text)

	_, ok := other.Find(t.Context(), hash)
	require.False(t, ok)
	one.Keep(t.Context(), hash, text)
	require.Equal(t, time.Hour, client.TTL(t.Context(), "tm:apq:"+hash).Val().Round(time.Minute))

	require.NoError(t, client.Expire(t.Context(), "tm:apq:"+hash, time.Minute).Err())
	got, ok := other.Find(t.Context(), hash)
	require.True(t, ok)
	require.Equal(t, text, got)
	require.Equal(t, time.Hour, client.TTL(t.Context(), "tm:apq:"+hash).Val().Round(time.Minute), "what is used lives on")

	require.NoError(t, client.Del(t.Context(), "tm:apq:"+hash).Err())
	_, ok = other.Find(t.Context(), hash)
	require.True(t, ok, "it is in the process now")
	require.Equal(t, map[string]float64{"not_found": 1, "process": 1, "shared": 1}, outcomes(t, metrics))
}

// outcomes are what was counted.
func outcomes(t *testing.T, metrics *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := metrics.Gather()
	require.NoError(t, err)
	counted := map[string]float64{}
	for _, family := range families {
		require.Equal(t, "taskmed_persisted_queries_total", family.GetName())
		for _, metric := range family.GetMetric() {
			counted[metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
		}
	}
	return counted
}

func TestTexts_AreHashedOnTheWayInAndOut(t *testing.T) {
	t.Parallel()
	url := testkit.NewDatabase(t).RedisURL
	client := newRedis(t, url)
	texts, metrics := newTexts(t, url)
	text := unique()
	hash := persisted.Hash(text)

	texts.Keep(t.Context(), hash, "{ another }")
	texts.Keep(t.Context(), persisted.Hash(strings.Repeat("x", persisted.LongestText+1)), strings.Repeat("x", persisted.LongestText+1))
	require.Zero(t, client.Exists(t.Context(), "tm:apq:"+hash).Val())
	for _, poison := range []string{"{ another }", text + "\x00", text[1:], strings.Repeat("x", 1<<20)} {
		require.NoError(t, client.Set(t.Context(), "tm:apq:"+hash, poison, time.Hour).Err())
		_, ok := texts.Find(t.Context(), hash)
		require.False(t, ok)
	}
	require.NoError(t, client.Del(t.Context(), "tm:apq:"+hash).Err())
	require.NoError(t, client.LPush(t.Context(), "tm:apq:"+hash, text).Err()) // of another type altogether
	_, ok := texts.Find(t.Context(), hash)
	require.False(t, ok)

	require.NoError(t, client.Set(t.Context(), "tm:apq:"+hash, text, time.Hour).Err())
	_, ok = texts.Find(t.Context(), hash)
	require.True(t, ok)
	require.Equal(t, map[string]float64{"poisoned": 4, "unreachable": 1, "shared": 1}, outcomes(t, metrics))
}

func TestTexts_AreBoundedInTheProcess(t *testing.T) {
	t.Parallel()
	texts, err := persisted.NewTexts(persisted.TextsConfig{Bytes: 64 << 10})
	require.NoError(t, err)
	hashes := make([]string, 1000)
	for i := range hashes {
		text := unique() + strings.Repeat("x", 1000)
		hashes[i] = persisted.Hash(text)
		texts.Keep(t.Context(), hashes[i], text)
	}
	kept := func() (n int) {
		for _, hash := range hashes {
			if _, ok := texts.Find(t.Context(), hash); ok {
				n++
			}
		}
		return n
	}
	// Eviction is not at once.
	require.Eventually(t, func() bool { return kept() <= 64 }, 10*time.Second, 10*time.Millisecond)
	require.Positive(t, kept())
}

func TestTexts_GoOnWithoutRedis(t *testing.T) {
	t.Parallel()
	texts, metrics := newTexts(t, "redis://127.0.0.1:1")
	text := unique()
	_, ok := texts.Find(t.Context(), persisted.Hash(text))
	require.False(t, ok)
	texts.Keep(t.Context(), persisted.Hash(text), text)
	_, ok = texts.Find(t.Context(), persisted.Hash(text))
	require.True(t, ok)
	require.Equal(t, map[string]float64{"unreachable": 2, "kept": 1, "process": 1}, outcomes(t, metrics))
}

func TestOpenRedis_DoesNotRepeatThePassword(t *testing.T) {
	t.Parallel()
	_, err := persisted.OpenRedis("redis://:hunter2@[", time.Second)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}
