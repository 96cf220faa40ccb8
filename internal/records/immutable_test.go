package records_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
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
		"delete":               {"DELETE FROM medical_records WHERE id = $1", true},
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
		require.NoError(t, run(draft), "%s of a draft", name)
	}
	require.Equal(t, 1, w.Count(t, "SELECT count(*) FROM medical_records WHERE id = $1 AND body = $2 AND digest = $3",
		signed.ID, signed.Body, *signed.Digest))

	// Not even the owner of the table, who may delete drafts.
	owner := w.Connect(t, w.OwnerURL)
	_, err = owner.Exec(t.Context(), "SELECT set_config('app.clinic', $1, false)", w.here.ID.String())
	require.NoError(t, err)
	_, err = owner.Exec(t.Context(), "DELETE FROM medical_records WHERE id = $1", signed.ID)
	constraint, _ := database.Violation(err)
	require.Equal(t, "medical_records_signed_immutable", constraint)
	tag, err := owner.Exec(t.Context(), "DELETE FROM medical_records WHERE id = $1", draft.ID)
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
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
