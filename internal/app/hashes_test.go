package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/persisted"
)

func TestHashes_AreRightAndBounded(t *testing.T) {
	t.Parallel()
	var h hashes
	for n := range 3 * mostHashed {
		text := fmt.Sprintf("query N%d { viewer { subject } }", n)
		require.Equal(t, persisted.Hash(text), h.of(text))
		require.Equal(t, persisted.Hash(text), h.of(text))
	}
	long := strings.Repeat("x", longestHashed+1)
	require.Equal(t, persisted.Hash(long), h.of(long))
	kept := 0
	h.kept.Range(func(text, _ any) bool {
		kept++
		require.NotEqual(t, long, text)
		return true
	})
	require.Positive(t, kept)
	require.LessOrEqual(t, kept, mostHashed)
}
