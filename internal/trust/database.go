package trust

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/taskmed/taskmed/internal/coherence"
)

// What is kept is one database's. Two that use one Redis may hold the same
// clinics, because one was restored from the other's backup, so everything that
// is kept in Redis is under the database's name, and the keys of answers are made
// of it as well. The name is what Postgres says of itself: the identifier that a
// cluster is given when it is made, and the number of the database in it. A
// database that is restored with pg_restore, made from a template or moved to
// another cluster has another name. One that is the copy of a whole cluster, file
// by file, has the same, and nothing in its rows could tell it apart either.

// databaseName is the expression for it. Whoever may connect may ask.
const databaseName = `SELECT c.system_identifier || '/' || d.oid FROM pg_control_system() c, pg_database d WHERE d.datname = current_database()`

// errAstray ends a listening connection that hears another database than the one
// that requests go to.
var errAstray = errors.New("it is another database than the one that requests use")

// whoIs names the run of Postgres that a connection leads to, and the database.
func whoIs(ctx context.Context, conn *pgx.Conn) (server, database string, err error) {
	if err := conn.QueryRow(ctx, identity).Scan(&server, &database); err != nil {
		return "", "", fmt.Errorf("ask Postgres who it is, for which the role must be able to call pg_control_system(): %w", err)
	}
	return server, database, nil
}

// used is the database that requests read and write; nil while it is not known.
type used = atomic.Pointer[string]

// Opened is called with each connection that requests get to use, before its first
// statement: the same address may lead to another database than before. moved
// tells that it does, so that connections from before must not be used any more.
func (t *Trust) Opened(ctx context.Context, conn *pgconn.PgConn) (moved bool, err error) {
	results, err := conn.Exec(ctx, databaseName).ReadAll()
	database := "" // it does not say, which is no reason not to use it, but not with a cache
	if _, refused := errors.AsType[*pgconn.PgError](err); err != nil && !refused {
		return false, fmt.Errorf("ask Postgres which database it is: %w", err)
	} else if err == nil && len(results) == 1 && len(results[0].Rows) == 1 {
		database = string(results[0].Rows[0][0])
	}
	before := t.used.Load()
	if before != nil && *before == database {
		return false, nil
	}
	t.mu.Lock()
	t.used.Store(&database)
	if shared := t.writes.Load(); shared != nil && shared.Database() != database {
		t.writes.Store(nil)
	}
	t.mu.Unlock()
	if heard, known := t.heardDatabase(); before != nil || known && heard != database {
		t.distrust(anotherDatabase)
	}
	return before != nil, nil
}

// elsewhere tells whether requests go to another database than this one.
func (t *Trust) elsewhere(database string) bool {
	used := t.used.Load()
	return used != nil && *used != database
}

// anotherDatabase is why nothing is served where another database is heard than
// the one that requests use.
const anotherDatabase = "another database is heard than the one that requests use"

// heardDatabase names the database that is heard; false while that is not known.
func (t *Trust) heardDatabase() (string, bool) {
	if t.listener == nil {
		return t.config.Database, true
	}
	heard := t.listener.database.Load()
	if heard == nil {
		return "", false
	}
	return *heard, true
}

// named makes sure that what is kept is that of the database that is heard, and
// that requests use it.
func (s *supervisor) named(ctx context.Context) bool {
	database, known := s.heardDatabase()
	if !known {
		return false
	}
	if s.elsewhere(database) {
		if s.latest.Load() != nil {
			s.log.ErrorContext(ctx, "requests use another database than the one that the cache hears: it is not used. DATABASE_URL and DATABASE_LISTEN_URL must lead to the same")
			s.distrust(anotherDatabase)
		}
		s.forsake()
		why := anotherDatabase
		s.why.Store(&why)
		s.listener.stray()
		return false
	}
	if s.config.Redis == nil {
		if s.database != database && s.latest.Load() != nil {
			s.distrust(anotherDatabase)
		}
		s.database = database
		return true
	}
	if s.shared != nil && s.shared.Database() == database {
		return true
	}
	if s.shared != nil {
		s.log.WarnContext(ctx, "Postgres is another database than before: the cache begins with what is kept of that one")
		s.distrust(anotherDatabase)
		s.forsake()
	}
	s.shared = coherence.NewShared(s.link, s.config.Prefix, database, s.config.LongestRequest, s.config.Seams.Seams)
	if s.listener != nil {
		place := s.place
		s.listener.wants(&place)
	}
	swept := s.shared // which may be another, or none, before the sweep begins
	s.tasks.Go(func() { s.sweep(ctx, swept) })
	return true
}

// forsake lets go of the journal, and of the word that others share it.
func (s *supervisor) forsake() {
	s.writes.Store(nil)
	if s.listener != nil {
		s.listener.wants(nil)
	}
	s.shared = nil
}
