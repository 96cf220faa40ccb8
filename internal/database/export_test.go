package database

import (
	"context"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"
)

// OpenForgetful is Open with the pool's protection switched off: a connection
// keeps the clinic it was given first. Tests must notice.
func OpenForgetful(ctx context.Context, config Config) (*DB, error) {
	return open(ctx, config, func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		if _, given := conn.PgConn().CustomData()[clinicOnConnection]; given {
			return true, nil
		}
		return putClinic(ctx, conn)
	})
}

// KeepConnections makes database/sql hand connections from one request to the
// next by itself, past the pool.
func (db *DB) KeepConnections(most int) error {
	connections, err := db.orm.DB()
	if err != nil {
		return err
	}
	connections.SetMaxOpenConns(most)
	connections.SetMaxIdleConns(most)
	return nil
}

// ORM is GORM outside of a transaction.
func (db *DB) ORM(ctx context.Context) *gorm.DB { return db.orm.WithContext(ctx) }
