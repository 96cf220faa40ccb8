package testkit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestTwoClinics_SeeTheirOwnContactsOnly(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	a, b := d.NewClinic(t, "a"), d.NewClinic(t, "b")
	for _, clinic := range []*testkit.Clinic{a, b} {
		rows, err := database.Rows[models.Contact](clinic.As(t.Context(), models.RoleOwner), d.DB, "SELECT id, name, status FROM contacts ORDER BY name_key")
		require.NoError(t, err)
		require.Len(t, rows, 3)
		for i, row := range rows {
			require.Equal(t, clinic.Contacts[i], row.ID)
			require.Equal(t, models.ContactStatusActive, row.Status)
		}
	}
}
