package database_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// corridor is two clinics that share the one connection of a pool.
type corridor struct {
	*testkit.Database
	db          *database.DB
	here, there *testkit.Clinic
}

func newCorridor(t *testing.T) *corridor {
	t.Helper()
	d := testkit.NewDatabase(t)
	db, err := database.Open(t.Context(), config(d, 1))
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return &corridor{d, db, d.NewClinic(t, "here"), d.NewClinic(t, "there")}
}

// sees requires that what a clinic reads next, alone, is its own.
func (c *corridor) sees(t *testing.T, ctx context.Context, clinic *testkit.Clinic, when string) { //nolint:revive // a test comes first
	t.Helper()
	rows, err := database.Rows[seen](clinic.As(ctx, models.RoleOwner), c.db, everything)
	require.NoError(t, err, when)
	requireOwn(t, clinic, rows, when)
}

func requireOwn(t *testing.T, clinic *testkit.Clinic, rows []*seen, when string) {
	t.Helper()
	require.Len(t, rows, len(clinic.Contacts), when)
	for _, row := range rows {
		require.Equal(t, clinic.ID, row.ClinicID, when)
	}
}

// queued is a statement of a batch with what it gave.
type queued struct {
	*database.Statement
	rows []*seen
}

func queue(b *database.Batch, statements ...string) []*queued {
	all := make([]*queued, len(statements))
	for i, sql := range statements {
		q := &queued{}
		q.Statement = b.Queue(sql, nil, func(rows pgx.Rows) (err error) {
			q.rows, err = pgx.CollectRows(rows, pgx.RowToAddrOfStructByNameLax[seen])
			return err
		})
		all[i] = q
	}
	return all
}

// failures are statements that Postgres refuses when it runs them, in the middle of
// their rows, and when it is to plan them, which it does before it runs any of a batch.
func failures() map[string]struct{ sql, code string } {
	return map[string]struct{ sql, code string }{
		"at its first row": {failingSQL, "22012"},
		"after other rows": {"SELECT id, clinic_id FROM contacts WHERE 1 / (CASE name WHEN 'Maria Oliveira' THEN 0 ELSE 1 END) = 1", "22012"},
		"before it is run": {"SELECT id, clinic_id, nothing FROM contacts", "42703"},
	}
}

// What is wrong with one statement is its own error: the others are answered, for the
// right clinic, whatever clinic the connection had before; and so is what comes after.
// The trap: where a pipeline fails, the clinic that was put on the connection at its
// beginning is taken back, and the one from before is there again.
func TestBatch_AStatementThatFailsIsAloneInThat(t *testing.T) {
	t.Parallel()
	c := newCorridor(t)
	before := map[string]func(t *testing.T, ctx context.Context){
		"nothing before":   func(t *testing.T, _ context.Context) { t.Helper(); c.db.Reset() },
		"another clinic's": func(t *testing.T, ctx context.Context) { t.Helper(); c.sees(t, ctx, c.there, "before") },
		"its own clinic's": func(t *testing.T, ctx context.Context) { t.Helper(); c.sees(t, ctx, c.here, "before") },
		"another clinic's two": func(t *testing.T, ctx context.Context) {
			t.Helper()
			c.sees(t, ctx, c.here, "")
			c.sees(t, ctx, c.there, "")
		},
	}
	for name, failure := range failures() {
		for prior, prepare := range before {
			for at := range 3 {
				for _, inLease := range []bool{false, true} {
					when := fmt.Sprintf("the %d. fails %s; %s; in a lease: %t", at+1, name, prior, inLease)
					ctx, done := t.Context(), func() {}
					prepare(t, ctx)
					if inLease {
						ctx, done = c.db.WithLease(ctx)
						c.sees(t, ctx, c.there, when)
					}
					statements := []string{everything, everything, everything}
					statements[at] = failure.sql
					var b database.Batch
					sent := queue(&b, statements...)
					c.db.Run(c.here.As(ctx, models.RoleOwner), &b)
					for i, s := range sent {
						if i == at {
							require.Equal(t, failure.code, codeOf(s.Err), when)
							continue
						}
						require.NoError(t, s.Err, "%s: the %d.", when, i+1)
						requireOwn(t, c.here, s.rows, when)
					}
					c.sees(t, ctx, c.here, when)
					c.sees(t, ctx, c.there, when)
					done()
				}
			}
		}
	}
}

// The test above would notice a connection that takes the setting of a failed
// pipeline for granted.
func TestBatch_ASettingThatIsTrustedWouldShow(t *testing.T) {
	t.Parallel()
	c := newCorridor(t)
	ctx := c.here.As(t.Context(), models.RoleOwner)
	c.sees(t, t.Context(), c.there, "before")
	var b database.Batch
	queue(&b, failingSQL)
	c.db.Run(ctx, &b)
	require.NoError(t, c.db.TrustSetting(ctx))
	rows, err := database.Rows[seen](ctx, c.db, everything)
	require.NoError(t, err)
	require.Len(t, rows, 3)
	require.Equal(t, c.there.ID, rows[0].ClinicID, "what the code has to keep from happening")
}

// What cannot even be sent is one statement's own fault, too.
func TestBatch_AnArgumentThatCannotBeSentIsItsStatementsOwn(t *testing.T) {
	t.Parallel()
	c := newCorridor(t)
	var b database.Batch
	sent := queue(&b, everything)
	wrong := b.Queue("SELECT id FROM contacts WHERE id = $1", []any{"no id"}, func(pgx.Rows) error { return nil })
	unread := b.Queue(everything, nil, func(pgx.Rows) error { return errStorm })
	sent = append(sent, queue(&b, everything)...)
	c.db.Run(c.here.As(t.Context(), models.RoleOwner), &b)
	require.Error(t, wrong.Err)
	require.ErrorIs(t, unread.Err, errStorm, "a reader that gives up")
	for _, s := range sent {
		require.NoError(t, s.Err)
		requireOwn(t, c.here, s.rows, "beside it")
	}
	c.sees(t, t.Context(), c.there, "after it")
}

func TestBatch_IsOneRoundTrip(t *testing.T) {
	t.Parallel()
	c := newCorridor(t)
	for _, clinic := range []*testkit.Clinic{c.here, c.there, c.here, c.here} {
		ctx, counts := database.WithCounts(clinic.As(t.Context(), models.RoleOwner))
		var b database.Batch
		sent := queue(&b, everything, "SELECT id, clinic_id FROM contacts ORDER BY id", everything)
		require.Equal(t, 3, b.Len())
		c.db.Run(ctx, &b)
		for _, s := range sent {
			requireOwn(t, clinic, s.rows, "")
		}
		require.EqualValues(t, 3, counts.Statements.Load(), "the clinic is none of them")
		require.EqualValues(t, 1, counts.RoundTrips.Load())
	}
}

func TestBatch_RunsNothingWithoutAScope(t *testing.T) {
	t.Parallel()
	c := newCorridor(t)
	c.sees(t, t.Context(), c.here, "before")
	var b database.Batch
	sent := queue(&b, everything, everything)
	c.db.Run(t.Context(), &b)
	for _, s := range sent {
		require.ErrorIs(t, s.Err, tenant.ErrNoScope)
		require.Empty(t, s.rows)
	}
	c.db.Run(t.Context(), &database.Batch{}) // nothing to say
}

// A request that goes while its batch is on the way, or while that is read, leaves no
// answer to the next one.
func TestBatch_ThatIsCancelledLeavesNoForeignRow(t *testing.T) {
	t.Parallel()
	c := newCorridor(t)
	for _, inLease := range []bool{false, true} {
		for _, sleeping := range []bool{false, true} {
			c.sees(t, t.Context(), c.there, "before")
			ctx, cancel := context.WithCancel(c.here.As(t.Context(), models.RoleOwner))
			done := func() {}
			if inLease {
				ctx, done = c.db.WithLease(ctx)
			}
			var b database.Batch
			sent := queue(&b, everything)
			b.Queue("SELECT 1", nil, func(pgx.Rows) error { cancel(); return nil })
			if sleeping {
				sent = append(sent, queue(&b, "SELECT id, clinic_id FROM contacts, pg_sleep(100)")...)
				go func() {
					defer cancel()
					assert.Eventually(t, func() bool {
						return c.Count(t, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()") > 0
					}, 50*time.Second, 10*time.Millisecond)
				}()
			}
			sent = append(sent, queue(&b, everything)...)
			began := time.Now()
			c.db.Run(ctx, &b)
			require.Less(t, time.Since(began), 90*time.Second, "it did not wait for the answer")
			for _, s := range sent {
				if sleeping {
					require.Error(t, s.Err)
				}
				for _, row := range s.rows {
					require.Equal(t, c.here.ID, row.ClinicID)
				}
			}
			done()
			c.sees(t, t.Context(), c.there, "after")
			c.sees(t, t.Context(), c.here, "after")
		}
	}
}

func TestCompose_PutsTheClinicIntoWhatItBuilds(t *testing.T) {
	t.Parallel()
	c := newCorridor(t)
	named := func(tx *gorm.DB) *gorm.DB { return tx.Select("id").Where("name = ?", "Ana Souza") }
	sql, values, err := c.db.Compose(c.here.As(t.Context(), models.RoleOwner), &[]models.Contact{}, named)
	require.NoError(t, err)
	require.Contains(t, sql, "clinic_id")
	require.ElementsMatch(t, []any{"Ana Souza", c.here.ID}, values)
	for _, clinic := range []*testkit.Clinic{c.here, c.there} {
		found, err := database.Find[models.Contact](clinic.As(t.Context(), models.RoleOwner), c.db, named)
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, clinic.Contacts[0], found[0].ID)
	}
	_, _, err = c.db.Compose(t.Context(), &[]models.Contact{}, named)
	require.ErrorIs(t, err, tenant.ErrNoScope)
	_, err = database.Find[struct{ ID uuid.UUID }](c.here.As(t.Context(), models.RoleOwner), c.db, func(tx *gorm.DB) *gorm.DB {
		return tx.Table("goose_db_version")
	})
	require.Error(t, err, "no tenant's table")
	require.NotErrorIs(t, err, tenant.ErrNoScope)
}
