package database_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/testkit"
)

// What decision 11 says of every connection holds on a server that has it otherwise.
func TestOpen_SetsHowStatementsArePlanned(t *testing.T) {
	d := testkit.NewDatabase(t)
	for setting, other := range map[string]string{"jit": "on", "max_parallel_workers_per_gather": "2", "plan_cache_mode": "auto"} {
		d.Exec(t, "ALTER ROLE taskmed_app IN DATABASE "+d.Name(t)+" SET "+setting+" = '"+other+"'")
	}
	db, err := database.Open(t.Context(), database.Config{URL: d.AppURL})
	require.NoError(t, err)
	defer db.Close()
	for setting, want := range map[string]string{"jit": "off", "max_parallel_workers_per_gather": "0", "plan_cache_mode": "force_generic_plan"} {
		got, err := database.Lookup[struct{ Setting string }](t.Context(), db, "SELECT current_setting($1) AS setting", setting)
		require.NoError(t, err)
		require.Len(t, got, 1)
		assert.Equal(t, want, got[0].Setting, setting)
	}
}
