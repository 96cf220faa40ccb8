package database_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/models"
)

// pid is the process that serves a connection.
func pid(t *testing.T, ctx context.Context, db *database.DB) int { //nolint:revive // a test comes first
	t.Helper()
	process, err := database.Value[int](ctx, db, "SELECT pg_backend_pid()")
	require.NoError(t, err)
	return process
}

// However many of a response's fields read at once: they take one connection, from
// the first read on, and it is given back.
func TestLease_ReadsOverOneConnection(t *testing.T) {
	t.Parallel()
	c := newCorridor(t)
	db, err := database.Open(t.Context(), config(c.Database, 8))
	require.NoError(t, err)
	defer db.Close()
	ctx, done := db.WithLease(c.here.As(t.Context(), models.RoleOwner))
	require.Zero(t, db.Stat().AcquiredConns(), "nothing was read yet")
	wanted := pid(t, ctx, db)
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			for range 20 {
				if process, err := database.Value[int](ctx, db, "SELECT pg_backend_pid()"); err != nil || process != wanted {
					t.Errorf("%d instead of %d, error %v", process, wanted, err)
				}
				if taken := db.Stat().AcquiredConns(); taken != 1 {
					t.Errorf("%d connections are taken", taken)
				}
			}
		})
	}
	all.Wait()
	done()
	require.Zero(t, db.Stat().AcquiredConns())

	other, err := database.Open(t.Context(), config(c.Database, 1))
	require.NoError(t, err)
	defer other.Close()
	require.NotEqual(t, wanted, pid(t, ctx, other), "another database's lease is none of its own")
}

// Who writes gives the lease's connection back first, and has it again afterwards:
// with a pool of one there is no other.
func TestLease_YieldsToAWrite(t *testing.T) {
	t.Parallel()
	c := newCorridor(t)
	db, err := database.Open(t.Context(), database.Config{URL: c.AppURL, MaxConns: 1, AcquireTimeout: 5 * time.Second})
	require.NoError(t, err)
	defer db.Close()
	ctx, done := db.WithLease(c.here.As(t.Context(), models.RoleOwner))
	pid(t, ctx, db)
	require.EqualValues(t, 1, db.Stat().AcquiredConns())
	require.NoError(t, db.InTenant(ctx, func(tx *gorm.DB) error {
		return tx.Model(&models.Contact{}).Where("id = ?", c.here.Contacts[0]).Update("notes", "x").Error
	}))
	notes, err := database.Value[*string](ctx, db, "SELECT notes FROM contacts WHERE id = $1", c.here.Contacts[0])
	require.NoError(t, err)
	require.Equal(t, "x", *notes)
	done()
	require.Zero(t, db.Stat().AcquiredConns())
}

// Many responses that read, write and read again never wait for each other in a
// circle, though there is one connection for all.
func TestLease_NeverWaitsInACircle(t *testing.T) {
	t.Parallel()
	c := newCorridor(t) // a pool of one, and nobody waits for longer than 20 seconds
	var all sync.WaitGroup
	for worker := range 12 {
		clinic := c.here
		if worker%2 == 0 {
			clinic = c.there
		}
		all.Go(func() {
			for range 15 {
				ctx, done := c.db.WithLease(clinic.As(t.Context(), models.RoleOwner))
				var fields sync.WaitGroup
				for range 2 { // fields of one response
					fields.Go(func() {
						rows, err := database.Rows[seen](ctx, c.db, everything)
						if err != nil || len(rows) != 3 || rows[0].ClinicID != clinic.ID {
							t.Errorf("%d rows, error %v", len(rows), err)
						}
					})
				}
				fields.Wait()
				for range 2 {
					if err := c.db.InTenant(ctx, func(tx *gorm.DB) error {
						return tx.Model(&models.Contact{}).Where("id = ?", clinic.Contacts[0]).Update("notes", "x").Error
					}); err != nil {
						t.Errorf("write: %v", err)
					}
					if _, err := database.Rows[seen](ctx, c.db, everything); err != nil {
						t.Errorf("read after it: %v", err)
					}
				}
				done()
			}
		})
	}
	all.Wait()
	require.Zero(t, c.db.Stat().AcquiredConns())
}

// A connection that breaks is not the lease's any more.
func TestLease_TakesAnotherConnectionWhereOneBroke(t *testing.T) {
	t.Parallel()
	c := newCorridor(t)
	ctx, done := c.db.WithLease(c.here.As(t.Context(), models.RoleOwner))
	defer done()
	broken := pid(t, ctx, c.db)
	require.Equal(t, 1, c.Count(t, "SELECT count(*) FROM (SELECT pg_terminate_backend($1, 10000)) AS ended WHERE pg_terminate_backend", broken))
	_, err := database.Value[int](ctx, c.db, "SELECT pg_backend_pid()")
	require.Error(t, err)
	require.NotEqual(t, broken, pid(t, ctx, c.db))
	c.sees(t, ctx, c.here, "after it broke")
}

// A read that outlives its response gives the connection back when it ends, and one
// that waits for its turn goes with its request.
func TestLease_EndsUnderAReadAndAWait(t *testing.T) {
	t.Parallel()
	c := newCorridor(t)
	ctx, done := c.db.WithLease(c.here.As(t.Context(), models.RoleOwner))
	holder := c.Connect(t, c.SuperuserURL)
	_, err := holder.Exec(t.Context(), "SELECT pg_advisory_lock(77)")
	require.NoError(t, err)
	ended := make(chan error)
	go func() {
		_, err := database.Value[int](ctx, c.db, "SELECT 1 FROM pg_advisory_xact_lock(77)")
		ended <- err
	}()
	require.Eventually(t, func() bool {
		return c.Count(t, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()") == 1
	}, 20*time.Second, 10*time.Millisecond)
	waiting, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	_, err = database.Rows[seen](waiting, c.db, everything)
	requireUnavailable(t, err)
	done()
	_, err = holder.Exec(t.Context(), "SELECT pg_advisory_unlock(77)")
	require.NoError(t, err)
	require.NoError(t, <-ended)
	require.Eventually(t, func() bool { return c.db.Stat().AcquiredConns() == 0 }, 20*time.Second, time.Millisecond)
	c.sees(t, t.Context(), c.there, "after it")
}
