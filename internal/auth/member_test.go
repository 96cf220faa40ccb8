package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

func TestEnsureMember_MakesTheTokenWorthItsRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := newDevKey(t)
	dev := w.open(t, func(c *auth.Config) { c.DevKey = key })
	ensure := func(slug, subject string, role models.Role) auth.EnsuredMember {
		done, err := auth.EnsureMember(t.Context(), w.OwnerURL, auth.Member{Slug: slug, Subject: subject, Role: role})
		require.NoError(t, err)
		return done
	}
	acts := func(subject string, clinic *testkit.Clinic, role models.Role) {
		t.Helper()
		token, err := key.Sign(auth.DevClaims{Subject: subject, IssuedAt: w.clock.Now(), TTL: time.Hour})
		require.NoError(t, err)
		grant, err := dev.Check(t.Context(), inClinic(token, clinic))
		require.NoError(t, err)
		require.Equal(t, clinic.ID, grant.Scope.ClinicID)
		require.Equal(t, role, grant.Scope.Role)
	}

	known := testkit.Subject("aurora", models.RoleFinance)
	require.Equal(t, auth.EnsuredMember{ClinicID: w.a.ID, First: true}, ensure("aurora", known, models.RoleFinance), "nothing to do")
	acts(known, w.a, models.RoleFinance)

	made := ensure("horizonte", "ana@example.org", models.RolePractitioner)
	require.Equal(t, w.b.ID, made.ClinicID)
	require.Equal(t, "made ana@example.org a member of horizonte as PRACTITIONER", made.Change)
	require.True(t, made.First)
	acts("ana@example.org", w.b, models.RolePractitioner)

	second := ensure("aurora", "ana@example.org", models.RoleOwner)
	require.NotEmpty(t, second.Change)
	require.False(t, second.First, "without X-Clinic-Id she still acts for the other one")
	acts("ana@example.org", w.a, models.RoleOwner)
	acts("ana@example.org", w.b, models.RolePractitioner)

	changed := ensure("horizonte", "ana@example.org", models.RoleFinance)
	require.Equal(t, "ana@example.org was PRACTITIONER in horizonte and is FINANCE now", changed.Change)
	acts("ana@example.org", w.b, models.RoleFinance)

	w.Exec(t, "UPDATE memberships SET revoked_at = now() WHERE subject = 'ana@example.org' AND clinic_id = $1", w.b.ID)
	back := ensure("horizonte", "ana@example.org", models.RoleFinance)
	require.Contains(t, back.Change, "revoked")
	acts("ana@example.org", w.b, models.RoleFinance)
	require.Equal(t, 2, w.Count(t, "SELECT count(*) FROM memberships WHERE subject = 'ana@example.org'"))
}

func TestEnsureMember_RefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.Count(t, "SELECT count(*) FROM memberships")
	good := auth.Member{Slug: "aurora", Subject: "ana", Role: models.RoleOwner}
	for name, change := range map[string]func(*auth.Member){
		"clinic":        func(m *auth.Member) { m.Slug = "nowhere" },
		"role":          func(m *auth.Member) { m.Role = "ROOT" },
		"no subject":    func(m *auth.Member) { m.Subject = "" },
		"long subject":  func(m *auth.Member) { m.Subject = strings.Repeat("a", 256) },
		"key's subject": func(m *auth.Member) { m.Subject = "key:api_key_x" },
	} {
		member := good
		change(&member)
		_, err := auth.EnsureMember(t.Context(), w.OwnerURL, member)
		require.Error(t, err, name)
		if name == "clinic" {
			require.ErrorIs(t, err, auth.ErrUnknownClinic)
		}
	}
	require.Equal(t, before, w.Count(t, "SELECT count(*) FROM memberships"))
	_, err := auth.EnsureMember(t.Context(), w.OwnerURL, good)
	require.NoError(t, err)
	// The application's role may not: it cannot even look for a slug.
	good.Subject = "bia"
	_, err = auth.EnsureMember(t.Context(), w.AppURL, good)
	require.Error(t, err)
}
