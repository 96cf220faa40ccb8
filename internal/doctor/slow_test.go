package doctor_test

import (
	"cmp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/doctor"
	"github.com/taskmed/taskmed/internal/testkit"
)

func TestSlow_NamesTheFamilyThatTakesTooLong(t *testing.T) {
	t.Parallel()
	d := counted(t)
	owner, app := d.Connect(t, d.OwnerURL), d.Connect(t, d.AppURL)
	for range 6 {
		_, err := app.Exec(t.Context(), "SELECT pg_sleep($1), 'a patient'", 0.02)
		require.NoError(t, err)
		_, err = app.Exec(t.Context(), "SELECT 1 + $1::int", 1)
		require.NoError(t, err)
	}
	report, err := doctor.Slow(t.Context(), owner, doctor.SlowOptions{MeanMS: 15})
	require.NoError(t, err)
	require.False(t, report.Healthy)
	require.Len(t, report.Findings, 1)
	require.Contains(t, report.Findings[0].Subject, "pg_sleep")
	require.NotContains(t, report.Findings[0].Subject, "patient", "values are not shown")
	// The server's own first statements may have taken longer, so no place is certain.
	total := func(f doctor.Family) float64 { return f.MeanMS * float64(f.Calls) }
	require.True(t, slices.IsSortedFunc(report.Families, func(a, b doctor.Family) int { return cmp.Compare(total(b), total(a)) }), "most time first")
	slow := slices.IndexFunc(report.Families, func(f doctor.Family) bool { return f.Shape == report.Findings[0].Subject })
	require.GreaterOrEqual(t, slow, 0)
	var everything float64
	for _, family := range report.Families {
		everything += total(family)
	}
	require.InDelta(t, total(report.Families[slow])/everything, report.Families[slow].Share, 0.01)
	require.EqualValues(t, 6, report.Families[slow].Calls)

	report, err = doctor.Slow(t.Context(), owner, doctor.SlowOptions{})
	require.NoError(t, err)
	require.True(t, report.Healthy, "20 ms are within the default")
}

func TestSlow_SaysWhatToDoWhereNothingIsCounted(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	_, err := d.Connect(t, d.SuperuserURL).Exec(t.Context(), "DROP EXTENSION IF EXISTS pg_stat_statements")
	require.NoError(t, err)
	owner := d.Connect(t, d.OwnerURL)
	for _, examine := range []func() (doctor.Report, error){
		func() (doctor.Report, error) { return doctor.Slow(t.Context(), owner, doctor.SlowOptions{}) },
		func() (doctor.Report, error) { return doctor.Indexes(t.Context(), owner, owner, doctor.IndexOptions{}) },
	} {
		report, err := examine()
		require.NoError(t, err)
		require.False(t, report.Healthy)
		require.Contains(t, report.Findings[0].Remedy, "CREATE EXTENSION pg_stat_statements")
	}
}
