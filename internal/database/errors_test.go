package database_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

func requireUnavailable(t *testing.T, err error) {
	t.Helper()
	var busy *models.Error
	require.ErrorAs(t, err, &busy)
	require.Equal(t, models.Unavailable, busy.Code, "%v", err)
}

func TestOpen_SaysNothingOfThePassword(t *testing.T) {
	t.Parallel()
	_, err := database.Open(t.Context(), database.Config{URL: "postgres://app:hunter2@[::1/x"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

// A pool whose connections are all at work answers soon, through both doors.
func TestPool_IsBusyRatherThanSlow(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	ctx := d.NewClinic(t, "here").As(t.Context(), models.RoleOwner)
	db, err := database.Open(t.Context(), database.Config{URL: d.AppURL, MaxConns: 1, AcquireTimeout: 50 * time.Millisecond})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.InTenant(ctx, func(tx *gorm.DB) error {
		// The connection is this transaction's, and there is no other.
		_, err := database.Rows[seen](ctx, db, everything)
		requireUnavailable(t, err)
		requireUnavailable(t, db.Ping(ctx))
		return tx.Exec("SELECT 1").Error
	}))
	rows, err := database.Rows[seen](ctx, db, everything)
	require.NoError(t, err)
	require.Len(t, rows, 3)
}

func TestStatement_IsStoppedInTime(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	ctx := d.NewClinic(t, "here").As(t.Context(), models.RoleOwner)
	db, err := database.Open(t.Context(), database.Config{URL: d.AppURL, StatementTimeout: 100 * time.Millisecond})
	require.NoError(t, err)
	defer db.Close()
	_, err = database.Value[int](ctx, db, "SELECT 1 FROM pg_sleep(30)")
	requireUnavailable(t, err)
	requireUnavailable(t, db.InTenant(ctx, func(tx *gorm.DB) error { return tx.Exec("SELECT pg_sleep(30)").Error }))
	one, err := database.Value[int](ctx, db, "SELECT 1")
	require.NoError(t, err)
	require.Equal(t, 1, one)
}

func TestValue_TellsNothingFromNone(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	ctx := d.NewClinic(t, "here").As(t.Context(), models.RoleOwner)
	_, err := database.Value[uuid.UUID](ctx, d.DB, "SELECT id FROM contacts WHERE id = $1", uuid.New())
	require.ErrorIs(t, err, models.ErrNotFound)
	require.ErrorIs(t, d.DB.InTenant(ctx, func(tx *gorm.DB) error {
		return tx.Take(&models.Contact{}, "id = ?", uuid.New()).Error
	}), models.ErrNotFound)
}

// Two transactions that lock the same rows in opposite order both succeed: the
// one that Postgres sacrifices is tried again.
func TestInTenant_TriesADeadlockAgain(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "here")
	ctx := clinic.As(t.Context(), models.RoleOwner)
	var (
		both, first sync.WaitGroup
		errs        [2]error
		runs        [2]int
	)
	first.Add(2)
	for i := range errs {
		both.Go(func() {
			errs[i] = d.DB.InTenant(ctx, func(tx *gorm.DB) error {
				runs[i]++
				lock := func(contact int) error {
					return tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).
						Take(&models.Contact{}, "id = ?", clinic.Contacts[contact]).Error
				}
				if err := lock(i); err != nil {
					return err
				}
				if runs[i] == 1 {
					// Both hold one row before either asks for the other's.
					first.Done()
					first.Wait()
				}
				return lock(1 - i)
			})
		})
	}
	both.Wait()
	require.NoError(t, errs[0])
	require.NoError(t, errs[1])
	// Where the loser is back before the winner woke up, they meet once more.
	require.GreaterOrEqual(t, runs[0]+runs[1], 3, "one of them ran again")
}

// A commit whose answer is lost may have happened, and the client is told so.
func TestInTenant_DoesNotKnowALostCommit(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	ctx := d.NewClinic(t, "here").As(t.Context(), models.RoleOwner)
	cut, cancel := context.WithCancel(ctx)
	err := d.DB.InTenant(cut, func(*gorm.DB) error {
		cancel() // gone before the commit is sent
		return nil
	})
	var unknown *models.Error
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, models.OutcomeUnknown, unknown.Code)
}

func TestViolation_NamesTheConstraint(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "here")
	ctx := clinic.As(t.Context(), models.RoleOwner)
	for want, sql := range map[string]string{
		"practitioner_services_pkey":         "INSERT INTO practitioner_services SELECT * FROM practitioner_services",
		"contacts_status_check":              "UPDATE contacts SET status = 'x'",
		"consents_clinic_id_contact_id_fkey": "INSERT INTO consents (clinic_id, id, contact_id, purpose, granted) SELECT id, gen_random_uuid(), id, 'treatment', true FROM clinics",
		"working_hours_overlap":              "INSERT INTO working_hours SELECT clinic_id, gen_random_uuid(), practitioner_id, weekday, from_minute, to_minute FROM working_hours",
	} {
		constraint, violated := database.Violation(d.DB.InTenant(ctx, func(tx *gorm.DB) error { return tx.Exec(sql).Error }))
		require.True(t, violated, want)
		require.Equal(t, want, constraint)
	}
	_, violated := database.Violation(d.DB.InTenant(ctx, func(tx *gorm.DB) error { return tx.Exec("SELECT 1 / 0").Error }))
	require.False(t, violated)
}
