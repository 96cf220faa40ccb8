package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDaily_IsATimeOfTheDayOrNever(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Daily{
		"03:00": {On: true, Hour: 3}, "23:59": {On: true, Hour: 23, Minute: 59}, "00:00": {On: true}, "off": {},
	} {
		var d Daily
		require.NoError(t, d.UnmarshalText([]byte(text)), text)
		require.Equal(t, want, d, text)
	}
	for _, text := range []string{"", "on", "24:00", "3 am", "03:60", "03:00:00"} {
		var d Daily
		require.Error(t, d.UnmarshalText([]byte(text)), text)
	}
	c, err := Development(nil, "postgres://x", "")
	require.NoError(t, err)
	require.Equal(t, Daily{On: true, Hour: 3}, c.Maintain)
}
