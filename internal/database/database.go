// Package database is the only door to Postgres: every statement passes it with
// a clinic put on its connection, and without one it does not pass.
package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/taskmed/taskmed/internal/keyed"
)

// Config says how to reach Postgres and what a request may take from it.
type Config struct {
	// URL connects as the application's role, which owns nothing.
	URL string
	// MaxConns bounds the connections; 0 takes pgx's default.
	MaxConns int32
	// AcquireTimeout bounds the wait for a connection; 0 is a second.
	AcquireTimeout time.Duration
	// StatementTimeout bounds one statement; 0 is 10 seconds.
	StatementTimeout time.Duration
	// Coherence is told what transactions change; without one Postgres notifies
	// whoever listens.
	Coherence Coherence
	// Opened, if set, is called with each new connection before its first
	// statement. Where it says that the connection leads to another database than
	// those before it, those are used no more.
	Opened func(ctx context.Context, conn *pgconn.PgConn) (moved bool, err error)
	// AskerProofs proves who asks to the functions that change members and keys, which
	// refuse whoever does not; nil where nobody changes any.
	AskerProofs *keyed.Hash
	// Tracer, if set, sees every statement, GORM's too.
	Tracer pgx.QueryTracer
}

// DB is the pool that all clinics share.
type DB struct {
	pool           *pgxpool.Pool
	orm            *gorm.DB
	acquireTimeout time.Duration
	coherence      Coherence
	proofs         *keyed.Hash
	// tracer sees a batch's statements one by one; pgx shows it all others.
	tracer pgx.QueryTracer
}

// Open makes the pool. It does not connect; Ping does.
func Open(ctx context.Context, config Config) (*DB, error) {
	return open(ctx, config, putClinic)
}

// prepare readies a connection for the context's clinic before it is handed
// out; a connection for which it answers false is thrown away.
type prepare func(context.Context, *pgx.Conn) (bool, error)

// open is Open with its protection as a parameter: a test switches it off to
// show that it would notice.
func open(ctx context.Context, config Config, put prepare) (*DB, error) {
	settings, err := pgxpool.ParseConfig(config.URL)
	if err != nil {
		// pgx's words would hold the password.
		return nil, fmt.Errorf("the database's URL cannot be read: check its form, postgres://user:password@host:port/name")
	}
	if config.MaxConns > 0 {
		settings.MaxConns = config.MaxConns
	}
	statement := orDefault(config.StatementTimeout, 10*time.Second)
	maps.Copy(settings.ConnConfig.RuntimeParams, map[string]string{
		"application_name":                    "taskmed",
		"timezone":                            "UTC",
		"statement_timeout":                   milliseconds(statement),
		"lock_timeout":                        milliseconds(statement / 2),
		"idle_in_transaction_session_timeout": milliseconds(2 * statement),
		// Statements come again and again in few shapes; planning each run anew for
		// its values costs more than it gains (docs/decisions/0011). Tests hold the
		// plans to their indexes.
		"plan_cache_mode": "force_generic_plan",
		// A clinic's statements read little: to compile one, or to start workers for it, is
		// worth it only where an estimate is wrong (docs/decisions/0011).
		"jit": "off", "max_parallel_workers_per_gather": "0",
	})
	settings.ConnConfig.ConnectTimeout = 5 * time.Second
	settings.ConnConfig.Tracer = statementCounter{}
	if config.Tracer != nil {
		settings.ConnConfig.Tracer = multitracer.New(statementCounter{}, config.Tracer)
	}
	// BuildContextWatcherHandler stays pgx's own: where a request has gone, its
	// statement is cancelled and the connection thrown away. The handler that
	// keeps the connection holds it for 100 ms and may cancel the next request's
	// statement instead; under a storm of cancels it was slower, too.
	settings.PrepareConn = put
	var made atomic.Pointer[pgxpool.Pool]
	settings.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		registerTypes(conn.TypeMap())
		if config.Opened == nil {
			return nil
		}
		moved, err := config.Opened(ctx, conn.PgConn())
		if pool := made.Load(); moved && pool != nil {
			pool.Reset()
		}
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("make the pool: %w", err)
	}
	made.Store(pool)
	orm, err := openGORM(pool, put)
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &DB{
		pool: pool, orm: orm, acquireTimeout: orDefault(config.AcquireTimeout, time.Second), coherence: config.Coherence, proofs: config.AskerProofs,
		tracer: config.Tracer,
	}, nil
}

func openGORM(pool *pgxpool.Pool, put prepare) (*gorm.DB, error) {
	// No SetMaxOpenConns here, ever: database/sql would hand a connection from
	// one clinic's request to the next without asking the pool, and with it the
	// first clinic. The pool bounds the connections, and ResetSession puts the
	// clinic in place should database/sql keep one all the same.
	connections := stdlib.OpenDBFromPool(pool, stdlib.OptionResetSession(func(ctx context.Context, conn *pgx.Conn) error {
		if ready, err := put(ctx, conn); !ready {
			// database/sql drops a connection for this error alone.
			return errors.Join(driver.ErrBadConn, err)
		}
		return nil
	}))
	orm, err := gorm.Open(postgres.New(postgres.Config{Conn: connections}), &gorm.Config{
		SkipDefaultTransaction: true,
		DisableAutomaticPing:   true,
		// Errors are returned; a logger of its own would write values.
		Logger: logger.Discard,
	})
	if err != nil {
		return nil, fmt.Errorf("open GORM: %w", err)
	}
	if err := orm.Use(tenantPlugin{}); err != nil {
		return nil, fmt.Errorf("install the tenant plugin: %w", err)
	}
	return orm, nil
}

// Ping tells whether Postgres answers.
func (db *DB) Ping(ctx context.Context) error {
	conn, err := db.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return translate(conn.Ping(ctx))
}

// Close waits for the connections in use and closes all.
func (db *DB) Close() { db.pool.Close() }

// Stat gives the pool's figures.
func (db *DB) Stat() *pgxpool.Stat { return db.pool.Stat() }

// acquire waits a bounded time for a connection with the context's clinic on it.
func (db *DB) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	waiting, done := context.WithTimeout(ctx, db.acquireTimeout)
	defer done()
	conn, err := db.pool.Acquire(waiting)
	return conn, translate(err)
}

func orDefault(value, otherwise time.Duration) time.Duration {
	if value == 0 {
		return otherwise
	}
	return value
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }
