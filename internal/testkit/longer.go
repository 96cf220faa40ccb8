package testkit

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Longer is how many rounds a random test makes: n, which is enough for each change,
// or TASKMED_TEST_LONGER times as many for a search by night.
func Longer(t testing.TB, n int) int {
	t.Helper()
	said := os.Getenv("TASKMED_TEST_LONGER")
	if said == "" {
		return n
	}
	times, err := strconv.Atoi(said)
	require.NoError(t, err, "TASKMED_TEST_LONGER is a number")
	return n * times
}

// Timed tells whether this machine does nothing else (TASKMED_TEST_TIMED=1), so that a
// clock may decide a test. In CI none does: there, what is counted decides.
func Timed() bool { return os.Getenv("TASKMED_TEST_TIMED") != "" }
