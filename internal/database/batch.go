package database

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/taskmed/taskmed/internal/tenant"
)

// Batch is a number of reading statements that do not need each other's answers.
// They are sent together and take one round trip, the clinic included.
type Batch struct {
	statements []*Statement
}

// Statement is one of a batch's. Err is nil until the batch has run and, after it,
// where the statement was answered and read.
type Statement struct {
	Err error

	sql  string
	args []any
	read func(pgx.Rows) error
}

// Queue adds a statement; read is called with its rows and need not close them.
func (b *Batch) Queue(sql string, args []any, read func(pgx.Rows) error) *Statement {
	s := &Statement{sql: sql, args: args, read: read}
	b.statements = append(b.statements, s)
	return s
}

// Len is how many statements are queued.
func (b *Batch) Len() int { return len(b.statements) }

// Run sends the statements for the context's clinic. What is wrong with one
// statement is its own Err and no other's: those behind it are sent again, for a
// pipeline that fails at one statement skips the rest.
func (db *DB) Run(ctx context.Context, b *Batch) {
	rest := b.statements
	if len(rest) == 0 {
		return
	}
	if _, err := tenant.From(ctx); err != nil {
		fail(rest, err)
		return
	}
	conn, done, err := db.connection(ctx)
	if err != nil {
		fail(rest, err)
		return
	}
	defer done()
	send := db.send
	if unitOf(ctx, db) != nil {
		send = db.sendInUnit
	}
	for len(rest) > 0 {
		answered, err := send(ctx, conn, rest)
		rest = rest[answered:]
		if err == nil || len(rest) == 0 {
			return
		}
		at := guilty(rest, err)
		if len(at) == 0 || conn.IsClosed() || ctx.Err() != nil {
			fail(rest, translate(err)) // the connection's fault, or the request's end
			return
		}
		fail(at, translate(err))
		rest = slices.DeleteFunc(slices.Clone(rest), func(s *Statement) bool { return slices.Contains(at, s) })
	}
}

// guilty are the statements that an error is of; none where it is of the pipeline.
// What Postgres cannot plan, or pgx cannot send, is found before anything runs, by its
// text; what fails as it runs is the first that was not answered.
func guilty(statements []*Statement, err error) []*Statement {
	if unready, ok := errors.AsType[pgx.ErrPreprocessingBatch](err); ok {
		return slices.DeleteFunc(slices.Clone(statements), func(s *Statement) bool { return s.sql != unready.SQL() })
	}
	if _, refused := errors.AsType[*pgconn.PgError](err); refused {
		return statements[:1]
	}
	return nil
}

func fail(statements []*Statement, err error) {
	for _, s := range statements {
		s.Err = err
	}
}

// send sends statements in one pipeline and tells how many were answered. It
// ends at the first one that Postgres refuses.
func (db *DB) send(ctx context.Context, conn *pgx.Conn, statements []*Statement) (answered int, err error) {
	wanted := wantedClinic(ctx)
	queue := &pgx.Batch{QueuedQueries: make([]*pgx.QueuedQuery, 0, len(statements)+1)}
	puts := !hasClinic(conn, wanted)
	if puts {
		// Forgotten until the whole pipeline has succeeded: it is one implicit
		// transaction, and a statement that fails takes the setting back, to the
		// clinic that was on the connection before.
		forgetClinic(conn)
		queue.Queue(setClinic, clinicSetting(wanted))
	}
	for _, s := range statements {
		queue.Queue(s.sql, s.args...)
	}
	// Seen to begin now: what has to be prepared first, or waits for a lock to be, is
	// its time.
	seen := db.begin(ctx, conn, statements[0])
	results := conn.SendBatch(ctx, queue)
	closed := false
	defer func() {
		if !closed {
			_ = results.Close() // the first error is told already
		}
	}()
	if puts {
		if _, err := results.Exec(); err != nil {
			db.end(seen, conn, pgconn.CommandTag{}, err)
			return 0, err
		}
	}
	for i, s := range statements {
		if i > 0 {
			seen = db.begin(ctx, conn, s) //nolint:fatcontext // each begins from the batch's own context
		}
		if err := db.answer(seen, conn, results, s); err != nil {
			return i, err
		}
	}
	closed = true
	if err := results.Close(); err != nil {
		return len(statements), err
	}
	if puts {
		rememberClinic(conn, wanted)
	}
	return len(statements), nil
}

// sendInUnit is send within a transaction that is to go on where a statement fails.
func (db *DB) sendInUnit(ctx context.Context, conn *pgx.Conn, statements []*Statement) (answered int, err error) {
	const savepoint = "taskmed_read"
	if _, err := conn.Exec(uncounted(ctx), "SAVEPOINT "+savepoint); err != nil {
		return 0, err
	}
	answered, err = db.send(ctx, conn, statements)
	if err == nil {
		_, err = conn.Exec(uncounted(ctx), "RELEASE SAVEPOINT "+savepoint)
		return answered, err
	}
	if !conn.IsClosed() {
		_, undone := conn.Exec(uncounted(ctx), "ROLLBACK TO SAVEPOINT "+savepoint)
		err = errors.Join(err, undone)
	}
	return answered, err
}

// answer reads one statement's rows.
func (db *DB) answer(seen context.Context, conn *pgx.Conn, results pgx.BatchResults, s *Statement) error {
	rows, err := results.Query()
	var tag pgconn.CommandTag
	if err == nil {
		s.Err = s.read(rows)
		rows.Close()
		err, tag = rows.Err(), rows.CommandTag()
	}
	if err != nil {
		s.Err = nil // it is the statement's, and told by the caller
	}
	db.end(seen, conn, tag, err)
	return err
}

// begin tells who watches statements that one begins: when the one before was
// read, so that its time is what Postgres took for it alone.
func (db *DB) begin(ctx context.Context, conn *pgx.Conn, s *Statement) context.Context {
	if db.tracer == nil {
		return ctx
	}
	return db.tracer.TraceQueryStart(ctx, conn, pgx.TraceQueryStartData{SQL: s.sql, Args: s.args})
}

func (db *DB) end(seen context.Context, conn *pgx.Conn, tag pgconn.CommandTag, err error) {
	if db.tracer != nil {
		db.tracer.TraceQueryEnd(seen, conn, pgx.TraceQueryEndData{CommandTag: tag, Err: err})
	}
}
