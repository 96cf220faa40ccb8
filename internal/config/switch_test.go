package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/config"
)

func TestSwitch_IsOnOrOffAndNothingElse(t *testing.T) {
	t.Parallel()
	var s config.Switch
	for _, word := range []string{"on", "true", "1"} {
		s = false
		require.NoError(t, s.UnmarshalText([]byte(word)))
		require.True(t, bool(s), word)
	}
	for _, word := range []string{"off", "false", "0"} {
		s = true
		require.NoError(t, s.UnmarshalText([]byte(word)))
		require.False(t, bool(s), word)
	}
	require.Error(t, s.UnmarshalText([]byte("perhaps")))
}
