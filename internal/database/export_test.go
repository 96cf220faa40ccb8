package database

import (
	"context"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"
)

// OpenForgetful is Open with the protection switched off: a connection keeps the
// clinic it was given first, and whoever sends a statement takes it for the right
// one. Tests must notice.
func OpenForgetful(ctx context.Context, config Config) (*DB, error) {
	return open(ctx, config, func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		if _, given := conn.PgConn().CustomData()[clinicOnConnection]; given {
			rememberClinic(conn, wantedClinic(ctx))
			return true, nil
		}
		return putClinic(ctx, conn)
	})
}

// TrustSetting makes the context's connection believe that the last clinic that was
// sent to it is on it, as it would if a setting outlived the statement that failed
// behind it. Tests must notice.
func (db *DB) TrustSetting(ctx context.Context) error {
	conn, done, err := db.connection(ctx)
	if err != nil {
		return err
	}
	defer done()
	rememberClinic(conn, wantedClinic(ctx))
	return nil
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

// Reset has the pool connect anew.
func (db *DB) Reset() { db.pool.Reset() }
