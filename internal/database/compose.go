package database

import (
	"context"

	"gorm.io/gorm"
)

// Compose builds a reading statement with GORM, and does not run it: the tenant
// plugin puts the clinic into its WHERE, or refuses it. target is a pointer to a
// slice of the rows' type. The values stand in the order of the placeholders.
func (db *DB) Compose(ctx context.Context, target any, build func(*gorm.DB) *gorm.DB) (sql string, values []any, err error) {
	dry := db.orm.Session(&gorm.Session{DryRun: true, NewDB: true, Context: ctx})
	built := build(dry.Model(target)).Find(target)
	return built.Statement.SQL.String(), built.Statement.Vars, built.Error
}
