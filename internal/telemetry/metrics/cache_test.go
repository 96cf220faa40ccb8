package metrics

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCacheStatus_HasAClosedSetOfReasons(t *testing.T) {
	t.Parallel()
	for status, want := range map[string][2]string{
		"":                                       {"", ""},
		"taskmed; hit":                           {"hit", "hit"},
		`taskmed; fwd=miss; detail="first seen"`: {"miss", "first seen"},
		`taskmed; fwd=miss; collapsed; detail="expired"`:                                         {"miss", "expired"},
		`taskmed; fwd=bypass; detail="mutation"`:                                                 {"bypass", "mutation"},
		`taskmed; fwd=request; detail="no-cache asked for"`:                                      {"bypass", "no-cache"},
		`taskmed; fwd=miss; detail="invalidated by appointment/day=2026-11-22: written 2s ago"`:  {"miss", "invalidated"},
		`taskmed; fwd=bypass; detail="Postgres is not heard"`:                                    {"bypass", "Postgres is not heard"},
		`taskmed; fwd=bypass; detail="another database is heard than the one that requests use"`: {"bypass", "another database is heard"},
		`taskmed; fwd=miss; detail="something new"`:                                              {"miss", "other"},
	} {
		did, reason := ReadCacheStatus(status)
		require.Equal(t, want, [2]string{did, reason}, status)
	}
}
