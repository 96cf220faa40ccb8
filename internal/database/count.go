package database

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

type (
	countKey     struct{}
	uncountedKey struct{}
)

// WithStatementCount returns a context whose statements are counted, and the
// count. Putting the clinic on a connection is not a statement of the request's.
func WithStatementCount(ctx context.Context) (context.Context, *atomic.Int64) {
	count := new(atomic.Int64)
	return context.WithValue(ctx, countKey{}, count), count
}

func uncounted(ctx context.Context) context.Context {
	return context.WithValue(ctx, uncountedKey{}, true)
}

// statementCounter is pgx's tracer: it sees what GORM sends, too.
type statementCounter struct{}

var (
	_ pgx.QueryTracer    = statementCounter{}
	_ pgx.BatchTracer    = statementCounter{}
	_ pgx.CopyFromTracer = statementCounter{}
)

func (statementCounter) count(ctx context.Context) context.Context {
	if count, ok := ctx.Value(countKey{}).(*atomic.Int64); ok && ctx.Value(uncountedKey{}) == nil {
		count.Add(1)
	}
	return ctx
}

// TraceQueryStart implements pgx.QueryTracer.
func (s statementCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return s.count(ctx)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (statementCounter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart implements pgx.BatchTracer.
func (statementCounter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (s statementCounter) TraceBatchQuery(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchQueryData) {
	s.count(ctx)
}

// TraceBatchEnd implements pgx.BatchTracer.
func (statementCounter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TraceCopyFromStart implements pgx.CopyFromTracer.
func (s statementCounter) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return s.count(ctx)
}

// TraceCopyFromEnd implements pgx.CopyFromTracer.
func (statementCounter) TraceCopyFromEnd(context.Context, *pgx.Conn, pgx.TraceCopyFromEndData) {}
