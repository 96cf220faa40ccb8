package database

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// Rows runs one reading statement for the context's clinic and scans each row
// into a T by its columns' names. Columns of T that were not selected stay zero.
// What the rows depend on is declared by Depends.
func Rows[T any](ctx context.Context, db *DB, sql string, args ...any) ([]*T, error) {
	failClosed(ctx)
	return collect(ctx, db, pgx.RowToAddrOfStructByNameLax[T], sql, args)
}

// Value runs a statement for the context's clinic that answers with one row of
// one column, or models.ErrNotFound.
func Value[T any](ctx context.Context, db *DB, sql string, args ...any) (T, error) {
	var none T
	failClosed(ctx)
	values, err := collect(ctx, db, pgx.RowTo[T], sql, args)
	if err != nil {
		return none, err
	}
	if len(values) == 0 {
		return none, models.ErrNotFound
	}
	return values[0], nil
}

// Find reads rows of a T's table by a query that GORM builds, the clinic put into
// it by the tenant plugin. What the rows depend on is declared by Depends.
func Find[T any](ctx context.Context, db *DB, build func(*gorm.DB) *gorm.DB) ([]*T, error) {
	sql, args, err := db.Compose(ctx, &[]T{}, build)
	if err != nil {
		return nil, err
	}
	return Rows[T](ctx, db, sql, args...)
}

func collect[T any](ctx context.Context, db *DB, scan pgx.RowToFunc[T], sql string, args []any) ([]T, error) {
	var values []T
	var one Batch
	statement := one.Queue(sql, args, func(rows pgx.Rows) (err error) {
		values, err = pgx.CollectRows(rows, scan)
		return err
	})
	db.Run(ctx, &one)
	return values, translate(statement.Err)
}

// Lookup runs a statement before a clinic is known, on a connection that has
// none: all it can reach are the functions made for that (app_memberships).
func Lookup[T any](ctx context.Context, db *DB, sql string, args ...any) ([]*T, error) {
	if _, err := tenant.From(ctx); err == nil {
		return nil, errors.New("database: a look-up without a clinic was given a scope")
	}
	// Tags are a clinic's; nobody would say when another clinic's row changes.
	touched.Poison(ctx, "reads across clinics")
	conn, err := db.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, translate(err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByNameLax[T])
	return values, translate(err)
}
