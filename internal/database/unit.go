package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
)

// Unit is one transaction around whatever runs under its context. Use cases'
// transactions (InTenant) are savepoints in it, and every read sees what they wrote.
// So a rehearsal reads what it did before that is taken back, and what must be
// committed with a write is.
//
// It is used by one goroutine, but for reads, which take turns.
type Unit struct {
	db *DB
	// turn is held by who reads; a channel, so that waiting for it ends with the request.
	turn chan struct{}

	pooled *sql.Conn
	conn   *pgx.Conn
	tx     *gorm.DB
	open   bool
	wrote  bool
	// after is what waits for the commit.
	after []func()
}

type unitKey struct{}

// WithUnit returns a context with a Unit, of which nothing is open before Begin.
// Whoever asks for one must end it with Commit or Rollback.
func (db *DB) WithUnit(ctx context.Context) (context.Context, *Unit) {
	u := &Unit{db: db, turn: make(chan struct{}, 1)}
	return context.WithValue(ctx, unitKey{}, u), u
}

// unitOf is the context's open Unit, or nil.
func unitOf(ctx context.Context, db *DB) *Unit {
	u, _ := ctx.Value(unitKey{}).(*Unit)
	if u == nil || u.db != db || !u.open {
		return nil
	}
	return u
}

// Begin begins the transaction for the context's clinic.
func (u *Unit) Begin(ctx context.Context) error {
	if _, err := tenant.From(ctx); err != nil {
		return err
	}
	touched.Poison(ctx, "writes")
	yield(ctx, u.db)
	connections, err := u.db.orm.DB()
	if err != nil {
		return err
	}
	waiting, done := context.WithTimeout(ctx, u.db.acquireTimeout)
	defer done()
	if u.pooled, err = connections.Conn(waiting); err != nil {
		return translate(err)
	}
	if err := u.begin(ctx); err != nil {
		u.Rollback(ctx)
		return translate(err)
	}
	return nil
}

func (u *Unit) begin(ctx context.Context) error {
	err := u.pooled.Raw(func(driver any) error {
		under, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("database: a connection of %T", driver)
		}
		u.conn = under.Conn()
		return nil
	})
	if err != nil {
		return err
	}
	// database/sql would roll back by itself where the request ends, and meet a read
	// that is being ended on the same connection.
	session := u.db.orm.Session(&gorm.Session{NewDB: true, Context: context.WithoutCancel(ctx)})
	session.Statement.ConnPool = u.pooled
	if u.tx = session.Begin(); u.tx.Error != nil {
		return u.tx.Error
	}
	u.open = true
	return collectTags(ctx, u.tx)
}

// within runs a use case's transaction as a savepoint.
func (u *Unit) within(ctx context.Context, work func(tx *gorm.DB) error) error {
	err := u.tx.WithContext(ctx).Transaction(work)
	u.wrote = u.wrote || err == nil
	return err
}

// Wrote tells whether a use case's transaction has succeeded.
func (u *Unit) Wrote() bool { return u.wrote }

// Touched are the tags of what was written so far.
func (u *Unit) Touched(ctx context.Context) ([]touched.Tag, error) {
	tags, err := collectedTags(ctx, u.tx)
	return tags, translate(err)
}

// Run runs statements of whoever holds the Unit in its transaction.
func (u *Unit) Run(ctx context.Context, work func(tx *gorm.DB) error) error {
	return translate(u.tx.WithContext(ctx).Transaction(work))
}

// Commit commits, as InTenant does, and lets go of the connection.
func (u *Unit) Commit(ctx context.Context) error {
	if !u.open {
		return errors.New("database: the unit is not open")
	}
	defer u.letGo()
	outcome := touched.RolledBack
	var told raised
	defer func() { told.ended(ctx, u.db.coherence, outcome) }()
	var err error
	if u.db.coherence != nil {
		if told, err = u.db.raise(ctx, u.tx.WithContext(ctx)); err != nil {
			u.tx.Rollback()
			return translate(err)
		}
	}
	outcome, err = outcomeOf(u.tx.Commit().Error)
	if err == nil {
		for _, do := range u.after {
			do()
		}
	}
	return translate(err)
}

// OnceCommitted does something that tells of a use case's transaction, which has
// succeeded: now, or where it is part of a Unit, once that is committed, and never where
// that is taken back.
func (db *DB) OnceCommitted(ctx context.Context, do func()) {
	if u := unitOf(ctx, db); u != nil {
		u.after = append(u.after, do)
		return
	}
	do()
}

// Rollback takes everything back, if the Unit is open, and lets go of the connection.
func (u *Unit) Rollback(ctx context.Context) {
	if u.pooled == nil {
		return
	}
	if u.open {
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), u.db.acquireTimeout)
		defer done()
		// A connection on which this fails is broken, and Postgres rolls back by itself.
		u.tx.WithContext(ctx).Rollback()
	}
	u.letGo()
}

func (u *Unit) letGo() {
	u.open = false
	_ = u.pooled.Close() // it goes back to the pool, or away
	u.pooled = nil
}

// take gives the connection to read by, in turn.
func (u *Unit) take(ctx context.Context) (*pgx.Conn, func(), error) {
	select {
	case u.turn <- struct{}{}:
		return u.conn, func() { <-u.turn }, nil
	case <-ctx.Done():
		return nil, nil, translate(ctx.Err())
	}
}
