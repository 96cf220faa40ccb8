package maintenance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/maintenance"
	"github.com/taskmed/taskmed/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestRun_DoesWhatIsDueAndNothingElse(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	aurora, horizonte := d.NewClinic(t, "aurora"), d.NewClinic(t, "horizonte")
	// Postgres' own analyzing may come first, and then nothing is left to do.
	d.Exec(t, "ALTER TABLE idempotency_keys SET (autovacuum_enabled = off)")
	for _, clinic := range []*testkit.Clinic{aurora, horizonte} {
		d.Exec(t, `INSERT INTO idempotency_keys (clinic_id, subject, key, request_hash, expires_at)
			SELECT $1, 's', n::text, decode(repeat('00', 32), 'hex'), now() + CASE WHEN n <= 6000 THEN interval '-1 second' ELSE interval '1 hour' END
			FROM generate_series(1, 6003) n`, clinic.ID)
		d.Exec(t, `INSERT INTO slot_holds (clinic_id, id, practitioner_id, subject, starts_at, ends_at, created_at, expires_at)
			SELECT $1, gen_random_uuid(), $2, 's', now() + n * interval '1 hour', now() + (n + 1) * interval '1 hour',
				now() - interval '30 minutes', now() - interval '20 minutes' + (n - 1) * interval '30 minutes'
			FROM generate_series(1, 2) n`, clinic.ID, clinic.Practitioners[0])
	}
	next := time.Now().UTC().AddDate(0, 0, 1-time.Now().UTC().Day()).AddDate(0, 12, 0).Format("2006_01")
	d.Exec(t, "DROP TABLE audit_events_"+next)

	result, err := maintenance.Run(t.Context(), d.OwnerURL)
	require.NoError(t, err)
	require.False(t, result.Busy)
	require.Equal(t, []string{"audit_events_" + next}, result.Partitions)
	require.EqualValues(t, 12_000, result.Keys, "more than one batch of each clinic's")
	require.EqualValues(t, 2, result.Holds)
	require.Equal(t, 2, result.Clinics)
	require.Contains(t, result.Analyzed, "idempotency_keys")
	require.Empty(t, result.Warnings)
	require.Equal(t, 6, d.Count(t, "SELECT count(*) FROM idempotency_keys"), "what has not expired stays")
	require.Equal(t, 2, d.Count(t, "SELECT count(*) FROM slot_holds"))
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM pg_class WHERE relname = $1 AND relrowsecurity AND relforcerowsecurity", "audit_events_"+next))

	again, err := maintenance.Run(t.Context(), d.OwnerURL)
	require.NoError(t, err)
	require.Zero(t, again.Keys+again.Holds)
	require.Empty(t, again.Partitions)
}

func TestRun_LeavesTheWorkToWhoIsAtIt(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	other := d.Connect(t, d.OwnerURL)
	_, err := other.Exec(t.Context(), "SELECT pg_advisory_lock(hashtextextended('taskmed maintain', 0))")
	require.NoError(t, err)
	result, err := maintenance.Run(t.Context(), d.OwnerURL)
	require.NoError(t, err)
	require.True(t, result.Busy)

	_, err = other.Exec(t.Context(), "SELECT pg_advisory_unlock_all()")
	require.NoError(t, err)
	result, err = maintenance.Run(t.Context(), d.OwnerURL)
	require.NoError(t, err)
	require.False(t, result.Busy)
}

func TestRun_WarnsOfRowsThatNoMonthTook(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	d.Exec(t, `INSERT INTO audit_events (clinic_id, id, at, actor, action, request_id) VALUES ($1, gen_random_uuid(), now() + interval '5 years', 'a', 'read', 'r')`, clinic.ID)
	result, err := maintenance.Run(t.Context(), d.OwnerURL)
	require.NoError(t, err)
	require.Len(t, result.Warnings, 1)
	require.Contains(t, result.Warnings[0], "audit_events_default")
}
