package doctor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// counted is a database in which statements are counted, as under `taskmed dev`.
func counted(t *testing.T) *testkit.Database {
	t.Helper()
	d := testkit.NewDatabase(t)
	_, err := d.Connect(t, d.SuperuserURL).Exec(t.Context(), "CREATE EXTENSION IF NOT EXISTS pg_stat_statements; GRANT pg_read_all_stats TO taskmed_owner")
	require.NoError(t, err)
	return d
}
