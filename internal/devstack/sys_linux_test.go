package devstack

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRoomy_IsWhatLiesInMemory(t *testing.T) {
	t.Parallel()
	require.Positive(t, memoryLeft())
	for _, folder := range []string{"/proc", "/nowhere"} {
		require.False(t, roomy(folder), folder)
	}
}
