package devstack_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
)

func TestCrashPostgres_KeepsWhatWasCommitted(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t))
	owner := s.OwnerURL(devstack.Database)
	require.NoError(t, exec1(t, owner, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)"))
	for range 2 {
		s.CrashPostgres()
		_, err := pgx.Connect(t.Context(), owner)
		require.Error(t, err, "nobody is there")
		require.NoError(t, s.RestartPostgres(t.Context()))
		require.Equal(t, owner, s.OwnerURL(devstack.Database))
		require.NoError(t, exec1(t, owner, "INSERT INTO kept VALUES (2)"))
	}
	require.NoError(t, exec1(t, owner, "SELECT 1 / (SELECT count(*) / 3 FROM kept)::int"), "three rows are there")
	select {
	case err := <-s.Failed():
		require.NoError(t, err, "a crash that was wanted is no failure")
	default:
	}
}
