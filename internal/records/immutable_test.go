package records_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// The application's role, with a connection of its own and no code of ours in
// between, can change a draft and not a signed record.
func TestSignedRecord_IsImmutableInTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	draft, signed := w.create(t), w.sign(t, w.create(t))
	app := w.Connect(t, w.AppURL)
	_, err := app.Exec(t.Context(), "SELECT set_config('app.clinic', $1, false)", w.here.ID.String())
	require.NoError(t, err)

	const upsert = `INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body)
		SELECT clinic_id, id, contact_id, practitioner_id, kind, title, body FROM medical_records WHERE id = $1
		ON CONFLICT (clinic_id, id) DO UPDATE SET body = 'outro'`
	for name, attempt := range map[string]struct {
		sql string
		// right tells what is in the way: the trigger, or a right the role lacks
		// altogether, for drafts too.
		right bool
	}{
		"update":               {"UPDATE medical_records SET body = 'outro' WHERE id = $1", false},
		"update of no value":   {"UPDATE medical_records SET body = body WHERE id = $1", false},
		"taking the signature": {"UPDATE medical_records SET signed_at = NULL, signed_by = NULL, digest = NULL WHERE id = $1", false},
		"moving it away":       {"UPDATE medical_records SET contact_id = contact_id WHERE id = $1", false},
		"upsert":               {upsert, false},
		"another withdrawal":   {"UPDATE medical_records SET withdrawn_at = now(), withdrawn_by = 'x', withdrawal_reason = 'x', body = 'outro' WHERE id = $1", false},
		"amended by nobody":    {"UPDATE medical_records SET amended_at = now() WHERE id = $1", false},
		"another signer":       {"UPDATE medical_records SET signed_by_id = NULL, body = 'b' WHERE id = $1", false},
		"truncate":             {"TRUNCATE medical_records CASCADE", true},
	} {
		run := func(record *models.MedicalRecord) error {
			return pgx.BeginFunc(t.Context(), app, func(tx pgx.Tx) error {
				if name == "truncate" {
					_, err := tx.Exec(t.Context(), attempt.sql)
					return err
				}
				_, err := tx.Exec(t.Context(), attempt.sql, record.ID)
				return err
			})
		}
		err := run(signed)
		if attempt.right {
			var refused *pgconn.PgError
			require.ErrorAs(t, err, &refused, name)
			require.Equal(t, "42501", refused.Code, name)
			continue
		}
		constraint, violated := database.Violation(err)
		require.True(t, violated, "%s: %v", name, err)
		require.Equal(t, "medical_records_signed_immutable", constraint, name)
		if strings.Contains(attempt.sql, "withdrawn_at") || strings.Contains(attempt.sql, "amended_at") {
			require.Error(t, run(draft), "%s: a draft is neither withdrawn nor amended", name)
			continue
		}
		require.NoError(t, run(draft), "%s of a draft", name)
	}
	require.Equal(t, 1, w.Count(t, "SELECT count(*) FROM medical_records WHERE id = $1 AND body = $2 AND digest = $3",
		signed.ID, signed.Body, *signed.Digest))

	// Neither the application nor the owner of the table deletes what is signed.
	for name, url := range map[string]string{"application": w.AppURL, "owner": w.OwnerURL} {
		draft := w.create(t)
		conn := w.Connect(t, url)
		_, err := conn.Exec(t.Context(), "SELECT set_config('app.clinic', $1, false)", w.here.ID.String())
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "DELETE FROM medical_records WHERE id = $1", signed.ID)
		constraint, _ := database.Violation(err)
		require.Equal(t, "medical_records_signed_immutable", constraint, name)
		tag, err := conn.Exec(t.Context(), "DELETE FROM medical_records WHERE id = $1", draft.ID)
		require.NoError(t, err, name)
		require.EqualValues(t, 1, tag.RowsAffected(), name)
	}
}

// Whoever signs is the member who is the practitioner, by whatever way.
func TestSignedRecord_IsSignedByItsPractitionerInTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	draft := w.create(t)
	app := w.Connect(t, w.AppURL)
	_, err := app.Exec(t.Context(), "SELECT set_config('app.clinic', $1, false)", w.here.ID.String())
	require.NoError(t, err)
	const sign = "UPDATE medical_records SET signed_at = now(), signed_by = $2, digest = repeat('0', 64) WHERE id = $1"
	const insert = `INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body, signed_at, signed_by, digest)
		SELECT clinic_id, gen_random_uuid(), contact_id, practitioner_id, kind, title, body, now(), $2, repeat('0', 64) FROM medical_records WHERE id = $1`
	for _, subject := range []string{testkit.Subject("here", models.RoleOwner), testkit.Subject("there", models.RolePractitioner), "nobody"} {
		for _, sql := range []string{sign, insert} {
			_, err := app.Exec(t.Context(), sql, draft.ID, subject)
			constraint, _ := database.Violation(err)
			require.Equal(t, "medical_records_signer", constraint, subject)
		}
	}
	for _, sql := range []string{insert, sign} {
		_, err := app.Exec(t.Context(), sql, draft.ID, testkit.Subject("here", models.RolePractitioner))
		require.NoError(t, err)
	}
	require.Equal(t, 2, w.Count(t, `SELECT count(*) FROM medical_records r JOIN memberships m ON m.id = r.signed_by_id AND m.subject = r.signed_by`))
}

func TestSignedRecord_CannotBeAmendedTwiceInTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	original := w.sign(t, w.create(t))
	app := w.Connect(t, w.AppURL)
	_, err := app.Exec(t.Context(), "SELECT set_config('app.clinic', $1, false)", w.here.ID.String())
	require.NoError(t, err)
	amend := func() error {
		_, err := app.Exec(t.Context(), `INSERT INTO medical_records
			(clinic_id, id, contact_id, practitioner_id, kind, title, body, amends_id, amendment_reason)
			VALUES ($1, $2, $3, $4, 'evolution', 't', 'b', $5, 'r')`,
			w.here.ID, models.NewID(), w.here.Contacts[0], w.here.Practitioners[0], original.ID)
		return err
	}
	require.NoError(t, amend())
	constraint, _ := database.Violation(amend())
	require.Equal(t, "idx_medical_records_amends", constraint)
}
