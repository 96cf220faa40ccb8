package doctor_test

import (
	"testing"

	"github.com/taskmed/taskmed/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// counted is a database in which statements are counted, as under `taskmed dev`.
func counted(t *testing.T) *testkit.Database {
	t.Helper()
	d := testkit.NewDatabase(t)
	d.Exec(t, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
	return d
}
