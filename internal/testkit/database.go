package testkit

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/migrations"
)

// Database is one test's own database.
type Database struct {
	// SuperuserURL, OwnerURL and AppURL reach it as each role.
	SuperuserURL, OwnerURL, AppURL string
	RedisURL                       string
	// DB is the door, as the application's role.
	DB *database.DB
	// Cursors seal with a fixed secret.
	Cursors *paging.Cursors
}

// NewDatabase clones the template for one test and drops the clone after it.
func NewDatabase(t testing.TB) *Database {
	t.Helper()
	servers, err := process.get()
	require.NoError(t, err, "start Postgres and Redis for the tests")

	return clone(t, servers, Template)
}

// Made is a database that is filled once per test binary, and cloned for each test
// that wants one like it: a package's variable. What Fill makes is the same for all.
type Made[T any] struct {
	Fill func(t testing.TB, d *Database) T

	mu   sync.Mutex
	name string
	made T
}

// New gives a test a database of its own with the rows that Fill made, and what Fill
// told of them.
func (m *Made[T]) New(t testing.TB) (*Database, T) {
	t.Helper()
	servers, err := process.get()
	require.NoError(t, err, "start Postgres and Redis for the tests")
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.name == "" {
		name := newName()
		d := create(t, servers, Template, name)
		process.keep(at(t, servers.SuperuserURL, "postgres"), name)
		m.made = m.Fill(t, d)
		m.name = name
	}
	return clone(t, servers, m.name), m.made
}

// Restore gives a second database with the same rows and ids, as one that was
// restored from a backup has. Nobody else may be connected to this one.
func (d *Database) Restore(t testing.TB) *Database {
	t.Helper()
	servers, err := process.get()
	require.NoError(t, err, "start Postgres and Redis for the tests")
	return clone(t, servers, d.Name(t))
}

// Name is the database's own in Postgres.
func (d *Database) Name(t testing.TB) string {
	t.Helper()
	parsed, err := url.Parse(d.AppURL)
	require.NoError(t, err)
	return strings.TrimPrefix(parsed.Path, "/")
}

func newName() string { return "test_" + strings.ReplaceAll(uuid.NewString(), "-", "") }

// create makes a database of another's rows and gives the addresses that reach it.
func create(t testing.TB, servers Servers, template, name string) *Database {
	t.Helper()
	// Nobody may be connected to a template while it is cloned, so the cloning
	// goes through another database.
	briefly(t, at(t, servers.SuperuserURL, "postgres"), func(ctx context.Context, conn *pgx.Conn) error {
		sql := fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s OWNER taskmed_owner", name, template)
		// Copied as files a database costs about half of what it costs page by page through
		// the log, where fsync is off. Before Postgres 15 there is no other way.
		major, _, _ := strings.Cut(conn.PgConn().ParameterStatus("server_version"), ".")
		if version, err := strconv.Atoi(major); err == nil && version >= 15 {
			sql += " STRATEGY FILE_COPY"
		}
		_, err := conn.Exec(ctx, sql)
		return err
	})
	return &Database{
		SuperuserURL: at(t, servers.SuperuserURL, name), OwnerURL: at(t, servers.OwnerURL, name),
		AppURL: at(t, servers.AppURL, name), RedisURL: servers.RedisURL,
	}
}

func clone(t testing.TB, servers Servers, template string) *Database {
	t.Helper()
	name := newName()
	d := create(t, servers, template, name)
	t.Cleanup(func() { run(t, at(t, servers.SuperuserURL, "postgres"), "DROP DATABASE "+name+" WITH (FORCE)") })

	var err error
	secret, err := hex.DecodeString(Secret)
	require.NoError(t, err)
	d.DB, err = database.Open(t.Context(), database.Config{URL: d.AppURL, MaxConns: 16, AcquireTimeout: 20 * time.Second, AskerProofs: migrations.AskerProofs(secret)})
	require.NoError(t, err)
	t.Cleanup(d.DB.Close)
	d.Cursors, err = paging.NewCursors([]byte("a secret of the tests, 32 bytes or more"))
	require.NoError(t, err)
	return d
}

// Rehearsed does work whose writes are taken back after it.
func (d *Database) Rehearsed(t testing.TB, ctx context.Context, work func(ctx context.Context)) { //nolint:revive // t comes first everywhere here
	t.Helper()
	ctx, unit := d.DB.WithUnit(ctx)
	defer unit.Rollback(ctx)
	require.NoError(t, unit.Begin(ctx))
	work(ctx)
}

// Exec runs SQL as the superuser, past row-level security.
func (d *Database) Exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	briefly(t, d.SuperuserURL, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql, args...)
		return err
	})
}

// Count gives the number that a counting statement answers with, as the superuser.
func (d *Database) Count(t testing.TB, sql string, args ...any) int {
	t.Helper()
	var count int
	briefly(t, d.SuperuserURL, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, sql, args...).Scan(&count)
	})
	return count
}

// Connect opens a connection that is closed with the test.
func (d *Database) Connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	return connect(t, url)
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// run is one statement, also after the test's context.
func run(t testing.TB, url, sql string) {
	t.Helper()
	briefly(t, url, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	})
}

// briefly uses a connection of its own and closes it at once: parallel tests
// share one server's connections.
func briefly(t testing.TB, url string, use func(ctx context.Context, conn *pgx.Conn) error) {
	t.Helper()
	ctx, done := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer done()
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(ctx) }()
	require.NoError(t, use(ctx, conn))
}

func at(t testing.TB, server, name string) string {
	t.Helper()
	parsed, err := url.Parse(server)
	require.NoError(t, err)
	parsed.Path = "/" + name
	return parsed.String()
}
