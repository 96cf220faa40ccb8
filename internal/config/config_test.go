package config_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/config"
)

func environment(changes map[string]string) map[string]string {
	environ := map[string]string{
		"DATABASE_URL":         "postgres://taskmed_app:secret@127.0.0.1/taskmed",
		"TASKMED_SECRET":       strings.Repeat("ab", 32),
		"TASKMED_JWKS_URL":     "https://idp.example/jwks.json",
		"TASKMED_JWT_ISSUER":   "https://idp.example",
		"TASKMED_JWT_AUDIENCE": "taskmed",
	}
	maps.Copy(environ, changes)
	return environ
}

func TestFromEnv_TakesAWholeEnvironment(t *testing.T) {
	t.Parallel()
	c, err := config.FromEnv(environment(map[string]string{"TASKMED_COST_LIMIT": "7"}))
	require.NoError(t, err)
	require.Equal(t, 7, c.CostLimit)
	require.Equal(t, "127.0.0.1:8080", c.Addr)
}

func TestFromEnv_NamesEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	_, err := config.FromEnv(environment(map[string]string{
		"DATABASE_URL": "", "TASKMED_SECRET": "short", "TASKMED_ADDR": "nowhere", "TASKMED_DEPTH_LIMIT": "0", "TASKMED_JWT_ISSUER": "",
	}))
	for _, variable := range []string{"DATABASE_URL", "TASKMED_SECRET", "TASKMED_ADDR", "TASKMED_DEPTH_LIMIT", "TASKMED_JWT_ISSUER"} {
		require.ErrorContains(t, err, variable)
	}
	_, err = config.FromEnv(environment(map[string]string{"TASKMED_COST_LIMIT": "many", "TASKMED_REQUEST_TIMEOUT": "soon"}))
	require.ErrorContains(t, err, "CostLimit")
	require.ErrorContains(t, err, "RequestTimeout")
}

func TestHelp_ListsEveryVariableWithItsMeaning(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(config.Help()) {
		require.Greater(t, len(strings.Fields(line)), 2, line)
	}
	require.Contains(t, config.Help(), "TASKMED_COST_LIMIT")
}

func TestDevelopment_TakesTheEnvironmentButForItsOwnServers(t *testing.T) {
	t.Parallel()
	c, err := config.Development(environment(map[string]string{"TASKMED_COST_LIMIT": "7"}), "postgres://dev", "ab")
	require.NoError(t, err)
	require.Equal(t, 7, c.CostLimit)
	require.Equal(t, "postgres://dev", c.DatabaseURL)
	require.Empty(t, c.JWKSURL)

	_, err = config.Development(map[string]string{"TASKMED_COST_LIMIT": "0"}, "postgres://dev", "ab")
	require.ErrorContains(t, err, "TASKMED_COST_LIMIT")
}

func TestCache_IsOnWithRedisUnlessSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		redis, said string
		on          bool
	}{
		"alone":             {on: false},
		"with Redis":        {redis: "redis://127.0.0.1:6379", on: true},
		"with Redis, off":   {redis: "redis://127.0.0.1:6379", said: "off", on: false},
		"alone and told so": {said: "on", on: true},
	} {
		got, err := config.Development(map[string]string{"REDIS_URL": c.redis, "TASKMED_CACHE": c.said}, "postgres://app@127.0.0.1/x", strings.Repeat("ab", 32))
		require.NoError(t, err, name)
		require.Equal(t, config.Switch(c.on), got.Cache, name)
	}
}
