package app_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

func TestViewer_IsTheTokensSubjectInTheClinicAskedFor(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	a, b := d.NewClinic(t, "aurora"), d.NewClinic(t, "horizonte")
	server := api.NewServer(t, d)

	var answer struct {
		Viewer struct {
			Subject string
			Role    models.Role
			Clinic  struct{ ID, Slug string }
		}
	}
	for _, clinic := range []*testkit.Clinic{a, b} {
		server.As(t, clinic, models.RoleFinance).Must(t, `{ viewer { subject role clinic { id slug } } }`, nil, &answer)
		require.Equal(t, testkit.Subject(clinic.Slug, models.RoleFinance), answer.Viewer.Subject)
		require.Equal(t, models.RoleFinance, answer.Viewer.Role)
		require.Equal(t, clinic.Slug, answer.Viewer.Clinic.Slug)
		require.Equal(t, models.KindClinic.Global(clinic.ID), answer.Viewer.Clinic.ID)
	}
}
