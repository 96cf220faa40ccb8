package doctor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/doctor"
)

// The rules' own tests are beside the tenancy that they guard, in internal/database.
func TestIsolation_HoldsWhereStatementsAreCounted(t *testing.T) {
	t.Parallel()
	d := counted(t)
	report, err := doctor.Isolation(t.Context(), d.Connect(t, d.OwnerURL))
	require.NoError(t, err)
	require.True(t, report.Healthy, "%+v", report.Findings)

	d.Exec(t, "ALTER TABLE contacts NO FORCE ROW LEVEL SECURITY")
	report, err = doctor.Isolation(t.Context(), d.Connect(t, d.OwnerURL))
	require.NoError(t, err)
	require.False(t, report.Healthy)
	require.Equal(t, []doctor.Finding{{
		Level: doctor.Problem, Rule: "row-level security is enabled and forced", Subject: "contacts",
	}}, report.Findings)
}
