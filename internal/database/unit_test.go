package database_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// What is read within a unit is what it wrote, also with a pool of one connection, and
// after it ended either way everybody sees the same.
func TestUnit_ReadsWhatItWrote(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	db, err := database.Open(t.Context(), config(o.Database, 1))
	require.NoError(t, err)
	defer db.Close()
	name := func(ctx context.Context) string {
		got, err := database.Value[string](ctx, db, "SELECT name FROM contacts WHERE id = $1", o.clinic.Contacts[0])
		require.NoError(t, err)
		return got
	}
	rename := func(ctx context.Context, to string) error {
		return db.InTenant(ctx, func(tx *gorm.DB) error {
			return tx.Model(&models.Contact{}).Where("id = ?", o.clinic.Contacts[0]).Update("name", to).Error
		})
	}
	before := name(o.ctx)
	for _, ending := range []struct {
		name string
		end  func(ctx context.Context, unit *database.Unit) error
		left string
	}{
		{"rolled back", func(ctx context.Context, unit *database.Unit) error { unit.Rollback(ctx); return nil }, before},
		{"committed", func(ctx context.Context, unit *database.Unit) error { return unit.Commit(ctx) }, "Novo"},
	} {
		ctx, unit := db.WithUnit(o.ctx)
		require.Equal(t, before, name(ctx), "it is not open")
		require.NoError(t, unit.Begin(ctx))
		require.False(t, unit.Wrote())
		require.NoError(t, rename(ctx, "Novo"))
		require.True(t, unit.Wrote())
		require.Equal(t, "Novo", name(ctx))
		// What fails takes back nothing but itself.
		_, err := database.Value[string](ctx, db, "SELECT 1/0")
		require.Error(t, err)
		require.Error(t, rename(ctx, ""))
		require.Equal(t, "Novo", name(ctx))
		require.Equal(t, before, nameOf(t, o), "nobody else sees it")
		require.NoError(t, ending.end(ctx, unit))
		unit.Rollback(ctx)
		require.Equal(t, ending.left, name(ctx), ending.name)
		require.Equal(t, ending.left, nameOf(t, o))
		require.Zero(t, db.Stat().AcquiredConns())
	}
}

func nameOf(t *testing.T, o *office) string {
	t.Helper()
	var name string
	require.NoError(t, o.Connect(t, o.SuperuserURL).QueryRow(t.Context(), "SELECT name FROM contacts WHERE id = $1", o.clinic.Contacts[0]).Scan(&name))
	return name
}

// A unit tells the caches when it commits, once, and not before.
func TestUnit_RaisesWhenItCommits(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, unit := o.db.WithUnit(o.ctx)
	require.NoError(t, unit.Begin(ctx))
	require.NoError(t, o.rename(ctx, o.db, 0))
	require.Empty(t, o.caches.tags)
	tags, err := unit.Touched(ctx)
	require.NoError(t, err)
	require.Contains(t, tags, touched.Entity(models.KindContact, o.clinic.Contacts[0]))
	require.NoError(t, unit.Commit(ctx))
	require.NotEmpty(t, o.caches.tags)
}

// A request that ends in the middle of a unit leaves nothing behind, and its connection
// to nobody.
func TestUnit_EndsWithItsRequest(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	db, err := database.Open(t.Context(), config(o.Database, 1))
	require.NoError(t, err)
	defer db.Close()
	ctx, stop := context.WithCancel(o.ctx)
	ctx, unit := db.WithUnit(ctx)
	require.NoError(t, unit.Begin(ctx))
	require.NoError(t, db.InTenant(ctx, func(tx *gorm.DB) error {
		return tx.Model(&models.Contact{}).Where("id = ?", o.clinic.Contacts[0]).Update("name", "Nunca").Error
	}))
	time.AfterFunc(20*time.Millisecond, stop)
	_, err = database.Value[string](ctx, db, "SELECT pg_sleep(5)::text")
	require.Error(t, err)
	require.Error(t, unit.Commit(ctx))
	unit.Rollback(ctx)
	require.NotEqual(t, "Nunca", nameOf(t, o))
	_, err = database.Value[int](o.ctx, db, "SELECT 1")
	require.NoError(t, err)
	require.Zero(t, db.Stat().AcquiredConns())
}
